// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "sim/cuda/device_clock.h"

namespace aliquot::sim::cuda {

// One piece of work on a stream. Everything is guarded by the executor mutex of the process
// (WorkMutex in executor.h), except that `effect` and `host` run without it.
struct Operation {
  enum class Kind {
    kKernel,   // needs SMs, and so the context's turn
    kCopyIn,   // a copy engine, host to device
    kCopyOut,  // a copy engine, device to host
    kInstant,  // takes no time: markers, events, frees
    kPoll,     // waits until `ready` says so
    kHost,     // runs `host` on the context's callback thread
  };
  enum class State { kQueued, kRunning, kDone };

  Kind kind = Kind::kInstant;
  State state = State::kQueued;
  DeviceTime duration = 0;  // alone on the GPU
  double demand = 1.0;      // kernels: part of the SMs it fills
  DeviceTime enqueued = 0;
  DeviceTime ready_at = 0;   // all before it was done
  DeviceTime remaining = 0;  // kernels, once resident
  DeviceTime end = 0;        // copies, once started
  DeviceTime done_at = 0;
  std::vector<std::shared_ptr<Operation>> after;  // of other streams
  std::function<void()> effect;                   // what it does, when its time is over
  std::function<bool()> ready;
  std::function<void()> host;

  bool done() const { return state == State::kDone; }
};
using OperationPtr = std::shared_ptr<Operation>;

// The queue behind a stream. Guarded like Operation.
struct WorkQueue {
  int priority = 0;  // smaller goes first
  std::deque<OperationPtr> queue;
  OperationPtr last;  // most recently enqueued; may be done
  DeviceTime last_done = 0;
};

}  // namespace aliquot::sim::cuda
