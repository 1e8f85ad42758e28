// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// What every kube::Client promises: the one in memory, the one over HTTPS, and, if
// ALIQUOT_TEST_KUBECONFIG names a file, the same one on a real cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>

#include "kube/client_test_util.h"
#include "kube/events.h"
#include "kube/lease.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr char kNs[] = "aliquot-contract";
const Resource kNamespaces{"", "v1", "namespaces"};

class RealBackend final : public Backend {
 public:
  explicit RealBackend(const std::string& kubeconfig) {
    auto access = KubeconfigAccess(kubeconfig);
    ApiOptions options;  // the server shall end watches while the test looks
    options.watch_least = options.watch_most = std::chrono::seconds(1);
    auto client = access.ok() ? ApiClient::Create(*access, options, clock_) : access.error();
    if (!client.ok()) {
      ADD_FAILURE() << client.error().message;
      std::abort();
    }
    client_ = *std::move(client);
  }
  Client& client() override { return *client_; }
  std::chrono::milliseconds pace() const override { return std::chrono::milliseconds(700); }

 private:
  SystemClock clock_;
  std::unique_ptr<ApiClient> client_;
};

std::unique_ptr<Backend> MakeBackend(const std::string& name) {
  if (name == "InMemory") return std::make_unique<MemoryBackend>();
  if (name == "OverHttps") return std::make_unique<HttpsBackend>();
  return std::make_unique<RealBackend>(std::getenv("ALIQUOT_TEST_KUBECONFIG"));
}

std::vector<std::string> BackendNames() {
  std::vector<std::string> names = {"InMemory", "OverHttps"};
  if (std::getenv("ALIQUOT_TEST_KUBECONFIG") != nullptr) names.push_back("RealCluster");
  return names;
}

class ClientContract : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = MakeBackend(GetParam());
    const Object ns = {
        {"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", Object{{"name", kNs}}}};
    const auto made =
        Wait<Object>([&](auto done) { client().Create(kNamespaces, "", ns, executor_, done); });
    ASSERT_TRUE(made.ok() || made.error().code == Code::kAlreadyExists) << made.error().message;
    Clean();
  }
  void TearDown() override {
    Clean();
    backend_.reset();  // its threads post to the executor
  }
  void Clean() {
    for (const char* name : {"a", "b", "c", "d", "e"}) EXPECT_TRUE(Remove(Map(name)).ok());
    for (const char* name : {"contract-a", "contract-b"}) {
      EXPECT_TRUE(Remove(NodeRef(name)).ok());
    }
  }

  Client& client() { return backend_->client(); }
  static Ref Map(const std::string& name) { return {kConfigMaps, kNs, name, ""}; }
  static Ref NodeRef(const std::string& name, const std::string& sub = "") {
    return {kNodes, "", name, sub};
  }
  static Object MapObject(const std::string& name, Object data, Object labels = {}) {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", Object{{"name", name}, {"labels", std::move(labels)}}},
            {"data", std::move(data)}};
  }
  static Object NodeObject(const std::string& name, Object labels) {
    return {{"apiVersion", "v1"},
            {"kind", "Node"},
            {"metadata", Object{{"name", name}, {"labels", std::move(labels)}}}};
  }

  Result<Object> Get(const Ref& ref) {
    return Wait<Object>([&](auto done) { client().Get(ref, executor_, done); });
  }
  Result<Object> Create(const Object& object) {
    return Wait<Object>(
        [&](auto done) { client().Create(kConfigMaps, kNs, object, executor_, done); });
  }
  Result<Object> Update(const Ref& ref, const Object& object) {
    return Wait<Object>([&](auto done) { client().Update(ref, object, executor_, done); });
  }
  Result<Object> Patch(const Ref& ref, PatchType type, const char* patch) {
    return Wait<Object>(
        [&](auto done) { client().Patch(ref, type, json::parse(patch), executor_, done); });
  }
  Result<Object> Apply(const Ref& ref, const char* manager, bool force, const Object& object) {
    return Wait<Object>(
        [&](auto done) { client().Apply(ref, manager, force, object, executor_, done); });
  }
  Result<Object> Remove(const Ref& ref) {
    return Wait<Object>([&](auto done) { client().Delete(ref, executor_, done); });
  }
  std::vector<std::string> Names(const Selection& selection) {
    const auto list =
        Wait<std::vector<Object>>([&](auto done) { client().List(selection, executor_, done); });
    EXPECT_TRUE(list.ok()) << list.error().message;
    std::vector<std::string> names;
    if (!list.ok()) return names;
    for (const Object& object : *list) {
      EXPECT_TRUE(object.contains("kind") && object.contains("apiVersion"));
      names.push_back(MetadataText(object, "name"));
    }
    return names;
  }

  std::unique_ptr<Backend> backend_;
  ThreadExecutor executor_;  // ends before the client and the recorders of a test
};

