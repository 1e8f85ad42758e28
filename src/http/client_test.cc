// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <mutex>

#include "http/testing_certs.h"
#include "http/testing_server.h"

namespace aliquot::http {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

using ExchangePtr = std::shared_ptr<TestingExchange>;

class HttpClientTest : public testing::TestWithParam<bool> {
 protected:
  bool tls() const { return GetParam(); }

  void Serve(TestingServer::Handler handler) {
    TestingServerOptions options;
    options.port = port_;
    if (tls()) {
      const TestingIdentity identity = authority_.Issue("server", {"IP:127.0.0.1"});
      options.certificate = identity.certificate;
      options.key = identity.key;
    }
    auto server = TestingServer::Start(options, std::move(handler));
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = *std::move(server);
    port_ = server_->port();
  }

  void Connect(ClientOptions options = {}) {
    options.host = "127.0.0.1";
    options.port = port_;
    options.use_tls = tls();
    options.tls.ca = authority_.certificate();
    auto client = Client::Start(options);
    ASSERT_TRUE(client.ok()) << client.error().message;
    client_ = *std::move(client);
  }

  Result<ClientResponse> Send(ClientRequest request = {}) {
    std::promise<Result<ClientResponse>> promise;
    client_->Send(std::move(request),
                  [&](Result<ClientResponse> result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }

  const TestingAuthority authority_{"test authority"};
  std::uint16_t port_ = 0;
  std::unique_ptr<TestingServer> server_;
  std::unique_ptr<Client> client_;
};

INSTANTIATE_TEST_SUITE_P(PlainAndTls, HttpClientTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "Tls" : "Plain"; });

TEST_P(HttpClientTest, SendsAndReceives) {
  Serve([](const ExchangePtr& exchange) {
    const ReceivedRequest& request = exchange->request();
    exchange->Respond(201, {{"X-Seen", std::string(request.Find("x-mine"))}},
                      request.method + " " + request.target + " " + request.body);
  });
  Connect();
  const auto response =
      Send({.method = "POST", .target = "/a?b=c", .headers = {{"X-Mine", "yes"}}, .body = "hello"});
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->head.status, 201);
  EXPECT_EQ(response->head.Find("x-SEEN"), "yes");
  EXPECT_EQ(response->body, "POST /a?b=c hello");
}

TEST_P(HttpClientTest, KeepsAConnectionForTheNextRequest) {
  Serve([](const ExchangePtr& exchange) {
    exchange->Respond(200, {}, std::to_string(exchange->request().connection));
  });
  Connect();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Send()->body, "1");
}

TEST_P(HttpClientTest, RepeatsWhatAnIdleServerDropped) {
  std::atomic<int> seen = 0;
  Serve([&](const ExchangePtr& exchange) {
    if (++seen == 2) return exchange->Close();
    exchange->Respond(200, {}, "ok");
  });
  Connect();
  EXPECT_EQ(Send()->body, "ok");
  EXPECT_EQ(Send({.repeatable = true})->body, "ok");
  EXPECT_EQ(seen, 3);
  seen = 1;
  EXPECT_EQ(Send().error().code, Code::kUnavailable);
}

TEST_P(HttpClientTest, FindsTheServerAgainAfterItsRestart) {
  const auto handler = [](const ExchangePtr& exchange) { exchange->Respond(200, {}, "ok"); };
  Serve(handler);
  Connect();
  EXPECT_EQ(Send()->body, "ok");
  server_->Stop();
  const auto refused = Send({.repeatable = true});
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("Connection refused"));
  Serve(handler);
  EXPECT_EQ(Send()->body, "ok");
}

TEST_P(HttpClientTest, StreamsAsItComes) {
  ExchangePtr stream;
  std::promise<void> arrived;
  Serve([&](const ExchangePtr& exchange) {
    stream = exchange;
    exchange->StartStream(200, {});
    arrived.set_value();
  });
  Connect();
  std::promise<int> head;
  std::promise<std::string> first;
  std::promise<Status> end;
  int pieces = 0;
  client_->Stream({.total = milliseconds(0), .idle = milliseconds(0), .body_limit = 0},
                  {[&](ResponseHead got) { head.set_value(got.status); },
                   [&](std::string_view data) {
                     if (++pieces == 1) first.set_value(std::string(data));
                   },
                   [&](Status status) { end.set_value(status); }});
  arrived.get_future().wait();
  EXPECT_EQ(head.get_future().get(), 200);
  stream->Send("one");
  EXPECT_EQ(first.get_future().get(), "one");
  stream->Finish();
  EXPECT_TRUE(end.get_future().get().ok());
  stream.reset();
}

