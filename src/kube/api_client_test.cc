// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// What the client over HTTPS does when the server, the network or the credentials fail.
#include "kube/api_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>

#include "base/file.h"
#include "kube/client_test_util.h"

namespace aliquot::kube {
namespace {

using Break = FakeApiServer::Break;
using Fault = FakeApiServer::Fault;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

// Which objects came for an excerpt, and after how many requests for pages.
struct Pages {
  Object Take(const Object& object, std::size_t requests) {
    seen.push_back(MetadataText(object, "name") + " " + std::to_string(requests));
    return {{"name", MetadataText(object, "name")}};
  }
  std::vector<std::string> seen;
};

class ApiClientTest : public testing::Test {
 protected:
  static Ref Map(const std::string& name) { return {kConfigMaps, "ns", name, ""}; }
  void Put(const std::string& name, const std::string& value = "v") {
    const auto put = backend_.cluster().Put(
        kConfigMaps, {{"metadata", Object{{"name", name}, {"namespace", "ns"}}},
                      {"data", Object{{"k", value}}}});
    ASSERT_TRUE(put.ok()) << put.error().message;
  }
  Result<Object> Get(const std::string& name) {
    return Wait<Object>([&](auto done) { backend_.client().Get(Map(name), executor_, done); });
  }
  // Watches `ns` and waits until the stream runs.
  std::unique_ptr<Watch> StartWatch(Recorder& recorder) {
    auto watch = backend_.client().StartWatch({kConfigMaps, "ns", "", ""}, executor_, recorder);
    EXPECT_TRUE(recorder.WaitFor(1));
    backend_.AwaitStream();
    return watch;
  }
  void End(std::unique_ptr<Watch>& watch) {
    RunOn(executor_, [&] { watch.reset(); });
  }
  std::size_t Lists() { return server().CountRequests("GET /api/v1/namespaces/ns/configmaps?lim"); }
  FakeApiServer& server() { return backend_.server(); }