INSTANTIATE_TEST_SUITE_P(Clients, ClientContract, testing::ValuesIn(BackendNames()),
                         [](const auto& param) { return param.param; });

TEST_P(ClientContract, CreatesReadsAndDeletes) {
  const auto missing = Get(Map("a"));
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().message,
            "get configmap aliquot-contract/a: configmaps \"a\" not found");
  const auto made = Create(MapObject("a", {{"k", "v"}}));
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->at("data").at("k"), json::value("v"));
  EXPECT_NE(MetadataText(*made, "uid"), "");
  EXPECT_EQ(Create(MapObject("a", {})).error().code, Code::kAlreadyExists);
  EXPECT_EQ(Create(MapObject("Not_A_Name", {})).error().code, Code::kInvalidArgument);
  EXPECT_EQ(Get(Map("a"))->at("data"), made->at("data"));
  EXPECT_TRUE(Remove(Map("a")).ok());
  EXPECT_TRUE(Remove(Map("a")).ok());
  EXPECT_EQ(Get({{"example.com", "v1", "things"}, kNs, "a", ""}).error().code, Code::kNotFound);
}

TEST_P(ClientContract, UpdatesOptimistically) {
  const auto first = Create(MapObject("a", {{"k", "1"}}));
  ASSERT_TRUE(first.ok()) << first.error().message;
  Object second = *first;
  second["data"] = Object{{"k", "2"}};
  const auto updated = Update(Map("a"), second);
  ASSERT_TRUE(updated.ok()) << updated.error().message;
  EXPECT_NE(MetadataText(*updated, "resourceVersion"), MetadataText(*first, "resourceVersion"));
  const auto conflict = Update(Map("a"), second);
  EXPECT_EQ(conflict.error().code, Code::kAborted);
  EXPECT_THAT(conflict.error().message, HasSubstr("update configmap aliquot-contract/a: "));
  EXPECT_TRUE(Update(Map("a"), MapObject("a", {{"k", "3"}})).ok());
  EXPECT_EQ(Update(Map("b"), MapObject("b", {})).error().code, Code::kNotFound);
}

TEST_P(ClientContract, Patches) {
  ASSERT_TRUE(Create(MapObject("a", {{"k", "1"}, {"l", "1"}})).ok());
  EXPECT_EQ(Patch(Map("a"), PatchType::kMerge, R"({"data": {"k": null, "m": "2"}})")->at("data"),
            json::parse(R"({"l": "1", "m": "2"})"));
  EXPECT_EQ(
      Patch(Map("a"), PatchType::kJson, R"([{"op": "replace", "path": "/data/l", "value": "3"}])")
          ->at("data")
          .at("l"),
      json::value("3"));
  EXPECT_EQ(
      Patch(Map("a"), PatchType::kJson, R"([{"op": "test", "path": "/data/l", "value": "9"}])")
          .error()
          .code,
      Code::kInvalidArgument);
  const auto same = Patch(Map("a"), PatchType::kMerge, R"({"data": {"l": "3"}})");
  EXPECT_EQ(MetadataText(*same, "resourceVersion"),
            MetadataText(*Get(Map("a")), "resourceVersion"));
  EXPECT_EQ(Patch(Map("b"), PatchType::kMerge, "{}").error().code, Code::kNotFound);
}

