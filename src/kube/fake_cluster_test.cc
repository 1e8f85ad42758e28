// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/fake_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/executor_fake.h"
#include "kube/client_fake.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Object ConfigMap(const std::string& name, Object data) {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", Object{{"name", name}}},
          {"data", std::move(data)}};
}

Object Node(const std::string& name, Object labels) {
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata", Object{{"name", name}, {"labels", std::move(labels)}}}};
}

std::string VersionOf(const Object& object) {
  return std::string(object.at("metadata").at("resourceVersion").as_string());
}

class FakeClusterTest : public testing::Test {
 protected:
  static Ref Map(const std::string& name) { return {kConfigMaps, "ns", name, ""}; }
  Object CreateMap(const std::string& name, Object data) {
    auto made = cluster_.Create(kConfigMaps, "ns", ConfigMap(name, std::move(data)));
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made.ok() ? *made : Object();
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
};

TEST_F(FakeClusterTest, FillsInWhatTheServerKeeps) {
  const Object made = CreateMap("a", {{"k", "v"}});
  const Object& metadata = made.at("metadata").as_object();
  EXPECT_EQ(metadata.at("namespace"), json::value("ns"));
  EXPECT_EQ(metadata.at("creationTimestamp"), json::value("2023-11-14T23:13:20Z"));
  EXPECT_TRUE(metadata.contains("uid"));
  EXPECT_EQ(metadata.at("managedFields").at(0).at("fieldsV1"),
            json::parse(R"({"f:data": {"f:k": {}}})"));
  EXPECT_EQ(cluster_.Create(kConfigMaps, "ns", ConfigMap("a", {})).error().code,
            Code::kAlreadyExists);
  EXPECT_EQ(cluster_.Create(kConfigMaps, "", ConfigMap("b", {})).error().code, Code::kNotFound);
  EXPECT_EQ(cluster_.Create(kConfigMaps, "ns", ConfigMap("No_Name", {})).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(cluster_.Get(Map("x")).error().message, "configmaps \"x\" not found");
  EXPECT_EQ(cluster_.List({kNodeFeatures, "", "", ""}).error().code, Code::kNotFound);
}

TEST_F(FakeClusterTest, UpdatesOnlyWhatTheWriterHasSeen) {
  const Object first = CreateMap("a", {{"k", "1"}});
  Object second = first;
  second["data"].as_object()["k"] = "2";
  ASSERT_TRUE(cluster_.Update(Map("a"), second).ok());
  EXPECT_EQ(cluster_.Update(Map("a"), first).error().code, Code::kAborted);
  Object blind = ConfigMap("a", {{"k", "3"}});
  EXPECT_TRUE(cluster_.Update(Map("a"), blind).ok());
  EXPECT_EQ(cluster_.Update(Map("b"), ConfigMap("b", {})).error().code, Code::kNotFound);
}

TEST_F(FakeClusterTest, AWriteThatChangesNothingIsNoChange) {
  const Object first = CreateMap("a", {{"k", "1"}});
  const auto again =
      cluster_.Patch(Map("a"), PatchType::kMerge, json::parse(R"({"data": {"k": "1"}})"));
  EXPECT_EQ(VersionOf(*again), VersionOf(first));
}

TEST_F(FakeClusterTest, KeepsStatusApart) {
  const Ref policy{kClusterPolicies, "", "cluster-policy", ""};
  const Ref status{kClusterPolicies, "", "cluster-policy", "status"};
  const Object object = {{"apiVersion", "nvidia.com/v1"},
                         {"kind", "ClusterPolicy"},
                         {"metadata", Object{{"name", "cluster-policy"}}},
                         {"spec", Object{{"a", 1}}},
                         {"status", Object{{"state", "ready"}}}};
  const auto made = cluster_.Create(kClusterPolicies, "", object);
  EXPECT_FALSE(made->contains("status"));
  const auto set =
      cluster_.Patch(status, PatchType::kMerge, json::parse(R"({"status": {"state": "notReady"},
                                                  "spec": {"a": 2}})"));
  EXPECT_EQ(set->at("status").at("state"), json::value("notReady"));
  EXPECT_EQ(set->at("spec").at("a"), json::value(1));
  EXPECT_EQ(set->at("metadata").at("generation"), json::value(1));
  const auto changed = cluster_.Patch(policy, PatchType::kMerge,
                                      json::parse(R"({"status": null, "spec": {"a": 2}})"));
  EXPECT_TRUE(changed->contains("status"));
  EXPECT_EQ(changed->at("metadata").at("generation"), json::value(2));
  EXPECT_EQ(cluster_.Get({kConfigMaps, "ns", "a", "status"}).error().code, Code::kNotFound);
  EXPECT_EQ(cluster_.Patch(policy, PatchType::kStrategic, Object()).error().code,
            Code::kInvalidArgument);
}

TEST_F(FakeClusterTest, JsonPatchAndStrategicPatch) {
  CreateMap("a", {{"k", "1"}});
  const auto patched = cluster_.Patch(
      Map("a"), PatchType::kJson, json::parse(R"([{"op": "test", "path": "/data/k", "value": "1"},
                      {"op": "add", "path": "/data/x~1y", "value": "2"},
                      {"op": "move", "from": "/data/k", "path": "/data/l"}])"));
  ASSERT_TRUE(patched.ok()) << patched.error().message;
  EXPECT_EQ(patched->at("data"), json::parse(R"({"x/y": "2", "l": "1"})"));
  EXPECT_EQ(cluster_
                .Patch(Map("a"), PatchType::kJson,
                       json::parse(R"([{"op": "test", "path": "/data/l", "value": "2"}])"))
                .error()
                .code,
            Code::kInvalidArgument);

  ASSERT_TRUE(cluster_.Create(kNodes, "", Node("n", {})).ok());
  const Ref status{kNodes, "", "n", "status"};
  for (const char* patch :
       {R"({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})",
        R"({"status": {"conditions": [{"type": "Gpu", "status": "True"}]}})",
        R"({"status": {"conditions": [{"type": "Ready", "status": "False"}]}})"}) {
    ASSERT_TRUE(cluster_.Patch(status, PatchType::kStrategic, json::parse(patch)).ok());
  }
  EXPECT_EQ(cluster_.Get({kNodes, "", "n", ""})->at("status").at("conditions"),
            json::parse(R"([{"type": "Ready", "status": "False"},
                            {"type": "Gpu", "status": "True"}])"));
}

TEST_F(FakeClusterTest, TwoAppliersOfLabelsKeepTheirOwn) {
  const Ref node{kNodes, "", "n", ""};
  ASSERT_TRUE(cluster_.Create(kNodes, "", Node("n", {{"zone", "a"}}), "kubelet").ok());
  ASSERT_TRUE(cluster_.Apply(node, "agent", false, Node("n", {{"gpu", "1"}, {"old", "x"}})).ok());
  ASSERT_TRUE(cluster_.Apply(node, "nfd", false, Node("n", {{"cpu", "2"}})).ok());
  const auto after = cluster_.Apply(node, "agent", false, Node("n", {{"gpu", "2"}}));
  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_EQ(after->at("metadata").at("labels"),
            json::parse(R"({"zone": "a", "gpu": "2", "cpu": "2"})"));

  const auto conflict = cluster_.Apply(node, "nfd", false, Node("n", {{"gpu", "9"}}));
  EXPECT_EQ(conflict.error().code, Code::kAborted);
  EXPECT_THAT(conflict.error().message, HasSubstr("\"agent\": .metadata.labels.gpu"));
  ASSERT_TRUE(cluster_.Apply(node, "nfd", true, Node("n", {{"gpu", "9"}})).ok());
  EXPECT_EQ(cluster_.Apply(node, "agent", false, Node("n", {{"gpu", "2"}})).error().code,
            Code::kAborted);
  // The same value is shared, and stays until the last owner lets go.
  ASSERT_TRUE(cluster_.Apply(node, "agent", false, Node("n", {{"gpu", "9"}})).ok());
  ASSERT_TRUE(cluster_.Apply(node, "nfd", false, Node("n", {})).ok());
  EXPECT_EQ(cluster_.Get(node)->at("metadata").at("labels").at("gpu"), json::value("9"));
  ASSERT_TRUE(cluster_.Apply(node, "agent", false, Node("n", {})).ok());
  EXPECT_EQ(cluster_.Get(node)->at("metadata").at("labels"), json::parse(R"({"zone": "a"})"));
}

TEST_F(FakeClusterTest, ApplyCreatesAndMergesConditionsByType) {
  const Ref policy{kClusterPolicies, "", "p", ""};
  const Ref status{kClusterPolicies, "", "p", "status"};
  const Object base = {{"apiVersion", "nvidia.com/v1"}, {"kind", "ClusterPolicy"}};
  ASSERT_TRUE(cluster_.Apply(policy, "me", false, base).ok());
  const auto with = [&](const char* text) {
    Object object = base;
    object["status"] = json::parse(text);
    return object;
  };
  ASSERT_TRUE(cluster_
                  .Apply(status, "me", false,
                         with(R"({"conditions": [{"type": "Ready", "status": "True"}]})"))
                  .ok());
  const auto both = cluster_.Apply(
      status, "you", false, with(R"({"conditions": [{"type": "Error", "status": "False"}]})"));
  EXPECT_EQ(both->at("status").at("conditions").as_array().size(), 2u);
  const auto one = cluster_.Apply(status, "me", false, with("{}"));
  EXPECT_EQ(one->at("status").at("conditions"),
            json::parse(R"([{"type": "Error", "status": "False"}])"));
}

TEST_F(FakeClusterTest, FinalizersHoldADeletionBack) {
  Object object = ConfigMap("a", {});
  object["metadata"].as_object()["finalizers"] = json::array{"x/y"};
  ASSERT_TRUE(cluster_.Create(kConfigMaps, "ns", object).ok());
  EXPECT_TRUE(cluster_.Delete(Map("a"))->at("metadata").as_object().contains("deletionTimestamp"));
  EXPECT_TRUE(cluster_.Get(Map("a")).ok());
  ASSERT_TRUE(
      cluster_
          .Patch(Map("a"), PatchType::kMerge, json::parse(R"({"metadata": {"finalizers": null}})"))
          .ok());
  EXPECT_EQ(cluster_.Get(Map("a")).error().code, Code::kNotFound);
}

TEST_F(FakeClusterTest, ListsByPageAndSelector) {
  for (int i = 0; i < 5; ++i) CreateMap("m" + std::to_string(i), {});
  const auto first = cluster_.List({kConfigMaps, "ns", "", ""}, 3);
  const auto rest = cluster_.List({kConfigMaps, "", "", ""}, 3, first->next);
  EXPECT_EQ(first->items.size(), 3u);
  EXPECT_EQ(rest->items.size(), 2u);
  EXPECT_EQ(rest->next, "");
  EXPECT_EQ(rest->version, first->version);
  cluster_.Compact();
  EXPECT_EQ(cluster_.List({kConfigMaps, "", "", ""}, 3, first->next).error().code,
            Code::kOutOfRange);

  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(cluster_.Create(kNodes, "", Node(name, {{"name", name}, {"gpu", "yes"}})).ok());
  }
  const auto count = [&](const std::string& labels, const std::string& fields = "") {
    const auto page = cluster_.List({kNodes, "", labels, fields});
    return page.ok() ? static_cast<int>(page->items.size()) : -static_cast<int>(page.error().code);
  };
  EXPECT_EQ(count("name in (a, b),gpu"), 2);
  EXPECT_EQ(count("name notin (a),gpu=yes"), 2);
  EXPECT_EQ(count("!gpu"), 0);
  EXPECT_EQ(count("name!=a,other!=x"), 2);
  EXPECT_EQ(count("name=="), 0);
  EXPECT_EQ(count("a b"), -3);
  EXPECT_EQ(count("", "metadata.name=c"), 1);
  EXPECT_EQ(count("", "metadata.name!=c"), 2);
  EXPECT_EQ(count("", "spec.unknown=c"), -3);
}

TEST_F(FakeClusterTest, WatchesSeeWhatEntersAndLeavesTheSelection) {
  std::vector<std::string> seen;
  const auto tell = [&](const WatchEvent& event) {
    const json::value* name = event.object.at("metadata").as_object().if_contains("name");
    seen.push_back(event.type + (name ? " " + std::string(name->as_string()) : ""));
  };
  ASSERT_TRUE(cluster_.Create(kNodes, "", Node("a", {{"gpu", "1"}})).ok());
  const std::string start = cluster_.version();
  ASSERT_TRUE(cluster_.Create(kNodes, "", Node("b", {})).ok());
  const auto id = cluster_.Watch({kNodes, "", "gpu", ""}, start, tell);
  const Ref b{kNodes, "", "b", ""};
  const auto label = [&](const char* value) {
    const std::string patch = std::string(R"({"metadata": {"labels": {"gpu": )") + value + "}}}";
    ASSERT_TRUE(cluster_.Patch(b, PatchType::kMerge, json::parse(patch)).ok());
  };
  label("\"1\"");
  label("\"2\"");
  label("null");
  cluster_.SendBookmarks();
  ASSERT_TRUE(cluster_.Delete(b).ok());
  EXPECT_THAT(seen, ElementsAre("ADDED b", "MODIFIED b", "DELETED b", "BOOKMARK"));
  seen.clear();
  ASSERT_TRUE(cluster_.Watch({kNodes, "", "gpu", ""}, start, tell).ok());
  EXPECT_THAT(seen, ElementsAre("ADDED b", "MODIFIED b", "DELETED b"));  // from history
  cluster_.Compact();
  EXPECT_EQ(cluster_.Watch({kNodes, "", "", ""}, start, tell).error().code, Code::kOutOfRange);
  cluster_.Unwatch(*id);
  EXPECT_EQ(cluster_.watches(), 1u);
}

struct Recorder final : WatchHandler {
  void OnSync(std::vector<Object> objects) override {
    told.push_back("sync " + std::to_string(objects.size()));
  }
  void OnUpdate(Object) override { told.push_back("update"); }
  void OnDelete(Object) override { told.push_back("delete"); }
  void OnUnavailable(const Error& error) override { told.push_back(error.message); }
  std::vector<std::string> told;
};

TEST_F(FakeClusterTest, ClientFailsOnDemand) {
  FakeExecutor executor(clock_);
  FakeClient client(cluster_);
  std::vector<std::string> answers;
  const auto done = [&](Result<Object> result) {
    answers.push_back(result.ok() ? "ok" : result.error().message);
  };
  CreateMap("a", {});
  client.FailNext("get", "configmaps", {Code::kUnavailable, "overloaded"});
  client.Get(Map("a"), executor, done);
  client.Get(Map("a"), executor, done);
  client.Delete(Map("b"), executor, done);
  EXPECT_THAT(answers, IsEmpty());
  executor.RunReady();
  EXPECT_THAT(answers, ElementsAre("get configmap ns/a: overloaded", "ok", "ok"));
  EXPECT_EQ(client.Count("get", "*"), 2u);
}

TEST_F(FakeClusterTest, ClientWatchSurvivesOutages) {
  FakeExecutor executor(clock_);
  FakeClient client(cluster_);
  Recorder recorder;
  auto watch = client.StartWatch({kConfigMaps, "ns", "", ""}, executor, recorder);
  executor.RunReady();
  CreateMap("a", {});
  executor.RunReady();
  EXPECT_THAT(recorder.told, ElementsAre("sync 0", "update"));
  recorder.told.clear();
  client.SetUnavailable();
  executor.Advance(FakeClient::kWatchRetry * 3);
  ASSERT_TRUE(cluster_.Delete(Map("a")).ok());
  EXPECT_THAT(recorder.told, ElementsAre("watch configmaps: connection refused"));
  client.SetAvailable();
  executor.Advance(FakeClient::kWatchRetry);
  client.ExpireWatches();
  executor.RunReady();
  EXPECT_THAT(recorder.told,
              ElementsAre("watch configmaps: connection refused", "sync 0", "sync 0"));
  CreateMap("b", {});
  watch.reset();
  executor.RunReady();
  EXPECT_EQ(recorder.told.size(), 3u);
  EXPECT_EQ(cluster_.watches(), 0u);
}

}  // namespace
}  // namespace aliquot::kube
