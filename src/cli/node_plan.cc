// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/node_plan.h"

#include <CLI/CLI.hpp>

#include "cli/console.h"
#include "labels/host_facts.h"
#include "labels/labels.h"
#include "share/planner.h"

namespace aliquot::cli {

void AddPlanOptions(CLI::App& command, PlanOptions& options, const std::string& first_format) {
  options.output = first_format;
  AddNodeOption(command, options.node);
  command
      .add_option("-o,--output", options.output, first_format + " for people, json for programs")
      ->check(CLI::IsMember({first_format, std::string("json")}))
      ->capture_default_str();
  AddConfigOptions(command, options.sources);
}

Result<NodePlan> MakeNodePlan(PlanOptions& options, Console& console, std::int64_t now) {
  Result<config::ConfigOutcome> outcome = ResolveOrExplain(options.sources, console);
  if (!outcome.ok()) return outcome.error();
  NodePlan made;
  made.config = *outcome->config;
  if (made.config.flags.nvidia_driver_root != "/") {
    options.node.driver_root = made.config.flags.nvidia_driver_root;
  }
  Result<gpu::Inventory> inventory = ReadNode(options.node);
  if (!inventory.ok()) return inventory.error();
  made.inventory = std::move(*inventory);
  made.plan = share::BuildPlan(made.inventory, made.config);
  labels::HostFacts facts;
  // A simulated node has no machine; this machine's facts would say something wrong about it.
  if (!made.inventory.simulated()) {
    facts = labels::ReadHostFacts("", made.config.flags.gfd_machine_type_file).facts;
  }
  if (!made.config.flags.gfd_no_timestamp) facts.timestamp = now;
  made.labels = labels::NodeLabels(made.inventory, made.config, made.plan, facts);
  return made;
}

}  // namespace aliquot::cli