TEST_P(ClientContract, AppliesFieldsByOwner) {
  const Ref node = NodeRef("contract-a");
  ASSERT_TRUE(Wait<Object>([&](auto done) {
                client().Create(kNodes, "", NodeObject("contract-a", {{"zone", "a"}}), executor_,
                                done);
              }).ok());
  const auto with = [](Object labels) { return NodeObject("contract-a", std::move(labels)); };
  ASSERT_TRUE(Apply(node, "agent", false, with({{"gpu", "1"}, {"old", "x"}})).ok());
  ASSERT_TRUE(Apply(node, "nfd", false, with({{"cpu", "2"}})).ok());
  const auto after = Apply(node, "agent", false, with({{"gpu", "2"}}));
  ASSERT_TRUE(after.ok()) << after.error().message;
  const Object& labels = after->at("metadata").at("labels").as_object();
  EXPECT_EQ(labels.at("zone"), json::value("a"));
  EXPECT_EQ(labels.at("gpu"), json::value("2"));
  EXPECT_EQ(labels.at("cpu"), json::value("2"));
  EXPECT_FALSE(labels.contains("old"));
  const auto conflict = Apply(node, "nfd", false, with({{"gpu", "9"}}));
  EXPECT_EQ(conflict.error().code, Code::kAborted);
  EXPECT_THAT(conflict.error().message, HasSubstr(".metadata.labels.gpu"));
  EXPECT_THAT(conflict.error().message, HasSubstr("agent"));
  EXPECT_TRUE(Apply(node, "nfd", true, with({{"gpu", "9"}})).ok());
  EXPECT_EQ(Apply(node, "agent", false, with({{"gpu", "2"}})).error().code, Code::kAborted);
  // Apply creates what is not there.
  EXPECT_TRUE(Apply(Map("a"), "agent", false, MapObject("a", {{"k", "v"}})).ok());
}

TEST_P(ClientContract, KeepsStatusApart) {
  const Ref node = NodeRef("contract-b");
  ASSERT_TRUE(Wait<Object>([&](auto done) {
                client().Create(kNodes, "", NodeObject("contract-b", {}), executor_, done);
              }).ok());
  const char* patch = R"({"status": {"capacity": {"example.com/x": "3"}},
                          "spec": {"unschedulable": true}})";
  const auto status = Patch(NodeRef("contract-b", "status"), PatchType::kMerge, patch);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(status->at("status").at("capacity").at("example.com/x"), json::value("3"));
  const json::value* spec = status->if_contains("spec");
  EXPECT_FALSE(spec != nullptr && spec->as_object().contains("unschedulable"));
  const auto main = Patch(node, PatchType::kMerge, R"({"status": null})");
  EXPECT_EQ(main->at("status").at("capacity").at("example.com/x"), json::value("3"));
}

TEST_P(ClientContract, Lists) {
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(Create(MapObject(name, {}, {{"name", name}, {"all", "yes"}})).ok());
  }
  EXPECT_THAT(Names({kConfigMaps, kNs, "all=yes", ""}),
              UnorderedElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(Names({kConfigMaps, "", "all,name in (b, c)", ""}), UnorderedElementsAre("b", "c"));
  EXPECT_THAT(Names({kConfigMaps, kNs, "", "metadata.name=d"}), ElementsAre("d"));
  const auto bad = Wait<std::vector<Object>>(
      [&](auto done) { client().List({kConfigMaps, kNs, "a b", ""}, executor_, done); });
  EXPECT_EQ(bad.error().code, Code::kInvalidArgument) << bad.error().message;
}

TEST_P(ClientContract, WatchesOneObject) {
  Recorder recorder;
  auto watch = client().StartWatch({kConfigMaps, kNs, "", "metadata.name=a"}, executor_, recorder);
  ASSERT_TRUE(recorder.WaitFor(1));
  ASSERT_TRUE(Create(MapObject("a", {})).ok());
  ASSERT_TRUE(Create(MapObject("b", {})).ok());
  ASSERT_TRUE(Patch(Map("a"), PatchType::kMerge, R"({"data": {"k": "1"}})").ok());
  ASSERT_TRUE(Remove(Map("a")).ok());
  ASSERT_TRUE(recorder.WaitFor(4));
  EXPECT_THAT(recorder.told(), ElementsAre("sync", "update a", "update a", "delete a"));
  RunOn(executor_, [&] { watch.reset(); });
  ASSERT_TRUE(Create(MapObject("a", {})).ok());
  EXPECT_EQ(recorder.told().size(), 4u);
}

