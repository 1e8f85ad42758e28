// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/mig_flow.h"
#include "base/log.h"
#include "mig/config_file.h"
#include "mig/nvml_driver.h"
#include "mig/planner.h"

namespace aliquot::agent {

// The layout configurations that labels choose from.
struct MigLayouts {
  std::string origin;  // "configmap gpu-operator/layouts", a path, or empty: none was given
  std::shared_ptr<const mig::ConfigFile> file;  // null: none was given, or it is bad
  std::optional<Error> problem;                 // why it is bad or not there
};

// Reads a configuration of layouts; every problem is in the error.
MigLayouts ParseMigLayouts(const std::string& text, std::string origin);

// What is looked for, and where on this node.
struct MigRequest {
  std::string label;
  MigLayouts layouts;
  // "namespace/name" of the pods that were given a device, by its UUID.
  std::map<std::string, std::vector<std::string>> pods;
  std::string state_dir;
  std::string boot_id;
};

// What a look found, and what is to be applied.
struct MigPlanned {
  MigLook look;
  mig::MigPlan plan;
  bool changes_mode = false;  // of some GPU: no session may be open meanwhile
};

// Reads the GPUs and plans the way to what the label wants: a configuration of the given file, or
// else one of those that follow from what the GPUs offer (mig::GenerateConfig). If the GPUs have it
// already, their layout is remembered for the next boot. On the driver thread.
MigPlanned LookAtMig(mig::NvmlMigDriver& driver, const MigRequest& request, const Logger& log);

struct MigApplyOptions {
  std::string state_dir;
  bool allow_reset = true;
  bool allow_reboot = false;
};

// Applies the plan GPU by GPU, and calls `breathe` between them. First finishes what was
// interrupted, and then, since the plan was made for other GPUs, ends with kAborted. On the driver
// thread.
MigApplied ApplyMig(mig::NvmlMigDriver& driver, const mig::MigPlan& plan,
                    const MigApplyOptions& options, const Logger& log,
                    const std::function<void()>& breathe);

}  // namespace aliquot::agent
