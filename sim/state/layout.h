// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "sim/model/node.h"

// The changing state of a simulated node as plain bytes, since several processes map it. Everything
// here is trivially copyable, zero is a valid start, and strings end in a zero byte.
// A change of any of these types needs a new kLayoutVersion (shared_state.cc).
namespace aliquot::sim {

inline constexpr unsigned kMaxGpuInstances = 15;     // ids 0 to 14
inline constexpr unsigned kMaxComputeInstances = 8;  // ids 0 to 7
inline constexpr unsigned kMaxProcesses = 512;
inline constexpr unsigned kMaxCallFaults = 64;
inline constexpr unsigned kMaxEvents = 256;
inline constexpr std::uint32_t kNobody = 0xFFFFFFFF;  // a GPU, GI or CI that is not given

struct ComputeInstanceState {
  std::uint8_t used;
  std::uint8_t profile_index;  // NVML_COMPUTE_INSTANCE_PROFILE_*
  std::uint8_t start;          // in compute slices of the GPU instance
  std::uint8_t size;
  std::uint32_t serial;  // unique among all instances the GPU ever had
};

struct GpuInstanceState {
  std::uint8_t used;
  std::uint8_t profile_index;  // NVML_GPU_INSTANCE_PROFILE_*
  std::uint8_t start;          // in units of the memory grid
  std::uint8_t size;
  std::uint32_t serial;
  std::array<ComputeInstanceState, kMaxComputeInstances> compute;  // by CI id
};

struct GpuState {
  std::uint32_t lost;
  std::uint32_t mig_current;
  std::uint32_t mig_pending;
  std::uint32_t compute_mode;  // NVML_COMPUTEMODE_*
  std::uint32_t last_serial;
  std::uint32_t reserved;
  std::uint64_t ecc_corrected;
  std::uint64_t ecc_uncorrected;
  std::array<GpuInstanceState, kMaxGpuInstances> instances;  // by GI id
};

enum class ProcessKind : std::uint32_t { kCompute, kGraphics, kMps };

// A process that uses a GPU. With `pinned` 0 the entry lives as long as its owner holds the entry's
// byte of the process lock file; pinned entries stay until removed.
struct ProcessState {
  std::uint32_t used;
  std::uint32_t pinned;
  std::uint32_t pid;
  std::uint32_t gpu;
  std::uint32_t gi;  // kNobody without MIG
  std::uint32_t ci;  // kNobody without MIG
  ProcessKind kind;
  std::uint32_t sm_percent;  // what utilisation calls report for it,
  // until then, on CLOCK_MONOTONIC; 0: for ever. A process that works keeps saying so.
  std::int64_t sm_until_ns;
  std::uint64_t memory_bytes;
  std::uint64_t serial;  // tells this use of the entry from earlier ones
  // The pid namespace that `pid` is a number in, by its inode; 0: the reader's, whoever reads.
  std::uint64_t pid_namespace;
  char name[64];
};

// Makes calls fail or wait. Calls named without a version suffix match every version.
struct CallFaultState {
  std::uint32_t used;
  std::uint32_t gpu;        // kNobody: every GPU, and calls about no GPU
  std::int32_t code;        // NVML return code; 0: only slow
  std::uint32_t remaining;  // how many calls still fail; 0: all
  std::uint32_t delay_ms;   // before the call; with `hang`, ignored
  std::uint32_t hang;       // waits until the fault is cleared
  char call[64];            // "nvmlDeviceGetMemoryInfo", or "*"
};

struct EventState {
  std::uint64_t type;  // nvmlEventType*
  std::uint64_t data;  // the XID code
  std::uint32_t gpu;
  std::uint32_t gi;
  std::uint32_t ci;
  std::uint32_t reserved;
};

struct NodeState {
  std::uint32_t driver_loaded;
  std::uint32_t driver_generation;  // grows with every load
  char driver_version[32];
  std::uint64_t next_event;    // number of the next event; event n is events[n % kMaxEvents]
  std::uint64_t last_process;  // serial
  std::array<GpuState, kMaxGpus> gpus;
  std::array<ProcessState, kMaxProcesses> processes;
  std::array<CallFaultState, kMaxCallFaults> call_faults;
  std::array<EventState, kMaxEvents> events;
};
static_assert(std::is_trivially_copyable_v<NodeState>);

}  // namespace aliquot::sim