TEST_P(ClientContract, WatchesALabel) {
  ASSERT_TRUE(Create(MapObject("a", {}, {{"all", "yes"}})).ok());
  ASSERT_TRUE(Create(MapObject("b", {})).ok());
  Recorder recorder;
  auto watch = client().StartWatch({kConfigMaps, kNs, "all=yes", ""}, executor_, recorder);
  ASSERT_TRUE(recorder.WaitFor(1));
  ASSERT_TRUE(
      Patch(Map("b"), PatchType::kMerge, R"({"metadata": {"labels": {"all": "yes"}}})").ok());
  ASSERT_TRUE(
      Patch(Map("a"), PatchType::kMerge, R"({"metadata": {"labels": {"all": "no"}}})").ok());
  ASSERT_TRUE(recorder.WaitFor(3));
  EXPECT_THAT(recorder.told(), ElementsAre("sync a", "update b", "delete a"));
  RunOn(executor_, [&] { watch.reset(); });
}

TEST_P(ClientContract, TellsOnlyTheExcerptThatIsAskedFor) {
  ASSERT_TRUE(Create(MapObject("a", {{"k", "1"}}, {{"all", "yes"}})).ok());
  Selection selection{kConfigMaps, kNs, "all=yes", ""};
  selection.excerpt = [](const Object& object) {
    return Object{{"metadata", {{"name", MetadataText(object, "name")}}}, {"short", true}};
  };
  const auto excerpt = [](const char* name) {
    return json::serialize(Object{{"metadata", {{"name", name}}}, {"short", true}});
  };
  const auto list =
      Wait<std::vector<Object>>([&](auto done) { client().List(selection, executor_, done); });
  ASSERT_TRUE(list.ok()) << list.error().message;
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(json::serialize(list->front()), excerpt("a"));

  Recorder recorder([](const Object& object) { return json::serialize(object); });
  auto watch = client().StartWatch(selection, executor_, recorder);
  ASSERT_TRUE(recorder.WaitFor(1));
  ASSERT_TRUE(Create(MapObject("b", {{"k", "1"}}, {{"all", "yes"}})).ok());
  ASSERT_TRUE(Patch(Map("a"), PatchType::kMerge, R"({"data": {"k": "2"}})").ok());
  ASSERT_TRUE(Remove(Map("b")).ok());
  ASSERT_TRUE(recorder.WaitFor(4));
  EXPECT_THAT(recorder.told(), ElementsAre("sync " + excerpt("a"), "update " + excerpt("b"),
                                           "update " + excerpt("a"), "delete " + excerpt("b")));
  RunOn(executor_, [&] { watch.reset(); });
}

TEST_P(ClientContract, SaysWhenAWatchCannotWork) {
  Recorder recorder;
  auto watch =
      client().StartWatch({{"example.com", "v1", "things"}, "", "", ""}, executor_, recorder);
  ASSERT_TRUE(recorder.WaitFor(1));
  EXPECT_THAT(recorder.told()[0], HasSubstr("watch things: "));
  EXPECT_EQ(recorder.code(), Code::kNotFound);
  RunOn(executor_, [&] { watch.reset(); });
}

// On a real cluster the server ends the stream several times meanwhile.
TEST_P(ClientContract, LosesNothingBetweenStreams) {
  Recorder recorder;
  auto watch = client().StartWatch({kConfigMaps, kNs, "all=yes", ""}, executor_, recorder);
  ASSERT_TRUE(recorder.WaitFor(1));
  std::chrono::milliseconds delay{0};
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    executor_.PostAfter(delay += backend_->pace(), [this, name] {
      client().Create(kConfigMaps, kNs, MapObject(name, {}, {{"all", "yes"}}), executor_,
                      [](const Result<Object>& made) { EXPECT_TRUE(made.ok()); });
    });
  }
  ASSERT_TRUE(recorder.WaitFor(6));
  EXPECT_EQ(recorder.told()[0], "sync");
  // In whatever order the server made them: each request may have a connection of its own.
  EXPECT_THAT(recorder.told(), UnorderedElementsAre("sync", "update a", "update b", "update c",
                                                    "update d", "update e"));
  RunOn(executor_, [&] { watch.reset(); });
}

TEST_P(ClientContract, TakesOurEvents) {
  const SystemClock clock;
  EventOptions options;
  options.component = "aliquot-contract";
  options.instance = "here";
  options.repeat = std::chrono::seconds(1);
  EventRecorder recorder(client(), executor_, clock, options);
  Recorder watched;
  const std::string uid = std::to_string(clock.Now().time_since_epoch().count());
  auto watch =
      client().StartWatch({kEvents, kNs, "", "involvedObject.uid=" + uid}, executor_, watched);
  ASSERT_TRUE(watched.WaitFor(1));
  RunOn(executor_, [&] {
    const EventSubject subject{"v1", "ConfigMap", kNs, "a", uid};
    for (int i = 0; i < 3; ++i) recorder.Record(subject, EventType::kWarning, "Contract", "text");
  });
  ASSERT_TRUE(watched.WaitFor(3));  // made, then counted up
  const auto events = Wait<std::vector<Object>>([&](auto done) {
    client().List({kEvents, kNs, "", "involvedObject.uid=" + uid}, executor_, done);
  });
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ(events->front().at("count"), json::value(3));
  EXPECT_EQ(recorder.dropped(), 0u);
  RunOn(executor_, [&] { watch.reset(); });
}

