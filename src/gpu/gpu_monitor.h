// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "gpu/driver_source.h"
#include "gpu/gpu_observer.h"

namespace aliquot::gpu {

struct MonitorOptions {
  ObserverOptions observer;
  // A driver call that takes longer is reported; some take seconds while a GPU resets.
  Clock::Duration hang_after = std::chrono::seconds(10);
  // The longest wait inside NVML for events, and so the time until a request to stop or refresh is
  // noticed there; nothing can end such a wait early. Each wait costs about 80 us of CPU time,
  // however long it is: 0.03 % of a core. Well below hang_after and stop_timeout.
  Clock::Duration event_wait = std::chrono::milliseconds(250);
  // How long Stop waits for a driver call in progress.
  Clock::Duration stop_timeout = std::chrono::seconds(3);
};

// Runs a GpuObserver on a thread of its own, the driver thread, because driver calls can block; and
// a watchdog on `executor` that notices when one does.
//
// A driver call that never returns cannot be interrupted, so its thread cannot be joined. Stop then
// gives up after stop_timeout, tells the listener nothing more and says so; the thread, the library
// and what they use are left behind, and the process should leave by _exit, which the kernel always
// grants. `clock` and `log` must therefore outlive the process's last use of them; `listener` need
// only outlive Stop.
//
// Start, Stop and destruction on the executor's thread (or before it runs tasks).
class GpuMonitor {
 public:
  GpuMonitor(std::unique_ptr<DriverSource> source, MonitorOptions options, const Clock& clock,
             Executor& executor, const Logger& log, GpuMonitorListener& listener);
  // Stops.
  ~GpuMonitor();
  GpuMonitor(const GpuMonitor&) = delete;
  GpuMonitor& operator=(const GpuMonitor&) = delete;

  // Starts the thread; results come to the listener. Call once.
  void Start();
  // Ends the thread and waits for it: event_wait at most while the driver answers. No
  // listener call is in progress or begins once it returned. False if the thread is stuck in the
  // driver and was abandoned. Further calls return the same.
  bool Stop();
  // Have a full look at all GPUs soon, after event_wait at most. Thread-safe.
  void Refresh();
  // Does the job on the driver thread, after event_wait at most and in the order of calls; dropped
  // if the monitor stops before. A call of its that hangs is noticed as any other. Thread-safe.
  void Run(DriverJob job);
  // Have OnProcesses called every `interval` from now on; zero = no more. Thread-safe.
  void WatchProcesses(Clock::Duration interval);

 private:
  struct Worker;
  void Watchdog();

  const MonitorOptions options_;
  Executor& executor_;
  const Logger& log_;
  GpuMonitorListener& listener_;
  std::shared_ptr<Worker> worker_;  // shared with the driver thread
  Executor::TimerId timer_ = 0;
  std::uint64_t reported_call_ = 0;  // id of the call last logged as hanging
  bool stopped_ = false;
  bool abandoned_ = false;
};

}  // namespace aliquot::gpu