  HttpsBackend backend_;
  ThreadExecutor executor_;  // ends before the client
};

TEST_F(ApiClientTest, SaysWhoItIs) {
  ASSERT_EQ(Get("a").error().code, Code::kNotFound);
  EXPECT_EQ(server().user_agent(), "aliquot");
  EXPECT_THAT(server().requests(), ElementsAre("GET /api/v1/namespaces/ns/configmaps/a"));
  EXPECT_EQ(backend_.api().stats().requests, 1u);
  EXPECT_EQ(backend_.api().stats().failures, 1u);
}

TEST_F(ApiClientTest, WaitsAsTheServerAsks) {
  Put("a");
  server().FailNext("get", "configmaps", {.status = 429, .retry_after = "0"}, 3);
  EXPECT_TRUE(Get("a").ok());
  server().FailNext("get", "configmaps", {.status = 503, .retry_after = "0"});
  EXPECT_TRUE(Get("a").ok());
  EXPECT_EQ(server().requests().size(), 6u);
  server().FailNext("get", "configmaps", {.status = 429, .retry_after = "3600"});
  EXPECT_EQ(Get("a").error().code, Code::kUnavailable);
  server().FailNext("get", "configmaps", {.status = 503});
  EXPECT_EQ(Get("a").error().message, "get configmap ns/a: injected fault");
}

TEST_F(ApiClientTest, NamesWhatWentWrong) {
  Put("a");
  server().FailNext("get", "*", {.instead = Break::kReset});
  EXPECT_EQ(Get("a").error().code, Code::kUnavailable);
  server().FailNext("get", "*", {.instead = Break::kGarbage});
  EXPECT_EQ(Get("a").error().code, Code::kDataLoss);
  server().FailNext("get", "*", {.instead = Break::kMidEvent});
  EXPECT_EQ(Get("a").error().code, Code::kUnavailable);
  server().FailNext("get", "*", {.instead = Break::kHalfClose});
  EXPECT_EQ(Get("a").error().code, Code::kUnavailable);
  server().FailNext("get", "*", {.status = 403, .body = "no, \x01 not you"});
  const auto refused = Get("a");
  EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
  EXPECT_THAT(refused.error().message, HasSubstr("\"no,   not you\""));
  EXPECT_TRUE(Get("a").ok());
}

TEST_F(ApiClientTest, GivesUpOnASlowServer) {
  Put("a");
  ApiOptions options = HttpsBackend::Options();
  options.timeout = milliseconds(50);
  SystemClock clock;
  const auto hasty = *ApiClient::Create(backend_.MakeAccess(), options, clock);
  server().FailNext("get", "*", {.instead = Break::kSilence});
  const auto late = Wait<Object>([&](auto done) { hasty->Get(Map("a"), executor_, done); });
  EXPECT_EQ(late.error().code, Code::kDeadlineExceeded);
  server().FailNext("get", "*", {.status = 0, .delay = milliseconds(20)});
  EXPECT_TRUE(Get("a").ok());
}

TEST_F(ApiClientTest, FetchesListsByPage) {
  for (const char* name : {"a", "b", "c", "d", "e"}) Put(name);
  const auto all = Wait<std::vector<Object>>(
      [&](auto done) { backend_.client().List({kConfigMaps, "ns", "", ""}, executor_, done); });
  EXPECT_EQ(all->size(), 5u);
  EXPECT_EQ(Lists(), 3u);
  // The server forgets the list after its first page: then all at once.
  server().FailNext("list", "*", {.status = 0, .delay = milliseconds(1)});
  server().FailNext("list", "*", {.status = 410});
  const auto again = Wait<std::vector<Object>>(
      [&](auto done) { backend_.client().List({kConfigMaps, "ns", "", ""}, executor_, done); });
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->size(), 5u);
}

// Excerpts are made before the next page is asked for: the whole objects of one page at a time.
TEST_F(ApiClientTest, MakesExcerptsPageByPage) {
  for (const char* name : {"a", "b", "c", "d", "e"}) Put(name);
  Pages pages;
  Selection selection{kConfigMaps, "ns", "", ""};
  selection.excerpt = [&](const Object& object) { return pages.Take(object, Lists()); };
  const auto list = [&] {
    return Wait<std::vector<Object>>(
        [&](auto done) { backend_.client().List(selection, executor_, done); });
  };
  ASSERT_EQ(list()->size(), 5u);
  EXPECT_THAT(pages.seen, ElementsAre("a 1", "b 1", "c 2", "d 2", "e 3"));

  // The server forgets the list: it begins again, and nothing is told twice.
  server().FailNext("list", "*", {.status = 0, .delay = milliseconds(1)});
  server().FailNext("list", "*", {.status = 410});
  pages.seen.clear();
  ASSERT_EQ(list()->size(), 5u);
  EXPECT_EQ(server().CountRequests("GET /api/v1/namespaces/ns/configmaps?lim"), 5u);
  EXPECT_THAT(pages.seen, ElementsAre("a 4", "b 4", "a 5", "b 5", "c 5", "d 5", "e 5"));
}

// A server that sends everything in one answer, whatever limit it was given.
TEST(ApiClientLists, MakesExcerptsAsObjectsArrive) {
  std::promise<std::shared_ptr<http::TestingExchange>> asked;
  const auto server = http::TestingServer::Start(
      {}, [&](std::shared_ptr<http::TestingExchange> exchange) { asked.set_value(exchange); });
  ASSERT_TRUE(server.ok());
  Access access;
  access.host = "127.0.0.1";
  access.port = (*server)->port();
  access.use_tls = false;
  ApiOptions options;
  options.page = 1;
  const SystemClock clock;
  const auto client = *ApiClient::Create(access, options, clock);
  ThreadExecutor executor;

  std::promise<void> first;
  Selection selection{kNodes, "", "", ""};
  selection.excerpt = [&](const Object& object) {
    if (MetadataText(object, "name") == "a") first.set_value();
    return Object{{"name", MetadataText(object, "name")}};
  };
  std::promise<Result<std::vector<Object>>> told;
  client->List(selection, executor, [&](auto list) { told.set_value(std::move(list)); });
  const auto exchange = asked.get_future().get();
  EXPECT_EQ(exchange->request().target, "/api/v1/nodes?limit=1");
  exchange->StartStream(200, {});
  exchange->Send(R"({"kind": "NodeList", "items": [{"metadata": {"name": "a"}}, {"meta)");
  EXPECT_EQ(first.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  exchange->Send(R"(data": {"name": "b"}}, {"metadata": {"name": "c"}}], "metadata": {}})");
  exchange->Finish();
  const auto list = told.get_future().get();
  ASSERT_TRUE(list.ok()) << list.error().message;
  EXPECT_THAT(*list,
              ElementsAre(Object{{"name", "a"}}, Object{{"name", "b"}}, Object{{"name", "c"}}));
}

