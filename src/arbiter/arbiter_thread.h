// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "arbiter/pages.h"
#include "arbiter/scheduler.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace aliquot::arbiter {

// The thread that keeps the gates: reads status pages, lets one Scheduler per GPU decide, writes
// control pages. One thread serves all GPUs of a node, because a decision takes about a microsecond
// and tenants of several GPUs have to be decided together. Sleeps without a timer as long as no GPU
// is shared. Methods are thread-safe.
class ArbiterThread {
 public:
  struct Counters {
    std::uint64_t steps = 0;  // decisions taken
    std::uint64_t wakes = 0;
  };

  // Fails when the kernel has no descriptors left.
  static Result<std::unique_ptr<ArbiterThread>> Start(const Tuning& tuning);
  // Opens all gates that are still known, stops and joins.
  ~ArbiterThread();
  ArbiterThread(const ArbiterThread&) = delete;
  ArbiterThread& operator=(const ArbiterThread&) = delete;

  // Tenant ids are unique over all GPUs; a tenant with several GPUs has the same on each.
  void SetTenant(const std::string& gpu, std::uint64_t tenant, const ComputeSpec& spec);
  void RemoveTenant(const std::string& gpu, std::uint64_t tenant);
  // `index` is the number of the GPU in the process's pages, which are kept until RemoveProcess.
  void AddProcess(const std::string& gpu, std::uint64_t tenant, std::uint64_t process,
                  std::shared_ptr<Pages> pages, std::uint32_t index);
  // Afterwards the pages are not touched any more.
  void RemoveProcess(const std::string& gpu, std::uint64_t process);
  // Somebody may want the GPU: decide now.
  void Ring(const std::string& gpu);

  ComputeUse UseOf(const std::string& gpu, std::uint64_t tenant) const;
  bool Active(const std::string& gpu, std::uint64_t tenant) const;
  Counters counters() const;

 private:
  struct Member {
    std::uint64_t tenant;
    std::shared_ptr<Pages> pages;
    std::uint32_t index;
    bool in_flight = false;  // by its newest sample
  };
  struct Gpu {
    explicit Gpu(const Tuning& tuning) : scheduler(tuning) {}
    Scheduler scheduler;
    std::map<std::uint64_t, ComputeSpec> tenants;
    std::map<std::uint64_t, Member> members;
    bool rung = false;
    std::optional<Nanos> next;
    Nanos looked{0};  // at everybody, then
  };

  ArbiterThread(const Tuning& tuning, UniqueFd wake);
  void Run();
  void StepGpu(Gpu& gpu, Nanos now);
  void WriteGates(Gpu& gpu);
  bool AlignGangs();
  void Sleep(std::optional<Nanos> until);
  void Wake();
  Gpu& GpuOf(const std::string& uuid);
  void FindGangs();

  const Tuning tuning_;
  const UniqueFd wake_;       // eventfd
  mutable std::mutex mutex_;  // guards what follows: changed by callers, read by the thread
  std::map<std::string, Gpu> gpus_;
  std::map<std::uint64_t, std::vector<Gpu*>> gangs_;  // tenants of several GPUs
  Counters counters_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// CLOCK_MONOTONIC, the scale of all times here.
Nanos MonotonicNow();

}  // namespace aliquot::arbiter
