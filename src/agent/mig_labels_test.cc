// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_labels.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace aliquot::agent {
namespace {

namespace json = boost::json;
using Changes = std::map<std::string, std::optional<std::string>>;

const std::set<std::string> kClients = {"dcgm", "dcgm-exporter", "client"};

MigOrders Orders(MigOrders::Clients clients, std::optional<MigState> state = {}) {
  MigOrders orders;
  orders.clients = clients;
  orders.state = state;
  return orders;
}

TEST(MigLabels, AnEmptyWishIsNone) {
  EXPECT_EQ(WantedMigConfig({}), std::nullopt);
  EXPECT_EQ(WantedMigConfig({{kMigConfigLabel, ""}}), std::nullopt);
  EXPECT_EQ(WantedMigConfig({{kMigConfigLabel, "all-disabled"}}), "all-disabled");
}

TEST(MigLabels, OnlyRunningClientsOfTheListArePaused) {
  const Labels labels = {{"nvidia.com/gpu.deploy.dcgm", "true"},
                         {"nvidia.com/gpu.deploy.dcgm-exporter", "false"},
                         {"nvidia.com/gpu.deploy.client", "paused-for-driver-upgrade"},
                         {"nvidia.com/gpu.deploy.device-plugin", "true"},
                         {"other", "true"}};
  EXPECT_EQ(LabelChanges(labels, Orders(MigOrders::Clients::kPaused), kClients),
            (Changes{{"nvidia.com/gpu.deploy.dcgm", kPausedForMig}}));
  EXPECT_EQ(LabelChanges(labels, Orders(MigOrders::Clients::kRunning), kClients), Changes{});
  EXPECT_EQ(LabelChanges(labels, Orders(MigOrders::Clients::kAsTheyAre), kClients), Changes{});
}

TEST(MigLabels, WhateverIsPausedIsRestored) {
  const Labels labels = {{"nvidia.com/gpu.deploy.dcgm", kPausedForMig},
                         {"nvidia.com/gpu.deploy.nvsm", kPausedForMig},
                         {"nvidia.com/gpu.deploy.client", "false"}};
  EXPECT_EQ(
      LabelChanges(labels, Orders(MigOrders::Clients::kRunning), kClients),
      (Changes{{"nvidia.com/gpu.deploy.dcgm", "true"}, {"nvidia.com/gpu.deploy.nvsm", "true"}}));
  EXPECT_EQ(LabelChanges(labels, Orders(MigOrders::Clients::kAsTheyAre), kClients), Changes{});
  EXPECT_EQ(PausedLabels(labels).size(), 2u);
}

TEST(MigLabels, TheStateIsWrittenWhenItDiffers) {
  const auto orders = [](MigState state) { return Orders(MigOrders::Clients::kAsTheyAre, state); };
  EXPECT_EQ(LabelChanges({}, orders(MigState::kPending), {}),
            (Changes{{kMigStateLabel, "pending"}}));
  EXPECT_EQ(LabelChanges({{kMigStateLabel, "pending"}}, orders(MigState::kPending), {}), Changes{});
  EXPECT_EQ(LabelChanges({{kMigStateLabel, "pending"}}, orders(MigState::kNone), {}),
            (Changes{{kMigStateLabel, std::nullopt}}));
  EXPECT_EQ(LabelChanges({}, orders(MigState::kNone), {}), Changes{});
  EXPECT_EQ(LabelChanges({{kMigStateLabel, "x"}}, Orders(MigOrders::Clients::kAsTheyAre), {}),
            Changes{});
}

kube::Object Pod(const std::string& name, const std::string& selector, const std::string& phase) {
  return {{"metadata", {{"namespace", "gpu"}, {"name", name}}},
          {"spec", {{"nodeSelector", {{selector, "true"}}}}},
          {"status", {{"phase", phase}}}};
}

TEST(MigLabels, PodsAreKnownByWhatSelectsTheirNode) {
  const std::string dcgm = "nvidia.com/gpu.deploy.dcgm";
  const std::vector<kube::Object> pods = {Pod("b", dcgm, "Running"),
                                          Pod("a", dcgm, "Pending"),
                                          Pod("done", dcgm, "Succeeded"),
                                          Pod("other", "nvidia.com/gpu.deploy.client", "Running"),
                                          {{"metadata", {{"name", "bare"}}}}};
  EXPECT_EQ(PodsSelectedBy(pods, {dcgm}), (std::vector<std::string>{"gpu/a", "gpu/b"}));
  EXPECT_TRUE(PodsSelectedBy(pods, {}).empty());
}

}  // namespace
}  // namespace aliquot::agent