TEST_P(ClientContract, LeadsAndReleases) {
  const SystemClock clock;
  const auto begin = [&](const char* name, std::promise<void>& started) {
    LeaseOptions options;
    options.ns = kNs;
    options.name = "contract";
    options.identity = name;
    options.retry_period = std::chrono::milliseconds(50);
    auto election = *LeaderElection::Create(client(), executor_, clock, options,
                                            {[&] { started.set_value(); }, [] {}, {}});
    executor_.Post([raw = election.get()] { raw->Start(); });
    return election;
  };
  std::promise<void> first_started;
  auto first = begin("first", first_started);
  ASSERT_EQ(first_started.get_future().wait_for(std::chrono::seconds(30)),
            std::future_status::ready);
  std::promise<void> second_started;
  auto second = begin("second", second_started);
  RunOn(executor_, [&] { first->Stop([] {}); });
  ASSERT_EQ(second_started.get_future().wait_for(std::chrono::seconds(30)),
            std::future_status::ready);
  const auto lease = Get({kLeases, kNs, "contract", ""});
  EXPECT_EQ(lease->at("spec").at("holderIdentity"), json::value("second"));
  std::promise<void> released;
  RunOn(executor_, [&] { second->Stop([&] { released.set_value(); }); });
  released.get_future().wait();
  RunOn(executor_, [&] {
    first.reset();
    second.reset();
  });
  EXPECT_TRUE(Remove({kLeases, kNs, "contract", ""}).ok());
}

// What only backends of our own can be made to go through.
class WatchContract : public ClientContract {};

INSTANTIATE_TEST_SUITE_P(Clients, WatchContract, testing::Values("InMemory", "OverHttps"),
                         [](const auto& param) { return param.param; });

TEST_P(WatchContract, BeginsAnewWhenItsVersionIsGone) {
  Recorder recorder;
  auto watch = client().StartWatch({kConfigMaps, kNs, "", ""}, executor_, recorder);
  ASSERT_TRUE(recorder.WaitFor(1));
  backend_->AwaitStream();
  ASSERT_TRUE(Create(MapObject("a", {})).ok());
  ASSERT_TRUE(recorder.WaitFor(2));
  backend_->ExpireWatches();
  ASSERT_TRUE(recorder.WaitFor(3));
  EXPECT_THAT(recorder.told(), ElementsAre("sync", "update a", "sync a"));
  RunOn(executor_, [&] { watch.reset(); });
}

TEST_P(WatchContract, TellsOnceOfAnOutageAndSyncsAfterIt) {
  Recorder recorder;
  auto watch = client().StartWatch({kConfigMaps, kNs, "", ""}, executor_, recorder);
  ASSERT_TRUE(recorder.WaitFor(1));
  ASSERT_TRUE(Create(MapObject("a", {})).ok());
  ASSERT_TRUE(recorder.WaitFor(2));
  backend_->GoDown();
  ASSERT_TRUE(recorder.WaitFor(3));
  EXPECT_EQ(recorder.code(), Code::kUnavailable);
  backend_->ComeUp();
  ASSERT_TRUE(recorder.WaitFor(4));
  EXPECT_EQ(recorder.told()[3], "sync a");
  ASSERT_TRUE(Create(MapObject("b", {})).ok());
  ASSERT_TRUE(recorder.WaitFor(5));
  EXPECT_EQ(recorder.told()[4], "update b");
  RunOn(executor_, [&] { watch.reset(); });
}

TEST_P(WatchContract, AClientThatIsGoneDropsItsAnswers) {
  backend_->DestroyClientAfter([&](Client& client) {
    for (int i = 0; i < 20; ++i) {
      client.Get(Map("a"), executor_, [&](Result<Object>) {});
    }
  });
  RunOn(executor_, [] {});
}

}  // namespace
}  // namespace aliquot::kube
