// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "agent/mig_mode.h"
#include "base/status.h"
#include "cli/console.h"

namespace CLI {
class App;
}

namespace aliquot::cli {

// How the agent follows the node label nvidia.com/mig.config. Variables are those of mig-parted and
// mig-manager where these have one.
struct MigFlowFlags {
  std::string config_map;
  std::string config_file;
  std::string hooks_file;
  std::string clients = "dcgm,dcgm-exporter,nvsm,client";
  std::string host_clients_file;
  bool stop_host_clients = false;
  bool allow_reboot = false;
  bool skip_reset = false;
  std::string host_command;
  std::string reboot_command;
};

void AddMigFlowOptions(CLI::App& command, MigFlowFlags& flags);

// Where the flow works.
struct MigFlowPlace {
  bool simulated = false;
  std::string state_dir;
  std::string host_root;    // where the host's /proc is; empty = /
  std::string driver_root;  // of the driver, on the host
};

// Reads the files that are named; problems of them go to `console.err`, too. On a simulated node
// nothing of this machine is touched unless a flag names it.
Result<agent::MigAgentOptions> ResolveMigFlow(const MigFlowFlags& flags, const MigFlowPlace& place,
                                              Console& console);

}  // namespace aliquot::cli
