// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/rollout.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json/parse.hpp>

#include "controller/test_objects.h"

namespace aliquot::controller {
namespace {

namespace json = boost::json;

TEST(AgentPodExcerpts, LeaveOutWhatPodsAreLargeWith) {
  kube::Object pod = TestPod("agent-1", "node-1");
  pod["spec"].as_object()["containers"] = {{{"name", "agent"}, {"image", "long"}}};
  pod["status"].as_object()["containerStatuses"] = {{{"name", "agent"}, {"imageID", "long"}}};
  EXPECT_EQ(AgentPodExcerpt(pod), json::parse(R"({
      "metadata": {"name": "agent-1", "labels": {"pod-template-generation": "1"}},
      "spec": {"nodeName": "node-1"},
      "status": {"conditions": [{"type": "Ready", "status": "True"}]}})"));
}

RC_GTEST_PROP(AgentPodExcerpts, SayWhatThePodSays, ()) {
  const auto trouble = *rc::gen::element<std::string>("", "ImagePullBackOff", "CrashLoopBackOff");
  kube::Object pod = TestPod("agent-1", "node-1", *rc::gen::arbitrary<bool>(), trouble);
  if (*rc::gen::arbitrary<bool>()) {
    pod["status"].as_object()["initContainerStatuses"] = {
        {{"state", {{"waiting", {{"reason", "PodInitializing"}}}}}}};
  }
  if (*rc::gen::arbitrary<bool>()) pod["status"].as_object()["reason"] = "Evicted";
  if (*rc::gen::arbitrary<bool>()) pod["status"].as_object().erase("conditions");
  if (*rc::gen::arbitrary<bool>()) pod["metadata"].as_object().erase("labels");
  if (*rc::gen::arbitrary<bool>()) {
    pod["metadata"].as_object()["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  }
  RC_ASSERT(ReadAgentPod(AgentPodExcerpt(pod)) == ReadAgentPod(pod));
}

}  // namespace
}  // namespace aliquot::controller