TEST_P(HttpClientTest, ATruncatedAnswerIsAnError) {
  Serve([](const ExchangePtr& exchange) {
    const std::string& target = exchange->request().target;
    if (target == "/length") exchange->SendRaw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    if (target == "/head") exchange->SendRaw("HTTP/1.1 200 OK\r\nContent-");
    if (target == "/chunk") {
      exchange->StartStream(200, {});
      exchange->Send("abc");
    }
    if (target == "/half") {
      exchange->StartStream(200, {});
      return exchange->HalfClose();
    }
    exchange->Close();
  });
  Connect();
  for (const char* target : {"/length", "/head", "/chunk", "/half", "/nothing"}) {
    const auto response = Send({.target = target});
    ASSERT_FALSE(response.ok()) << target;
    EXPECT_EQ(response.error().code, Code::kUnavailable) << response.error().message;
  }
}

TEST_P(HttpClientTest, RefusesWhatIsNotHttpOrTooMuch) {
  Serve([](const ExchangePtr& exchange) {
    const std::string& target = exchange->request().target;
    if (target == "/garbage") return exchange->SendRaw("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    if (target == "/header") {
      return exchange->Respond(200, {{"X-Long", std::string(5000, 'x')}}, "");
    }
    if (target == "/stream") {
      exchange->StartStream(200, {});
      for (int i = 0; i < 10; ++i) exchange->Send(std::string(100, 'x'));
      return;
    }
    exchange->Respond(200, {}, std::string(1000, 'x'));
  });
  Connect({.header_bytes = 4096});
  EXPECT_EQ(Send({.target = "/garbage"}).error().code, Code::kDataLoss);
  EXPECT_EQ(Send({.target = "/header"}).error().code, Code::kResourceExhausted);
  EXPECT_EQ(Send({.target = "/body", .body_limit = 999}).error().code, Code::kResourceExhausted);
  EXPECT_EQ(Send({.target = "/stream", .body_limit = 999}).error().code, Code::kResourceExhausted);
  EXPECT_TRUE(Send({.target = "/body", .body_limit = 1000}).ok());
}