TEST_F(ApiClientTest, AListThatBreaksOffIsAnError) {
  server().FailNext("list", "*", {.instead = Break::kMidEvent});
  const auto list = [&] {
    return Wait<std::vector<Object>>(
        [&](auto done) { backend_.client().List({kConfigMaps, "ns", "", ""}, executor_, done); });
  };
  EXPECT_EQ(list().error().code, Code::kUnavailable);
  server().FailNext("list", "*", {.instead = Break::kGarbage});
  const auto garbage = list();
  EXPECT_EQ(garbage.error().code, Code::kDataLoss);
  EXPECT_THAT(garbage.error().message, HasSubstr("list configmaps: "));
  server().FailNext("list", "*", {.status = 503, .retry_after = "0"});
  EXPECT_TRUE(list().ok());
}

// The version to go on from is that of the object, though the excerpt has none.
TEST_F(ApiClientTest, ResumesAWatchOfExcerpts) {
  Recorder recorder;
  Selection selection{kConfigMaps, "ns", "", ""};
  selection.excerpt = [](const Object& object) {
    return Object{{"metadata", {{"name", MetadataText(object, "name")}}}};
  };
  auto watch = backend_.client().StartWatch(selection, executor_, recorder);
  ASSERT_TRUE(recorder.WaitFor(1));
  backend_.AwaitStream();
  Put("a");
  ASSERT_TRUE(recorder.WaitFor(2));
  server().BreakWatches(Break::kFinish);
  Put("b");
  ASSERT_TRUE(recorder.WaitFor(3));
  EXPECT_THAT(recorder.told(), ElementsAre("sync", "update a", "update b"));
  EXPECT_EQ(Lists(), 1u);
  End(watch);
}

TEST_F(ApiClientTest, ReadsARotatedToken) {
  Put("a");
  std::string name = testing::TempDir() + "token-XXXXXX";
  const std::string directory = ::mkdtemp(name.data());
  const std::string file = directory + "/token";
  ASSERT_TRUE(WriteFileAtomically(file, "secret").ok());
  Access access = backend_.MakeAccess();
  access.token = {"", file};
  backend_.Connect(access);
  EXPECT_TRUE(Get("a").ok());
  Recorder recorder;
  auto watch = StartWatch(recorder);

  server().RequireTokens({"fresh"});
  const auto expired = Get("a");
  EXPECT_EQ(expired.error().code, Code::kUnauthenticated);
  server().BreakWatches(Break::kClose);
  ASSERT_TRUE(recorder.WaitFor(2));
  EXPECT_EQ(recorder.code(), Code::kUnauthenticated);
  ASSERT_TRUE(WriteFileAtomically(file, "fresh").ok());
  EXPECT_TRUE(Get("a").ok());
  ASSERT_TRUE(recorder.WaitFor(3));
  EXPECT_EQ(recorder.told()[2], "sync a");
  End(watch);
  std::filesystem::remove_all(directory);
}

TEST_F(ApiClientTest, DoesNotTrustAnotherAuthority) {
  const http::TestingAuthority other("other");
  Access access = backend_.MakeAccess();
  access.ca.text = other.certificate();
  backend_.Connect(access);
  const auto refused = Get("a");
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(refused.error().message, HasSubstr("not trusted"));
  EXPECT_TRUE(server().requests().empty());
  access.ca.text = "nonsense";
  SystemClock clock;
  EXPECT_EQ(ApiClient::Create(access, {}, clock).error().code, Code::kInvalidArgument);
}

// A stream that ends, in whatever way, is resumed where it stopped: nothing is lost, nothing told
// twice, no list made.
TEST_F(ApiClientTest, ResumesAWatchHoweverItEnds) {
  Recorder recorder;
  auto watch = StartWatch(recorder);
  std::size_t told = 1;
  for (const Break how : {Break::kFinish, Break::kClose, Break::kReset, Break::kMidEvent,
                          Break::kHalfClose, Break::kGarbage}) {
    const std::string name = "m" + std::to_string(told);
    backend_.AwaitStream();
    Put(name);
    ASSERT_TRUE(recorder.WaitFor(++told));
    server().BreakWatches(how);
    Put(name, "changed while nobody watched");
    ASSERT_TRUE(recorder.WaitFor(++told));
    EXPECT_EQ(recorder.told().back(), "update " + name);
  }
  EXPECT_EQ(Lists(), 1u);
  EXPECT_EQ(backend_.api().stats().resumes, 6u);
  EXPECT_EQ(recorder.told().size(), told);
  End(watch);
}

