// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/labels_command.h"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <ctime>
#include <memory>
#include <ostream>

#include "cli/console.h"
#include "cli/node_plan.h"

namespace aliquot::cli {

void AddLabelsCommand(CLI::App& root, Console& console) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App& command = *root.add_subcommand(
      "labels", "print the node labels of this machine or a simulated node, key=value, sorted");
  AddPlanOptions(command, *options, "text");
  command.callback([options, &console] {
    const auto node = MakeNodePlan(*options, console, std::time(nullptr));
    if (!node.ok()) return console.Fail(node.error());
    if (options->output == "json") {
      boost::json::object labels;
      for (const auto& [key, value] : node->labels) labels[key] = value;
      console.out << boost::json::serialize(labels) << '\n';
      return;
    }
    for (const auto& [key, value] : node->labels) console.out << key << '=' << value << '\n';
  });
}

}  // namespace aliquot::cli
