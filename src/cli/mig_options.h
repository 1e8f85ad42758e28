// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/console.h"
#include "cli/node.h"
#include "mig/config_file.h"
#include "mig/hooks.h"

namespace aliquot::cli {

// What the options of all `mig` commands are parsed into; each command has those it needs.
struct MigOptions {
  NodeChoice node;
  std::string sim_state;  // directory in which a simulated node is kept; empty = by this process
  std::string state_dir;  // of the journal; empty = see MigStateDir
  bool debug = false;
  std::string config_file;
  std::string selected_config;
  std::string hooks_file;
  std::string checkpoint_file;
  bool mode_only = false;
  bool skip_reset = false;
  bool allow_reboot = false;
  bool valid_only = false;
  std::string output = "table";
  std::string output_file;
  std::string label = "current";

  // A state directory is enough to mean a simulated node, so that a forgotten --node never changes
  // this machine.
  bool simulated() const { return node.simulated() || !sim_state.empty(); }
};

// Where the journal and the lock of MIG changes are: as given, else a simulated node's own state,
// else /var/lib/aliquot. Empty for a simulated node that is not kept anywhere.
std::string MigStateDir(const MigOptions& options);

// The text of a file, "-" being standard input.
Result<std::string> ReadInput(const std::string& file);

// The selected configuration. Problems of the file go to `console.err`.
Result<std::vector<mig::ConfigEntry>> LoadMigConfig(const MigOptions& options, Console& console);

// The hooks; none without a file. Problems of the file go to `console.err`.
Result<mig::HooksFile> LoadMigHooks(const MigOptions& options, Console& console);

// What hooks find in their environment: the options under mig-parted's names.
std::map<std::string, std::string> HookEnvironment(const MigOptions& options);

}  // namespace aliquot::cli
