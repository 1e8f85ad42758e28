// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "base/status.h"
#include "cli/config_options.h"
#include "cli/node.h"
#include "config/config.h"
#include "gpu/inventory.h"
#include "share/plan.h"

namespace CLI {
class App;
}

namespace aliquot::cli {

// What `plan` and `labels` are asked.
struct PlanOptions {
  NodeChoice node;
  config::ConfigSources sources;
  std::string output = "table";
};

// Adds --node, -o and every configuration option. `options` must outlive the parsing.
void AddPlanOptions(CLI::App& command, PlanOptions& options, const std::string& first_format);

// A node, its configuration and what follows from them.
struct NodePlan {
  gpu::Inventory inventory;
  config::Config config;
  share::Plan plan;
  std::map<std::string, std::string> labels;
};

// Reads configuration and node, then plans. Problems of the configuration are printed to
// `console.err` as a side effect. `now` stamps the labels, in seconds since 1970.
Result<NodePlan> MakeNodePlan(PlanOptions& options, Console& console, std::int64_t now);

}  // namespace aliquot::cli
