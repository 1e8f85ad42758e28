// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_wish.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "agent/last_good.h"

namespace aliquot::agent {
namespace {

using Map = std::map<std::string, std::string>;

kube::Object Policy1(const std::string& spec, const std::string& name = "p",
                     const std::string& created = "2026-01-01T00:00:00Z") {
  return boost::json::parse(R"({"metadata": {"name": ")" + name + R"(", "creationTimestamp": ")" +
                            created + R"("}, "spec": )" + spec + "}")
      .as_object();
}

TEST(ClusterPolicy, AbsentKeysHaveTheReferencesDefaults) {
  const Policy policy = ReadPolicy(Policy1("{}"));
  EXPECT_EQ(policy, (Policy{.name = "p"}));
  EXPECT_EQ(ReadPolicy(Policy1(R"({"devicePlugin": {"config": null, "enabled": null}})")), policy);
  EXPECT_EQ(ReadPolicy({}), Policy());
}

TEST(ClusterPolicy, EverythingThatCounts) {
  const Policy policy = ReadPolicy(Policy1(R"({
      "mig": {"strategy": "mixed"},
      "gfd": {"enabled": false, "env": [{"name": "GFD_NO_TIMESTAMP", "value": "true"}]},
      "devicePlugin": {"enabled": false, "config": {"name": "sharing", "default": "any"},
        "env": [{"name": "DEVICE_LIST_STRATEGY", "value": "cdi-cri"},
                {"name": "GFD_MIG_STRATEGY", "value": "single"},
                {"name": "DP_DISABLE_HEALTHCHECKS", "value": "all"}]}})"));
  EXPECT_FALSE(policy.plugin_enabled);
  EXPECT_FALSE(policy.labels_enabled);
  EXPECT_EQ(policy.config_map, "sharing");
  EXPECT_EQ(policy.default_key, "any");
  EXPECT_EQ(policy.environment, (Map{{"MIG_STRATEGY", "mixed"},
                                     {"GFD_NO_TIMESTAMP", "true"},
                                     {"DEVICE_LIST_STRATEGY", "cdi-cri"},
                                     {"DP_DISABLE_HEALTHCHECKS", "all"}}));
  EXPECT_TRUE(policy.problems.empty());
}

TEST(ClusterPolicy, WhatCannotBeTakenIsAProblemAndCountsAsAbsent) {
  const Policy policy = ReadPolicy(Policy1(R"({
      "mig": {"strategy": 3}, "gfd": {"enabled": "no", "env": [{"name": "MIG_STRATEGY"}]},
      "devicePlugin": {"config": "sharing", "env": [
        {"name": "NODE_NAME", "value": "other"}, {"name": "CONFIG_FILE", "value": "/x"},
        {"name": "PASS_DEVICE_SPECS", "value": true}, 5]}})"));
  EXPECT_TRUE(policy.labels_enabled);
  EXPECT_TRUE(policy.environment.empty());
  EXPECT_EQ(policy.problems.size(), 7u);
}

TEST(ClusterPolicy, SaysHowMigIsChanged) {
  const Policy policy = ReadPolicy(Policy1(R"({"migManager": {
      "enabled": false, "config": {"name": "layouts"}, "gpuClientsConfig": {"name": "clients"},
      "env": [{"name": "WITH_REBOOT", "value": "true"},
              {"name": "WITH_SHUTDOWN_HOST_GPU_CLIENTS", "value": "False"}]}})"));
  EXPECT_EQ(policy.mig, (MigWish{.enabled = false,
                                 .allow_reboot = true,
                                 .config_map = "layouts",
                                 .clients_map = "clients",
                                 .stop_host_clients = false}));
  EXPECT_TRUE(policy.problems.empty());
  const Policy bad = ReadPolicy(Policy1(R"({"migManager": {
      "env": [{"name": "WITH_REBOOT", "value": "perhaps"}, {"name": "CDI_ENABLED"}]}})"));
  EXPECT_EQ(bad.mig, MigWish());
  EXPECT_EQ(bad.problems.size(), 2u);
}

