// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/state/process.h"

#include <fmt/format.h>
#include <time.h>

#include "sim/state/machine.h"

namespace aliquot::sim {
namespace {

Status CheckDevice(const NodeSpec& node, const NodeState& state, const ProcessOptions& options) {
  if (options.gpu >= node.gpus.size()) {
    return Error{Code::kInvalidArgument, fmt::format("GPU {} does not exist; the node has {}",
                                                     options.gpu, node.gpus.size())};
  }
  const GpuState& gpu = state.gpus[options.gpu];
  if (state.driver_loaded == 0 || gpu.lost != 0) {
    return Error{Code::kFailedPrecondition,
                 fmt::format("GPU {} is not available: {}", options.gpu,
                             gpu.lost != 0 ? "it is lost" : "the driver is not loaded")};
  }
  if (gpu.mig_current == 0) {
    if (options.gi == kNobody && options.ci == kNobody) return {};
    return Error{Code::kInvalidArgument, fmt::format("GPU {} has MIG off", options.gpu)};
  }
  const bool exists = options.gi < kMaxGpuInstances && options.ci < kMaxComputeInstances &&
                      gpu.instances[options.gi].used != 0 &&
                      gpu.instances[options.gi].compute[options.ci].used != 0;
  if (exists) return {};
  return Error{Code::kInvalidArgument,
               fmt::format("GPU {} has MIG on; expected the ids of a GPU instance and of a compute "
                           "instance in it",
                           options.gpu)};
}

}  // namespace

Result<std::unique_ptr<ProcessRegistration>> ProcessRegistration::Register(
    std::shared_ptr<SharedState> state, const NodeSpec& node, const ProcessOptions& options) {
  ReapProcesses(*state);
  Status status;
  unsigned slot = 0;
  std::uint64_t serial = 0;
  state->Write([&](NodeState& s) {
    status = CheckDevice(node, s, options);
    if (!status.ok()) return false;
    for (slot = 0; slot < s.processes.size(); ++slot) {
      if (s.processes[slot].used == 0 && (options.pinned || state->AcquireSlot(slot))) break;
    }
    if (slot == s.processes.size()) {
      status = Error{Code::kResourceExhausted,
                     fmt::format("{} processes are registered already", kMaxProcesses)};
      return false;
    }
    ProcessState& entry = s.processes[slot];
    entry = {};
    entry.used = 1;
    entry.pinned = options.pinned ? 1 : 0;
    entry.pid = options.pid;
    entry.gpu = options.gpu;
    entry.gi = options.gi;
    entry.ci = options.ci;
    entry.kind = options.kind;
    entry.sm_percent = options.sm_percent;
    entry.serial = serial = ++s.last_process;
    CopyText(entry.name, options.name);
    return true;
  });
  if (!status.ok()) return status.error();
  return std::unique_ptr<ProcessRegistration>(
      new ProcessRegistration(std::move(state), node, slot, serial, options.pinned));
}

ProcessRegistration::ProcessRegistration(std::shared_ptr<SharedState> state, const NodeSpec& node,
                                         unsigned slot, std::uint64_t serial, bool pinned)
    : state_(std::move(state)), node_(node), slot_(slot), serial_(serial), pinned_(pinned) {}

ProcessRegistration::~ProcessRegistration() {
  if (pinned_) return;
  state_->Write([&](NodeState& s) {
    state_->ReleaseSlot(slot_);
    if (s.processes[slot_].serial != serial_) return false;
    s.processes[slot_] = {};
    return true;
  });
}

Status ProcessRegistration::Charge(std::int64_t bytes) {
  Status status;
  state_->Write([&](NodeState& s) {
    ProcessState& entry = s.processes[slot_];
    if (entry.used == 0 || entry.serial != serial_) {
      status = Error{Code::kAborted, "the driver was unloaded since"};
      return false;
    }
    const auto less = static_cast<std::uint64_t>(-bytes);
    if (bytes < 0 && entry.memory_bytes < less) {
      status = Error{Code::kInvalidArgument,
                     fmt::format("cannot give back {} of {} bytes", less, entry.memory_bytes)};
      return false;
    }
    if (bytes > 0) {
      const auto gi = entry.gi == kNobody ? std::nullopt : std::optional<unsigned>(entry.gi);
      const std::uint64_t used = UsedMemory(s, entry.gpu, gi);
      const std::uint64_t usable = UsableMemory(node_, s, entry.gpu, gi);
      if (used > usable || static_cast<std::uint64_t>(bytes) > usable - used) {
        status =
            Error{Code::kResourceExhausted,
                  fmt::format("{} bytes are not free: {} of {} are in use", bytes, used, usable)};
        return false;
      }
    }
    entry.memory_bytes += static_cast<std::uint64_t>(bytes);
    return true;
  });
  return status;
}

Status ProcessRegistration::SetBusy(std::uint32_t sm_percent) {
  Status status;
  state_->Write([&](NodeState& s) {
    ProcessState& entry = s.processes[slot_];
    if (entry.used == 0 || entry.serial != serial_) {
      status = Error{Code::kAborted, "the driver was unloaded since"};
      return false;
    }
    entry.sm_percent = sm_percent;
    return true;
  });
  return status;
}

unsigned BusyPercent(const ProcessState& process) {
  if (process.used == 0) return 0;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t now_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  return process.sm_until_ns == 0 || now_ns < process.sm_until_ns ? process.sm_percent : 0;
}

unsigned ForgetProcess(SharedState& state, std::uint32_t pid) {
  unsigned removed = 0;
  state.Write([&](NodeState& s) {
    for (ProcessState& entry : s.processes) {
      if (entry.used == 0 || entry.pinned == 0 || entry.pid != pid) continue;
      entry = {};
      ++removed;
    }
    return removed > 0;
  });
  return removed;
}

void ReapProcesses(SharedState& state) {
  const auto dead = [&](const NodeState& s, unsigned slot) {
    const ProcessState& entry = s.processes[slot];
    return entry.used != 0 && entry.pinned == 0 && !state.SlotOwned(slot);
  };
  bool any = false;
  state.Read([&](const NodeState& s) {
    if (s.last_process == 0) return;  // nobody ever registered
    for (unsigned slot = 0; slot < s.processes.size() && !any; ++slot) any = dead(s, slot);
  });
  if (!any) return;
  state.Write([&](NodeState& s) {
    for (unsigned slot = 0; slot < s.processes.size(); ++slot) {
      if (dead(s, slot)) s.processes[slot] = {};
    }
    return true;
  });
}

}  // namespace aliquot::sim
