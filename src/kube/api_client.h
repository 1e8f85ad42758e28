// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "kube/auth.h"
#include "kube/backoff.h"
#include "kube/client.h"

namespace aliquot::kube {

class ApiCore;

struct ApiOptions {
  std::string user_agent = "aliquot";
  std::string field_manager = "aliquot";      // who creates, updates and patches
  std::chrono::milliseconds timeout{15'000};  // of a request with its repetitions
  std::size_t page = 500;                     // objects asked for at once
  std::chrono::seconds watch_least{300};      // the server ends a watch after a random time
  std::chrono::seconds watch_most{600};       // ... between these two, and it is resumed
  std::chrono::milliseconds backoff_least{500};
  std::chrono::milliseconds backoff_most{30'000};
  // A lost watch is resumed silently for so long; then OnUnavailable.
  std::chrono::milliseconds bridge{10'000};
  std::size_t connections = 32;  // a watch takes one
};

// What the client did since its start, for metrics.
struct ApiStats {
  std::uint64_t requests = 0;  // sent, with repetitions and starts of watches
  std::uint64_t failures = 0;  // of them: no answer, or a status from 400
  std::uint64_t relists = 0;   // lists that a watch made after its first
  std::uint64_t resumes = 0;   // watches resumed where they had stopped
};

// The API of a real server, over HTTP/1.1 on one thread (see http::Client for what it does not do).
// Answers are parsed on that thread. A watch costs one connection; it follows bookmarks, resumes
// from the last resourceVersion when the stream ends or breaks, and lists anew on 410. Token and
// certificate files are read again when they change, and on 401.
//
// Beyond the codes of kube::Client: kFailedPrecondition if the server's certificate is not
// acceptable, kResourceExhausted for an answer above 64 MiB or an object of a list above 8 MiB (a
// list has no limit), kDataLoss for one that is no JSON.
//
// Executors given to it and `clock` must outlive it and its watches.
class ApiClient final : public Client {
 public:
  // Does not connect yet. kNotFound and the like if a credential file cannot be read,
  // kInvalidArgument if one makes no sense.
  static Result<std::unique_ptr<ApiClient>> Create(Access access, ApiOptions options,
                                                   const Clock& clock,
                                                   Random random = SystemRandom());
  ~ApiClient() override;

  // Thread-safe.
  ApiStats stats() const;

  void Get(const Ref& ref, Executor& on, Done<Object> done) override;
  void List(const Selection& selection, Executor& on, Done<std::vector<Object>> done) override;
  void Create(const Resource& resource, const std::string& ns, Object object, Executor& on,
              Done<Object> done) override;
  void Update(const Ref& ref, Object object, Executor& on, Done<Object> done) override;
  void Patch(const Ref& ref, PatchType type, boost::json::value patch, Executor& on,
             Done<Object> done) override;
  void Apply(const Ref& ref, const std::string& manager, bool force, Object object, Executor& on,
             Done<Object> done) override;
  void Delete(const Ref& ref, Executor& on, Done<Object> done) override;
  std::unique_ptr<Watch> StartWatch(Selection selection, Executor& on,
                                    WatchHandler& handler) override;

 private:
  explicit ApiClient(std::shared_ptr<ApiCore> core);

  const std::shared_ptr<ApiCore> core_;
};

}  // namespace aliquot::kube
