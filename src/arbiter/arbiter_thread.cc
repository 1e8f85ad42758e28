// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/arbiter_thread.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "arbiter/gang.h"
#include "base/file.h"

namespace aliquot::arbiter {
namespace {

// A process that sets to work just while its doorbell is being armed may not ring. So whoever is
// idle is looked at now and then all the same, as long as it matters to somebody.
constexpr Nanos kSafetyPoll = std::chrono::milliseconds(50);

}  // namespace

Nanos MonotonicNow() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) + Nanos(now.tv_nsec);
}

Result<std::unique_ptr<ArbiterThread>> ArbiterThread::Start(const Tuning& tuning) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoError("cannot create an eventfd", errno);
  return std::unique_ptr<ArbiterThread>(new ArbiterThread(tuning, std::move(wake)));
}

ArbiterThread::ArbiterThread(const Tuning& tuning, UniqueFd wake)
    : tuning_(tuning), wake_(std::move(wake)) {
  thread_ = std::thread([this] { Run(); });
}

ArbiterThread::~ArbiterThread() {
  stopping_ = true;
  Wake();
  thread_.join();
  for (auto& [uuid, gpu] : gpus_) {
    for (auto& [id, member] : gpu.members) member.pages->SetGate(member.index, {});
  }
}

void ArbiterThread::Wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

ArbiterThread::Gpu& ArbiterThread::GpuOf(const std::string& uuid) {
  return gpus_.try_emplace(uuid, tuning_).first->second;
}

void ArbiterThread::FindGangs() {
  gangs_.clear();
  for (auto& [uuid, gpu] : gpus_) {
    for (const auto& [tenant, spec] : gpu.tenants) gangs_[tenant].push_back(&gpu);
  }
  std::erase_if(gangs_, [](const auto& gang) { return gang.second.size() < 2; });
}

// Whether a GPU has to decide again.
bool ArbiterThread::AlignGangs() {
  bool again = false;
  for (auto& [tenant, gpus] : gangs_) {
    std::vector<Scheduler*> schedulers;
    for (Gpu* gpu : gpus) schedulers.push_back(&gpu->scheduler);
    if (!AlignTurns(tenant, schedulers)) continue;
    for (Gpu* gpu : gpus) gpu->rung = true;
    again = true;
  }
  return again;
}

void ArbiterThread::SetTenant(const std::string& uuid, std::uint64_t tenant,
                              const ComputeSpec& spec) {
  {
    std::lock_guard lock(mutex_);
    Gpu& gpu = GpuOf(uuid);
    gpu.tenants[tenant] = spec;
    gpu.scheduler.SetTenant(tenant, spec);
    gpu.rung = true;
    FindGangs();
  }
  Wake();
}

void ArbiterThread::RemoveTenant(const std::string& uuid, std::uint64_t tenant) {
  {
    std::lock_guard lock(mutex_);
    const auto entry = gpus_.find(uuid);
    if (entry == gpus_.end()) return;
    Gpu& gpu = entry->second;
    for (auto& [id, member] : gpu.members) {
      if (member.tenant == tenant) member.pages->SetGate(member.index, {});
    }
    std::erase_if(gpu.members, [&](const auto& m) { return m.second.tenant == tenant; });
    gpu.scheduler.RemoveTenant(tenant);
    gpu.tenants.erase(tenant);
    gpu.rung = true;
    if (gpu.tenants.empty()) gpus_.erase(entry);
    FindGangs();
  }
  Wake();
}

void ArbiterThread::AddProcess(const std::string& uuid, std::uint64_t tenant, std::uint64_t process,
                               std::shared_ptr<Pages> pages, std::uint32_t index) {
  {
    std::lock_guard lock(mutex_);
    Gpu& gpu = GpuOf(uuid);
    gpu.scheduler.AddProcess(process, tenant);
    gpu.members.insert_or_assign(process, Member{tenant, std::move(pages), index});
    gpu.rung = true;
  }
  Wake();
}

void ArbiterThread::RemoveProcess(const std::string& uuid, std::uint64_t process) {
  {
    std::lock_guard lock(mutex_);
    const auto entry = gpus_.find(uuid);
    if (entry == gpus_.end()) return;
    entry->second.scheduler.RemoveProcess(process);
    entry->second.members.erase(process);
    entry->second.rung = true;
  }
  Wake();
}

void ArbiterThread::Ring(const std::string& uuid) {
  {
    std::lock_guard lock(mutex_);
    const auto entry = gpus_.find(uuid);
    if (entry == gpus_.end()) return;
    entry->second.rung = true;
  }
  Wake();
}

ComputeUse ArbiterThread::UseOf(const std::string& uuid, std::uint64_t tenant) const {
  std::lock_guard lock(mutex_);
  const auto entry = gpus_.find(uuid);
  return entry == gpus_.end() ? ComputeUse{} : entry->second.scheduler.UseOf(tenant);
}