TEST_F(ApiClientTest, BookmarksSpareARelist) {
  Recorder recorder;
  auto watch = StartWatch(recorder);
  const auto other = backend_.cluster().Create(
      kNodes, "", {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", Object{{"name", "n"}}}});
  ASSERT_TRUE(other.ok());
  backend_.cluster().Compact();
  backend_.cluster().SendBookmarks();
  server().BreakWatches(Break::kFinish);
  Put("a");
  ASSERT_TRUE(recorder.WaitFor(2));
  EXPECT_THAT(recorder.told(), ElementsAre("sync", "update a"));
  EXPECT_EQ(Lists(), 1u);
  End(watch);
}

TEST_F(ApiClientTest, ListsAnewWhenTheVersionIsGone) {
  Recorder recorder;
  auto watch = StartWatch(recorder);
  Put("a");
  ASSERT_TRUE(recorder.WaitFor(2));
  // In the stream, at its start as an event, at its start as a status.
  server().ExpireWatches();
  ASSERT_TRUE(recorder.WaitFor(3));
  backend_.AwaitStream();
  server().FailNext("watch", "*", {.status = 410});
  server().BreakWatches(Break::kFinish);
  ASSERT_TRUE(recorder.WaitFor(4));
  EXPECT_THAT(recorder.told(), ElementsAre("sync", "update a", "sync a", "sync a"));
  EXPECT_EQ(backend_.api().stats().relists, 2u);
  End(watch);
}

TEST_F(ApiClientTest, AServerRestartWithinTheBridgeIsNoOutage) {
  Recorder recorder;
  auto watch = StartWatch(recorder);
  Put("a");
  ASSERT_TRUE(recorder.WaitFor(2));
  server().Stop();
  Put("b");
  server().Start();
  ASSERT_TRUE(recorder.WaitFor(3));
  EXPECT_THAT(recorder.told(), ElementsAre("sync", "update a", "update b"));
  EXPECT_EQ(Lists(), 1u);
  End(watch);
}

TEST_F(ApiClientTest, ARefusedWatchIsToldOnceAndTriedAgain) {
  server().FailNext("list", "configmaps", {.status = 403}, 5);
  Recorder recorder;
  auto watch = backend_.client().StartWatch({kConfigMaps, "ns", "", ""}, executor_, recorder);
  ASSERT_TRUE(recorder.WaitFor(2));
  EXPECT_THAT(recorder.told(),
              ElementsAre("watch configmaps: list configmaps: injected fault", "sync"));
  EXPECT_EQ(recorder.code(), Code::kPermissionDenied);
  End(watch);
}

TEST_F(ApiClientTest, AWatchThatIsNeverAnsweredIsTriedAgain) {
  ApiOptions options = HttpsBackend::Options();
  options.timeout = milliseconds(1000);
  const SystemClock clock;
  const auto hasty = *ApiClient::Create(backend_.MakeAccess(), options, clock);
  server().FailNext("watch", "*", {.instead = Break::kSilence});
  Recorder recorder;
  auto watch = hasty->StartWatch({kConfigMaps, "ns", "", ""}, executor_, recorder);
  backend_.AwaitStream();
  Put("a");
  ASSERT_TRUE(recorder.WaitFor(2));
  EXPECT_THAT(recorder.told(), ElementsAre("sync", "update a"));
  End(watch);
}

TEST_F(ApiClientTest, AnOverloadedServerIsLeftInPeace) {
  Recorder recorder;
  auto watch = StartWatch(recorder);
  server().FailNext("watch", "*", {.status = 429, .retry_after = "1"});
  const auto before = std::chrono::steady_clock::now();
  server().BreakWatches(Break::kFinish);
  Put("a");
  ASSERT_TRUE(recorder.WaitFor(2));
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
  EXPECT_EQ(recorder.told().back(), "update a");
  End(watch);
}

TEST_F(ApiClientTest, AWatchMayOutliveItsClient) {
  Recorder recorder;
  auto watch = StartWatch(recorder);
  backend_.Connect();  // a new client in place of the old one
  Put("a");
  End(watch);
  EXPECT_THAT(recorder.told(), ElementsAre("sync"));
}

}  // namespace
}  // namespace aliquot::kube
