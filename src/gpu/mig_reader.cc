// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/mig_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "gpu/mig_names.h"

namespace aliquot::gpu {
namespace {

// The profiles of this GPU; empty where the driver tells them only while MIG is on (before 545).
Result<std::vector<MigProfile>> ReadProfiles(const NvmlApi& api, abi::Device device) {
  std::vector<MigProfile> profiles;
  for (unsigned index = 0; index < kGpuInstanceProfiles; ++index) {
    abi::GpuInstanceProfileInfo info{};
    const Result<bool> offered = AskNvml("nvmlDeviceGetGpuInstanceProfileInfo",
                                         api.device_gpu_instance_profile, device, index, &info);
    if (!offered.ok()) return offered.error();
    if (*offered) profiles.push_back({index, info});
  }
  return profiles;
}

// The name of a MIG device. Two compute instances of the double-memory 1g profile are legal: one
// with all its multiprocessors, which is the profile itself, and a smaller one of one plain slice.
// Both count one slice, so the multiprocessors tell them apart.
std::string NameOf(const MigProfile& profile, const abi::DeviceAttributes& attributes,
                   std::uint64_t gpu_memory_bytes) {
  const std::string name = MigProfileName(
      attributes.compute_instance_slices, attributes.gpu_instance_slices, attributes.memory_mib,
      gpu_memory_bytes, ProfileSuffix(profile.index).value_or(""));
  const bool smaller_one = profile.index == kProfileOneSliceDoubleMemory &&
                           attributes.multiprocessors < profile.info.multiprocessors;
  return smaller_one ? "1c." + name : name;
}

std::string CapPath(std::optional<unsigned> minor) {
  return minor ? fmt::format("/dev/nvidia-caps/nvidia-cap{}", *minor) : std::string();
}

Status ReadInstance(const NvmlApi& api, abi::Device gpu_handle, MigDevice& mig,
                    unsigned& profile_id) {
  abi::GpuInstance instance;
  if (Status s = CallNvml("nvmlDeviceGetGpuInstanceById", api.device_gpu_instance_by_id, gpu_handle,
                          mig.gi_id, &instance);
      !s.ok()) {
    return s;
  }
  abi::GpuInstanceInfo info{};
  if (Status s = CallNvml("nvmlGpuInstanceGetInfo", api.gpu_instance_info, instance, &info);
      !s.ok()) {
    return s;
  }
  mig.placement_start = info.placement.start;
  mig.placement_size = info.placement.size;
  profile_id = info.profile_id;
  return {};
}

// Fills `mig` as far as the answers go, so that a failure can still be named by UUID.
Status ReadMigDevice(const NvmlApi& api, abi::Device gpu_handle, abi::Device handle,
                     const MigMinors& minors, const Gpu& gpu, const MigMemory& memory,
                     MigMemory::Device& read) {
  MigDevice& mig = read.value;
  char uuid[abi::kUuidBytes] = {};
  Status s = CallNvml("nvmlDeviceGetUUID", api.device_uuid, handle, uuid, abi::kUuidBytes);
  if (!s.ok()) return s;
  mig.uuid = std::string(uuid, ::strnlen(uuid, sizeof uuid));
  abi::DeviceAttributes& attributes = read.attributes;
  s = CallNvml("nvmlDeviceGetAttributes_v2", api.device_attributes, handle, &attributes);
  if (!s.ok()) return s;
  const auto known = memory.devices.find(mig.uuid);
  if (known != memory.devices.end() && known->second.attributes == attributes) {
    const unsigned index = mig.index;
    mig = known->second.value;
    mig.index = index;
    return {};
  }
  s = CallNvml("nvmlDeviceGetGpuInstanceId", api.device_gpu_instance_id, handle, &mig.gi_id);
  if (!s.ok()) return s;
  s = CallNvml("nvmlDeviceGetComputeInstanceId", api.device_compute_instance_id, handle,
               &mig.ci_id);
  if (!s.ok()) return s;
  unsigned profile_id = 0;
  s = ReadInstance(api, gpu_handle, mig, profile_id);
  if (!s.ok()) return s;
  const auto profile = std::find_if(memory.profiles.begin(), memory.profiles.end(),
                                    [&](const MigProfile& p) { return p.info.id == profile_id; });
  if (profile == memory.profiles.end() || gpu.memory_total_bytes == 0) {
    return Error{
        Code::kNotFound,
        fmt::format("GPU instance {} has profile id {}, which the driver does not describe",
                    mig.gi_id, profile_id)};
  }
  mig.profile = NameOf(*profile, attributes, gpu.memory_total_bytes);
  mig.multiprocessors = attributes.multiprocessors;
  mig.gi_slices = attributes.gpu_instance_slices;
  mig.ci_slices = attributes.compute_instance_slices;
  mig.engines = {attributes.copy_engines, attributes.decoders, attributes.encoders,
                 attributes.jpegs, attributes.ofas};
  const Result<MemorySize> size = ReadMemory(api, handle);
  if (!size.ok()) return size.error();
  const std::uint64_t profile_bytes = attributes.memory_mib << 20;
  mig.memory_total_bytes = size->total_bytes != 0 ? size->total_bytes : profile_bytes;
  mig.memory_usable_bytes = size->total_bytes != 0 ? size->usable_bytes : profile_bytes;
  mig.gi_cap_path = CapPath(minors.GpuInstance(gpu.minor, mig.gi_id));
  mig.ci_cap_path = CapPath(minors.ComputeInstance(gpu.minor, mig.gi_id, mig.ci_id));
  return {};
}

// Errors that concern the whole GPU or driver even when a question was about one MIG device.
bool ConcernsGpu(const Error& error) {
  return IsDriverGone(error) || error.code == Code::kDataLoss ||
         error.code == Code::kFailedPrecondition;
}

}  // namespace

Result<MemorySize> ReadMemory(const NvmlApi& api, abi::Device device) {
  abi::MemoryV2 v2{};
  v2.version = abi::StructVersion<abi::MemoryV2>(2);
  Result<bool> answered = AskNvml("nvmlDeviceGetMemoryInfo_v2", api.device_memory_v2, device, &v2);
  if (!answered.ok()) return answered.error();
  const std::uint64_t reserved = *answered ? v2.reserved : 0;
  abi::Memory v1{};
  answered = AskNvml("nvmlDeviceGetMemoryInfo", api.device_memory, device, &v1);
  if (!answered.ok()) return answered.error();
  if (!*answered) return MemorySize{};
  return MemorySize{v1.total, v1.total - std::min(reserved, v1.total)};
}

Result<MigMode> ReadMigMode(const NvmlApi& api, abi::Device device) {
  unsigned current = 0;
  unsigned pending = 0;
  const Result<bool> capable =
      AskNvml("nvmlDeviceGetMigMode", api.device_mig_mode, device, &current, &pending);
  if (!capable.ok()) return capable.error();
  return MigMode{*capable, *capable && current == 1};
}

Status ReadMigDevices(const NvmlApi& api, abi::Device device, const MigMinors& minors, Gpu& gpu,
                      MigMemory& memory) {
  gpu.mig_devices.clear();
  gpu.broken_mig_devices.clear();
  std::map<std::string, MigMemory::Device> devices;
  for (unsigned index = 0; index < gpu.max_mig_devices; ++index) {
    abi::Device handle;
    Status s = CallNvml("nvmlDeviceGetMigDeviceHandleByIndex", api.device_mig_by_index, device,
                        index, &handle);
    // An index without a device; which of the two answers it is depends on the driver.
    if (!s.ok() &&
        (s.error().code == Code::kNotFound || s.error().code == Code::kInvalidArgument)) {
      continue;
    }
    MigMemory::Device read;
    read.value.index = index;
    if (s.ok()) s = ReadMigDevice(api, device, handle, minors, gpu, memory, read);
    if (s.ok()) {
      gpu.mig_devices.push_back(read.value);
      devices[read.value.uuid] = std::move(read);
    } else if (ConcernsGpu(s.error())) {
      return s;
    } else {
      gpu.broken_mig_devices.push_back({index, read.value.uuid, s.error().message});
    }
  }
  std::sort(gpu.mig_devices.begin(), gpu.mig_devices.end(),
            [](const MigDevice& a, const MigDevice& b) {
              return std::tie(a.gi_id, a.ci_id) < std::tie(b.gi_id, b.ci_id);
            });
  memory.devices = std::move(devices);
  return {};
}

Status ReadMig(const NvmlApi& api, abi::Device device, const MigMinors& minors, Gpu& gpu,
               MigMemory& memory) {
  memory = {};
  const Result<MigMode> mode = ReadMigMode(api, device);
  if (!mode.ok()) return mode.error();
  gpu.mig_capable = mode->capable;
  gpu.mig_enabled = mode->enabled;
  if (!mode->capable) return {};
  const Result<bool> counted = AskNvml("nvmlDeviceGetMaxMigDeviceCount", api.device_max_mig_devices,
                                       device, &gpu.max_mig_devices);
  if (!counted.ok()) return counted.error();
  Result<std::vector<MigProfile>> profiles = ReadProfiles(api, device);
  if (!profiles.ok()) return profiles.error();
  memory.profiles = *std::move(profiles);
  if (gpu.memory_total_bytes != 0) {
    for (const MigProfile& profile : memory.profiles) {
      gpu.mig_profiles.push_back(MigProfileName(0, profile.info.slices, profile.info.memory_mib,
                                                gpu.memory_total_bytes,
                                                *ProfileSuffix(profile.index)));
    }
    std::sort(gpu.mig_profiles.begin(), gpu.mig_profiles.end());
    gpu.mig_profiles.erase(std::unique(gpu.mig_profiles.begin(), gpu.mig_profiles.end()),
                           gpu.mig_profiles.end());
  }
  return gpu.mig_enabled ? ReadMigDevices(api, device, minors, gpu, memory) : Status();
}

}  // namespace aliquot::gpu
