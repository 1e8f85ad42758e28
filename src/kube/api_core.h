// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// The inside of ApiClient: what its requests and watches share.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "http/client.h"
#include "kube/answers.h"
#include "kube/api_client.h"

namespace aliquot::kube {

// Thread-safe. Lives as long as the last request or watch that knows it; does nothing after Stop.
class ApiCore {
 public:
  ApiCore(std::unique_ptr<Credentials> credentials, std::unique_ptr<http::Client> http,
          ApiOptions options, const Clock& clock, Random random);

  // No request is answered from now on. Not on the http client's thread.
  void Stop();
  bool stopped() const { return stopped_; }

  const ApiOptions& options() const { return options_; }
  const Clock& clock() const { return clock_; }
  http::Client& http() { return *http_; }
  Credentials& credentials() { return *credentials_; }
  // A random number, or a back-off.
  double Draw();
  std::chrono::milliseconds Draw(Backoff& backoff);
  ApiStats stats() const;

  // A request for `path` (from "/api" on, with query) with the credentials of now, which are left
  // in `used`.
  http::ClientRequest Prepare(const std::string& method, const std::string& path,
                              Credentials::Present& used);

  struct Counters {
    std::atomic<std::uint64_t> requests = 0;
    std::atomic<std::uint64_t> failures = 0;
    std::atomic<std::uint64_t> relists = 0;
    std::atomic<std::uint64_t> resumes = 0;
  };
  Counters counters;

 private:
  const ApiOptions options_;
  const Clock& clock_;
  const std::unique_ptr<Credentials> credentials_;
  std::mutex mutex_;  // guards random_ and tls_: used by all threads that make requests
  Random random_;
  http::TlsOptions tls_;  // what http_ uses
  std::atomic<bool> stopped_ = false;
  const std::unique_ptr<http::Client> http_;
};

// One request and what is answered.
struct ApiRequest {
  std::string method = "GET";
  std::string path = {};          // from "/api" on, with query
  std::string content_type = {};  // of body
  std::string body = {};
  bool repeatable = true;
  std::string context = {};  // "get node a", for messages
  // Takes the body of a success as it comes, of any length, on the http client's thread; the answer
  // is null then. It is called for one answer only: one that breaks off is an error.
  std::function<Status(std::string_view)> sink = {};
};
using ApiDone = std::function<void(Result<boost::json::value>)>;

// Sends and, where kube::Client says so, repeats; `done` runs on `on` unless the core is stopped.
void Call(const std::shared_ptr<ApiCore>& core, ApiRequest request, Executor& on, ApiDone done);

// A whole list, page by page; of each object only what selection.excerpt leaves.
struct ApiList {
  std::vector<Object> items;
  std::string version;
};
void CallList(const std::shared_ptr<ApiCore>& core, const Selection& selection, Executor& on,
              std::function<void(Result<ApiList>)> done);

// See Client::StartWatch.
std::unique_ptr<Watch> StartApiWatch(const std::shared_ptr<ApiCore>& core, Selection selection,
                                     Executor& on, WatchHandler& handler);

}  // namespace aliquot::kube
