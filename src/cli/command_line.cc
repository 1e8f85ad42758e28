// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <CLI/CLI.hpp>

#include "agent/agent.h"
#include "cli/agent_command.h"
#include "cli/devices_command.h"
#include "cli/labels_command.h"
#include "cli/plan_command.h"

namespace aliquot::cli {

int RunCommandLine(int argc, const char* const* argv, Console& console) {
  CLI::App root("Aliquot: fractional GPUs for Kubernetes", "aliquot");
  root.set_version_flag("--version", std::string(agent::kVersion));
  root.require_subcommand(1);
  AddPlanCommand(root, console);
  AddDevicesCommand(root, console);
  AddLabelsCommand(root, console);
  AddAgentCommand(root, console);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return root.exit(error, console.out, console.err) == 0 ? kExitDone : kExitUsage;
  }
  console.out.flush();
  if (!console.out) console.Fail({Code::kUnknown, "cannot write the output"});
  return console.exit_code;
}

}  // namespace aliquot::cli
