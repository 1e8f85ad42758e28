// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "gpu/nvml_abi.h"

namespace aliquot::gpu {

// Every NVML entry point we use, with the meaning the NVML API reference gives it. A plain struct:
// LoadNvml fills it from the driver's library, a test from a fake. Functions rather than bare
// pointers so that a fake can have state and calls can be watched (call_tracker.h); the extra jump
// is nothing beside an ioctl.
//
// Required members are never empty after LoadNvml. Optional ones may be (the comment says which
// driver brought them): the feature is then off. Members are grouped as NVML groups them; VisitNvml
// below is the one list of symbols.
struct NvmlApi {
  template <typename... Args>
  using Function = std::function<abi::Return(Args...)>;

  // Required.
  Function<> init;
  Function<> shutdown;
  std::function<const char*(abi::Return)> error_string;
  Function<char*, unsigned> system_driver_version;
  Function<char*, unsigned> system_nvml_version;
  Function<int*> system_cuda_version;
  Function<unsigned*> device_count;
  Function<unsigned, abi::Device*> device_by_index;
  Function<const char*, abi::Device*> device_by_uuid;
  Function<abi::Device, char*, unsigned> device_uuid;
  Function<abi::Device, char*, unsigned> device_name;
  Function<abi::Device, unsigned*> device_minor;
  Function<abi::Device, abi::PciInfo*> device_pci_info;
  Function<abi::Device, abi::Memory*> device_memory;
  Function<abi::Device, int*, int*> device_compute_capability;

