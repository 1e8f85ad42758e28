// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_options.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "kube/api_client.h"
#include "kube/auth.h"

namespace aliquot::cli {
namespace {

kube::Environment Lookup(const config::ConfigSources& sources) {
  return
      [environment = sources.environment](const std::string& name) -> std::optional<std::string> {
        const auto found = environment.find(name);
        if (found == environment.end()) return {};
        return found->second;
      };
}

// Where our ConfigMap is: as said, else where the pod is.
std::string NamespaceOf(const config::ConfigSources& sources, const config::AgentSettings& settings,
                        const kube::Access& access) {
  const kube::Environment environment = Lookup(sources);
  if (sources.flags.contains("namespace") || !environment("NAMESPACE").value_or("").empty()) {
    return settings.kube_namespace;
  }
  const std::string of_pod = environment("POD_NAMESPACE").value_or("");
  return of_pod.empty() ? access.ns : of_pod;
}

}  // namespace

void AddClusterOptions(CLI::App& command, ClusterFlags& flags) {
  command
      .add_option("--cluster", flags.cluster,
                  "take the configuration from the cluster: on, off, or auto: in a pod with a "
                  "service account, if the node's name is given and no configuration file is")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->envname("ALIQUOT_CLUSTER")
      ->capture_default_str();
  command
      .add_option("--config-label", flags.config_label,
                  "the label of the Node that names its key of the ConfigMap")
      ->type_name("LABEL")
      ->envname("NODE_LABEL")
      ->capture_default_str();
  command
      .add_option("--fallback-strategies", flags.fallbacks,
                  "what counts without that label and without a default: a list of named (the key "
                  "\"default\"), single (the only key), empty (no configuration)")
      ->type_name("LIST")
      ->envname("FALLBACK_STRATEGIES")
      ->capture_default_str();
}

Result<std::optional<agent::ClusterOptions>> ResolveCluster(const ClusterFlags& flags,
                                                            const config::ConfigSources& sources,
                                                            const config::AgentSettings& settings,
                                                            const Clock& clock) {
  const std::optional<agent::ClusterOptions> file_mode;
  const bool automatic = flags.cluster == "auto";
  if (flags.cluster == "off") return file_mode;
  if (automatic && (settings.node_name.empty() || !settings.config_file.empty())) return file_mode;
  auto access = automatic ? kube::InClusterAccess(kube::kServiceAccountDirectory, Lookup(sources))
                          : kube::FindAccess(settings.kubeconfig, kube::kServiceAccountDirectory,
                                             Lookup(sources));
  if (!access.ok()) {
    if (automatic) return file_mode;
    return access.error().In("--cluster on");
  }
  if (settings.node_name.empty()) {
    return Error{Code::kInvalidArgument,
                 "--cluster on: which Node is this? give --node-name or NODE_NAME"};
  }
  auto fallbacks = agent::ParseFallbacks(flags.fallbacks);
  if (!fallbacks.ok()) return fallbacks.error().In("--fallback-strategies");
  agent::ClusterOptions options;
  options.wish.node = settings.node_name;
  options.wish.ns = NamespaceOf(sources, settings, *access);
  options.wish.config_label = flags.config_label;
  options.wish.fallbacks = *std::move(fallbacks);
  options.connect = [access = *std::move(access),
                     &clock]() -> Result<std::unique_ptr<kube::Client>> {
    kube::ApiOptions api;
    api.user_agent = "aliquot-agent";
    api.field_manager = "aliquot-agent";
    auto client = kube::ApiClient::Create(access, api, clock);
    if (!client.ok()) return client.error();
    return std::unique_ptr<kube::Client>(*std::move(client));
  };
  return std::optional(std::move(options));
}

}  // namespace aliquot::cli
