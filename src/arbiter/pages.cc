// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/pages.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/file.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010  // Linux 5.1
#endif

namespace aliquot::arbiter {
namespace {

constexpr std::size_t kControlSize = (sizeof(aliquot_control) + 4095) / 4096 * 4096;
constexpr std::size_t kStatusSize = (sizeof(aliquot_status) + 4095) / 4096 * 4096;

// Whoever claims that its clock is further ahead than this explains is not believed.
constexpr Nanos kSlowestHello = std::chrono::seconds(1);

// No claim of a single piece of work counts for more.
constexpr std::uint64_t kMostNs = 3'600'000'000'000;
// Many times what a GPU takes to come round to a context again.
constexpr std::uint32_t kStallMs = 100;
// Who asks whether work is done asks again within a few microseconds.
constexpr Nanos kPolls = std::chrono::microseconds(50);

template <typename T>
void Store(T& word, T value, int order = __ATOMIC_RELAXED) {
  __atomic_store_n(&word, value, order);
}

template <typename T>
T Load(const T& word, int order = __ATOMIC_RELAXED) {
  return __atomic_load_n(&word, order);
}

void WakeAll(std::uint32_t* word) {
  ::syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

// A sealed memory file of `size` bytes, mapped for us before the seals close it.
Result<void*> CreateFile(const char* name, std::size_t size, int seals, UniqueFd& file) {
  file.Reset(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return ErrnoError("cannot create a memory file", errno);
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
    return ErrnoError("cannot size a memory file", errno);
  }
  void* map = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (map == MAP_FAILED) return ErrnoError("cannot map a memory file", errno);
  if (::fcntl(file.get(), F_ADD_SEALS, seals) != 0) {
    const int error = errno;
    ::munmap(map, size);
    return ErrnoError("cannot seal a memory file (Linux 5.1 or newer is needed)", error);
  }
  return map;
}

}  // namespace

Result<std::unique_ptr<Pages>> Pages::Create(std::uint64_t process_id, std::uint64_t agent_epoch,
                                             std::uint32_t gpu_count, std::uint32_t policy,
                                             Descriptors& descriptors) {
  const int size_seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  const Result<void*> control = CreateFile("aliquot-control", kControlSize,
                                           size_seals | F_SEAL_FUTURE_WRITE, descriptors.control);
  if (!control.ok()) return control.error();
  const Result<void*> status =
      CreateFile("aliquot-status", kStatusSize, size_seals, descriptors.status);
  if (!status.ok()) {
    ::munmap(*control, kControlSize);
    return status.error();
  }
  std::unique_ptr<Pages> pages(
      new Pages(static_cast<aliquot_control*>(*control), static_cast<aliquot_status*>(*status)));
  aliquot_control& page = *pages->control_;
  page.magic = ALIQUOT_WIRE_MAGIC;
  page.version = ALIQUOT_WIRE_VERSION;
  page.size = kControlSize;
  page.gpu_count = gpu_count;
  page.process_id = process_id;
  page.agent_epoch = agent_epoch;
  page.policy = policy;
  page.stall_ms = kStallMs;
  page.heartbeat = 1;
  for (aliquot_control_gpu& gpu : page.gpu) {
    gpu.gate.duty_permille = 1000;
    gpu.memory.physical_free = UINT64_MAX;
  }
  aliquot_status& told = *pages->status_;
  told.magic = ALIQUOT_WIRE_MAGIC;
  told.version = ALIQUOT_WIRE_VERSION;
  told.size = kStatusSize;
  return pages;
}

Pages::~Pages() {
  ::munmap(control_, kControlSize);
  ::munmap(status_, kStatusSize);
}

void Pages::SetGate(std::uint32_t gpu, const GateWord& gate) {
  GateWord& former = gates_[gpu];
  if (gate == former) return;
  aliquot_gate& page = control_->gpu[gpu].gate;
  if (gate.shared && !former.shared && attention_++ == 0) Store(control_->attention, 1u);
  const bool closes = gate.closed && !former.closed;
  // Marks fine enough to see the end of the work that the cap allows.
  const std::uint32_t marker_us = std::clamp(gate.cap_us / 4, 50u, 250u);
  Store(page.cap_us, gate.cap_us);
  Store(page.marker_us, gate.cap_us == 0 ? 0u : marker_us);
  Store(page.duty_permille, gate.duty_permille);
  Store(page.flags, gate.learn ? ALIQUOT_GATE_LEARN : 0u);
  Store(page.doorbells, gate.ring ? ALIQUOT_RING_WANT | ALIQUOT_RING_WORK : 0u);
  const bool other_bits = gate.shared != former.shared || gate.closed != former.closed;
  if (other_bits || (gate.ring && !former.ring)) {
    const std::uint32_t epoch = (Load(page.gate) | 3u) + 1;
    const std::uint32_t bits = (gate.shared ? ALIQUOT_GATE_SHARED : 0u) |
                               (gate.shared && gate.closed ? ALIQUOT_GATE_CLOSED : 0u);
    Store(page.gate, epoch | bits, __ATOMIC_RELEASE);
    if (!closes) WakeAll(&page.gate);
  } else if (gate.cap_us != former.cap_us) {
    WakeAll(&page.gate);
  }
  if (!gate.shared && former.shared && --attention_ == 0) Store(control_->attention, 0u);
  former = gate;
}

void Pages::SetMemory(std::uint32_t gpu, const MemorySnapshot& memory) {
  if (memory == memory_[gpu]) return;
  memory_[gpu] = memory;
  aliquot_memory& page = control_->gpu[gpu].memory;
  const std::uint32_t seq = Load(page.seq);
  // Acquire keeps the stores below from becoming visible before it.
  __atomic_exchange_n(&page.seq, seq + 1, __ATOMIC_ACQ_REL);
  Store(page.process_count, memory.process_count);
  Store(page.limit, memory.limit);
  Store(page.outside, memory.outside);
  Store(page.held, memory.held);
  Store(page.physical_free, memory.physical_free);
  Store(page.credit_target, memory.credit_target);
  Store(page.offline, memory.offline);
  Store(page.physical_total, memory.physical_total);
  Store(page.seq, seq + 2, __ATOMIC_RELEASE);
}

void Pages::Beat() { Store(control_->heartbeat, Load(control_->heartbeat) + 1); }

void Pages::SetClock(Nanos theirs, Nanos ours) {
  clock_offset_ = theirs - ours;
  most_offset_ = clock_offset_ + kSlowestHello;
}

Nanos Pages::LastSubmit(std::uint32_t gpu) const {
  return Nanos(static_cast<std::int64_t>(Load(status_->gpu[gpu].last_submit_ns) & INT64_MAX));
}

void Pages::FollowClock(Nanos submitted, Nanos ours) {
  clock_offset_ = std::clamp(submitted - ours, clock_offset_, most_offset_);
}

ProcessSample Pages::Sample(std::uint32_t gpu, Nanos now) {
  const aliquot_status_gpu& page = status_->gpu[gpu];
  std::uint64_t in_flight = 0;
  bool marked = false;
  for (int i = 0; i < ALIQUOT_WIRE_MARKERS; ++i) {
    const std::uint64_t issued = Load(page.issued[i], __ATOMIC_ACQUIRE);
    if (issued == Load(page.done[i])) continue;
    marked = true;
    in_flight += std::min(Load(page.cost_ns[i]), kMostNs);
  }
  const std::uint64_t unmarked = std::min(Load(page.unmarked_ns), kMostNs);
  const Nanos submitted = LastSubmit(gpu);
  // Nobody marks the last work before a rest: it counts as done when it must be. It cannot have
  // begun before what was marked was done.
  if (marked) marked_at_[gpu] = now;
  const Nanos since = std::min(now + clock_offset_ - submitted, now - marked_at_[gpu]);
  const Nanos patience(static_cast<std::int64_t>(2 * unmarked + 200'000));
  // While the process goes on launching its own reckoning is better: a host that launches too
  // slowly for the GPU has something unmarked all the time, and nothing in flight for most of it.
  const Nanos until(static_cast<std::int64_t>(Load(page.busy_until_ns) & INT64_MAX));
  const bool waiting = Load(page.waiting) != 0;
  // A thread that asks again and again waits as one in a call that waits.
  const Nanos polled(static_cast<std::int64_t>(Load(page.polled_ns) & INT64_MAX));
  const bool polls = polled != Nanos(0) && now + clock_offset_ - polled < kPolls;
  const bool synchronising = Load(page.synchronising) != 0 || polls;
  const bool reckoned_done =
      until != Nanos(0) && now + clock_offset_ >= until && !synchronising && !waiting;
  const bool unmarked_runs = unmarked > 0 && since < patience && !reckoned_done;
  if (unmarked_runs) in_flight += unmarked;
  const Nanos idle_since(static_cast<std::int64_t>(Load(page.idle_since_ns) & INT64_MAX));
  const bool idle = idle_since != Nanos(0);
  ProcessSample sample;
  sample.in_flight = !idle && (marked || unmarked_runs);
  if (!sample.in_flight) in_flight = 0;
  sample.in_flight_estimate = Nanos(static_cast<std::int64_t>(in_flight));
  const std::uint64_t service = Load(page.service_ns) & INT64_MAX;
  sample.completed =
      Nanos(static_cast<std::int64_t>(service > in_flight ? service - in_flight : 0));
  sample.want = waiting;
  if (idle) sample.rested = std::max(now + clock_offset_ - idle_since, Nanos(0));
  sample.blocked = waiting || (sample.in_flight && synchronising);
  sample.launches = Launches(gpu);
  return sample;
}

std::uint64_t Pages::Credit(std::uint32_t gpu) const { return Load(status_->gpu[gpu].credit); }

std::uint64_t Pages::TakeCredit(std::uint32_t gpu, std::uint64_t bytes) {
  std::uint64_t* word = &status_->gpu[gpu].credit;
  std::uint64_t credit = Load(*word);
  // Bounded: a process that keeps changing the word keeps its credit this time.
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t take = std::min(credit, bytes);
    if (take == 0) return 0;
    if (__atomic_compare_exchange_n(word, &credit, credit - take, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED)) {
      return take;
    }
  }
  return 0;
}

std::uint64_t Pages::Denied(std::uint32_t gpu) const { return Load(status_->gpu[gpu].denied); }

std::uint64_t Pages::HostPinned(std::uint32_t gpu) const {
  return Load(status_->gpu[gpu].host_pinned);
}

std::uint64_t Pages::Launches(std::uint32_t gpu) const { return Load(status_->gpu[gpu].launches); }

std::uint64_t Pages::WaitedNs(std::uint32_t gpu) const { return Load(status_->gpu[gpu].waited_ns); }

}  // namespace aliquot::arbiter
