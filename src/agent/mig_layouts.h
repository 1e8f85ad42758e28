// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "agent/config_map_key.h"
#include "agent/mig_job.h"
#include "base/executor.h"
#include "kube/client.h"

namespace aliquot::agent {

// Where the layout configurations of a node come from: the key "config.yaml" of a ConfigMap, else a
// file, else nowhere, and then they follow from what the GPUs offer. Tells of every change of the
// content. Confined to the executor.
class MigLayoutSource {
 public:
  struct Options {
    std::string config_map_namespace;
    std::string file;  // read only without a ConfigMap; empty: none
  };
  using Changed = std::function<void(MigLayouts)>;

  MigLayoutSource(Options options, kube::Client& client, Executor& executor, Changed changed);

  // Tells what there is: of this ConfigMap of the namespace later, without one (empty) at once.
  // Until another one was read, what was told last stays.
  void Follow(const std::string& config_map);
  // Reads the file again.
  void Reload();

 private:
  void Tell(MigLayouts layouts);

  const Options options_;
  const Changed changed_;
  std::optional<std::string> config_map_;  // absent before Follow
  std::optional<MigLayouts> told_;
  ConfigMapKey map_;
};

}  // namespace aliquot::agent
