// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "arbiter/scheduler.h"

namespace aliquot::arbiter::testing {

// What one process does with the GPU.
struct Load {
  enum class Kind {
    kAsync,    // submits as fast as it may, never waits
    kSync,     // submits `batch` kernels, waits for them, then does `gap` of something else
    kPoisson,  // requests of `batch` kernels arriving at `rate_per_second`, one after another
  };
  std::uint64_t tenant = 0;
  Kind kind = Kind::kAsync;
  Nanos kernel = std::chrono::microseconds(200);
  int batch = 1;
  Nanos gap{0};
  Nanos launch{0};  // host time per submission; 0: as GpuConstants
  double rate_per_second = 0;
  Nanos start{0};
  Nanos stop = std::chrono::hours(1);
  // Works for `on`, then rests for `off`, over and over; on = 0: always works.
  Nanos on{0};
  Nanos off{0};
  double estimate_factor = 1;  // how wrong its own predictions are
  bool silent = false;         // its status page always claims that it does nothing
};

// Measured on data-centre GPUs, or assumed where docs/arbiter.md says so.
struct GpuConstants {
  Nanos slice = std::chrono::microseconds(1024);
  Nanos switch_busy = std::chrono::microseconds(100);  // away from a kernel in the middle
  Nanos switch_idle = std::chrono::microseconds(20);
  Nanos launch = std::chrono::microseconds(5);  // host time per submission
  Nanos wake = std::chrono::microseconds(40);   // from a gate that opens to a launch
  Nanos ring = std::chrono::microseconds(40);   // from a ring to the scheduler's step
  // Between two looks of a process at its full cap; 0: it sees work complete as it happens.
  Nanos nap{0};
};

// A GPU that executes one context at a time in round-robin slices, with the processes that feed it
// and, optionally, a scheduler that holds them back. Advances from event to event.
class GpuModel {
 public:
  // `scheduler` knows the tenants of `loads`; process i of it is loads[i]. Null: nobody is held
  // back. It must outlive the model.
  GpuModel(const std::vector<Load>& loads, Scheduler* scheduler, GpuConstants constants = {});

  void RunUntil(Nanos end);
  // Kills a process as SIGKILL does: its queue is gone.
  void Kill(std::size_t process);

  Nanos now() const { return now_; }
  // GPU time spent on kernels of a tenant so far.
  Nanos Busy(std::uint64_t tenant) const;
  Nanos BusyOf(std::size_t process) const { return processes_[process].busy; }
  // From arrival to completion of each finished request of a process.
  const std::vector<Nanos>& Latencies(std::size_t process) const {
    return processes_[process].latencies;
  }
  std::uint64_t steps() const { return steps_; }  // of the scheduler

 private:
  struct Kernel {
    Nanos remaining;
    Nanos estimate;
    std::optional<Nanos> arrival;  // last of a request that arrived then
  };
  struct Request {
    Nanos arrival;
    int left;
  };
  struct Process {
    Load load;
    std::deque<Kernel> queue;
    Nanos estimate_in_flight{0};
    Nanos completed{0};
    std::uint64_t launches = 0;
    bool rung = false;  // since the gate last changed
    bool gate_open = true;
    Nanos busy{0};
    Nanos ready{0};  // when the host side may act again
    int left = 0;    // kSync: kernels still to submit; at 0 it waits for the queue to empty
    std::deque<Request> requests;
    Nanos next_arrival{0};
    std::vector<Nanos> latencies;
    bool dead = false;
    bool blocked = false;
    bool naps = false;  // at its cap, until `ready`
    Nanos idle_since{0};
  };

  bool Works(const Process& process) const;
  bool Waits(const Process& process) const;
  Nanos Rested(const Process& process) const;
  Nanos NextWork(const Process& process) const;
  bool WantsToSubmit(Process& process);
  void Submit(std::size_t index);
  void RunHosts();
  void RunGpu(Nanos until);
  void FinishKernel(Process& process);
  std::optional<std::size_t> NextContext() const;
  Nanos NextGpuEvent() const;
  void StepScheduler();
  Nanos NextHostEvent() const;

  const GpuConstants constants_;
  Scheduler* const scheduler_;
  std::vector<Process> processes_;
  std::mt19937_64 random_{7};
  Nanos now_{0};
  std::optional<std::size_t> current_;
  Nanos slice_left_{0};
  Nanos switching_{0};
  std::optional<Nanos> ring_at_;
  Nanos looked_{0};  // at every process
  std::uint64_t steps_ = 0;
};

}  // namespace aliquot::arbiter::testing
