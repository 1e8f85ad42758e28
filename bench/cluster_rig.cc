// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/cluster_rig.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "bench/agent_rig.h"

namespace aliquot::bench {
namespace {

namespace json = boost::json;

http::TestingServerOptions ServerOptions(const http::TestingAuthority& authority, bool tls) {
  http::TestingServerOptions options;
  if (!tls) return options;
  http::TestingIdentity identity = authority.Issue("server", {"IP:127.0.0.1"});
  options.certificate = std::move(identity.certificate);
  options.key = std::move(identity.key);
  return options;
}

}  // namespace

kube::Object RealisticNode(const std::string& name) {
  json::object labels = {{"nvidia.com/gpu.present", "true"}, {"kubernetes.io/os", "linux"}};
  for (int i = 0; i < 38; ++i) {
    labels[fmt::format("feature.node.kubernetes.io/cpu-cpuid.FEATURE{:02}", i)] = "true";
  }
  json::array images;
  for (int i = 0; i < 50; ++i) {
    images.push_back({{"names",
                       {fmt::format("registry.example.com/team/service-{}@sha256:{:064x}", i, i),
                        fmt::format("registry.example.com/team/service-{}:v1.{}.0", i, i)}},
                      {"sizeBytes", 100000000 + i}});
  }
  json::array conditions;
  for (const char* type : {"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"}) {
    conditions.push_back({{"type", type},
                          {"status", std::string(type) == "Ready" ? "True" : "False"},
                          {"reason", "KubeletReports"},
                          {"message", "the kubelet says that all is well with this"},
                          {"lastHeartbeatTime", "2026-01-01T00:00:00Z"}});
  }
  json::object annotations;
  for (int i = 0; i < 8; ++i)
    annotations[fmt::format("example.com/note-{}", i)] = std::string(80, 'x');
  json::object fields;
  for (int i = 0; i < 90; ++i)
    fields[fmt::format("f:some.example.com/field-{:02}", i)] = json::object();
  return {{"metadata",
           {{"name", name},
            {"labels", std::move(labels)},
            {"annotations", {{"example.com/fields", json::serialize(fields)}}}}},
          {"spec", {{"podCIDR", "10.0.0.0/24"}}},
          {"status", {{"conditions", std::move(conditions)}, {"images", std::move(images)}}}};
}

ClusterRig::ClusterRig(bool tls)
    : directory_(NewDirectory()),
      authority_("bench"),
      cluster_(clock_),
      server_(cluster_, ServerOptions(authority_, tls)),
      kubeconfig_(directory_ + "/kubeconfig") {
  const std::string authority = directory_ + "/authority.pem";
  const std::string text = fmt::format(
      "apiVersion: v1\nkind: Config\ncurrent-context: bench\n"
      "clusters: [{{name: bench, cluster: {{server: '{}://127.0.0.1:{}'{}}}}}]\n"
      "users: [{{name: bench, user: {{token: none}}}}]\n"
      "contexts: [{{name: bench, context: {{cluster: bench, user: bench}}}}]\n",
      tls ? "https" : "http", server_.port(),
      tls ? fmt::format(", certificate-authority: '{}'", authority) : "");
  Require(WriteFileAtomically(authority, authority_.certificate()).ok() &&
              WriteFileAtomically(kubeconfig_, text).ok(),
          "writing the kubeconfig");
}

ClusterRig::~ClusterRig() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void PutConfiguration(kube::FakeCluster& cluster, const std::string& text) {
  const kube::Object map = {{"metadata", {{"name", "configuration"}, {"namespace", kNamespace}}},
                            {"data", {{"any", text}}}};
  Require(cluster.Put(kube::kConfigMaps, map).ok(), "cannot write the ConfigMap");
  const kube::Object policy = {
      {"metadata", {{"name", "cluster-policy"}}},
      {"spec", {{"devicePlugin", {{"config", {{"name", "configuration"}, {"default", "any"}}}}}}}};
  Require(cluster.Put(kube::kClusterPolicies, policy).ok(), "cannot write the policy");
}

}  // namespace aliquot::bench
