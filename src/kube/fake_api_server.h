// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: an API server, over HTTP(S), of a FakeCluster.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "http/testing_server.h"
#include "kube/answers.h"
#include "kube/fake_cluster.h"

namespace aliquot::kube {

// Serves what kube::ApiClient asks for, with the same paths, media types, statuses and streams as
// a real server, and fails on demand. Thread-safe. `cluster` must outlive it.
class FakeApiServer {
 public:
  // Ways to break an answer.
  enum class Break {
    kReset,      // the connection is reset
    kClose,      // the connection is closed
    kHalfClose,  // the server sends no more, but keeps the connection open
    kFinish,     // the stream ends as it should
    kMidEvent,   // half an event, then closed
    kGarbage,    // something that is no event or no JSON
    kSilence,    // nothing is ever sent
  };
  struct Fault {
    int status = 503;
    std::string retry_after = {};        // header; empty = none
    std::string body = {};               // empty = a metav1.Status
    std::optional<Break> instead = {};   // of an answer
    std::chrono::milliseconds delay{0};  // before a true answer; with status 0
  };

  // Serves at once. `options`: port, certificates.
  FakeApiServer(FakeCluster& cluster, http::TestingServerOptions options);
  ~FakeApiServer();

  std::uint16_t port() const { return options_.port; }
  // Refuses connections until Start, which serves on the same port.
  void Stop();
  void Start();

  // From now on only requests with one of these bearer tokens are answered; others get 401.
  void RequireTokens(std::set<std::string> tokens);
  // The next `times` requests of that kind meet `fault`; verbs and plurals as in FakeClient, "*"
  // = any.
  void FailNext(const std::string& verb, const std::string& plural, Fault fault,
                std::size_t times = 1);
  // How many watches it serves at the moment.
  std::size_t streams() const;
  // All running watch streams.
  void BreakWatches(Break how);
  // Tells all running watches 410 in an ERROR event, and ends them.
  void ExpireWatches();
  // "GET /api/v1/…", in the order of arrival.
  std::vector<std::string> requests() const;
  // How many of them begin with `prefix`.
  std::size_t CountRequests(const std::string& prefix) const;
  std::string user_agent() const;  // of the last request

 private:
  using ExchangePtr = std::shared_ptr<http::TestingExchange>;
  struct Target {
    Ref ref;  // without a name: the collection
    Query query;
    std::string Value(std::string_view key) const;
  };
  struct Plan {
    std::string verb;
    std::string plural;
    Fault fault;
    std::size_t times;
  };
  struct Stream {
    std::weak_ptr<http::TestingExchange> exchange;
    FakeCluster::WatchId id;
  };

  static std::optional<Target> Parse(const std::string& target);
  static std::string Verb(const http::ReceivedRequest& request, const Target& target);
  static void Answer(const ExchangePtr& exchange, int status, const Object& object);
  static void Refuse(const ExchangePtr& exchange, const Error& error);
  static void BreakAnswer(const ExchangePtr& exchange, Break how);

  void Serve(const ExchangePtr& exchange);
  std::optional<Fault> TakeFault(const std::string& verb, const std::string& plural);
  void Meet(const ExchangePtr& exchange, const Fault& fault);
  void Handle(const ExchangePtr& exchange, const Target& target, const std::string& verb);
  void Read(const ExchangePtr& exchange, const Target& target, const std::string& verb);
  void Write(const ExchangePtr& exchange, const Target& target, const std::string& verb);
  void StreamWatch(const ExchangePtr& exchange, const Target& target);
  bool EndStream(FakeCluster::WatchId id);
  std::vector<Stream> TakeStreams();

  FakeCluster& cluster_;
  http::TestingServerOptions options_;
  mutable std::mutex mutex_;  // guards what follows: tests and the server's thread
  std::optional<std::set<std::string>> tokens_;
  std::deque<Plan> plans_;
  std::vector<Stream> streams_;
  std::vector<std::string> requests_;
  std::string user_agent_;
  std::unique_ptr<http::TestingServer> server_;
};

}  // namespace aliquot::kube
