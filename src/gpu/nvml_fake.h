// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/executor_fake.h"
#include "gpu/driver_source.h"
#include "gpu/nvml_api.h"

namespace aliquot::gpu {

// GPUs in memory that answer like NVML: sessions, handles that go stale, MIG, events, and failures
// per call and GPU. Thread-safe, so that a test may change it under a running monitor.
class FakeNvml {
 public:
  struct Mig {
    unsigned gi = 0;
    unsigned ci = 0;
    unsigned profile_index = 0;    // of kA100Profiles
    unsigned compute_slices = 0;   // 0: all of the GPU instance
    unsigned multiprocessors = 0;  // 0: all of the profile's
  };
  struct Gpu {
    std::string uuid;
    std::string name = "NVIDIA A100-SXM4-40GB";
    std::string bus_id;  // as NVML spells it
    unsigned minor = 0;
    int compute_major = 8;
    int compute_minor = 0;
    unsigned cores = 108 * 64;
    std::uint64_t memory_total = 40960ull << 20;
    std::uint64_t memory_reserved = 600ull << 20;
    bool mig_capable = true;
    bool mig_enabled = false;
    std::vector<Mig> migs;
    std::map<unsigned, abi::GpuInstanceProfileInfo> profiles;  // by NVML index; empty: the A100's
    std::vector<std::string> links;           // remote bus ids, as NVML spells them
    std::vector<abi::ProcessInfo> processes;  // compute processes
    std::vector<abi::ProcessUtilization> utilization;
    std::optional<abi::FabricInfoV2> fabric;
    std::optional<std::uint32_t> recovery_action = 0;  // absent: field not supported
    std::uint64_t supported_events = abi::kEventXidCritical | abi::kEventMigConfigChange;
  };
  // Any GPU, in faults.
  static constexpr unsigned kAnyGpu = ~0u;

  // With a clock, waiting for events moves it instead of taking time.
  explicit FakeNvml(FakeClock* clock = nullptr) : clock_(clock) {}

  // GPUs named GPU-<index>, at 00000000:<0x10 + index>:00.0, all A100s, minor = index.
  void AddGpus(unsigned count);
  // Runs `change` with the GPUs, from any thread.
  template <typename Change>
  void Edit(Change&& change) {
    std::lock_guard lock(mutex_);
    change(gpus_);
  }
  // The driver stops working: every call of every session, and init, answers `result`.
  void SetDriver(abi::Return result);
  // Until cleared, `symbol` answers `result` when asked about GPU `index` (or its MIG devices).
  // GetHandleByIndex fails too, if it is the symbol, for that index.
  void Fail(const std::string& symbol, abi::Return result, unsigned gpu = kAnyGpu);
  void ClearFaults();
  // Every call about GPU `index` answers GPU_IS_LOST, except for its handle.
  void LoseGpu(unsigned gpu);
  // Calls of `symbol` block until Release.
  void Hang(const std::string& symbol);
  void Release();
  // The symbol in which a call is blocked now; empty if none is.
  std::string Blocked() const;
  // Whether a table given out by Api, or a copy, still exists.
  bool InUse() const { return in_use_.use_count() > 1; }
  void PostEvent(unsigned gpu, std::uint64_t type, std::uint64_t data,
                 unsigned gi = abi::kNoInstanceId, unsigned ci = abi::kNoInstanceId);
  // Removes a symbol from tables made from now on.
  void RemoveSymbol(const std::string& symbol);

  int Calls(const std::string& symbol) const;
  // Of all symbols together.
  int Calls() const;
  int open_sessions() const;

  // The table. The fake must outlive it.
  NvmlApi Api();

 private:
  struct Target {
    unsigned gpu;
    int mig;  // -1: the GPU itself
  };
  // What a call is about, for faults; nothing if about the system.
  std::optional<Target> Find(abi::Device device) const;
  abi::Device HandleOf(unsigned gpu, int mig) const;
  std::string UuidOf(const Target& target) const;
  const std::map<unsigned, abi::GpuInstanceProfileInfo>& ProfilesOf(const Gpu& gpu) const;
  // The answer of a fault, or kSuccess.
  abi::Return Enter(const std::string& symbol, std::optional<unsigned> gpu);
  template <typename... Args>
  std::optional<unsigned> SubjectOf(const std::string& symbol, const Args&... args);

  void FillSystem(NvmlApi& api);
  void FillDevice(NvmlApi& api);
  void FillMig(NvmlApi& api);
  void FillLinks(NvmlApi& api);
  void FillProcesses(NvmlApi& api);
  void FillEvents(NvmlApi& api);
  void AddFaults(NvmlApi& api);
  abi::Return WaitEvent(abi::EventData* data, unsigned timeout_ms);

  FakeClock* clock_;
  mutable std::mutex mutex_;  // guards everything
  std::condition_variable wake_;
  std::vector<Gpu> gpus_;
  int sessions_ = 0;
  std::uintptr_t generation_ = 0;
  abi::Return driver_ = abi::Return::kSuccess;
  std::map<std::pair<std::string, unsigned>, abi::Return> faults_;
  std::vector<unsigned> lost_;
  std::string hanging_;
  std::string blocked_;
  std::shared_ptr<int> in_use_ = std::make_shared<int>();  // held by every function given out
  std::vector<std::string> removed_;
  std::deque<abi::EventData> events_;
  std::vector<abi::Device> registered_;
  std::map<std::string, int> calls_;
};

// Gives out drivers on one fake.
class FakeDriverSource final : public DriverSource {
 public:
  explicit FakeDriverSource(FakeNvml& nvml) : nvml_(nvml) {}
  // Load fails with `error` until set to nothing. Not while another thread loads.
  void SetError(std::optional<Error> error) { error_ = std::move(error); }
  int loads() const { return loads_; }

  Result<std::unique_ptr<Driver>> Load() override {
    ++loads_;
    if (error_) return *error_;
    return std::make_unique<Driver>(nvml_.Api(), "fake-nvml", "");
  }

 private:
  FakeNvml& nvml_;
  std::optional<Error> error_;
  int loads_ = 0;
};

}  // namespace aliquot::gpu
