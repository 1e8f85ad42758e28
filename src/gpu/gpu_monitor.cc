// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/gpu_monitor.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace aliquot::gpu {
namespace {

double Seconds(Clock::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

// What the driver thread uses. Owned by it as much as by the monitor, so that a thread stuck in the
// driver finds everything in place should it ever come back.
struct GpuMonitor::Worker final : GpuMonitorListener {
  Worker(std::unique_ptr<DriverSource> driver_source, const MonitorOptions& options,
         const Clock& clock, const Logger& log, GpuMonitorListener& outer)
      : source(std::move(driver_source)),
        tracker(clock, options.hang_after),
        observer(std::in_place, *source, options.observer, clock, log, tracker, *this),
        event_wait(options.event_wait),
        listener(&outer) {}

  void Run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (std::exchange(refresh, false)) observer->RequestRefresh();
      observer->WatchProcesses(process_interval);
      if (!jobs.empty()) {
        const DriverJob job = std::move(jobs.front());
        jobs.pop_front();
        lock.unlock();
        observer->Run(job);
        lock.lock();
        continue;
      }
      lock.unlock();
      const Clock::Duration idle = observer->Step(event_wait);
      lock.lock();
      wake.wait_for(lock, idle, [this] { return stopping || refresh || !jobs.empty(); });
    }
    lock.unlock();
    observer.reset();  // closes the driver on its own thread
    lock.lock();
    finished = true;
    wake.notify_all();
  }

  // Listener calls pass only while the monitor wants them; holding the mutex meanwhile is what lets
  // Stop promise that none is in progress.
  template <typename Call>
  void Forward(Call&& call) {
    std::lock_guard lock(listener_mutex);
    if (listener != nullptr) call(*listener);
  }
  void OnInventory(std::shared_ptr<const Inventory> inventory) override {
    Forward([&](GpuMonitorListener& l) { l.OnInventory(std::move(inventory)); });
  }
  void OnDriverUnavailable(const Error& error) override {
    Forward([&](GpuMonitorListener& l) { l.OnDriverUnavailable(error); });
  }
  void OnDriverAvailable() override {
    Forward([](GpuMonitorListener& l) { l.OnDriverAvailable(); });
  }
  void OnHealth(std::shared_ptr<const HealthSnapshot> health) override {
    Forward([&](GpuMonitorListener& l) { l.OnHealth(std::move(health)); });
  }
  void OnProcesses(std::shared_ptr<const ProcessSnapshot> processes) override {
    Forward([&](GpuMonitorListener& l) { l.OnProcesses(std::move(processes)); });
  }
  void OnHang(const HangReport& report) override {
    Forward([&](GpuMonitorListener& l) { l.OnHang(report); });
  }

  std::unique_ptr<DriverSource> source;
  CallTracker tracker;
  std::optional<GpuObserver> observer;  // only the driver thread, once it runs
  const Clock::Duration event_wait;

  std::mutex listener_mutex;  // guards the pointer during a call
  GpuMonitorListener* listener;

  // Guards what follows: set by the monitor, read by the driver thread, or reverse.
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  bool refresh = false;
  std::deque<DriverJob> jobs;
  Clock::Duration process_interval{};
  bool finished = false;

  std::thread thread;  // only the monitor
};

GpuMonitor::GpuMonitor(std::unique_ptr<DriverSource> source, MonitorOptions options,
                       const Clock& clock, Executor& executor, const Logger& log,
                       GpuMonitorListener& listener)
    : options_(std::move(options)),
      executor_(executor),
      log_(log),
      listener_(listener),
      worker_(std::make_shared<Worker>(std::move(source), options_, clock, log, listener)) {}

GpuMonitor::~GpuMonitor() { Stop(); }

void GpuMonitor::Start() {
  worker_->thread = std::thread([worker = worker_] { worker->Run(); });
  Watchdog();
}

void GpuMonitor::Refresh() {
  std::lock_guard lock(worker_->mutex);
  worker_->refresh = true;
  worker_->wake.notify_all();
}

void GpuMonitor::Run(DriverJob job) {
  std::lock_guard lock(worker_->mutex);
  worker_->jobs.push_back(std::move(job));
  worker_->wake.notify_all();
}

void GpuMonitor::WatchProcesses(Clock::Duration interval) {
  std::lock_guard lock(worker_->mutex);
  worker_->process_interval = interval;
}

bool GpuMonitor::Stop() {
  if (stopped_) return !abandoned_;
  stopped_ = true;
  executor_.Cancel(timer_);
  if (!worker_->thread.joinable()) return true;
  {
    std::unique_lock lock(worker_->mutex);
    worker_->stopping = true;
    worker_->wake.notify_all();
    abandoned_ =
        !worker_->wake.wait_for(lock, options_.stop_timeout, [this] { return worker_->finished; });
  }
  {
    std::lock_guard lock(worker_->listener_mutex);
    worker_->listener = nullptr;
  }
  if (!abandoned_) {
    worker_->thread.join();
    return true;
  }
  const auto call = worker_->tracker.Current();
  log_.Error("driver thread abandoned", {{"call", call ? call->name : ""}});
  // The one detached thread of the agent: it is stuck in the driver and nothing can end it but the
  // end of the process.
  worker_->thread.detach();
  return false;
}

void GpuMonitor::Watchdog() {
  if (const auto slow = worker_->tracker.TakeSlow()) {
    log_.Warning(
        "driver call returned late",
        {{"call", slow->name}, {"seconds", fmt::format("{:.1f}", Seconds(slow->duration))}});
    listener_.OnHang({slow->name, slow->duration, true});
  }
  const auto call = worker_->tracker.Current();
  if (call && call->duration >= options_.hang_after) {
    if (std::exchange(reported_call_, call->id) != call->id) {
      log_.Error(
          "driver call does not return",
          {{"call", call->name}, {"seconds", fmt::format("{:.1f}", Seconds(call->duration))}});
    }
    listener_.OnHang({call->name, call->duration, false});
  }
  timer_ = executor_.PostAfter(options_.hang_after / 4, [this] { Watchdog(); });
}

}  // namespace aliquot::gpu