bool ArbiterThread::Active(const std::string& uuid, std::uint64_t tenant) const {
  std::lock_guard lock(mutex_);
  const auto entry = gpus_.find(uuid);
  return entry != gpus_.end() && entry->second.scheduler.Active(tenant);
}

ArbiterThread::Counters ArbiterThread::counters() const {
  std::lock_guard lock(mutex_);
  return counters_;
}

void ArbiterThread::Run() {
  // The default of 50 µs would double the time between two turns.
  ::prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
  ::prctl(PR_SET_NAME, "aliquot-arbiter", 0, 0, 0);
  while (!stopping_) {
    std::optional<Nanos> until;
    {
      std::lock_guard lock(mutex_);
      ++counters_.wakes;
      // A turn that begins on one GPU may have to begin on others; that settles in a round or two.
      for (int round = 0; round < 3; ++round) {
        for (auto& [uuid, gpu] : gpus_) {
          const Nanos now = MonotonicNow();
          if (gpu.rung || (gpu.next && *gpu.next <= now)) StepGpu(gpu, now);
        }
        if (!AlignGangs()) break;
      }
      for (auto& [uuid, gpu] : gpus_) {
        if (gpu.next) until = std::min(until.value_or(*gpu.next), *gpu.next);
      }
    }
    Sleep(until);
  }
}

void ArbiterThread::StepGpu(Gpu& gpu, Nanos now) {
  // Who rings when it has work need not be looked at, but now and then.
  const bool everybody = gpu.rung || now - gpu.looked >= kSafetyPoll;
  if (everybody) gpu.looked = now;
  gpu.rung = false;
  ++counters_.steps;
  for (auto& [id, member] : gpu.members) {
    if (!everybody && !gpu.scheduler.Active(member.tenant)) continue;
    const Nanos submitted = member.pages->LastSubmit(member.index);
    member.pages->FollowClock(submitted, MonotonicNow());
    const ProcessSample sample = member.pages->Sample(member.index, now);
    member.in_flight = sample.in_flight;
    gpu.scheduler.Observe(id, sample);
  }
  gpu.scheduler.Step(now);
  WriteGates(gpu);
  gpu.next = gpu.scheduler.next_step();
  const bool shared = std::any_of(gpu.members.begin(), gpu.members.end(), [&](const auto& m) {
    return gpu.scheduler.GateOf(m.first).cap > Nanos(0);
  });
  if (!shared) {
    gpu.next.reset();  // gates are free: nothing is counted and there is nothing to see
  } else if (!gpu.next) {
    gpu.next = now + kSafetyPoll;
  }
}

void ArbiterThread::WriteGates(Gpu& gpu) {
  std::set<std::uint64_t> present;
  for (const auto& [id, member] : gpu.members) present.insert(member.tenant);
  std::uint64_t weights = 0;
  for (const std::uint64_t tenant : present) {
    weights += std::max(1u, gpu.tenants[tenant].weight);
  }
  // Who might be running now: what is seen while only one is, is that one's own time.
  int running = 0;
  for (const auto& [id, member] : gpu.members) {
    const bool may_start = gpu.scheduler.GateOf(id).open && gpu.scheduler.Active(member.tenant);
    running += member.in_flight || may_start ? 1 : 0;
  }
  for (auto& [id, member] : gpu.members) {
    const Gate decided = gpu.scheduler.GateOf(id);
    GateWord gate;
    if (decided.cap > Nanos(0)) {
      gate.shared = true;
      gate.closed = !decided.open;
      gate.ring = decided.ring;
      gate.cap_us = static_cast<std::uint32_t>(decided.cap / std::chrono::microseconds(1));
      const bool runs = member.in_flight || decided.open;
      gate.learn = running == 0 || (running == 1 && runs);
    }
    const std::uint32_t weight = std::max(1u, gpu.tenants[member.tenant].weight);
    gate.duty_permille = static_cast<std::uint32_t>(1000ull * weight / std::max(weights, 1ul));
    member.pages->SetGate(member.index, gate);
  }
}

void ArbiterThread::Sleep(std::optional<Nanos> until) {
  timespec timeout{};
  if (until) {
    const Nanos wait = std::max(*until - MonotonicNow(), Nanos(0));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
    timeout.tv_sec = seconds.count();
    timeout.tv_nsec = (wait - seconds).count();
  }
  pollfd wake{wake_.get(), POLLIN, 0};
  if (::ppoll(&wake, 1, until ? &timeout : nullptr, nullptr) > 0) {
    std::uint64_t count;
    [[maybe_unused]] const auto read = ::read(wake_.get(), &count, sizeof count);
  }
}

}  // namespace aliquot::arbiter
