// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/executor_fake.h"
#include "kube/answers.h"
#include "kube/client_fake.h"

namespace aliquot::kube {
namespace {

using std::chrono::seconds;
namespace json = boost::json;

class EventsTest : public testing::Test {
 protected:
  std::vector<Object> Events(const std::string& ns = "default") {
    return cluster_.List({kEvents, ns, "", ""})->items;
  }
  void Record(const std::string& message, const std::string& reason = "BadConfig") {
    recorder_.Record(node_, EventType::kWarning, reason, message);
    executor_.RunReady();
  }

  const EventSubject node_{"v1", "Node", "", "worker-1", "some-uid"};
  FakeClock clock_;
  FakeExecutor executor_{clock_};
  FakeCluster cluster_{clock_};
  FakeClient client_{cluster_};
  EventRecorder recorder_{client_, executor_, clock_, {"aliquot-agent", "worker-1"}};
};

TEST_F(EventsTest, WritesWhatKubectlShows) {
  Record("no key \"x\"");
  ASSERT_EQ(Events().size(), 1u);
  Object event = Events()[0];
  EXPECT_TRUE(MetadataText(event, "name").starts_with("worker-1."));
  event.erase("metadata");
  EXPECT_EQ(event, json::parse(R"({
    "apiVersion": "v1", "kind": "Event",
    "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": "worker-1", "uid": "some-uid"},
    "type": "Warning", "reason": "BadConfig", "message": "no key \"x\"", "count": 1,
    "firstTimestamp": "2023-11-14T23:13:20Z", "lastTimestamp": "2023-11-14T23:13:20Z",
    "source": {"component": "aliquot-agent", "host": "worker-1"},
    "reportingComponent": "aliquot-agent", "reportingInstance": "worker-1"})"));
  recorder_.Record({"v1", "Pod", "ns", "p", ""}, EventType::kNormal, "Ok", "fine");
  executor_.RunReady();
  EXPECT_EQ(Events("ns").size(), 1u);
}

TEST_F(EventsTest, CountsRepetitionsInOneEvent) {
  for (int i = 0; i < 5; ++i) Record("same");
  EXPECT_EQ(client_.Count("*", "events"), 1u);
  executor_.Advance(seconds(10));
  EXPECT_EQ(client_.Count("patch", "events"), 1u);
  ASSERT_EQ(Events().size(), 1u);
  EXPECT_EQ(Events()[0].at("count"), json::value(5));
  EXPECT_EQ(Events()[0].at("lastTimestamp"), json::value("2023-11-14T23:13:20Z"));
  executor_.Advance(seconds(60));
  EXPECT_EQ(client_.Count("*", "events"), 2u);
  Record("other");
  EXPECT_EQ(Events().size(), 2u);
}

TEST_F(EventsTest, BeginsAnewWhenTheServerForgot) {
  Record("same");
  const Ref ref{kEvents, "default", MetadataText(Events()[0], "name"), ""};
  ASSERT_TRUE(cluster_.Delete(ref).ok());
  executor_.Advance(seconds(3600));
  Record("same");
  executor_.Advance(seconds(10));
  ASSERT_EQ(Events().size(), 1u);
  EXPECT_EQ(Events()[0].at("count"), json::value(1));
}

TEST_F(EventsTest, TriesAgainAndThenLetsGo) {
  client_.FailNext("create", "events", {Code::kUnavailable, "down"}, 2);
  Record("same");
  executor_.Advance(seconds(10));
  EXPECT_TRUE(Events().empty());
  executor_.Advance(seconds(10));
  EXPECT_EQ(Events().size(), 1u);
  client_.FailNext("create", "events", {Code::kPermissionDenied, "no"}, 1);
  Record("other");
  executor_.Advance(seconds(3600));
  EXPECT_EQ(Events().size(), 1u);
  EXPECT_EQ(recorder_.dropped(), 1u);
}

TEST_F(EventsTest, ASubjectThatChattersIsCutOff) {
  for (int i = 0; i < 100; ++i) Record("message " + std::to_string(i));
  EXPECT_EQ(Events().size(), 25u);
  EXPECT_EQ(recorder_.dropped(), 75u);
  executor_.Advance(seconds(120));
  for (int i = 0; i < 100; ++i) Record("later " + std::to_string(i));
  EXPECT_EQ(Events().size(), 27u);
  recorder_.Record({"v1", "Node", "", "worker-2", ""}, EventType::kNormal, "Ok", "fine");
  executor_.RunReady();
  EXPECT_EQ(Events().size(), 28u);
}

TEST_F(EventsTest, CutsLongMessagesBetweenCharacters) {
  Record(std::string(1023, 'x') + "é and more");
  EXPECT_EQ(Events()[0].at("message").as_string().size(), 1023u);
  EXPECT_EQ(SubjectOf(Events()[0]).kind, "Event");
}

}  // namespace
}  // namespace aliquot::kube
