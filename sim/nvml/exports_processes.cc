// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Who uses a device: the processes registered in the state.
#include <chrono>

#include "sim/nvml/abi_utilization.h"
#include "sim/nvml/call.h"
#include "sim/state/process.h"
#include "sim/state/seen_pids.h"

namespace aliquot::sim {
namespace {

// Whether a process belongs to what the handle stands for.
bool Shows(const DeviceView& d, const ProcessState& process) {
  return process.used != 0 && process.gpu == d.index &&
         (!d.is_mig || (process.gi == d.gi_id && process.ci == d.ci_id));
}

// Lists processes of one kind into an array of Info (whose layout grew over time) as NVML does:
// too small an array is INSUFFICIENT_SIZE with the needed count.
template <typename Info, typename Fill>
int Processes(std::string_view name, abi::Device device, ProcessKind kind, unsigned* count,
              Info* infos, Fill fill) {
  return DeviceCall(name, device, [&](const DeviceView& d) -> int {
    if (count == nullptr || (*count > 0 && infos == nullptr)) return abi::kInvalidArgument;
    unsigned found = 0;
    SeenPids pids;
    for (const ProcessState& process : d.state.processes) {
      if (!Shows(d, process) || process.kind != kind) continue;
      const std::uint32_t pid = pids.Of(process);
      if (pid == 0) continue;
      if (found < *count) fill(pid, process, &infos[found]);
      ++found;
    }
    const bool enough = found <= *count;
    *count = found;
    return enough ? abi::kSuccess : abi::kInsufficientSize;
  });
}

int ProcessesV1(std::string_view name, abi::Device device, ProcessKind kind, unsigned* count,
                abi::ProcessInfoV1* infos) {
  return Processes(name, device, kind, count, infos,
                   [](std::uint32_t pid, const ProcessState& process, abi::ProcessInfoV1* info) {
                     *info = {pid, process.memory_bytes};
                   });
}

int ProcessesV2(std::string_view name, abi::Device device, ProcessKind kind, unsigned* count,
                abi::ProcessInfo* infos) {
  return Processes(name, device, kind, count, infos,
                   [](std::uint32_t pid, const ProcessState& process, abi::ProcessInfo* info) {
                     *info = {pid, process.memory_bytes, process.gi, process.ci};
                   });
}

unsigned long long NowUs() {
  return static_cast<unsigned long long>(std::chrono::duration_cast<std::chrono::microseconds>(
                                             std::chrono::system_clock::now().time_since_epoch())
                                             .count());
}

// Puts a sample of now of each busy process, as far as there is room.
template <typename Put>
int Utilization(const DeviceView& d, unsigned long long last_seen, unsigned* count,
                const Put& put) {
  if (d.mig_enabled()) return abi::kNotSupported;
  unsigned found = 0;
  SeenPids pids;
  for (const ProcessState& process : d.state.processes) {
    if (!Shows(d, process) || BusyPercent(process) == 0 || NowUs() <= last_seen) continue;
    const std::uint32_t pid = pids.Of(process);
    if (pid == 0) continue;
    if (found < *count) put(found, pid, process);
    ++found;
  }
  const bool enough = found <= *count;
  *count = found;
  if (!enough) return abi::kInsufficientSize;
  return found == 0 ? abi::kNotFound : abi::kSuccess;
}

}  // namespace

ALIQUOT_SIM_EXPORT int nvmlDeviceGetComputeRunningProcesses(abi::Device device, unsigned* count,
                                                            abi::ProcessInfoV1* infos) {
  return ProcessesV1("nvmlDeviceGetComputeRunningProcesses", device, ProcessKind::kCompute, count,
                     infos);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetComputeRunningProcesses_v2(abi::Device device, unsigned* count,
                                                               abi::ProcessInfo* infos) {
  return ProcessesV2("nvmlDeviceGetComputeRunningProcesses_v2", device, ProcessKind::kCompute,
                     count, infos);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(abi::Device device, unsigned* count,
                                                               abi::ProcessInfo* infos) {
  return ProcessesV2("nvmlDeviceGetComputeRunningProcesses_v3", device, ProcessKind::kCompute,
                     count, infos);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetGraphicsRunningProcesses(abi::Device device, unsigned* count,
                                                             abi::ProcessInfoV1* infos) {
  return ProcessesV1("nvmlDeviceGetGraphicsRunningProcesses", device, ProcessKind::kGraphics, count,
                     infos);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v2(abi::Device device, unsigned* count,
                                                                abi::ProcessInfo* infos) {
  return ProcessesV2("nvmlDeviceGetGraphicsRunningProcesses_v2", device, ProcessKind::kGraphics,
                     count, infos);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v3(abi::Device device, unsigned* count,
                                                                abi::ProcessInfo* infos) {
  return ProcessesV2("nvmlDeviceGetGraphicsRunningProcesses_v3", device, ProcessKind::kGraphics,
                     count, infos);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetMPSComputeRunningProcesses(abi::Device device, unsigned* count,
                                                               abi::ProcessInfoV1* infos) {
  return ProcessesV1("nvmlDeviceGetMPSComputeRunningProcesses", device, ProcessKind::kMps, count,
                     infos);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetMPSComputeRunningProcesses_v2(abi::Device device,
                                                                  unsigned* count,
                                                                  abi::ProcessInfo* infos) {
  return ProcessesV2("nvmlDeviceGetMPSComputeRunningProcesses_v2", device, ProcessKind::kMps, count,
                     infos);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetMPSComputeRunningProcesses_v3(abi::Device device,
                                                                  unsigned* count,
                                                                  abi::ProcessInfo* infos) {
  return ProcessesV2("nvmlDeviceGetMPSComputeRunningProcesses_v3", device, ProcessKind::kMps, count,
                     infos);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetProcessUtilization(abi::Device device,
                                                       abi::ProcessUtilizationSample* samples,
                                                       unsigned* count,
                                                       unsigned long long last_seen) {
  return GpuCall("nvmlDeviceGetProcessUtilization", device, [&](const DeviceView& d) -> int {
    if (count == nullptr || (*count > 0 && samples == nullptr)) return abi::kInvalidArgument;
    return Utilization(d, last_seen, count,
                       [&](unsigned i, std::uint32_t pid, const ProcessState& process) {
                         samples[i] = {pid, NowUs(), BusyPercent(process), 0, 0, 0};
                       });
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetProcessesUtilizationInfo(abi::Device device,
                                                             abi::ProcessesUtilizationInfo* info) {
  constexpr unsigned kVersion = sizeof(abi::ProcessesUtilizationInfo) | 1u << 24;
  return GpuCall("nvmlDeviceGetProcessesUtilizationInfo", device, [&](const DeviceView& d) -> int {
    if (info == nullptr || (info->count > 0 && info->samples == nullptr)) {
      return abi::kInvalidArgument;
    }
    if (info->version != kVersion) return abi::kArgumentVersionMismatch;
    return Utilization(d, info->last_seen, &info->count,
                       [&](unsigned i, std::uint32_t pid, const ProcessState& process) {
                         info->samples[i] = {NowUs(), pid, BusyPercent(process), 0, 0, 0, 0, 0};
                       });
  });
}

}  // namespace aliquot::sim
