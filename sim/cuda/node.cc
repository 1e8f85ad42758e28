// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/node.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "sim/state/machine.h"

namespace aliquot::sim::cuda {
namespace {

std::string ProgramName() {
  const Result<std::string> text = ReadFile("/proc/self/cmdline", 1u << 20);
  return text.ok() ? text->substr(0, text->find('\0')) : "unknown";
}

std::optional<unsigned> GpuInstanceOf(const DeviceInfo& device) {
  if (device.engine.gi == kNobody) return std::nullopt;
  return device.engine.gi;
}

}  // namespace

Node::Node(NodeSpec spec, std::unique_ptr<SharedState> state)
    : spec_(std::move(spec)), state_(std::move(state)) {}

Result<std::unique_ptr<Node>> Node::Open(const Environment& environment) {
  std::string what = environment.node;
  Result<NodeSpec> spec = Error{Code::kNotFound, "no simulated node is named"};
  if (!what.empty()) {
    spec = LoadNode(what);
  } else if (!environment.state_directory.empty()) {
    // Whoever made the state knows the node.
    Result<std::string> text = SharedState::NodeText(environment.state_directory);
    if (!text.ok()) return text.error();
    spec = ParseNode(environment.state_directory, *text);
  }
  if (!spec.ok()) return spec.error();
  Result<NodeState> initial = InitialState(*spec);
  if (!initial.ok()) return initial.error();
  Result<std::unique_ptr<SharedState>> state =
      environment.state_directory.empty()
          ? SharedState::CreatePrivate(spec->text, *initial)
          : SharedState::Open(environment.state_directory, spec->text, *initial);
  if (!state.ok()) return state.error();
  std::unique_ptr<Node> node(new Node(*std::move(spec), *std::move(state)));
  // A seat is alive while the process entry it was taken with is owned by the same process.
  auto is_alive = [shared = node->state_.get()](const SeatOwner& owner) {
    if (owner.process_slot >= kMaxProcesses || !shared->SlotOwned(owner.process_slot)) return false;
    bool same = false;
    shared->Read([&](const NodeState& now) {
      const ProcessState& process = now.processes[owner.process_slot];
      same = process.used != 0 && process.serial == owner.process_serial;
    });
    return same;
  };
  Result<std::unique_ptr<SeatTable>> seats =
      SeatTable::Open(environment.state_directory, environment.time_scale_ppm, is_alive);
  if (!seats.ok()) return seats.error();
  node->seats_ = *std::move(seats);
  node->ChooseDevices(environment);
  return node;
}

void Node::DropDead(NodeState& state) {
  for (unsigned slot = 0; slot < kMaxProcesses; ++slot) {
    ProcessState& process = state.processes[slot];
    if (process.used != 0 && process.pinned == 0 && !state_->SlotOwned(slot)) process = {};
  }
}

Node::Memory Node::MemoryOf(const DeviceInfo& device) {
  Memory memory;
  const auto look = [&](const NodeState& state) {
    const std::optional<unsigned> gi = GpuInstanceOf(device);
    memory.total = UsableMemory(spec_, state, device.engine.gpu, gi);
    memory.free = memory.total - std::min(memory.total, UsedMemory(state, device.engine.gpu, gi));
  };
  state_->Write([&](NodeState& state) {
    const auto before = std::count_if(state.processes.begin(), state.processes.end(),
                                      [](const ProcessState& p) { return p.used != 0; });
    DropDead(state);
    look(state);
    return before != std::count_if(state.processes.begin(), state.processes.end(),
                                   [](const ProcessState& p) { return p.used != 0; });
  });
  return memory;
}

Node::Use* Node::FindUse(const DeviceInfo& device) {
  const auto it = std::find_if(uses_.begin(), uses_.end(),
                               [&](const Use& use) { return use.engine == device.engine; });
  return it == uses_.end() ? nullptr : &*it;
}

Node::Use* Node::EnsureUse(const DeviceInfo& device) {
  if (Use* use = FindUse(device); use != nullptr) return use;
  Use use{device.engine, 0, 0, 0};
  const std::string name = ProgramName();
  const std::uint64_t pid_namespace = OwnPidNamespace();
  const bool entered = state_->Write([&](NodeState& state) {
    DropDead(state);
    for (unsigned slot = 0; slot < kMaxProcesses; ++slot) {
      ProcessState& process = state.processes[slot];
      if (process.used != 0 || !state_->AcquireSlot(slot)) continue;
      process = {};
      process.used = 1;
      process.pid = static_cast<std::uint32_t>(::getpid());
      process.pid_namespace = pid_namespace;
      process.gpu = device.engine.gpu;
      process.gi = device.engine.gi;
      process.ci = device.engine.ci;
      process.kind = ProcessKind::kCompute;
      process.serial = ++state.last_process;
      CopyText(process.name, name);
      use.slot = slot;
      use.serial = process.serial;
      return true;
    }
    return false;
  });
  if (!entered) return nullptr;
  return &uses_.emplace_back(use);
}

void Node::DropIfUnused(Use* use) {
  if (use->contexts > 0) return;
  const bool dropped = state_->Write([&](NodeState& state) {
    ProcessState& process = state.processes[use->slot];
    if (process.used != 0 && process.serial == use->serial) {
      if (process.memory_bytes > 0) return false;
      process = {};
    }
    state_->ReleaseSlot(use->slot);
    return true;
  });
  if (dropped) uses_.erase(uses_.begin() + (use - uses_.data()));
}

bool Node::Charge(const DeviceInfo& device, std::uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Use* use = EnsureUse(device);
  if (use == nullptr) return false;
  const std::optional<unsigned> gi = GpuInstanceOf(device);
  const bool charged = state_->Write([&](NodeState& state) {
    ProcessState& process = state.processes[use->slot];
    // The entry is gone if somebody unloaded the driver under us.
    if (process.used == 0 || process.serial != use->serial) return false;
    const std::uint64_t total = UsableMemory(spec_, state, device.engine.gpu, gi);
    const auto fits = [&] {
      const std::uint64_t used = UsedMemory(state, device.engine.gpu, gi);
      return used <= total && bytes <= total - used;
    };
    if (!fits()) {
      DropDead(state);
      if (!fits()) return false;
    }
    process.memory_bytes += bytes;
    return true;
  });
  if (!charged) DropIfUnused(use);
  return charged;
}

void Node::Uncharge(const DeviceInfo& device, std::uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Use* use = FindUse(device);
  if (use == nullptr) return;
  state_->Write([&](NodeState& state) {
    ProcessState& process = state.processes[use->slot];
    if (process.used == 0 || process.serial != use->serial) return false;
    process.memory_bytes -= std::min(process.memory_bytes, bytes);
    return true;
  });
  DropIfUnused(use);
}

void Node::AddBusy(const DeviceInfo& device, DeviceTime amount) {
  // As often as a driver samples, and what it shows stays for a little longer than that.
  constexpr std::int64_t kTellEveryNs = 160'000'000;
  constexpr std::int64_t kShownForNs = 400'000'000;
  const std::lock_guard<std::mutex> lock(mutex_);
  Use* use = FindUse(device);
  if (use == nullptr) return;
  use->busy += amount;
  const DeviceTime now = seats_->clock().Now();
  const DeviceTime span = now - use->busy_since;
  if (seats_->clock().ToWall(span) < kTellEveryNs) return;
  const auto percent =
      static_cast<std::uint32_t>(std::min<DeviceTime>(use->busy * 100 / span, 100));
  state_->Write([&](NodeState& state) {
    ProcessState& process = state.processes[use->slot];
    if (process.used == 0 || process.serial != use->serial) return false;
    process.sm_percent = percent;
    process.sm_until_ns = DeviceClock::WallNow() + kShownForNs;
    return true;
  });
  use->busy = 0;
  use->busy_since = now;
}

Result<SeatOwner> Node::Enter(const DeviceInfo& device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Use* use = EnsureUse(device);
  if (use == nullptr) {
    return Error{Code::kResourceExhausted, "the process table of the simulated node is full"};
  }
  ++use->contexts;
  return SeatOwner{use->slot, static_cast<std::uint32_t>(::getpid()), use->serial};
}

std::uint32_t Node::PidOf(const SeatOwner& owner, SeenPids& pids) {
  ProcessState process{};
  state_->Read([&](const NodeState& state) { process = state.processes[owner.process_slot]; });
  return process.used != 0 && process.serial == owner.process_serial ? pids.Of(process) : 0;
}

void Node::Leave(const DeviceInfo& device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Use* use = FindUse(device);
  if (use == nullptr || use->contexts == 0) return;
  --use->contexts;
  DropIfUnused(use);
}

}  // namespace aliquot::sim::cuda
