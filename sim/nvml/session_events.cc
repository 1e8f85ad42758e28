// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>

#include "sim/nvml/session.h"

namespace aliquot::sim {
namespace {

using SteadyClock = std::chrono::steady_clock;

// The set's number, if the handle is one of an event set.
std::optional<std::uint32_t> SetNumber(abi::EventSet set) {
  const std::optional<HandleParts> parts = ReadHandle(set);
  if (!parts || parts->kind != HandleKind::kEventSet) return std::nullopt;
  return parts->serial;
}

}  // namespace

abi::EventSet Session::CreateEventSet() {
  const std::lock_guard lock(mutex_);
  const std::uint32_t number = next_event_set_++;
  event_sets_[number] = {};
  HandleParts parts;
  parts.kind = HandleKind::kEventSet;
  parts.generation = handle_generation();
  parts.serial = number;
  return MakeHandle<abi::EventSet>(parts);
}

int Session::FreeEventSet(abi::EventSet set) {
  const std::optional<std::uint32_t> number = SetNumber(set);
  const std::lock_guard lock(mutex_);
  if (!number || event_sets_.erase(*number) == 0) return abi::kInvalidArgument;
  return abi::kSuccess;
}

int Session::RegisterEvents(abi::EventSet set, unsigned gpu, std::uint64_t types,
                            std::uint64_t first_event) {
  const std::optional<std::uint32_t> number = SetNumber(set);
  const std::lock_guard lock(mutex_);
  const auto found = number ? event_sets_.find(*number) : event_sets_.end();
  if (found == event_sets_.end()) return abi::kInvalidArgument;
  EventSetState& events = found->second;
  if (events.registrations.empty()) events.next_event = first_event;
  events.registrations.push_back({gpu, types, first_event});
  return abi::kSuccess;
}

std::optional<EventState> Session::TakeEvent(const NodeState& state, std::uint32_t set) {
  const std::lock_guard lock(mutex_);
  const auto found = event_sets_.find(set);
  if (found == event_sets_.end()) return std::nullopt;
  EventSetState& events = found->second;
  const std::uint64_t oldest = state.next_event > kMaxEvents ? state.next_event - kMaxEvents : 0;
  for (std::uint64_t n = std::max(events.next_event, oldest); n < state.next_event; ++n) {
    const EventState& event = state.events[n % kMaxEvents];
    events.next_event = n + 1;
    const bool wanted = std::any_of(events.registrations.begin(), events.registrations.end(),
                                    [&](const EventSetState::Registration& r) {
                                      return r.gpu == event.gpu && (r.types & event.type) != 0 &&
                                             n >= r.first_event;
                                    });
    if (wanted) return event;
  }
  return std::nullopt;
}

int Session::WaitEvent(abi::EventSet set, abi::EventData* data, unsigned timeout_ms) {
  const std::optional<std::uint32_t> number = SetNumber(set);
  if (!number) return abi::kInvalidArgument;
  const auto deadline = SteadyClock::now() + std::chrono::milliseconds(timeout_ms);
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (event_sets_.find(*number) == event_sets_.end()) return abi::kInvalidArgument;
    }
    const std::uint32_t seen = state_->ChangeCount();
    int status = abi::kSuccess;
    std::optional<EventState> event;
    state_->Read([&](const NodeState& state) {
      status = DriverStatus(state);
      if (status == abi::kSuccess) event = TakeEvent(state, *number);
    });
    if (status != abi::kSuccess) return status;
    if (event) {
      HandleParts device;
      device.generation = handle_generation();
      device.gpu = event->gpu;
      *data = {MakeHandle<abi::Device>(device), event->type, event->data, event->gi, event->ci};
      return abi::kSuccess;
    }
    const SteadyClock::duration left = deadline - SteadyClock::now();
    if (left.count() <= 0) return abi::kTimeout;
    state_->WaitForChange(seen, left);
  }
}

}  // namespace aliquot::sim