TEST_P(HttpClientTest, SendsNothingThatWouldSplitARequest) {
  Serve([](const ExchangePtr& exchange) { exchange->Respond(200, {}, ""); });
  Connect();
  EXPECT_EQ(Send({.target = "/a HTTP/1.1\r\nX: y"}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(Send({.headers = {{"Authorization", "Bearer a\nb"}}}).error().code,
            Code::kInvalidArgument);
  EXPECT_TRUE(Send().ok());
}

TEST_P(HttpClientTest, TimesOut) {
  std::vector<ExchangePtr> held;
  Serve([&](const ExchangePtr& exchange) { held.push_back(exchange); });
  Connect();
  const auto idle = Send({.idle = milliseconds(30)});
  EXPECT_EQ(idle.error().code, Code::kDeadlineExceeded);
  EXPECT_THAT(idle.error().message, HasSubstr("no data for 30 ms"));
  const auto total = Send({.total = milliseconds(30)});
  EXPECT_EQ(total.error().code, Code::kDeadlineExceeded);
  EXPECT_THAT(total.error().message, HasSubstr("no complete answer within 30 ms"));
  server_->Stop();
}

TEST_P(HttpClientTest, WaitsForAConnectionWhenAllAreBusy) {
  std::mutex mutex;
  std::vector<ExchangePtr> held;
  std::promise<void> full;
  Serve([&](const ExchangePtr& exchange) {
    if (exchange->request().target == "/last") return exchange->Respond(200, {}, "last");
    std::lock_guard lock(mutex);
    held.push_back(exchange);
    if (held.size() == 2) full.set_value();
  });
  Connect({.connections = 2});
  std::promise<void> answered;
  for (int i = 0; i < 2; ++i) {
    client_->Send({}, [&, i](Result<ClientResponse>) {
      if (i == 0) answered.set_value();
    });
  }
  full.get_future().wait();
  std::promise<std::string> last;
  client_->Send({.target = "/last"}, [&](Result<ClientResponse> response) {
    last.set_value(response.ok() ? response->body : response.error().message);
  });
  for (const ExchangePtr& exchange : held) exchange->Respond(200, {}, "");
  EXPECT_EQ(last.get_future().get(), "last");
  answered.get_future().wait();
  held.clear();
}

TEST_P(HttpClientTest, CancelClosesTheConnection) {
  std::promise<void> gone;
  std::promise<void> arrived;
  Serve([&](const ExchangePtr& exchange) {
    exchange->OnGone([&] { gone.set_value(); });
    exchange->StartStream(200, {});
    arrived.set_value();
  });
  Connect();
  const auto id = client_->Stream(
      {}, {[](ResponseHead) {}, [](std::string_view) {}, [](Status) { FAIL() << "ended"; }});
  arrived.get_future().wait();
  client_->Cancel(id);
  gone.get_future().wait();
  client_->Cancel(id + 1);
}

TEST_P(HttpClientTest, StopDropsCallsUncalled) {
  std::promise<void> arrived;
  std::vector<ExchangePtr> held;
  Serve([&](const ExchangePtr& exchange) {
    held.push_back(exchange);
    arrived.set_value();
  });
  Connect();
  client_->Send({}, [](Result<ClientResponse>) { FAIL() << "called"; });
  arrived.get_future().wait();
  client_->Stop();
  client_->Send({}, [](Result<ClientResponse>) { FAIL() << "called"; });
  client_.reset();
  server_->Stop();
}

class HttpTlsTest : public testing::Test {
 protected:
  static void Reply(const ExchangePtr& exchange) {
    exchange->Respond(200, {}, "hello " + exchange->request().client_name);
  }
  void Serve(const TestingIdentity& identity, const std::string& client_ca = {}) {
    auto server = TestingServer::Start({0, identity.certificate, identity.key, client_ca}, &Reply);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = *std::move(server);
  }
  Result<ClientResponse> Send(const TlsOptions& tls, const std::string& host = "127.0.0.1") {
    ClientOptions options;
    options.host = host;
    options.port = server_->port();
    options.tls = tls;
    auto client = Client::Start(options);
    if (!client.ok()) return client.error();
    return Send(**client);
  }
  static Result<ClientResponse> Send(Client& client) {
    std::promise<Result<ClientResponse>> promise;
    client.Send({}, [&](Result<ClientResponse> result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }

  const TestingAuthority ours_{"ours"};
  const TestingAuthority other_{"other"};
  std::unique_ptr<TestingServer> server_;
};

TEST_F(HttpTlsTest, VerifiesAuthorityNameAndTime) {
  Serve(ours_.Issue("server", {"IP:127.0.0.1", "DNS:kubernetes"}));
  EXPECT_EQ(Send({.ca = ours_.certificate()})->body, "hello ");
  EXPECT_EQ(Send({.ca = other_.certificate() + ours_.certificate()})->body, "hello ");
  EXPECT_EQ(Send({.ca = ours_.certificate(), .server_name = "kubernetes"})->body, "hello ");
  const auto wrong_ca = Send({.ca = other_.certificate()});
  EXPECT_EQ(wrong_ca.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(wrong_ca.error().message, HasSubstr("not trusted"));
  const auto wrong_name = Send({.ca = ours_.certificate(), .server_name = "other"});
  EXPECT_THAT(wrong_name.error().message, HasSubstr("for another name"));
  EXPECT_THAT(Send({.ca = ours_.certificate()}, "localhost").error().message,
              HasSubstr("for another name"));
  EXPECT_EQ(Send({.ca = other_.certificate(), .insecure = true})->body, "hello ");

  Serve(ours_.Issue("server", {"IP:127.0.0.1"}, -1));
  EXPECT_THAT(Send({.ca = ours_.certificate()}).error().message, HasSubstr("expired"));
}

TEST_F(HttpTlsTest, ShowsItsOwnCertificate) {
  Serve(ours_.Issue("server", {"IP:127.0.0.1"}), other_.certificate());
  const TestingIdentity me = other_.Issue("system:node:a", {});
  const TlsOptions with = {.ca = ours_.certificate(), .certificate = me.certificate, .key = me.key};
  EXPECT_EQ(Send(with)->body, "hello system:node:a");
  EXPECT_EQ(Send({.ca = ours_.certificate()})->body, "hello ");
  const TestingIdentity another = other_.Issue("x", {});
  const auto mixed = Send({.ca = "", .certificate = me.certificate, .key = another.key});
  EXPECT_EQ(mixed.error().code, Code::kInvalidArgument);
  EXPECT_THAT(Send({.ca = "nonsense"}).error().message, HasSubstr("certificate authority"));
}

TEST_F(HttpTlsTest, NewOptionsHoldForNewConnections) {
  Serve(ours_.Issue("server", {"IP:127.0.0.1"}));
  ClientOptions options;
  options.host = "127.0.0.1";
  options.port = server_->port();
  options.tls.ca = ours_.certificate();
  const auto client = *Client::Start(options);
  EXPECT_TRUE(Send(*client).ok());
  ASSERT_TRUE(client->SetTls({.ca = other_.certificate()}).ok());
  EXPECT_EQ(Send(*client).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(client->SetTls({.ca = "nonsense"}).error().code, Code::kInvalidArgument);
  ASSERT_TRUE(client->SetTls({.ca = ours_.certificate()}).ok());
  EXPECT_TRUE(Send(*client).ok());
}

}  // namespace
}  // namespace aliquot::http
