// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <thread>

#include "http/published.h"
#include "http/test_client.h"

namespace aliquot::http {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kKeepAlive[] = "GET /hello HTTP/1.1\r\nHost: test\r\n\r\n";

Routes MakeRoutes() {
  return {
      {"/hello",
       [](const Request& request) {
         return Response{200, "text/plain; charset=utf-8", "hello " + request.query};
       }},
      {"/throws", [](const Request&) -> Response { throw std::runtime_error("no"); }},
      {"/unready", [](const Request&) { return Response{503, "application/json", "{}"}; }},
  };
}

std::unique_ptr<Server> StartServer(Limits limits = {}) {
  ServerOptions options;
  options.limits = limits;
  auto server = Server::Start(options, MakeRoutes());
  EXPECT_TRUE(server.ok()) << server.error().message;
  return server.ok() ? *std::move(server) : nullptr;
}

TEST(Server, AnswersGetWithTypeLengthAndBody) {
  const auto server = StartServer();
  const std::string answer = Fetch(server->port(), "/hello?you");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 9\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nhello you"));
}

TEST(Server, AnswersHeadWithoutABody) {
  const auto server = StartServer();
  const std::string answer = Fetch(server->port(), "/hello", "HEAD");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST(Server, StatusesOfHandlersAndRefusals) {
  const auto server = StartServer();
  EXPECT_THAT(Fetch(server->port(), "/none"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Fetch(server->port(), "/unready"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Fetch(server->port(), "/throws"), StartsWith("HTTP/1.1 500 "));
  const std::string refused = Fetch(server->port(), "/hello", "DELETE");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(refused, HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST(Server, KeepsAConnectionForSeveralRequests) {
  const auto server = StartServer();
  const TestClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    client.Send(kKeepAlive);
    EXPECT_THAT(client.ReadUntil("hello "), HasSubstr("200 OK"));
  }
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  const auto server = StartServer();
  const TestClient client(server->port());
  client.Send(
      "GET /hello?1 HTTP/1.1\r\nHost: t\r\n\r\nGET /hello?2 HTTP/1.1\r\nHost: t\r\n"
      "Connection: close\r\n\r\n");
  const std::string answers = client.ReadAll();
  EXPECT_LT(answers.find("hello 1"), answers.find("hello 2"));
  EXPECT_THAT(answers, EndsWith("hello 2"));
}

TEST(Server, RefusesLargeHeadersAndBodies) {
  const auto server = StartServer();
  TestClient header(server->port());
  header.Send("GET /hello HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n");
  EXPECT_THAT(header.ReadUntil("too large\n"), StartsWith("HTTP/1.1 431 "));
  TestClient body(server->port());
  body.Send("POST /hello HTTP/1.1\r\nHost: t\r\nContent-Length: 2000000\r\n\r\n");
  EXPECT_THAT(body.ReadUntil("too large\n"), StartsWith("HTTP/1.1 413 "));
}

TEST(Server, RefusesWhatIsNotHttp) {
  const auto server = StartServer();
  const TestClient client(server->port());
  client.Send("\x16\x03\x01 TLS, for example\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 400 "));
}

TEST(Server, ClosesQuietlyWhenAClientLeavesHalfway) {
  const auto server = StartServer();
  const TestClient client(server->port());
  client.Send("GET /hel");
  client.CloseSending();
  EXPECT_THAT(client.ReadAll(), IsEmpty());
}

TEST(Server, CutsOffAClientThatDribbles) {
  Limits limits;
  limits.read = std::chrono::milliseconds(50);
  const auto server = StartServer(limits);
  const TestClient client(server->port());
  client.Send("GET /hello HTTP/1.1\r\n");
  EXPECT_THAT(client.ReadAll(), IsEmpty());  // returns because the server closes
  EXPECT_THAT(Fetch(server->port(), "/hello"), HasSubstr("200 OK"));
}

TEST(Server, ClosesConnectionsAboveTheLimitAndRecovers) {
  Limits limits;
  limits.connections = 1;
  const auto server = StartServer(limits);
  {
    const TestClient first(server->port());
    first.Send(kKeepAlive);
    EXPECT_THAT(first.ReadUntil("hello "), HasSubstr("200 OK"));
    EXPECT_THAT(Fetch(server->port(), "/hello"), IsEmpty());
    first.Send("GET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    first.ReadAll();
  }
  // The server may notice the first client's end only after it has refused some.
  std::string answer;
  while ((answer = Fetch(server->port(), "/hello")).empty()) std::this_thread::yield();
  EXPECT_THAT(answer, HasSubstr("200 OK"));
}

TEST(Server, StopEndsIdleConnectionsAtOnceAndTwiceIsFine) {
  Limits limits;
  limits.read = std::chrono::minutes(10);
  limits.drain = std::chrono::minutes(10);
  const auto server = StartServer(limits);
  const TestClient idle(server->port());
  idle.Send(kKeepAlive);
  idle.ReadUntil("hello ");
  server->Stop();
  server->Stop();
  EXPECT_THAT(idle.ReadAll(), IsEmpty());
  EXPECT_FALSE(TestClient(server->port()).connected());
}

TEST(Server, StopLetsAnAnswerInProgressFinish) {
  std::promise<void> entered;
  std::promise<void> release;
  Routes routes;
  routes["/slow"] = [&](const Request&) {
    entered.set_value();
    release.get_future().wait();
    return Response{200, "text/plain", "done"};
  };
  auto server = Server::Start({}, std::move(routes));
  ASSERT_TRUE(server.ok());
  const TestClient client((*server)->port());
  client.Send("GET /slow HTTP/1.1\r\nHost: t\r\n\r\n");
  entered.get_future().wait();
  std::thread stopper([&] { (*server)->Stop(); });
  release.set_value();
  EXPECT_THAT(client.ReadAll(), EndsWith("done"));
  stopper.join();
}

TEST(Server, StopDoesNotWaitForAClientThatDoesNotRead) {
  Limits limits;
  limits.write = std::chrono::minutes(10);
  limits.drain = std::chrono::milliseconds(50);
  ServerOptions options;
  options.limits = limits;
  std::promise<void> entered;
  Routes routes;
  routes["/big"] = [&](const Request&) {
    entered.set_value();
    return Response{200, "text/plain", std::string(64u << 20, 'x')};  // more than socket buffers
  };
  auto server = Server::Start(options, std::move(routes));
  ASSERT_TRUE(server.ok());
  const TestClient client((*server)->port());
  client.Send("GET /big HTTP/1.1\r\nHost: t\r\n\r\n");
  entered.get_future().wait();
  (*server)->Stop();  // hangs for 10 minutes if the drain limit does not work
}

TEST(Server, SaysWhatIsWrongWithTheAddress) {
  const auto server = StartServer();
  ServerOptions options;
  options.port = server->port();
  const auto in_use = Server::Start(options, {});
  ASSERT_FALSE(in_use.ok());
  EXPECT_EQ(in_use.error().code, Code::kAlreadyExists);
  EXPECT_THAT(in_use.error().message, HasSubstr(std::to_string(server->port())));
  options.address = "localhost";
  EXPECT_EQ(Server::Start(options, {}).error().code, Code::kInvalidArgument);
  options.address = "192.0.2.1";  // RFC 5737: nobody's
  options.port = 0;
  const auto foreign = Server::Start(options, {});
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(foreign.error().message, HasSubstr("192.0.2.1"));
}

TEST(Published, KeepsTheLastCompleteValue) {
  Published<std::string> page;
  EXPECT_EQ(page.Get(), nullptr);
  page.Set("one");
  const auto held = page.Get();
  page.Set("two");
  EXPECT_EQ(*held, "one");
  EXPECT_EQ(*page.Get(), "two");
}

}  // namespace
}  // namespace aliquot::http
