// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/idle_node.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "agent/json_path.h"
#include "base/executor_fake.h"
#include "kube/client_fake.h"
#include "labels/node_keys.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

constexpr std::string_view kNfd = labels::kNfdGpuLabels[1];

class IdleNodeTest : public testing::Test {
 protected:
  IdleNodeTest() {
    EXPECT_TRUE(cluster_.Put(kube::kNodes, {{"metadata", {{"name", "worker-1"}}}}).ok());
    Label(labels::kGpuPresent, "true");
  }

  void Label(std::string_view label, const json::value& value) {
    const json::value patch = {{"metadata", {{"labels", {{label, value}}}}}};
    EXPECT_TRUE(cluster_.Patch(node_, kube::PatchType::kMerge, patch, "somebody").ok());
  }
  std::string Present() {
    return FindText(*cluster_.Get(node_), {"metadata", "labels", labels::kGpuPresent});
  }
  // Calls it, as every look at the bus does; returns whether it asked the API server anything.
  bool Look() {
    const std::size_t before = connections_;
    idle_.Clean();
    executor_.RunReady();
    return connections_ != before;
  }

  const kube::Ref node_{kube::kNodes, "", "worker-1", ""};
  FakeClock clock_;
  FakeExecutor executor_{clock_};
  kube::FakeCluster cluster_{clock_};
  Logger log_{clock_, [](std::string_view) {}};
  std::size_t connections_ = 0;
  Error refusal_{Code::kUnavailable, "connection refused"};
  bool refuse_ = false;
  IdleNode idle_{executor_, log_,
                 [this]() -> Result<std::unique_ptr<kube::Client>> {
                   ++connections_;
                   auto client = std::make_unique<kube::FakeClient>(cluster_);
                   if (refuse_) client->SetUnavailable(refusal_);
                   return std::unique_ptr<kube::Client>(std::move(client));
                 },
                 "worker-1", "gpu-operator"};
};

TEST_F(IdleNodeTest, TakesThePresenceBackOnce) {
  EXPECT_TRUE(Look());
  EXPECT_EQ(Present(), "false");
  EXPECT_FALSE(Look());
}

TEST_F(IdleNodeTest, TriesAgainAfterAFailure) {
  refuse_ = true;
  EXPECT_TRUE(Look());
  EXPECT_EQ(Present(), "true");
  refuse_ = false;
  EXPECT_TRUE(Look());
  EXPECT_EQ(Present(), "false");
}

TEST_F(IdleNodeTest, WhatNfdSaysIsNotContradictedAndFollowedWhenItIsTakenBack) {
  Label(kNfd, "true");
  EXPECT_TRUE(Look());
  EXPECT_EQ(Present(), "true");
  Label(kNfd, nullptr);
  EXPECT_TRUE(Look());
  EXPECT_EQ(Present(), "false");
  EXPECT_FALSE(Look());
}

}  // namespace
}  // namespace aliquot::agent
