// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "sim/cuda/operation.h"
#include "sim/cuda/seats.h"

namespace aliquot::sim::cuda {

class Executor;

// What the executors of one process have in common: the mutex that guards all operations and
// queues, the signal that some operation is done, and who else must look again then. One for the
// process, so that streams of several contexts can wait for each other.
struct WorkMutex {
  std::mutex mutex;
  std::condition_variable done;
  std::vector<Executor*> executors;
};

// Carries out the work of one context on a thread of its own, in simulated time. Kernels wait for
// the context's turn at its engine; kernels of different streams run side by side while they fit
// the SMs; copies between host and device run beside them, one in each direction. Times of
// completion are exact on the simulated clock even if the thread wakes late.
class Executor {
 public:
  // `on_busy` hears how long its kernels had the GPU, bit by bit, on the executor's thread with the
  // work mutex held.
  Executor(WorkMutex& work, std::unique_ptr<Seat> seat, const DeviceClock& clock,
           std::function<void(DeviceTime)> on_busy);
  // Gives up what is not done; waiters see it as done.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const DeviceClock& clock() const { return clock_; }
  // The rest needs the work mutex.
  std::shared_ptr<WorkQueue> AddQueue(int priority);
  // Its operations are still carried out.
  void RemoveQueue(const std::shared_ptr<WorkQueue>& queue);
  void Enqueue(WorkQueue& queue, OperationPtr operation);
  // The last operation of each queue that still has some.
  std::vector<OperationPtr> Outstanding() const;
  void Wake() { seat_->Wake(); }

 private:
  using Lock = std::unique_lock<std::mutex>;
  void Run();
  void RunCallbacks();
  // Does all that is due at `now`; returns when to look again.
  DeviceTime Step(Lock& lock, DeviceTime now);
  bool StartHeads(Lock& lock, DeviceTime now, DeviceTime& next);
  bool FinishCopies(Lock& lock, DeviceTime now, DeviceTime& next);
  bool AdvanceKernels(Lock& lock, DeviceTime now, DeviceTime& next);
  void AdmitKernels();
  void Finish(Lock& lock, const OperationPtr& operation, DeviceTime at);

  WorkMutex& work_;
  std::unique_ptr<Seat> seat_;
  DeviceClock clock_;
  const std::function<void(DeviceTime)> on_busy_;
  bool stopping_ = false;
  std::vector<std::shared_ptr<WorkQueue>> queues_;
  std::vector<OperationPtr> copies_;    // running
  std::vector<OperationPtr> waiting_;   // kernels at the head of their stream
  std::vector<OperationPtr> resident_;  // kernels on the SMs, or switched out with the context
  DeviceTime lane_free_[2] = {0, 0};
  std::optional<Seat::Turn> turn_;
  DeviceTime cursor_ = 0;  // within turn_: kernels are simulated up to here
  std::deque<OperationPtr> callbacks_;
  std::condition_variable callback_due_;
  std::optional<std::thread> callback_thread_;
  std::thread thread_;
};

}  // namespace aliquot::sim::cuda
