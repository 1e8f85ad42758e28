// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "kube/backoff.h"
#include "kube/client.h"

namespace aliquot::kube {

struct LeaseOptions {
  std::string ns;
  std::string name;
  // Of this process and no other: the pod's name, for instance. A process that comes back with the
  // same identity takes its own lease up again.
  std::string identity;
  // Others take the lease so long after they last saw it change.
  std::chrono::milliseconds duration{15'000};
  // A leader that could not renew for so long stops leading; less than `duration`, so that it has
  // stopped before another begins, whatever the network does.
  std::chrono::milliseconds renew_deadline{10'000};
  // Between attempts; followers wait up to 1.2 times longer at random.
  std::chrono::milliseconds retry_period{2'000};
};

// Sees to it that one of several processes leads, by a coordination.k8s.io/v1 Lease. Times in the
// lease are for people: whether a lease still holds is judged by how long ago its change was seen
// on the own monotonic clock, so clocks may disagree. A leader that fails to renew stops leading
// and competes again. Everything runs on `executor`, the callbacks, too.
class LeaderElection {
 public:
  struct Callbacks {
    std::function<void()> started;                           // this process leads now
    std::function<void()> stopped;                           // it does not any more
    std::function<void(const std::string& holder)> changed;  // somebody else leads; may be empty
  };

  // kInvalidArgument unless retry_period < renew_deadline < duration and the names are set.
  // Client, executor and clock must outlive it.
  static Result<std::unique_ptr<LeaderElection>> Create(Client& client, Executor& executor,
                                                        const Clock& clock, LeaseOptions options,
                                                        Callbacks callbacks,
                                                        Random random = SystemRandom());
  // No callback afterwards; a lease that is held runs out by itself.
  ~LeaderElection();
  LeaderElection(const LeaderElection&) = delete;
  LeaderElection& operator=(const LeaderElection&) = delete;

  // Begins to compete.
  void Start();
  // Competes no more. A leader's `stopped` runs first, then the lease is given up so that others
  // need not wait; `done` runs when that is answered, well or not. Do what leading means to end
  // before: after the release another may begin at once.
  void Stop(std::function<void()> done);
  bool leading() const;

 private:
  class Impl;
  explicit LeaderElection(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl> impl_;
};

}  // namespace aliquot::kube
