// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/executor.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <utility>

namespace aliquot::sim::cuda {
namespace {

// How often a stream that waits for a value in memory looks at it.
constexpr DeviceTime kPollInterval = 500'000;

// A thread of ours never takes signals of the program.
std::thread StartQuietly(std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

Executor::Executor(WorkMutex& work, std::unique_ptr<Seat> seat, const DeviceClock& clock,
                   std::function<void(DeviceTime)> on_busy)
    : work_(work), seat_(std::move(seat)), clock_(clock), on_busy_(std::move(on_busy)) {
  const Lock lock(work_.mutex);
  work_.executors.push_back(this);
  thread_ = StartQuietly([this] { Run(); });
}

Executor::~Executor() {
  {
    const Lock lock(work_.mutex);
    stopping_ = true;
    std::erase(work_.executors, this);
    callback_due_.notify_all();
  }
  seat_->Wake();
  thread_.join();
  if (callback_thread_) callback_thread_->join();
  const Lock lock(work_.mutex);
  const DeviceTime now = clock_.Now();
  for (const auto& queue : queues_) {
    for (const OperationPtr& operation : queue->queue) {
      operation->state = Operation::State::kDone;
      operation->done_at = now;
    }
    queue->queue.clear();
  }
  work_.done.notify_all();
  for (Executor* other : work_.executors) other->Wake();
}

std::shared_ptr<WorkQueue> Executor::AddQueue(int priority) {
  auto queue = std::make_shared<WorkQueue>();
  queue->priority = priority;
  queues_.push_back(queue);
  std::stable_sort(queues_.begin(), queues_.end(),
                   [](const auto& a, const auto& b) { return a->priority < b->priority; });
  return queue;
}

void Executor::RemoveQueue(const std::shared_ptr<WorkQueue>& queue) {
  if (queue->queue.empty()) {
    std::erase(queues_, queue);
    return;
  }
  // The last operation takes the queue with it.
  auto last = std::make_shared<Operation>();
  last->effect = [this, queue] {
    const Lock lock(work_.mutex);
    std::erase(queues_, queue);
  };
  Enqueue(*queue, std::move(last));
}

void Executor::Enqueue(WorkQueue& queue, OperationPtr operation) {
  operation->enqueued = clock_.Now();
  // What is done already need not be remembered, or chains of the past would never be freed.
  std::erase_if(operation->after, [](const OperationPtr& o) { return o->done(); });
  queue.last = operation;
  queue.queue.push_back(std::move(operation));
  Wake();
}

std::vector<OperationPtr> Executor::Outstanding() const {
  std::vector<OperationPtr> last;
  for (const auto& queue : queues_) {
    if (!queue->queue.empty()) last.push_back(queue->queue.back());
  }
  return last;
}

void Executor::Run() {
  // Kernels are tens of microseconds long; the default slack would round waits up to 50 more.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  Lock lock(work_.mutex);
  while (!stopping_) {
    const std::uint32_t seen = seat_->Word();
    const DeviceTime next = Step(lock, clock_.Now());
    if (stopping_) break;
    lock.unlock();
    seat_->Wait(seen, next);
    lock.lock();
  }
}

void Executor::RunCallbacks() {
  Lock lock(work_.mutex);
  while (!stopping_) {
    if (callbacks_.empty()) {
      callback_due_.wait(lock);
      continue;
    }
    const OperationPtr operation = callbacks_.front();
    callbacks_.pop_front();
    lock.unlock();
    operation->host();
    lock.lock();
    // From here on it is an operation that is ready; the executor finishes it.
    operation->ready = [] { return true; };
    Wake();
  }
}

void Executor::Finish(Lock& lock, const OperationPtr& operation, DeviceTime at) {
  if (operation->effect) {
    lock.unlock();
    operation->effect();
    lock.lock();
    operation->effect = nullptr;
  }
  operation->state = Operation::State::kDone;
  operation->done_at = at;
  operation->after.clear();
  operation->ready = nullptr;
  operation->host = nullptr;
  for (const auto& queue : queues_) {
    if (!queue->queue.empty() && queue->queue.front() == operation) {
      queue->queue.pop_front();
      queue->last_done = at;
      break;
    }
  }
  work_.done.notify_all();
  for (Executor* other : work_.executors) {
    if (other != this) other->Wake();
  }
}

DeviceTime Executor::Step(Lock& lock, DeviceTime now) {
  for (;;) {
    DeviceTime next = kNever;
    if (StartHeads(lock, now, next)) continue;
    if (FinishCopies(lock, now, next)) continue;
    if (stopping_ || !AdvanceKernels(lock, now, next)) return next;
  }
}

// True if something was done, so that more may be due.
bool Executor::StartHeads(Lock& lock, DeviceTime now, DeviceTime& next) {
  for (const auto& queue : queues_) {
    if (queue->queue.empty()) continue;
    const OperationPtr operation = queue->queue.front();
    if (operation->state == Operation::State::kRunning) {
      if (operation->kind == Operation::Kind::kHost && operation->ready) {
        Finish(lock, operation, now);
        return true;
      }
      continue;
    }
    DeviceTime ready_at = std::max(operation->enqueued, queue->last_done);
    bool blocked = false;
    for (const OperationPtr& other : operation->after) {
      blocked = blocked || !other->done();
      ready_at = std::max(ready_at, other->done_at);
    }
    if (blocked) continue;
    operation->ready_at = ready_at;
    switch (operation->kind) {
      case Operation::Kind::kInstant:
        Finish(lock, operation, ready_at);
        return true;
      case Operation::Kind::kPoll:
        if (operation->ready()) {
          Finish(lock, operation, now);
          return true;
        }
        next = std::min(next, now + kPollInterval);
        break;
      case Operation::Kind::kHost:
        operation->state = Operation::State::kRunning;
        callbacks_.push_back(operation);
        if (!callback_thread_) callback_thread_ = StartQuietly([this] { RunCallbacks(); });
        callback_due_.notify_one();
        break;
      case Operation::Kind::kCopyIn:
      case Operation::Kind::kCopyOut: {
        DeviceTime& lane = lane_free_[operation->kind == Operation::Kind::kCopyIn ? 0 : 1];
        operation->end = std::max(ready_at, lane) + operation->duration;
        lane = operation->end;
        operation->state = Operation::State::kRunning;
        copies_.push_back(operation);
        break;
      }
      case Operation::Kind::kKernel:
        operation->remaining = std::max<DeviceTime>(operation->duration, 1);
        operation->state = Operation::State::kRunning;
        waiting_.push_back(operation);
        break;
    }
  }
  return false;
}

bool Executor::FinishCopies(Lock& lock, DeviceTime now, DeviceTime& next) {
  for (const OperationPtr& copy : copies_) {
    if (copy->end > now) {
      next = std::min(next, copy->end);
      continue;
    }
    const OperationPtr finished = copy;
    std::erase(copies_, finished);
    Finish(lock, finished, finished->end);
    return true;
  }
  return false;
}

// Puts kernels that are ready at the cursor on the SMs while they fit, in order of streams.
void Executor::AdmitKernels() {
  double used = 0;
  for (const OperationPtr& kernel : resident_) used += kernel->demand;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if ((*it)->ready_at > cursor_ || (used > 0 && used + (*it)->demand > 1.0 + 1e-9)) {
      ++it;
      continue;
    }
    used += (*it)->demand;
    resident_.push_back(*it);
    it = waiting_.erase(it);
  }
}

bool Executor::AdvanceKernels(Lock& lock, DeviceTime now, DeviceTime& next) {
  while (!waiting_.empty() || !resident_.empty()) {
    if (!turn_) {
      DeviceTime since = resident_.empty() ? kNever : cursor_;
      for (const OperationPtr& kernel : waiting_) since = std::min(since, kernel->ready_at);
      turn_ = seat_->Acquire(since);
      if (!turn_) return false;  // Wait looks after the holder
      cursor_ = turn_->start;
    }
    if (cursor_ >= turn_->end) {
      turn_ = seat_->Continue(turn_->end);
      if (!turn_) return false;
      cursor_ = std::max(cursor_, turn_->start);
      continue;
    }
    AdmitKernels();
    DeviceTime until = turn_->end;
    for (const OperationPtr& kernel : resident_) {
      until = std::min(until, cursor_ + kernel->remaining);
    }
    for (const OperationPtr& kernel : waiting_) {
      if (kernel->ready_at > cursor_) until = std::min(until, kernel->ready_at);
    }
    if (cursor_ >= now) {
      next = std::min(next, until);
      return false;
    }
    const DeviceTime passed = std::min(until, now) - cursor_;
    cursor_ += passed;
    if (!resident_.empty()) {
      seat_->AddBusy(passed);
      on_busy_(passed);
    }
    for (const OperationPtr& kernel : resident_) kernel->remaining -= passed;
    const auto finished = std::find_if(resident_.begin(), resident_.end(),
                                       [](const OperationPtr& k) { return k->remaining <= 0; });
    if (finished != resident_.end()) {
      const OperationPtr kernel = *finished;
      resident_.erase(finished);
      Finish(lock, kernel, cursor_);
      return true;  // what waited for it may start at this very moment
    }
  }
  if (turn_) {
    seat_->Release(std::min(cursor_, turn_->end));
    turn_.reset();
  }
  return false;
}

}  // namespace aliquot::sim::cuda
