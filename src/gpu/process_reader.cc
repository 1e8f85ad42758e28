// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/process_reader.h"

#include <algorithm>
#include <map>
#include <utility>

namespace aliquot::gpu {
namespace {

using ListFunction = NvmlApi::Function<abi::Device, unsigned*, abi::ProcessInfo*>;

// NVML_VALUE_NOT_AVAILABLE, where the driver model does not count memory by process.
constexpr std::uint64_t kNotAvailable = ~0ull;

Result<std::vector<abi::ProcessInfo>> List(const char* call, const ListFunction& function,
                                           abi::Device device) {
  std::vector<abi::ProcessInfo> infos(64);
  // Processes may come between two calls, hence some room and more than one attempt.
  for (int attempt = 0; attempt < 4; ++attempt) {
    auto count = static_cast<unsigned>(infos.size());
    const abi::Return result =
        function ? function(device, &count, infos.data()) : abi::Return::kFunctionNotFound;
    if (result == abi::Return::kInsufficientSize) {
      infos.resize(count + 64);
      continue;
    }
    if (result != abi::Return::kSuccess) return NvmlError(call, result);
    infos.resize(count);
    return infos;
  }
  return NvmlError(call, abi::Return::kInsufficientSize);
}

std::string DeviceOf(const abi::ProcessInfo& info, const Gpu& gpu) {
  for (const MigDevice& mig : gpu.mig_devices) {
    if (mig.gi_id == info.gpu_instance_id && mig.ci_id == info.compute_instance_id) return mig.uuid;
  }
  return gpu.uuid;
}

using Found = std::map<std::pair<std::string, std::uint32_t>, GpuProcess>;

Status ReadGpu(const NvmlApi& api, const Gpu& gpu, Found& found) {
  abi::Device device{};
  Status status =
      CallNvml("nvmlDeviceGetHandleByUUID", api.device_by_uuid, gpu.uuid.c_str(), &device);
  if (!status.ok()) return status;
  const std::pair<const char*, const ListFunction*> lists[] = {
      {"nvmlDeviceGetComputeRunningProcesses_v3", &api.device_compute_processes},
      {"nvmlDeviceGetGraphicsRunningProcesses_v3", &api.device_graphics_processes},
      {"nvmlDeviceGetMPSComputeRunningProcesses_v3", &api.device_mps_processes}};
  Found here;
  for (const auto& [call, function] : lists) {
    const Result<std::vector<abi::ProcessInfo>> infos = List(call, *function, device);
    // Without compute processes nothing is known; the other lists are missing on some GPUs.
    const bool needed = function == &api.device_compute_processes;
    if (!infos.ok() && (needed || !IsAbsent(infos.error()))) return infos.error();
    if (!infos.ok()) continue;
    for (const abi::ProcessInfo& info : *infos) {
      GpuProcess process{info.pid, DeviceOf(info, gpu), std::nullopt};
      if (info.used_memory_bytes != kNotAvailable) process.memory_bytes = info.used_memory_bytes;
      GpuProcess& known = here.try_emplace({process.device_uuid, info.pid}, process).first->second;
      // A process on two lists has the same total on both.
      known.memory_bytes = std::max(known.memory_bytes, process.memory_bytes);
    }
  }
  found.merge(here);
  return {};
}

void ReadMemory(const NvmlApi& api, const std::string& uuid, ProcessSnapshot& snapshot) {
  abi::Device device{};
  abi::Memory memory{};
  if (!CallNvml("nvmlDeviceGetHandleByUUID", api.device_by_uuid, uuid.c_str(), &device).ok())
    return;
  if (!CallNvml("nvmlDeviceGetMemoryInfo", api.device_memory, device, &memory).ok()) return;
  snapshot.memory[uuid] = {memory.total, memory.free};
}

Result<std::vector<abi::ProcessUtilization>> Samples(const NvmlApi& api, abi::Device device,
                                                     unsigned long long since) {
  constexpr char kCall[] = "nvmlDeviceGetProcessUtilization";
  std::vector<abi::ProcessUtilization> samples(128);
  for (int attempt = 0; attempt < 4; ++attempt) {
    auto count = static_cast<unsigned>(samples.size());
    const abi::Return result =
        api.device_process_utilization
            ? api.device_process_utilization(device, samples.data(), &count, since)
            : abi::Return::kFunctionNotFound;
    if (result == abi::Return::kInsufficientSize) {
      samples.resize(count + 64);
      continue;
    }
    if (result != abi::Return::kSuccess && result != abi::Return::kNotFound) {
      return NvmlError(kCall, result);
    }
    samples.resize(result == abi::Return::kSuccess ? count : 0);
    return samples;
  }
  return NvmlError(kCall, abi::Return::kInsufficientSize);
}

void ReadUtilization(const NvmlApi& api, const std::string& uuid, SampleMarks& marks,
                     ProcessSnapshot& snapshot) {
  abi::Device device{};
  if (!CallNvml("nvmlDeviceGetHandleByUUID", api.device_by_uuid, uuid.c_str(), &device).ok())
    return;
  const auto mark = marks.find(uuid);
  const auto samples = Samples(api, device, mark == marks.end() ? 0 : mark->second);
  if (!samples.ok()) return;
  unsigned long long& read = marks[uuid];
  const unsigned long long former = read;
  std::map<std::uint32_t, std::pair<unsigned long long, unsigned>> newest;
  for (const abi::ProcessUtilization& sample : *samples) {
    if (sample.time_us <= former) continue;
    read = std::max<unsigned long long>(read, sample.time_us);
    auto& known = newest[sample.pid];
    known = std::max(known, {sample.time_us, std::min(sample.sm_percent, 100u)});
  }
  // What comes first is of any time before.
  if (mark == marks.end()) return;
  auto& busy = snapshot.busy_percent[uuid];
  for (const auto& [pid, sample] : newest) busy[pid] = sample.second;
}

}  // namespace

Result<ProcessSnapshot> ReadProcesses(const NvmlApi& api, const Inventory& inventory,
                                      Clock::TimePoint now, SampleMarks* marks) {
  ProcessSnapshot snapshot;
  snapshot.taken_at = now;
  Found found;
  for (const Gpu& gpu : inventory.gpus) {
    const Status status = ReadGpu(api, gpu, found);
    if (status.ok()) {
      if (!gpu.mig_enabled) {
        ReadMemory(api, gpu.uuid, snapshot);
        if (marks != nullptr) ReadUtilization(api, gpu.uuid, *marks, snapshot);
      }
      for (const MigDevice& mig : gpu.mig_devices) ReadMemory(api, mig.uuid, snapshot);
      continue;
    }
    if (IsDriverGone(status.error())) return status.error();
    snapshot.unread_gpus.push_back(gpu.uuid);
  }
  for (auto& [key, process] : found) snapshot.processes.push_back(std::move(process));
  return snapshot;
}

}  // namespace aliquot::gpu
