// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "agent/cluster_mode.h"
#include "base/clock.h"
#include "base/status.h"
#include "config/settings.h"

namespace CLI {
class App;
}

namespace aliquot::cli {

// How the agent is told about its cluster, as given.
struct ClusterFlags {
  std::string cluster = "auto";  // auto, on, off
  std::string config_label = "nvidia.com/device-plugin.config";
  std::string fallbacks = "empty";
};

// Adds --cluster, --config-label and --fallback-strategies. `flags` must outlive the parsing.
void AddClusterOptions(CLI::App& command, ClusterFlags& flags);

// Whether and how the cluster says what to serve; nothing in file mode. `auto` is the cluster where
// this is a pod with a service account, the node's name is known and no configuration file is
// given. `sources` has flags and environment, `settings` is what they say. kInvalidArgument if the
// cluster is wanted but something needed for it is missing. `clock` must outlive the options' use.
Result<std::optional<agent::ClusterOptions>> ResolveCluster(const ClusterFlags& flags,
                                                            const config::ConfigSources& sources,
                                                            const config::AgentSettings& settings,
                                                            const Clock& clock);

}  // namespace aliquot::cli
