// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/nvml_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "gpu/mig_names.h"
#include "mig/catalog.h"

namespace aliquot::mig {
namespace {

using gpu::CallNvml;
using gpu::NvmlApi;
namespace abi = gpu::abi;

// NVML_COMPUTE_INSTANCE_PROFILE_*: slices and index, except for the second kind of one slice.
constexpr std::array<std::pair<unsigned, unsigned>, 7> kComputeProfiles = {
    {{1, 0}, {2, 1}, {3, 2}, {4, 3}, {6, 6}, {7, 4}, {8, 5}}};
constexpr unsigned kComputeOneSliceRev1 = 7;
// More instances or places than any GPU has.
constexpr unsigned kMost = 64;

template <std::size_t kBytes>
std::string TextOf(const char (&buffer)[kBytes]) {
  return std::string(buffer, ::strnlen(buffer, kBytes));
}

// True if answered, false if there is no such thing; missing privileges are neither.
Result<bool> Ask(const Status& status) {
  if (status.ok()) return true;
  const Code code = status.error().code;
  if (code == Code::kUnimplemented || code == Code::kInvalidArgument || code == Code::kNotFound) {
    return false;
  }
  return status.error();
}

// A list of at most kMost that NVML fills by call(array, count).
template <typename T, typename Call>
Result<std::vector<T>> ReadList(Call call) {
  std::vector<T> list(kMost);
  unsigned count = kMost;
  const Result<bool> answered = Ask(call(list.data(), &count));
  if (!answered.ok()) return answered.error();
  list.resize(*answered ? std::min(count, kMost) : 0);
  return list;
}

template <typename Call>
Result<std::vector<Placement>> ReadPlacements(Call call) {
  const auto raw = ReadList<abi::Placement>(call);
  if (!raw.ok()) return raw.error();
  std::vector<Placement> placements;
  for (const abi::Placement& place : *raw) placements.push_back({place.start, place.size});
  std::sort(placements.begin(), placements.end());
  return placements;
}

Status ReadIdentity(const NvmlApi& api, abi::Device device, GpuMigState& state) {
  char uuid[abi::kUuidBytes] = {};
  Status s = CallNvml("nvmlDeviceGetUUID", api.device_uuid, device, uuid, abi::kUuidBytes);
  if (!s.ok()) return s;
  state.uuid = TextOf(uuid);
  s = CallNvml("nvmlDeviceGetIndex", api.device_index, device, &state.index);
  if (!s.ok()) return s;
  char name[abi::kNameBytes] = {};
  s = CallNvml("nvmlDeviceGetName", api.device_name, device, name, abi::kNameBytes);
  if (!s.ok()) return s;
  state.name = TextOf(name);
  abi::PciInfo pci{};
  s = CallNvml("nvmlDeviceGetPciInfo_v3", api.device_pci_info, device, &pci);
  if (!s.ok()) return s;
  state.pci_device_id = pci.pci_device_id;
  state.pci_subsystem_id = pci.pci_subsystem_id;
  return {};
}

// By the driver's word where it has one (525 and later), else by the architecture.
Result<ModeSwitch> ReadModeSwitch(const NvmlApi& api, abi::Device device) {
  abi::FieldValue value{};
  value.field_id = abi::kFieldMigWithoutReset;
  const Result<bool> answered =
      Ask(CallNvml("nvmlDeviceGetFieldValues", api.device_field_values, device, 1, &value));
  if (!answered.ok()) return answered.error();
  if (*answered && value.status == abi::Return::kSuccess) {
    return value.value.as_u32 != 0 ? ModeSwitch::kImmediate : ModeSwitch::kWithReset;
  }
  int major = 0;
  int minor = 0;
  const Status s = CallNvml("nvmlDeviceGetCudaComputeCapability", api.device_compute_capability,
                            device, &major, &minor);
  if (!s.ok()) return s.error();
  return major >= 9 ? ModeSwitch::kImmediate : ModeSwitch::kWithReset;
}

// Fills `profile`; false if the GPU does not offer index `index`.
Result<bool> ReadProfile(const NvmlApi& api, abi::Device device, unsigned index,
                         std::uint64_t gpu_total_bytes, InstanceProfile& profile) {
  abi::GpuInstanceProfileInfo info{};
  const Result<bool> offered = Ask(CallNvml("nvmlDeviceGetGpuInstanceProfileInfo",
                                            api.device_gpu_instance_profile, device, index, &info));
  if (!offered.ok() || !*offered) return offered;
  profile.index = index;
  profile.id = info.id;
  profile.name = NameOfProfile(index, info.slices, info.memory_mib, gpu_total_bytes);
  profile.slices = info.slices;
  profile.max_instances = info.instances;
  profile.memory_mib = info.memory_mib;
  profile.multiprocessors = info.multiprocessors;
  profile.engines = {info.copy_engines, info.decoders, info.encoders, info.jpegs, info.ofas};
  auto placements = ReadPlacements([&](abi::Placement* places, unsigned* count) {
    return CallNvml("nvmlDeviceGetGpuInstancePossiblePlacements_v2",
                    api.device_gpu_instance_placements, device, info.id, places, count);
  });
  if (!placements.ok()) return placements.error();
  profile.placements = *std::move(placements);
  return true;
}

Status ReadProfiles(const NvmlApi& api, abi::Device device, GpuMigState& state) {
  for (unsigned index = 0; index < gpu::kGpuInstanceProfiles; ++index) {
    InstanceProfile profile;
    const auto offered = ReadProfile(api, device, index, state.memory_total_bytes, profile);
    if (!offered.ok()) return offered.error();
    if (*offered) state.profiles.push_back(std::move(profile));
  }
  for (InstanceProfile& profile : state.profiles) {
    profile.compute = DeriveComputeProfiles(profile, state.profiles);
  }
  return {};
}

// What can be made in this very GPU instance.
Result<std::vector<ComputeProfile>> ReadComputeProfiles(const NvmlApi& api,
                                                        abi::GpuInstance instance,
                                                        unsigned instance_slices) {
  std::vector<ComputeProfile> profiles;
  for (unsigned index = 0; index < abi::kComputeInstanceProfiles; ++index) {
    abi::ComputeInstanceProfileInfo info{};
    const Result<bool> offered = Ask(CallNvml("nvmlGpuInstanceGetComputeInstanceProfileInfo",
                                              api.gpu_instance_compute_profile, instance, index,
                                              abi::kSharedEngines, &info));
    if (!offered.ok()) return offered.error();
    if (!*offered) continue;
    auto placements = ReadPlacements([&](abi::Placement* places, unsigned* count) {
      return CallNvml("nvmlGpuInstanceGetComputeInstancePossiblePlacements",
                      api.gpu_instance_compute_placements, instance, info.id, places, count);
    });
    if (!placements.ok()) return placements.error();
    if (placements->empty()) *placements = ComputePlacements(info.slices, instance_slices);
    profiles.push_back({index, info.id, info.slices, info.instances, info.multiprocessors,
                        *std::move(placements)});
  }
  return profiles;
}

Status ReadComputeInstances(const NvmlApi& api, abi::GpuInstance handle,
                            const std::vector<ComputeProfile>& profiles, GpuInstance& instance) {
  for (const ComputeProfile& profile : profiles) {
    const auto found =
        ReadList<abi::ComputeInstance>([&](abi::ComputeInstance* list, unsigned* count) {
          return CallNvml("nvmlGpuInstanceGetComputeInstances", api.gpu_instance_compute_instances,
                          handle, profile.id, list, count);
        });
    if (!found.ok()) return found.error();
    for (const abi::ComputeInstance& compute : *found) {
      abi::ComputeInstanceInfo info{};
      const Status s =
          CallNvml("nvmlComputeInstanceGetInfo_v2", api.compute_instance_info, compute, &info);
      if (!s.ok()) return s;
      instance.compute.push_back(
          {info.id, profile.index, {info.placement.start, info.placement.size}, "", {}});
    }
  }
  std::sort(instance.compute.begin(), instance.compute.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return {};
}

Status ReadInstances(const NvmlApi& api, abi::Device device, GpuMigState& state) {
  for (InstanceProfile& profile : state.profiles) {
    const auto found = ReadList<abi::GpuInstance>([&](abi::GpuInstance* list, unsigned* count) {
      return CallNvml("nvmlDeviceGetGpuInstances", api.device_gpu_instances, device, profile.id,
                      list, count);
    });
    if (!found.ok()) return found.error();
    for (const abi::GpuInstance& handle : *found) {
      abi::GpuInstanceInfo info{};
      Status s = CallNvml("nvmlGpuInstanceGetInfo", api.gpu_instance_info, handle, &info);
      if (!s.ok()) return s;
      auto compute = ReadComputeProfiles(api, handle, profile.slices);
      if (!compute.ok()) return compute.error();
      if (!compute->empty()) profile.compute = *std::move(compute);
      GpuInstance instance{info.id, profile.index, {info.placement.start, info.placement.size}, {}};
      s = ReadComputeInstances(api, handle, profile.compute, instance);
      if (!s.ok()) return s;
      state.instances.push_back(std::move(instance));
    }
  }
  std::sort(state.instances.begin(), state.instances.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return {};
}

ComputeInstance* FindCompute(GpuMigState& state, unsigned gi, unsigned ci) {
  for (GpuInstance& instance : state.instances) {
    if (instance.id != gi) continue;
    for (ComputeInstance& compute : instance.compute) {
      if (compute.id == ci) return &compute;
    }
  }
  return nullptr;
}

// UUIDs are properties of the MIG devices, which NVML numbers otherwise.
Status ReadUuids(const NvmlApi& api, abi::Device device, GpuMigState& state) {
  unsigned count = 0;
  Status s = CallNvml("nvmlDeviceGetMaxMigDeviceCount", api.device_max_mig_devices, device, &count);
  if (!s.ok()) return s;
  for (unsigned index = 0; index < count; ++index) {
    abi::Device mig;
    const Result<bool> there = Ask(CallNvml("nvmlDeviceGetMigDeviceHandleByIndex",
                                            api.device_mig_by_index, device, index, &mig));
    if (!there.ok()) return there.error();
    if (!*there) continue;
    unsigned gi = 0;
    unsigned ci = 0;
    char uuid[abi::kUuidBytes] = {};
    s = CallNvml("nvmlDeviceGetGpuInstanceId", api.device_gpu_instance_id, mig, &gi);
    if (s.ok()) {
      s = CallNvml("nvmlDeviceGetComputeInstanceId", api.device_compute_instance_id, mig, &ci);
    }
    if (s.ok()) s = CallNvml("nvmlDeviceGetUUID", api.device_uuid, mig, uuid, abi::kUuidBytes);
    if (!s.ok()) return s;
    if (ComputeInstance* compute = FindCompute(state, gi, ci)) compute->uuid = TextOf(uuid);
  }
  return {};
}

using ProcessCall = std::function<abi::Return(abi::Device, unsigned*, abi::ProcessInfo*)>;

// Nothing where the driver does not tell, or not this user: then it still refuses to destroy what
// is in use.
Result<std::vector<abi::ProcessInfo>> ReadProcesses(const char* symbol, const ProcessCall& call,
                                                    abi::Device device) {
  std::vector<abi::ProcessInfo> processes;
  if (!call) return processes;
  unsigned count = 32;
  // Processes come between two calls; a handful of tries is enough for any real rate.
  for (int attempt = 0; attempt < 8; ++attempt) {
    processes.resize(count);
    const abi::Return result = call(device, &count, processes.data());
    if (result == abi::Return::kInsufficientSize) {
      count += 32;
      continue;
    }
    if (result == abi::Return::kSuccess) {
      processes.resize(std::min<std::size_t>(count, processes.size()));
      return processes;
    }
    const Error error = gpu::NvmlError(symbol, result);
    if (gpu::IsAbsent(error)) return std::vector<abi::ProcessInfo>();
    return error;
  }
  return Error{Code::kResourceExhausted, fmt::format("{}: more processes at each call", symbol)};
}

// The executable's name, as NVML or else the host's /proc tells it; empty if neither does.
std::string ProcessName(const NvmlApi& api, unsigned pid) {
  char name[256] = {};
  if (CallNvml("nvmlSystemGetProcessName", api.system_process_name, pid, name,
               static_cast<unsigned>(sizeof name))
          .ok()) {
    // It may be a whole command line.
    const std::string text = TextOf(name);
    const std::string program = text.substr(0, text.find(' '));
    if (!program.empty()) return program.substr(program.rfind('/') + 1);
  }
  const auto comm = ReadFile(fmt::format("/proc/{}/comm", pid), 4096);
  return comm.ok() ? std::string(Trim(*comm)) : std::string();
}

Status ReadHolders(const NvmlApi& api, abi::Device device, GpuMigState& state) {
  // By process and instances, so that one that computes and draws is named once.
  std::map<std::tuple<unsigned, unsigned, unsigned>, Holder> holders;
  for (const auto& [symbol, call] :
       {std::pair<const char*, const ProcessCall&>{"nvmlDeviceGetComputeRunningProcesses_v3",
                                                   api.device_compute_processes},
        {"nvmlDeviceGetGraphicsRunningProcesses_v3", api.device_graphics_processes},
        {"nvmlDeviceGetMPSComputeRunningProcesses_v3", api.device_mps_processes}}) {
    const auto processes = ReadProcesses(symbol, call, device);
    if (!processes.ok()) return processes.error();
    for (const abi::ProcessInfo& process : *processes) {
      Holder& holder = holders[{process.pid, process.gpu_instance_id, process.compute_instance_id}];
      if (holder.pid) continue;
      holder.pid = process.pid;
      holder.process = ProcessName(api, process.pid);
    }
  }
  for (auto& [key, holder] : holders) {
    ComputeInstance* compute = FindCompute(state, std::get<1>(key), std::get<2>(key));
    (compute != nullptr ? compute->holders : state.holders).push_back(std::move(holder));
  }
  return {};
}

}  // namespace

std::vector<ComputeProfile> DeriveComputeProfiles(const InstanceProfile& profile,
                                                  const std::vector<InstanceProfile>& all) {
  // What one slice alone computes with.
  unsigned unit = profile.multiprocessors;
  for (const InstanceProfile& other : all) {
    if (other.slices == 1) unit = std::min(unit, other.multiprocessors);
  }
  std::vector<ComputeProfile> compute;
  for (const auto& [slices, index] : kComputeProfiles) {
    const bool whole = slices == profile.slices;
    if (!whole && 2 * slices > profile.slices + 1) continue;
    compute.push_back(
        {index, index, slices, profile.slices / slices,
         whole ? profile.multiprocessors : std::min(profile.multiprocessors, slices * unit),
         ComputePlacements(slices, profile.slices)});
  }
  if (profile.index == gpu::kProfileOneSliceDoubleMemory && profile.slices == 1) {
    ComputeProfile all_of_it = compute.front();
    all_of_it.index = all_of_it.id = kComputeOneSliceRev1;
    compute.front().multiprocessors = unit;
    compute.push_back(std::move(all_of_it));
  }
  std::sort(compute.begin(), compute.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  return compute;
}

Result<unsigned> GpuInstanceProfileId(const NvmlApi& api, abi::Device device, unsigned index) {
  abi::GpuInstanceProfileInfo info{};
  const Status s = CallNvml("nvmlDeviceGetGpuInstanceProfileInfo", api.device_gpu_instance_profile,
                            device, index, &info);
  if (!s.ok()) return s.error();
  return info.id;
}

Result<GpuMigState> ReadMigState(const NvmlApi& api, abi::Device device) {
  GpuMigState state;
  if (Status s = ReadIdentity(api, device, state); !s.ok()) return s.error();
  unsigned current = 0;
  unsigned pending = 0;
  const Result<bool> capable =
      Ask(CallNvml("nvmlDeviceGetMigMode", api.device_mig_mode, device, &current, &pending));
  if (!capable.ok()) return capable.error();
  state.mig_capable = *capable;
  state.mode_on = *capable && current == 1;
  state.pending_mode_on = *capable && pending == 1;
  if (!*capable) return state;
  const auto mode_switch = ReadModeSwitch(api, device);
  if (!mode_switch.ok()) return mode_switch.error();
  state.mode_switch = *mode_switch;
  abi::Memory memory{};
  Status s = CallNvml("nvmlDeviceGetMemoryInfo", api.device_memory, device, &memory);
  if (!s.ok()) return s.error();
  state.memory_total_bytes = memory.total;
  if (s = ReadProfiles(api, device, state); !s.ok()) return s.error();
  if (state.mode_on) {
    if (s = ReadInstances(api, device, state); !s.ok()) return s.error();
    if (s = ReadUuids(api, device, state); !s.ok()) return s.error();
  }
  if (s = ReadHolders(api, device, state); !s.ok()) return s.error();
  return state;
}

}  // namespace aliquot::mig