TEST(ClusterPolicy, TheOldestCountsThenTheFirstByName) {
  std::map<std::string, kube::Object> all;
  EXPECT_EQ(ActivePolicy(all), nullptr);
  all["a"] = Policy1("{}", "a", "2026-03-01T00:00:00Z");
  all["c"] = Policy1("{}", "c", "2026-01-01T00:00:00Z");
  all["b"] = Policy1("{}", "b", "2026-01-01T00:00:00Z");
  EXPECT_EQ(ActivePolicy(all), &all["b"]);
}

Wish Make(const Map& labels, const Policy& policy) {
  return MakeWish({.node = "worker-1", .ns = "gpu-operator"}, labels, policy, std::nullopt);
}

TEST(ClusterWish, DeployLabelsSwitchOperands) {
  const std::string plugin = "nvidia.com/gpu.deploy.device-plugin";
  const std::string gfd = "nvidia.com/gpu.deploy.gpu-feature-discovery";
  const std::string operands = "nvidia.com/gpu.deploy.operands";
  const struct {
    Map labels;
    bool advertises;
    LabelMode mode;
  } kCases[] = {
      {{}, true, LabelMode::kPublish},
      {{{plugin, "true"}, {gfd, "true"}}, true, LabelMode::kPublish},
      {{{plugin, ""}, {gfd, ""}}, true, LabelMode::kPublish},
      {{{plugin, "false"}}, false, LabelMode::kPublish},
      {{{plugin, "paused-for-driver-upgrade"}, {gfd, "paused-for-driver-upgrade"}},
       false,
       LabelMode::kHold},
      {{{gfd, "false"}}, true, LabelMode::kRemove},
      {{{operands, "false"}}, false, LabelMode::kRemove},
      {{{operands, "true"}}, true, LabelMode::kPublish},
  };
  for (const auto& c : kCases) {
    const Wish wish = Make(c.labels, {});
    const std::string what = c.labels.empty() ? "" : c.labels.begin()->first;
    EXPECT_EQ(wish.config.withdrawn.empty(), c.advertises) << what;
    EXPECT_EQ(wish.labels, c.mode) << what;
    EXPECT_EQ(wish.labels_because.empty(), c.mode == LabelMode::kPublish) << what;
  }
  EXPECT_EQ(Make({{plugin, "paused-for-x"}}, {}).config.withdrawn,
            "the node is labelled nvidia.com/gpu.deploy.device-plugin=paused-for-x");
}

TEST(ClusterWish, AConfigMapThatMayNotBeReadIsRefusedForThat) {
  const Wish wish = MakeWish(
      {.node = "worker-1", .ns = "gpu-operator"}, {}, {.name = "p", .config_map = "sharing"},
      Configs(Error{Code::kPermissionDenied, "watch configmaps: forbidden"}));
  ASSERT_TRUE(wish.config.refusal);
  EXPECT_EQ(wish.config.refusal->reason, "ConfigMapUnreadable");
  EXPECT_EQ(wish.config.refusal->ToString(),
            "configmap gpu-operator/sharing: watch configmaps: forbidden");
}

TEST(LastGood, ComesBackAsItWas) {
  ConfigOffer offer;
  offer.source = "configmap a/b (key c)";
  offer.text = "version: v1\n";
  offer.environment = {{"MIG_STRATEGY", "mixed"}};
  offer.environment_source = "clusterpolicy p";
  offer.withdrawn = "because";
  EXPECT_EQ(*ParseOffer(FormatOffer(offer)), offer);
  EXPECT_EQ(*ParseOffer(FormatOffer({})), ConfigOffer());
  for (const char* bad : {"", "[]", "{", "{\"source\": 1}", "{\"source\": \"\"}"}) {
    EXPECT_EQ(ParseOffer(bad).error().code, Code::kDataLoss) << bad;
  }
}

}  // namespace
}  // namespace aliquot::agent
