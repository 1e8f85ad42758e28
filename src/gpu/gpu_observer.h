// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "gpu/call_tracker.h"
#include "gpu/driver_source.h"
#include "gpu/event_watch.h"
#include "gpu/health.h"
#include "gpu/host_files.h"
#include "gpu/inventory.h"
#include "gpu/inventory_keeper.h"
#include "gpu/inventory_reader.h"
#include "gpu/nvml_session.h"
#include "gpu/process_reader.h"

namespace aliquot::gpu {

// A driver call that takes suspiciously long.
struct HangReport {
  std::string call;            // "nvmlDeviceGetMemoryInfo"
  Clock::Duration duration{};  // so far, or in all
  bool returned = false;       // false: still in progress

  friend bool operator==(const HangReport&, const HangReport&) = default;
};

// Receives what is seen of the node's GPUs. Called on the driver thread, OnHang on the executor
// given to GpuMonitor; implementations only post.
class GpuMonitorListener {
 public:
  virtual ~GpuMonitorListener() = default;
  // The inventory differs from the last one given. It contains lost devices with their last good
  // value; OnHealth says that they are unhealthy.
  virtual void OnInventory(std::shared_ptr<const Inventory> inventory) = 0;
  // There is no driver to ask; repeated only when the error changes. The next OnInventory or
  // OnDriverAvailable ends it. Devices known so far have been reported unhealthy.
  virtual void OnDriverUnavailable(const Error& error) = 0;
  // A driver answers again (or for the first time). Comes before the first OnInventory.
  virtual void OnDriverAvailable() = 0;
  // Health or event counters differ from the last ones given.
  virtual void OnHealth(std::shared_ptr<const HealthSnapshot> health) = 0;
  // Repeated with the growing duration while the call does not return.
  virtual void OnHang(const HangReport& report) = 0;
  // A look at who uses the GPUs; only while asked for (GpuObserver::WatchProcesses). Nothing comes
  // while there is no driver.
  virtual void OnProcesses(std::shared_ptr<const ProcessSnapshot>) {}
};

// Work for the driver thread beside watching: what changes the GPUs does so here, so that nothing
// of this process talks to the driver at the same time.
struct DriverJob {
  // Handles the events that came meanwhile; to be called now and then by what takes long.
  using Breathe = std::function<void()>;
  // The driver is loaded, but a session is the job's own affair. An error if there is no driver.
  std::function<void(const Result<const NvmlApi*>& api, const Breathe& breathe)> run;
  // Once what the job left behind has been looked at and told to the listener.
  std::function<void()> done;
  // Closes the watching session first: an open one counts as a client of every GPU and would keep a
  // reset, and with it a change of the MIG mode, from taking place. Events of that time are lost.
  bool alone = false;
};

struct ObserverOptions {
  HostFiles files;
  HealthPolicy policy;
  HealthOptions health;
  // Quick look at all GPUs (InventoryReader::Look), and probe of unhealthy ones. Events do not wait
  // for it.
  Clock::Duration poll_interval = std::chrono::seconds(5);
  // The look is a full one at least this often, and after every change of MIG that the driver
  // reports.
  Clock::Duration full_interval = std::chrono::seconds(60);
  // While there is no driver, it is tried again after this, then twice as long, up to the cap.
  Clock::Duration retry_min = std::chrono::milliseconds(250);
  Clock::Duration retry_cap = std::chrono::seconds(5);
};

// Everything that happens on the driver thread, without the thread: opens the driver and opens it
// again after a reload, polls, waits for events, keeps health, publishes changes. All calls on one
// thread.
class GpuObserver {
 public:
  // The references must outlive the observer. `tracker` sees every driver call.
  GpuObserver(DriverSource& source, ObserverOptions options, const Clock& clock, const Logger& log,
              CallTracker& tracker, GpuMonitorListener& listener);
  ~GpuObserver();
  GpuObserver(const GpuObserver&) = delete;
  GpuObserver& operator=(const GpuObserver&) = delete;

  // Does what is due, then waits in NVML for events, `max_wait` at most (0: looks only). Returns
  // how long the caller should idle before the next step, again `max_wait` at most.
  Clock::Duration Step(Clock::Duration max_wait);
  // The next step has a full look at all GPUs.
  void RequestRefresh() { next_poll_ = next_full_ = clock_.Now(); }
  // Does the job, then has a full look at all GPUs.
  void Run(const DriverJob& job);
  // From the next step on looks at the processes on all GPUs every `interval`; zero = never.
  void WatchProcesses(Clock::Duration interval);

 private:
  // A driver in use; members are destroyed in reverse order.
  struct Connection {
    Connection(std::unique_ptr<Driver> owned, NvmlApi watched)
        : driver(std::move(owned)), api(std::move(watched)) {}
    std::unique_ptr<Driver> driver;
    NvmlApi api;  // driver->api() seen by the tracker
    std::optional<NvmlSession> session;
    std::optional<EventWatch> events;
  };

  Status Connect();
  void Disconnect();
  Status Refresh();
  // Refresh; connects first if need be and, after a failure, once more with a fresh driver.
  Status RefreshOrReconnect();
  void Poll();
  void WatchEvents(std::vector<std::string> uuids);
  void Probe();
  void LookAtProcesses();
  bool WaitForEvents(Clock::Duration timeout);
  void HandleEvent(const GpuEvent& event);
  void HandleXid(const GpuEvent& event);
  void PublishHealth();

  DriverSource& source_;
  const ObserverOptions options_;
  const Clock& clock_;
  const Logger& log_;
  CallTracker& tracker_;
  GpuMonitorListener& listener_;

  std::unique_ptr<Connection> connection_;
  std::uint64_t generation_ = 0;
  InventoryReader reader_;
  InventoryKeeper keeper_;
  HealthTracker health_;
  std::shared_ptr<const Inventory> inventory_;
  std::shared_ptr<const HealthSnapshot> snapshot_;
  std::optional<Error> unavailable_;  // as last reported
  bool ever_available_ = false;
  Clock::TimePoint next_poll_;    // also the next attempt to connect
  Clock::TimePoint next_full_;    // from here on, looks are full ones
  Clock::TimePoint next_events_;  // earliest attempt to watch events after a failure
  Clock::Duration retry_;
  Clock::Duration process_interval_{};  // zero: nobody wants to know
  Clock::TimePoint next_processes_;
  SampleMarks sample_marks_;
};

}  // namespace aliquot::gpu
