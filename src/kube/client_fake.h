// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kube/client.h"
#include "kube/fake_cluster.h"

namespace aliquot::kube {

// A client on a FakeCluster in the same process, without a network: what it promises is what
// kube::Client promises, and it can be made to fail. Answers and watch events are posted to the
// given executor. Thread-safe. `cluster` must outlive it and its watches.
class FakeClient final : public Client {
 public:
  // How long a watch that fails waits before its next attempt, on the executor's time.
  static constexpr std::chrono::seconds kWatchRetry{1};

  explicit FakeClient(FakeCluster& cluster, std::string manager = "aliquot");
  ~FakeClient() override;

  // The next `times` requests with this verb ("get", "list", "watch", "create", "update", "patch",
  // "apply", "delete"; "*" = any) on this plural ("nodes"; "*" = any) fail with `error`, without an
  // effect. StartWatch is a "watch"; starting anew after a failure is one, too.
  void FailNext(const std::string& verb, const std::string& plural, Error error,
                std::size_t times = 1);
  // Everything fails with `error` and running watches break, until SetAvailable.
  void SetUnavailable(Error error = {Code::kUnavailable, "connection refused"});
  void SetAvailable();
  // Running watches lose their stream with `error` (OnUnavailable) and begin anew after
  // kWatchRetry. A short interruption that the real client bridges is no event at all.
  void BreakWatches(const Error& error);
  // Running watches are told 410 and begin anew at once: OnSync again.
  void ExpireWatches();

  // How many requests of this kind were made so far, failed ones included; "*" as above.
  std::size_t Count(const std::string& verb, const std::string& plural) const;

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
  class Gate;
  class Stream;
  class Handle;

  template <typename T>
  void Answer(Executor& on, Done<T> done, Result<T> result);
  std::vector<std::shared_ptr<Stream>> Streams();

  FakeCluster& cluster_;
  const std::string manager_;
  const std::shared_ptr<Gate> gate_;  // failures and counts, shared with the watches
  const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::mutex mutex_;  // guards streams_: watches are started from any thread
  std::vector<std::weak_ptr<Stream>> streams_;
};

}  // namespace aliquot::kube
