// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/gpu_observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "gpu/gpu_probe.h"

namespace aliquot::gpu {
namespace {

// Events handled in one step before anything is published, so that a storm becomes few updates.
constexpr int kMaxEventsPerStep = 256;

std::vector<std::string> WorkingGpus(const Inventory& inventory,
                                     const std::vector<LostDevice>& lost) {
  std::vector<std::string> uuids;
  for (const Gpu& gpu : inventory.gpus) {
    const bool is_lost = std::any_of(lost.begin(), lost.end(),
                                     [&](const LostDevice& l) { return l.uuid == gpu.uuid; });
    if (!is_lost) uuids.push_back(gpu.uuid);
  }
  return uuids;
}

}  // namespace

GpuObserver::GpuObserver(DriverSource& source, ObserverOptions options, const Clock& clock,
                         const Logger& log, CallTracker& tracker, GpuMonitorListener& listener)
    : source_(source),
      options_(std::move(options)),
      clock_(clock),
      log_(log),
      tracker_(tracker),
      listener_(listener),
      reader_(options_.files),
      health_(clock, options_.policy, options_.health),
      next_poll_(clock.Now()),
      next_full_(clock.Now()),
      next_events_(clock.Now()),
      retry_(options_.retry_min) {}

GpuObserver::~GpuObserver() { Disconnect(); }

Clock::Duration GpuObserver::Step(Clock::Duration max_wait) {
  if (clock_.Now() >= next_poll_) Poll();
  Clock::TimePoint next = next_poll_;
  if (process_interval_ > Clock::Duration::zero()) {
    if (clock_.Now() >= next_processes_) LookAtProcesses();
    next = std::min(next, next_processes_);
  }
  const Clock::Duration until_next = std::max(next - clock_.Now(), Clock::Duration::zero());
  const Clock::Duration wait = std::min(max_wait, until_next);
  if (connection_ == nullptr || !connection_->events) return wait;
  return WaitForEvents(wait) ? Clock::Duration::zero() : wait;
}

void GpuObserver::Run(const DriverJob& job) {
  const Status connected = connection_ == nullptr ? Connect() : Status();
  if (connected.ok()) {
    if (job.alone) {
      connection_->events.reset();
      connection_->session.reset();
    }
    job.run(&connection_->api, [this] {
      if (connection_->events) WaitForEvents(Clock::Duration::zero());
    });
    if (job.alone) Disconnect();
  } else {
    job.run(connected.error(), [] {});
  }
  RequestRefresh();
  Poll();
  job.done();
}

Status GpuObserver::Connect() {
  tracker_.Begin("dlopen");
  Result<std::unique_ptr<Driver>> driver = source_.Load();
  tracker_.End();
  if (!driver.ok()) return driver.error();
  NvmlApi api = tracker_.Watch((*driver)->api());
  connection_ = std::make_unique<Connection>(*std::move(driver), std::move(api));
  Result<NvmlSession> session = NvmlSession::Open(connection_->api, ++generation_);
  if (!session.ok()) {
    const Error error = session.error().In(connection_->driver->path());
    Disconnect();
    return error;
  }
  connection_->session.emplace(std::move(session).value());
  next_events_ = next_full_ = clock_.Now();
  return {};
}

void GpuObserver::Disconnect() { connection_.reset(); }

Status GpuObserver::Refresh() {
  const bool full = clock_.Now() >= next_full_;
  Result<Inventory> fresh =
      reader_.Read(connection_->api, generation_, connection_->driver->simulated_node(),
                   full ? InventoryReader::Look::kFull : InventoryReader::Look::kQuick);
  if (!fresh.ok()) return fresh.error();
  if (full) next_full_ = clock_.Now() + options_.full_interval;
  const std::vector<BrokenGpu> broken_before =
      inventory_ ? inventory_->broken : std::vector<BrokenGpu>();
  InventoryKeeper::Merged merged = keeper_.Merge(*std::move(fresh));
  health_.SetInventory(merged.inventory, merged.lost);
  for (const BrokenGpu& gpu : merged.inventory.broken) {
    if (std::find(broken_before.begin(), broken_before.end(), gpu) != broken_before.end()) continue;
    log_.Warning("gpu left out", {{"index", fmt::to_string(gpu.index)},
                                  {"gpu", gpu.uuid},
                                  {"bus_id", gpu.bus_id},
                                  {"reason", gpu.reason}});
  }
  const std::vector<std::string> working = WorkingGpus(merged.inventory, merged.lost);
  if (connection_->events && connection_->events->gpu_uuids() != working) {
    connection_->events.reset();
    next_events_ = clock_.Now();
  }
  if (unavailable_ || !ever_available_) {
    log_.Info("driver available", {{"library", connection_->driver->path()},
                                   {"driver", merged.inventory.driver_version},
                                   {"gpus", fmt::to_string(merged.inventory.gpus.size())},
                                   {"simulated_node", merged.inventory.simulated_node}});
    unavailable_.reset();
    ever_available_ = true;
    listener_.OnDriverAvailable();
  }
  // First, so that no event of a GPU is missed once it is offered.
  if (!connection_->events && clock_.Now() >= next_events_) WatchEvents(working);
  if (!inventory_ || *inventory_ != merged.inventory) {
    inventory_ = std::make_shared<const Inventory>(std::move(merged.inventory));
    listener_.OnInventory(inventory_);
  }
  return {};
}

Status GpuObserver::RefreshOrReconnect() {
  const bool was_connected = connection_ != nullptr;
  if (!was_connected) {
    if (Status s = Connect(); !s.ok()) return s;
  }
  Status status = Refresh();
  if (status.ok() || !was_connected) return status;
  log_.Warning("driver opened again", {{"reason", status.error().message}});
  Disconnect();
  if (Status s = Connect(); !s.ok()) return s;
  return Refresh();
}

void GpuObserver::Poll() {
  const Status status = RefreshOrReconnect();
  if (status.ok()) {
    retry_ = options_.retry_min;
    next_poll_ = clock_.Now() + options_.poll_interval;
    Probe();
    PublishHealth();
    return;
  }
  Disconnect();
  next_poll_ = clock_.Now() + retry_;
  retry_ = std::min(2 * retry_, options_.retry_cap);
  health_.SetDriverUnavailable(status.error().message);
  if (unavailable_ != status.error()) {
    log_.Warning("driver unavailable", {{"reason", status.error().message}});
    unavailable_ = status.error();
    listener_.OnDriverUnavailable(*unavailable_);
  }
  PublishHealth();
}

void GpuObserver::WatchEvents(std::vector<std::string> uuids) {
  Result<EventWatch> watch = EventWatch::Create(connection_->api, std::move(uuids), log_);
  if (watch.ok()) {
    connection_->events.emplace(std::move(watch).value());
    return;
  }
  log_.Warning("gpu events not watched", {{"reason", watch.error().message}});
  next_events_ = clock_.Now() + options_.poll_interval;
}

void GpuObserver::Probe() {
  for (const std::string& uuid : health_.GpusToProbe()) {
    const Result<ProbeResult> result = ProbeGpu(connection_->api, uuid);
    if (!result.ok()) {
      // The driver went away in this moment, and the next look will find out more. Not at once,
      // lest a driver that contradicts itself keep us busy.
      next_poll_ = clock_.Now() + options_.retry_min;
      return;
    }
    health_.OnProbe(uuid, *result);
  }
}

void GpuObserver::WatchProcesses(Clock::Duration interval) {
  if (interval == process_interval_) return;
  process_interval_ = interval;
  next_processes_ = clock_.Now();
  sample_marks_.clear();  // nobody looked for a while
}

void GpuObserver::LookAtProcesses() {
  next_processes_ = clock_.Now() + process_interval_;
  if (connection_ == nullptr || !inventory_) return;
  Result<ProcessSnapshot> found =
      ReadProcesses(connection_->api, *inventory_, clock_.Now(), &sample_marks_);
  if (!found.ok()) {
    // The driver went away in this moment; as after a probe, not at once.
    next_poll_ = std::min(next_poll_, clock_.Now() + options_.retry_min);
    return;
  }
  listener_.OnProcesses(std::make_shared<const ProcessSnapshot>(*std::move(found)));
}

bool GpuObserver::WaitForEvents(Clock::Duration timeout) {
  bool any = false;
  for (int i = 0; i < kMaxEventsPerStep && connection_ && connection_->events; ++i) {
    const auto wait =
        std::chrono::ceil<std::chrono::milliseconds>(i == 0 ? timeout : Clock::Duration());
    const Result<std::optional<GpuEvent>> event = connection_->events->Wait(wait);
    if (!event.ok()) {
      // Says nothing about any one GPU. A look at all of them does; waiting is tried again later.
      log_.Warning("gpu event wait failed", {{"reason", event.error().message}});
      connection_->events.reset();
      next_events_ = clock_.Now() + options_.poll_interval;
      next_poll_ = clock_.Now();
      any = true;
      break;
    }
    if (!event->has_value()) break;
    any = true;
    HandleEvent(**event);
  }
  if (any) PublishHealth();
  return any || timeout > Clock::Duration::zero();
}

void GpuObserver::HandleEvent(const GpuEvent& event) {
  if (event.type == abi::kEventMigConfigChange) {
    RequestRefresh();
    return;
  }
  if (event.type != abi::kEventXidCritical) return;
  if (!event.gpu_uuid) {
    log_.Warning("xid of an unknown gpu", {{"xid", fmt::to_string(event.data)}});
    return;
  }
  HandleXid(event);
}

void GpuObserver::HandleXid(const GpuEvent& event) {
  const XidEvent xid{*event.gpu_uuid, event.data, event.gi_id, event.ci_id};
  health_.CountXid(xid);
  HealthTracker::XidOutcome outcome = health_.OnXid(xid);
  if (outcome == HealthTracker::XidOutcome::kUnknownDevice) {
    // Perhaps an instance that was created since the last look.
    Poll();
    outcome = health_.OnXid(xid);
  }
  const char* effect = outcome == HealthTracker::XidOutcome::kMarked    ? "unhealthy"
                       : outcome == HealthTracker::XidOutcome::kIgnored ? "ignored"
                                                                        : "unknown device";
  log_.Warning("xid", {{"gpu", xid.gpu_uuid},
                       {"xid", fmt::to_string(xid.xid)},
                       {"gi", xid.gi_id ? fmt::to_string(*xid.gi_id) : ""},
                       {"ci", xid.ci_id ? fmt::to_string(*xid.ci_id) : ""},
                       {"effect", effect}});
}

void GpuObserver::PublishHealth() {
  HealthSnapshot now = health_.Snapshot();
  if (snapshot_ && *snapshot_ == now) return;
  static const HealthSnapshot kNothing;
  const HealthSnapshot& before = snapshot_ ? *snapshot_ : kNothing;
  for (const auto& [uuid, health] : now.unhealthy) {
    const auto old = before.unhealthy.find(uuid);
    if (old != before.unhealthy.end() && old->second.reason == health.reason) continue;
    log_.Warning("device unhealthy", {{"device", uuid}, {"reason", health.reason}});
  }
  for (const auto& [uuid, health] : before.unhealthy) {
    if (!now.unhealthy.contains(uuid)) log_.Info("device healthy again", {{"device", uuid}});
  }
  snapshot_ = std::make_shared<const HealthSnapshot>(std::move(now));
  listener_.OnHealth(snapshot_);
}

}  // namespace aliquot::gpu
