// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "cli/agent_command.h"
#include "cli/arbiter_command.h"
#include "cli/config_command.h"
#include "cli/controller_command.h"
#include "cli/demo_command.h"
#include "cli/devices_command.h"
#include "cli/labels_command.h"
#include "cli/mig_command.h"
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

// The arguments without the program's name, last first, as CLI11 takes them. It reads "--name=" as
// "--name" with its value still to come, which would swallow the next argument; here it means the
// empty value.
std::vector<std::string> Arguments(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    const bool empty_value =
        argument.starts_with("--") && argument.find('=') + 1 == argument.size();
    if (empty_value) argument.pop_back();
    arguments.push_back(std::move(argument));
    if (empty_value) arguments.emplace_back();
  }
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

// CLI11 names the option also where the bad value is that of its environment variable.
std::string VariableBehind(const CLI::App& root, const CLI::ParseError& error) {
  const std::string_view message = error.what();
  for (const CLI::App* command : root.get_subcommands()) {
    for (const CLI::Option* option : command->get_options()) {
      const std::string& variable = option->get_envname();
      if (variable.empty() || !message.starts_with(option->get_name() + ":")) continue;
      const char* value = std::getenv(variable.c_str());
      if (value != nullptr && message.find(value) != std::string_view::npos) return variable;
    }
  }
  return {};
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
  AddMigCommand(root, console);
  AddAgentCommand(root, console);
  AddControllerCommand(root, console);
  AddArbiterCommand(root, console);
  AddDemoCommand(root, console);
  AddSimCommand(root, console);
  try {
    root.parse(Arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    const std::string variable = VariableBehind(root, error);
    if (!variable.empty()) {
      console.err << "from the environment variable " << variable << ": ";
    }
    return root.exit(error, console.out, console.err) == 0 ? kExitDone : kExitUsage;
  }
  console.out.flush();
  if (!console.out) console.Fail({Code::kUnknown, "cannot write the output"});
  return console.exit_code;
}

}  // namespace aliquot::cli
