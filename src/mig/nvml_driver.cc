// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/nvml_driver.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "mig/nvml_reader.h"

namespace aliquot::mig {

using gpu::CallNvml;
using gpu::NvmlApi;
namespace abi = gpu::abi;

Result<std::unique_ptr<NvmlMigDriver>> NvmlMigDriver::Open(const NvmlApi& api, Host host) {
  auto session = gpu::NvmlSession::Open(api, 0);
  if (!session.ok()) return session.error();
  return std::unique_ptr<NvmlMigDriver>(
      new NvmlMigDriver(api, *std::move(session), std::move(host)));
}

Status NvmlMigDriver::Connect() {
  if (session_) return {};
  auto session = gpu::NvmlSession::Open(api_, 0);
  if (!session.ok()) return session.error();
  session_.emplace(*std::move(session));
  return {};
}

Result<abi::Device> NvmlMigDriver::Find(const std::string& gpu) {
  if (Status s = Connect(); !s.ok()) return s.error();
  abi::Device device;
  const Status s = CallNvml("nvmlDeviceGetHandleByUUID", api_.device_by_uuid, gpu.c_str(), &device);
  if (!s.ok()) return s.error().In("GPU " + gpu);
  return device;
}

Result<abi::GpuInstance> NvmlMigDriver::FindInstance(const std::string& gpu, unsigned id) {
  const auto device = Find(gpu);
  if (!device.ok()) return device.error();
  abi::GpuInstance instance;
  const Status s = CallNvml("nvmlDeviceGetGpuInstanceById", api_.device_gpu_instance_by_id, *device,
                            id, &instance);
  if (!s.ok()) return s.error();
  return instance;
}

Result<std::vector<GpuMigState>> NvmlMigDriver::ReadAll() {
  unreadable_.clear();
  if (Status s = Connect(); !s.ok()) return s.error();
  unsigned count = 0;
  Status s = CallNvml("nvmlDeviceGetCount_v2", api_.device_count, &count);
  if (!s.ok()) return s.error();
  std::vector<GpuMigState> states;
  for (unsigned index = 0; index < count; ++index) {
    abi::Device device;
    s = CallNvml("nvmlDeviceGetHandleByIndex_v2", api_.device_by_index, index, &device);
    std::string uuid;
    if (s.ok()) {
      auto state = ReadMigState(api_, device);
      if (state.ok()) {
        states.push_back(*std::move(state));
        continue;
      }
      s = state.error();
      char text[abi::kUuidBytes] = {};
      if (CallNvml("nvmlDeviceGetUUID", api_.device_uuid, device, text, abi::kUuidBytes).ok()) {
        uuid.assign(text, ::strnlen(text, sizeof text));
      }
    }
    if (gpu::IsDriverGone(s.error())) return s.error();
    unreadable_.push_back({index, std::move(uuid), s.error().message});
  }
  return states;
}

Result<GpuMigState> NvmlMigDriver::Read(const std::string& gpu) {
  const auto device = Find(gpu);
  if (!device.ok()) return device.error();
  return ReadMigState(api_, *device);
}

Result<ModeResult> NvmlMigDriver::SetMode(const std::string& gpu, bool on) {
  const auto device = Find(gpu);
  if (!device.ok()) return device.error();
  auto activation = abi::Return::kSuccess;
  const Status s = CallNvml("nvmlDeviceSetMigMode", api_.device_set_mig_mode, *device, on ? 1u : 0u,
                            &activation);
  if (!s.ok()) return s.error();
  switch (activation) {
    case abi::Return::kSuccess:
      return ModeResult::kActive;
    case abi::Return::kInUse:
      return ModeResult::kInUse;
    case abi::Return::kResetRequired:
      return ModeResult::kResetRequired;
    default:
      return gpu::NvmlError("nvmlDeviceSetMigMode (activation)", activation);
  }
}

std::vector<Holder> NvmlMigDriver::Clients(const std::string& gpu) {
  if (!host_.clients) return {};
  const auto device = Find(gpu);
  unsigned minor = 0;
  if (!device.ok() ||
      !CallNvml("nvmlDeviceGetMinorNumber", api_.device_minor, *device, &minor).ok()) {
    return {};
  }
  return host_.clients(fmt::format("/dev/nvidia{}", minor));
}

Status NvmlMigDriver::Reset(const std::string& gpu) {
  if (!host_.reset) return Error{Code::kUnimplemented, "there is no way to reset the GPU"};
  const auto device = Find(gpu);
  if (!device.ok()) return device.error();
  abi::PciInfo pci{};
  const Status s = CallNvml("nvmlDeviceGetPciInfo_v3", api_.device_pci_info, *device, &pci);
  if (!s.ok()) return s;
  session_.reset();
  const Status done =
      host_.reset(std::string(pci.bus_id, ::strnlen(pci.bus_id, sizeof pci.bus_id)));
  const Status connected = Connect();
  return done.ok() ? connected : done;
}

Result<unsigned> NvmlMigDriver::CreateGpuInstance(const std::string& gpu, unsigned profile,
                                                  Placement placement) {
  const auto device = Find(gpu);
  if (!device.ok()) return device.error();
  const auto profile_id = GpuInstanceProfileId(api_, *device, profile);
  if (!profile_id.ok()) return profile_id.error();
  const abi::Placement place{placement.start, placement.size};
  abi::GpuInstance instance;
  Status s;
  if (api_.device_create_gpu_instance_placed) {
    s = CallNvml("nvmlDeviceCreateGpuInstanceWithPlacement", api_.device_create_gpu_instance_placed,
                 *device, *profile_id, &place, &instance);
  } else {
    // Such a driver chooses the place. The caller looks at what came of it.
    s = CallNvml("nvmlDeviceCreateGpuInstance", api_.device_create_gpu_instance, *device,
                 *profile_id, &instance);
  }
  if (!s.ok()) return s.error();
  abi::GpuInstanceInfo info{};
  s = CallNvml("nvmlGpuInstanceGetInfo", api_.gpu_instance_info, instance, &info);
  if (!s.ok()) return s.error();
  return info.id;
}

Result<unsigned> NvmlMigDriver::CreateComputeInstance(const std::string& gpu,
                                                      unsigned gpu_instance_id, unsigned profile,
                                                      Placement wished) {
  const auto instance = FindInstance(gpu, gpu_instance_id);
  if (!instance.ok()) return instance.error();
  abi::ComputeInstanceProfileInfo kind{};
  Status s =
      CallNvml("nvmlGpuInstanceGetComputeInstanceProfileInfo", api_.gpu_instance_compute_profile,
               *instance, profile, abi::kSharedEngines, &kind);
  if (!s.ok()) return s.error();
  const abi::Placement place{wished.start, wished.size};
  abi::ComputeInstance created;
  s = CallNvml("nvmlGpuInstanceCreateComputeInstanceWithPlacement",
               api_.gpu_instance_create_compute_instance_placed, *instance, kind.id, &place,
               &created);
  if (!s.ok() &&
      (s.error().code == Code::kUnimplemented || s.error().code == Code::kInvalidArgument)) {
    s = CallNvml("nvmlGpuInstanceCreateComputeInstance", api_.gpu_instance_create_compute_instance,
                 *instance, kind.id, &created);
  }
  if (!s.ok()) return s.error();
  abi::ComputeInstanceInfo info{};
  s = CallNvml("nvmlComputeInstanceGetInfo_v2", api_.compute_instance_info, created, &info);
  if (!s.ok()) return s.error();
  return info.id;
}

Status NvmlMigDriver::DestroyComputeInstance(const std::string& gpu, unsigned gpu_instance_id,
                                             unsigned compute_instance_id) {
  const auto instance = FindInstance(gpu, gpu_instance_id);
  if (!instance.ok()) return instance.error();
  abi::ComputeInstance compute;
  const Status s =
      CallNvml("nvmlGpuInstanceGetComputeInstanceById", api_.gpu_instance_compute_instance_by_id,
               *instance, compute_instance_id, &compute);
  if (!s.ok()) return s;
  return CallNvml("nvmlComputeInstanceDestroy", api_.compute_instance_destroy, compute);
}

Status NvmlMigDriver::DestroyGpuInstance(const std::string& gpu, unsigned gpu_instance_id) {
  const auto instance = FindInstance(gpu, gpu_instance_id);
  if (!instance.ok()) return instance.error();
  return CallNvml("nvmlGpuInstanceDestroy", api_.gpu_instance_destroy, *instance);
}

}  // namespace aliquot::mig
