// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/model/node.h"
#include "sim/nvml/abi.h"
#include "sim/nvml/handles.h"
#include "sim/state/shared_state.h"

#define ALIQUOT_SIM_EXPORT extern "C" __attribute__((visibility("default")))

namespace aliquot::sim {

// Events of some GPUs that a caller waits for. Guarded by the session's mutex.
struct EventSetState {
  struct Registration {
    unsigned gpu = 0;
    std::uint64_t types = 0;
    std::uint64_t first_event = 0;  // earlier ones were raised before the registration
  };
  std::vector<Registration> registrations;
  std::uint64_t next_event = 0;  // all before this were delivered or passed over
};

// What lies between nvmlInit and the matching nvmlShutdown. Thread-safe.
class Session {
 public:
  Session(std::shared_ptr<const NodeSpec> node, std::shared_ptr<SharedState> state);

  const NodeSpec& node() const { return *node_; }
  SharedState& state() { return *state_; }
  // The driver this session was opened with, as handles carry it.
  unsigned handle_generation() const { return generation_ & kGenerationMask; }

  // Whether `call` may go ahead: the driver may be gone or another one, and faults may delay or
  // fail the call (blocking as long as the fault says). `gpu` is the GPU the call is about.
  int Admit(std::string_view call, std::optional<unsigned> gpu);
  // After the last nvmlShutdown: calls still under way in other threads end with UNINITIALIZED.
  void Close();
  bool closed() const { return closed_.load(); }
  // What is wrong with the driver for this session in `state`; kSuccess if nothing.
  int DriverStatus(const NodeState& state) const;

  abi::EventSet CreateEventSet();
  int FreeEventSet(abi::EventSet set);
  // Events before number `first_event` are not for this registration.
  int RegisterEvents(abi::EventSet set, unsigned gpu, std::uint64_t types,
                     std::uint64_t first_event);
  int WaitEvent(abi::EventSet set, abi::EventData* data, unsigned timeout_ms);

 private:
  struct Verdict;
  Verdict Judge(const NodeState& state, std::string_view call, std::optional<unsigned> gpu) const;
  bool UseUpFault(unsigned fault);
  // Takes the oldest event for the set out of `state`; nothing if there is none.
  std::optional<EventState> TakeEvent(const NodeState& state, std::uint32_t set);

  std::shared_ptr<const NodeSpec> node_;
  std::shared_ptr<SharedState> state_;
  std::uint32_t generation_ = 0;
  std::string driver_version_;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;  // guards the rest: event sets may be used from several threads
  std::map<std::uint32_t, EventSetState> event_sets_;
  std::uint32_t next_event_set_ = 1;
};

// Counts nvmlInit and nvmlShutdown of this process. Thread-safe. The one object of the library
// that is not reached through a handle, because the interface of NVML is a process-wide one.
class Library {
 public:
  static Library& Get();

  int Init();
  int Shutdown();
  // Null before nvmlInit and after the last nvmlShutdown.
  std::shared_ptr<Session> session();
  // Name of the node that the environment or the open session describes; empty if none.
  const char* NodeName();

 private:
  int Open(std::shared_ptr<Session>* session);

  std::mutex mutex_;  // guards everything: NVML may be called from any thread
  unsigned references_ = 0;
  std::shared_ptr<Session> session_;
  // State without a directory outlives sessions, as a driver's state does.
  std::shared_ptr<const NodeSpec> private_node_;
  std::shared_ptr<SharedState> private_state_;
  std::set<std::string> names_;  // every name given out, as callers may keep the pointer
  const char* node_name_ = "";
};

}  // namespace aliquot::sim