  // Optional: memory reserved by the driver (510), cores (470), recovery action (field values).
  Function<abi::Device, abi::MemoryV2*> device_memory_v2;
  Function<abi::Device, unsigned*> device_cores;
  Function<abi::Device, int, abi::FieldValue*> device_field_values;
  // Optional: links.
  Function<abi::Device, abi::Device, abi::TopologyLevel*> device_common_ancestor;
  Function<abi::Device, unsigned, int*> device_nvlink_state;
  Function<abi::Device, unsigned, abi::PciInfo*> device_nvlink_remote_pci;
  Function<abi::Device, abi::FabricInfo*> device_fabric_info;      // 525
  Function<abi::Device, abi::FabricInfoV2*> device_fabric_info_v;  // 535
  // Optional: NUMA nodes near the GPU as a bit mask; scope 0 is the node.
  Function<abi::Device, unsigned, unsigned long*, unsigned> device_memory_affinity;  // 455
  // Optional: MIG (450).
  Function<abi::Device, unsigned*, unsigned*> device_mig_mode;
  Function<abi::Device, unsigned*> device_max_mig_devices;
  Function<abi::Device, unsigned, abi::Device*> device_mig_by_index;
  Function<abi::Device, unsigned*> device_gpu_instance_id;
  Function<abi::Device, unsigned*> device_compute_instance_id;
  Function<abi::Device, abi::DeviceAttributes*> device_attributes;
  Function<abi::Device, unsigned, abi::GpuInstance*> device_gpu_instance_by_id;
  Function<abi::GpuInstance, abi::GpuInstanceInfo*> gpu_instance_info;
  Function<abi::Device, unsigned, abi::GpuInstanceProfileInfo*> device_gpu_instance_profile;
  // Optional: MIG layouts (450; the placements of compute instances came later). Lists take an
  // array and its size, and give the number of entries; those of instances have no size and want
  // room for as many as the profile allows.
  Function<abi::Device, unsigned*> device_index;
  Function<abi::Device, unsigned, abi::Return*> device_set_mig_mode;
  Function<abi::Device, unsigned, abi::Placement*, unsigned*> device_gpu_instance_placements;
  Function<abi::Device, unsigned, abi::GpuInstance*, unsigned*> device_gpu_instances;
  Function<abi::Device, unsigned, abi::GpuInstance*> device_create_gpu_instance;
  Function<abi::Device, unsigned, const abi::Placement*, abi::GpuInstance*>
      device_create_gpu_instance_placed;
  Function<abi::GpuInstance> gpu_instance_destroy;
  Function<abi::GpuInstance, unsigned, unsigned, abi::ComputeInstanceProfileInfo*>
      gpu_instance_compute_profile;
  Function<abi::GpuInstance, unsigned, abi::Placement*, unsigned*> gpu_instance_compute_placements;
  Function<abi::GpuInstance, unsigned, abi::ComputeInstance*, unsigned*>
      gpu_instance_compute_instances;
  Function<abi::GpuInstance, unsigned, abi::ComputeInstance*> gpu_instance_compute_instance_by_id;
  Function<abi::GpuInstance, unsigned, abi::ComputeInstance*> gpu_instance_create_compute_instance;
  Function<abi::GpuInstance, unsigned, const abi::Placement*, abi::ComputeInstance*>
      gpu_instance_create_compute_instance_placed;
  Function<abi::ComputeInstance> compute_instance_destroy;
  Function<abi::ComputeInstance, abi::ComputeInstanceInfo*> compute_instance_info;
  // Optional: who uses a GPU, with the instances they use (510).
  Function<abi::Device, unsigned*, abi::ProcessInfo*> device_compute_processes;
  Function<abi::Device, unsigned*, abi::ProcessInfo*> device_graphics_processes;
  Function<abi::Device, unsigned*, abi::ProcessInfo*> device_mps_processes;
  Function<unsigned, char*, unsigned> system_process_name;
  // Optional: how busy processes kept a GPU since a time in microseconds (385). kNotFound: nobody
  // did.
  Function<abi::Device, abi::ProcessUtilization*, unsigned*, unsigned long long>
      device_process_utilization;
  // Optional: events.
  Function<abi::EventSet*> event_set_create;
  Function<abi::EventSet> event_set_free;
  Function<abi::EventSet, abi::EventData*, unsigned> event_set_wait;  // time-out in ms
  Function<abi::Device, std::uint64_t*> device_supported_events;
  Function<abi::Device, std::uint64_t, abi::EventSet> device_register_events;
};

// Calls visit(symbol, member, required) for each member of `api` (const or not).
template <typename Api, typename Visitor>
void VisitNvml(Api& api, Visitor&& visit) {
  visit("nvmlInit_v2", api.init, true);
  visit("nvmlShutdown", api.shutdown, true);
  visit("nvmlErrorString", api.error_string, true);
  visit("nvmlSystemGetDriverVersion", api.system_driver_version, true);
  visit("nvmlSystemGetNVMLVersion", api.system_nvml_version, true);
  visit("nvmlSystemGetCudaDriverVersion", api.system_cuda_version, true);
  visit("nvmlDeviceGetCount_v2", api.device_count, true);
  visit("nvmlDeviceGetHandleByIndex_v2", api.device_by_index, true);
  visit("nvmlDeviceGetHandleByUUID", api.device_by_uuid, true);
  visit("nvmlDeviceGetUUID", api.device_uuid, true);
  visit("nvmlDeviceGetName", api.device_name, true);
  visit("nvmlDeviceGetMinorNumber", api.device_minor, true);
  visit("nvmlDeviceGetPciInfo_v3", api.device_pci_info, true);
  visit("nvmlDeviceGetMemoryInfo", api.device_memory, true);
  visit("nvmlDeviceGetCudaComputeCapability", api.device_compute_capability, true);
  visit("nvmlDeviceGetMemoryInfo_v2", api.device_memory_v2, false);
  visit("nvmlDeviceGetNumGpuCores", api.device_cores, false);
  visit("nvmlDeviceGetFieldValues", api.device_field_values, false);
  visit("nvmlDeviceGetTopologyCommonAncestor", api.device_common_ancestor, false);
  visit("nvmlDeviceGetNvLinkState", api.device_nvlink_state, false);
  visit("nvmlDeviceGetNvLinkRemotePciInfo_v2", api.device_nvlink_remote_pci, false);
  visit("nvmlDeviceGetGpuFabricInfo", api.device_fabric_info, false);
  visit("nvmlDeviceGetGpuFabricInfoV", api.device_fabric_info_v, false);
  visit("nvmlDeviceGetMemoryAffinity", api.device_memory_affinity, false);
  visit("nvmlDeviceGetMigMode", api.device_mig_mode, false);
  visit("nvmlDeviceGetMaxMigDeviceCount", api.device_max_mig_devices, false);
  visit("nvmlDeviceGetMigDeviceHandleByIndex", api.device_mig_by_index, false);
  visit("nvmlDeviceGetGpuInstanceId", api.device_gpu_instance_id, false);
  visit("nvmlDeviceGetComputeInstanceId", api.device_compute_instance_id, false);
  visit("nvmlDeviceGetAttributes_v2", api.device_attributes, false);
  visit("nvmlDeviceGetGpuInstanceById", api.device_gpu_instance_by_id, false);
  visit("nvmlGpuInstanceGetInfo", api.gpu_instance_info, false);
  visit("nvmlDeviceGetGpuInstanceProfileInfo", api.device_gpu_instance_profile, false);
  visit("nvmlDeviceGetIndex", api.device_index, false);
  visit("nvmlDeviceSetMigMode", api.device_set_mig_mode, false);
  visit("nvmlDeviceGetGpuInstancePossiblePlacements_v2", api.device_gpu_instance_placements, false);
  visit("nvmlDeviceGetGpuInstances", api.device_gpu_instances, false);
  visit("nvmlDeviceCreateGpuInstance", api.device_create_gpu_instance, false);
  visit("nvmlDeviceCreateGpuInstanceWithPlacement", api.device_create_gpu_instance_placed, false);
  visit("nvmlGpuInstanceDestroy", api.gpu_instance_destroy, false);
  visit("nvmlGpuInstanceGetComputeInstanceProfileInfo", api.gpu_instance_compute_profile, false);
  visit("nvmlGpuInstanceGetComputeInstancePossiblePlacements", api.gpu_instance_compute_placements,
        false);
  visit("nvmlGpuInstanceGetComputeInstances", api.gpu_instance_compute_instances, false);
  visit("nvmlGpuInstanceGetComputeInstanceById", api.gpu_instance_compute_instance_by_id, false);
  visit("nvmlGpuInstanceCreateComputeInstance", api.gpu_instance_create_compute_instance, false);
  visit("nvmlGpuInstanceCreateComputeInstanceWithPlacement",
        api.gpu_instance_create_compute_instance_placed, false);
  visit("nvmlComputeInstanceDestroy", api.compute_instance_destroy, false);
  visit("nvmlComputeInstanceGetInfo_v2", api.compute_instance_info, false);
  visit("nvmlDeviceGetComputeRunningProcesses_v3", api.device_compute_processes, false);
  visit("nvmlDeviceGetGraphicsRunningProcesses_v3", api.device_graphics_processes, false);
  visit("nvmlDeviceGetMPSComputeRunningProcesses_v3", api.device_mps_processes, false);
  visit("nvmlDeviceGetProcessUtilization", api.device_process_utilization, false);
  visit("nvmlSystemGetProcessName", api.system_process_name, false);
  visit("nvmlEventSetCreate", api.event_set_create, false);
  visit("nvmlEventSetFree", api.event_set_free, false);
  visit("nvmlEventSetWait_v2", api.event_set_wait, false);
  visit("nvmlDeviceGetSupportedEventTypes", api.device_supported_events, false);
  visit("nvmlDeviceRegisterEvents", api.device_register_events, false);
}

// "nvmlDeviceGetUUID: GPU is lost (NVML error 15)". kUnavailable is used for the errors of
// IsDriverGone and for nothing else, so that callers can tell a dead driver from a broken GPU.
Error NvmlError(std::string_view call, abi::Return result);
// The driver was unloaded, replaced, or never initialised: open the library again.
bool IsDriverGone(const Error& error);
// The answer "this GPU or driver does not have that", as opposed to "the GPU is broken".
bool IsAbsent(const Error& error);

// Calls a member, required or optional. `call` is the symbol, for the message; kUnimplemented if
// the library lacks it.
template <typename... Params, typename... Args>
Status CallNvml(std::string_view call, const std::function<abi::Return(Params...)>& function,
                Args&&... args) {
  if (!function) return NvmlError(call, abi::Return::kFunctionNotFound);
  const abi::Return result = function(std::forward<Args>(args)...);
  if (result == abi::Return::kSuccess) return {};
  return NvmlError(call, result);
}

// As CallNvml, for facts a GPU may lack: true if it answered, false if IsAbsent, else the error.
template <typename... Params, typename... Args>
Result<bool> AskNvml(std::string_view call, const std::function<abi::Return(Params...)>& function,
                     Args&&... args) {
  const Status status = CallNvml(call, function, std::forward<Args>(args)...);
  if (status.ok()) return true;
  if (IsAbsent(status.error())) return false;
  return status.error();
}

// The NVML error text for people, also without a library at hand.
std::string_view ReturnText(abi::Return result);

}  // namespace aliquot::gpu
