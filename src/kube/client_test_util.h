// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests of clients on real threads.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "http/testing_certs.h"
#include "kube/answers.h"
#include "kube/api_client.h"
#include "kube/client_fake.h"
#include "kube/fake_api_server.h"

namespace aliquot::kube {

// Starts a call and waits for its answer.
template <typename T>
Result<T> Wait(const std::function<void(Done<T>)>& start) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto answer = promise->get_future();
  start([promise](Result<T> result) { promise->set_value(std::move(result)); });
  if (answer.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
    return Error{Code::kInternal, "no answer within 30 s"};
  }
  return answer.get();
}

// Runs `task` on `executor` and waits for its end.
inline void RunOn(Executor& executor, const std::function<void()>& task) {
  std::promise<void> done;
  executor.Post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

// Writes down what a watch tells, as "sync a b", "update a", "delete a" or an error's message.
class Recorder final : public WatchHandler {
 public:
  using Show = std::function<std::string(const Object&)>;
  static std::string NameOf(const Object& object) { return MetadataText(object, "name"); }

  // `show`: how an object is written down.
  explicit Recorder(Show show = NameOf) : show_(std::move(show)) {}

  void OnSync(std::vector<Object> objects) override {
    std::string line = "sync";
    for (const Object& object : objects) {
      const std::string name = MetadataText(object, "name");
      if (name != "kube-root-ca.crt") line += " " + show_(object);  // every real namespace has one
    }
    Add(line);
  }
  void OnUpdate(Object object) override { Add("update " + show_(object)); }
  void OnDelete(Object object) override { Add("delete " + show_(object)); }
  void OnUnavailable(const Error& error) override {
    {
      std::lock_guard lock(mutex_);
      code_ = error.code;
    }
    Add(error.message);
  }

  // Until so many calls came; false after 30 s.
  bool WaitFor(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return told_.size() >= count; });
  }
  std::vector<std::string> told() const {
    std::lock_guard lock(mutex_);
    return told_;
  }
  Code code() const {
    std::lock_guard lock(mutex_);
    return code_;
  }

 private:
  void Add(std::string line) {
    std::lock_guard lock(mutex_);
    told_.push_back(std::move(line));
    changed_.notify_all();
  }

  const Show show_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> told_;
  Code code_ = Code::kOk;
};

// A client and what is behind it.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual Client& client() = 0;
  // Between changes that streams may end between.
  virtual std::chrono::milliseconds pace() const { return std::chrono::milliseconds(5); }
  virtual void ExpireWatches() {}
  virtual void GoDown() {}
  virtual void ComeUp() {}
  virtual void AwaitStream() {}
  virtual void DestroyClientAfter(const std::function<void(Client&)>&) {}
};

class MemoryBackend final : public Backend {
 public:
  Client& client() override { return *client_; }
  void ExpireWatches() override { client_->ExpireWatches(); }
  void GoDown() override { client_->SetUnavailable(); }
  void ComeUp() override { client_->SetAvailable(); }
  void DestroyClientAfter(const std::function<void(Client&)>& use) override {
    use(*client_);
    client_ = std::make_unique<FakeClient>(cluster_);
  }

 private:
  SystemClock clock_;
  FakeCluster cluster_{clock_};
  std::unique_ptr<FakeClient> client_ = std::make_unique<FakeClient>(cluster_);
};

class HttpsBackend final : public Backend {
 public:
  // Fast, so that tests are.
  static ApiOptions Options() {
    ApiOptions options;
    options.page = 2;
    options.backoff_least = std::chrono::milliseconds(5);
    options.backoff_most = std::chrono::milliseconds(20);
    options.bridge = std::chrono::milliseconds(200);
    return options;
  }

  explicit HttpsBackend(ApiOptions options = Options()) : options_(std::move(options)) {
    server_.RequireTokens({"secret"});
    Connect();
  }

  Access MakeAccess() const {
    Access access;
    access.source = "the test";
    access.host = "127.0.0.1";
    access.port = server_.port();
    access.ca.text = authority_.certificate();
    access.token.text = "secret";
    return access;
  }
  void Connect() { Connect(MakeAccess()); }
  void Connect(const Access& access) {
    auto client = ApiClient::Create(access, options_, clock_, [] { return 0.5; });
    ASSERT_TRUE(client.ok()) << client.error().message;
    client_ = *std::move(client);
  }
  Client& client() override { return *client_; }
  ApiClient& api() { return *client_; }
  FakeApiServer& server() { return server_; }
  FakeCluster& cluster() { return cluster_; }
  const http::TestingAuthority& authority() const { return authority_; }

  void ExpireWatches() override { server_.ExpireWatches(); }
  void GoDown() override { server_.Stop(); }
  void ComeUp() override { server_.Start(); }
  // Until the server serves a watch.
  void AwaitStream() override {
    while (server_.streams() == 0) std::this_thread::yield();
  }
  void DestroyClientAfter(const std::function<void(Client&)>& use) override {
    use(*client_);
    Connect();
  }

 private:
  http::TestingServerOptions ServerOptions() const {
    const http::TestingIdentity identity = authority_.Issue("server", {"IP:127.0.0.1"});
    return {0, identity.certificate, identity.key, ""};
  }

  SystemClock clock_;
  const ApiOptions options_;
  const http::TestingAuthority authority_{"test authority"};
  FakeCluster cluster_{clock_};
  FakeApiServer server_{cluster_, ServerOptions()};
  std::unique_ptr<ApiClient> client_;
};

}  // namespace aliquot::kube
