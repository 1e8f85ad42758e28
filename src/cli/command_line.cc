// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "cli/agent_command.h"
#include "cli/config_command.h"
#include "cli/demo_command.h"
#include "cli/devices_command.h"
#include "cli/labels_command.h"
#include "cli/node.h"
#include "cli/plan_command.h"
#include "cli/sim_command.h"
#include "share/planner.h"

namespace aliquot::cli {

namespace {

// What the node a configuration is meant for says about it.
Result<std::vector<config::Diagnostic>> CheckAgainstNode(const config::Config& config,
                                                         const std::string& node) {
  const Result<gpu::Inventory> inventory = ReadNode({node, {}});
  if (!inventory.ok()) return inventory.error();
  std::vector<config::Diagnostic> diagnostics;
  for (const share::Condition& condition : share::BuildPlan(*inventory, config).conditions) {
    const bool error = condition.severity == share::Condition::Severity::kError;
    diagnostics.push_back({error ? config::Severity::kError : config::Severity::kWarning,
                           {},
                           condition.object,
                           condition.message,
                           {}});
  }
  return diagnostics;
}

// The arguments in the order in which CLI11 takes them. It reads "--name=" as a name without value
// and would take the next argument for it; people mean the empty text.
std::vector<std::string> ArgumentsBackwards(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {
    std::string argument = argv[i];
    if (argument.size() > 3 && argument.starts_with("--") && argument.ends_with('=')) {
      argument.pop_back();
      arguments.emplace_back();
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv, Console& console) {
  CLI::App root("Aliquot: fractional GPUs for Kubernetes", "aliquot");
  root.set_version_flag("--version", std::string(agent::kVersion));
  root.require_subcommand(1);
  AddPlanCommand(root, console);
  AddDevicesCommand(root, console);
  AddLabelsCommand(root, console);
  AddConfigCommand(root, console, CheckAgainstNode);
  AddAgentCommand(root, console);
  AddDemoCommand(root, console);
  AddSimCommand(root, console);
  try {
    root.parse(ArgumentsBackwards(argc, argv));
  } catch (const CLI::ParseError& error) {
    return root.exit(error, console.out, console.err) == 0 ? kExitDone : kExitUsage;
  }
  console.out.flush();
  if (!console.out) console.Fail({Code::kUnknown, "cannot write the output"});
  return console.exit_code;
}

}  // namespace aliquot::cli
