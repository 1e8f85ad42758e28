// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Prints sizes and places of what we declare of NVIDIA's binary interfaces, under NVIDIA's names.
// tools/check-abi.sh compiles it with NVIDIA's headers (-DTHEIRS) and with ours, and compares what
// the two say. HEADER_CUDA_VERSION is that of NVIDIA's header.

#include <cstddef>
#include <cstdio>

#ifdef THEIRS
#include <cuda.h>
#include <nvml.h>
#else
#include "gpu/nvml_api.h"
#include "interposer/cuda_hooks.h"
#include "interposer/cuda_hooks_copy.h"
#include "interposer/nvml_abi.h"
namespace abi = aliquot::gpu::abi;
#endif

namespace {

template <typename Result, typename... Parameters>
void Signature(const char* name, Result (*)(Parameters...)) {
  std::printf("%s %zu (", name, sizeof(Result));
  (std::printf(" %zu", sizeof(Parameters)), ...);
  std::printf(" )\n");
}

#ifdef THEIRS
#define CHOOSE(theirs, ours) theirs
#else
#define CHOOSE(theirs, ours) ours
#endif

// A type, and a member of one, under their name and ours.
#define TYPE(theirs, ours) std::printf("%s, %zu bytes\n", #theirs, sizeof(CHOOSE(theirs, ours)))
#define MEMBER(type, member, our_type, our_member)                          \
  std::printf("%s.%s at %zu, %zu bytes\n", #type, #member,                  \
              offsetof(CHOOSE(type, our_type), CHOOSE(member, our_member)), \
              sizeof(static_cast<CHOOSE(type, our_type)*>(nullptr)->CHOOSE(member, our_member)))
// Where ours has the same name.
#define SAME(type, member) MEMBER(type, member, type, member)
#define VALUE(name) std::printf("%s = %lld\n", #name, static_cast<long long>(name))

void CudaLaunches() {
  TYPE(CUlaunchConfig, CUlaunchConfig);
  SAME(CUlaunchConfig, gridDimX);
  SAME(CUlaunchConfig, gridDimY);
  SAME(CUlaunchConfig, gridDimZ);
  SAME(CUlaunchConfig, blockDimX);
  SAME(CUlaunchConfig, blockDimY);
  SAME(CUlaunchConfig, blockDimZ);
  SAME(CUlaunchConfig, sharedMemBytes);
  SAME(CUlaunchConfig, hStream);
  SAME(CUlaunchConfig, attrs);
  SAME(CUlaunchConfig, numAttrs);
  TYPE(CUDA_LAUNCH_PARAMS, CUDA_LAUNCH_PARAMS);
  SAME(CUDA_LAUNCH_PARAMS, function);
  SAME(CUDA_LAUNCH_PARAMS, gridDimX);
  SAME(CUDA_LAUNCH_PARAMS, blockDimX);
  SAME(CUDA_LAUNCH_PARAMS, blockDimZ);
  SAME(CUDA_LAUNCH_PARAMS, sharedMemBytes);
  SAME(CUDA_LAUNCH_PARAMS, hStream);
  SAME(CUDA_LAUNCH_PARAMS, kernelParams);
  TYPE(CUuuid, CUuuid);
}

void CudaArrays() {
  TYPE(CUDA_ARRAY_DESCRIPTOR, CUDA_ARRAY_DESCRIPTOR);
  SAME(CUDA_ARRAY_DESCRIPTOR, Width);
  SAME(CUDA_ARRAY_DESCRIPTOR, Height);
  SAME(CUDA_ARRAY_DESCRIPTOR, Format);
  SAME(CUDA_ARRAY_DESCRIPTOR, NumChannels);
  TYPE(CUDA_ARRAY_DESCRIPTOR_v1, CUDA_ARRAY_DESCRIPTOR_v1);
  SAME(CUDA_ARRAY_DESCRIPTOR_v1, Height);
  SAME(CUDA_ARRAY_DESCRIPTOR_v1, NumChannels);
  TYPE(CUDA_ARRAY3D_DESCRIPTOR, CUDA_ARRAY3D_DESCRIPTOR);
  SAME(CUDA_ARRAY3D_DESCRIPTOR, Width);
  SAME(CUDA_ARRAY3D_DESCRIPTOR, Height);
  SAME(CUDA_ARRAY3D_DESCRIPTOR, Depth);
  SAME(CUDA_ARRAY3D_DESCRIPTOR, Format);
  SAME(CUDA_ARRAY3D_DESCRIPTOR, NumChannels);
  SAME(CUDA_ARRAY3D_DESCRIPTOR, Flags);
  TYPE(CUDA_ARRAY3D_DESCRIPTOR_v1, CUDA_ARRAY3D_DESCRIPTOR_v1);
  SAME(CUDA_ARRAY3D_DESCRIPTOR_v1, Flags);
  TYPE(CUDA_ARRAY_MEMORY_REQUIREMENTS, CUDA_ARRAY_MEMORY_REQUIREMENTS);
  SAME(CUDA_ARRAY_MEMORY_REQUIREMENTS, size);
  SAME(CUDA_ARRAY_MEMORY_REQUIREMENTS, alignment);
}

void CudaMemory() {
  TYPE(CUmemLocation, CUmemLocation);
  SAME(CUmemLocation, type);
  SAME(CUmemLocation, id);
  TYPE(CUmemAllocationProp, CUmemAllocationProp);
  SAME(CUmemAllocationProp, type);
  SAME(CUmemAllocationProp, requestedHandleTypes);
  SAME(CUmemAllocationProp, location);
  SAME(CUmemAllocationProp, win32HandleMetaData);
  SAME(CUmemAllocationProp, allocFlags);
  TYPE(CUmemPoolProps, CUmemPoolProps);
  SAME(CUmemPoolProps, allocType);
  SAME(CUmemPoolProps, handleTypes);
  SAME(CUmemPoolProps, location);
  SAME(CUmemPoolProps, win32SecurityAttributes);
  SAME(CUmemPoolProps, maxSize);
  TYPE(CUDA_MEM_ALLOC_NODE_PARAMS, CUDA_MEM_ALLOC_NODE_PARAMS);
  SAME(CUDA_MEM_ALLOC_NODE_PARAMS, poolProps);
  SAME(CUDA_MEM_ALLOC_NODE_PARAMS, accessDescs);
  SAME(CUDA_MEM_ALLOC_NODE_PARAMS, accessDescCount);
  SAME(CUDA_MEM_ALLOC_NODE_PARAMS, bytesize);
  SAME(CUDA_MEM_ALLOC_NODE_PARAMS, dptr);
  TYPE(CUgraphNodeParams, CUgraphNodeParams);
  SAME(CUgraphNodeParams, type);
  SAME(CUgraphNodeParams, alloc);
  SAME(CUgraphNodeParams, alloc.bytesize);
  SAME(CUgraphNodeParams, reserved2);
}

void CudaCopies() {
  TYPE(CUDA_MEMCPY2D, CUDA_MEMCPY2D);
  SAME(CUDA_MEMCPY2D, srcMemoryType);
  SAME(CUDA_MEMCPY2D, dstMemoryType);
  SAME(CUDA_MEMCPY2D, dstPitch);
  SAME(CUDA_MEMCPY2D, WidthInBytes);
  SAME(CUDA_MEMCPY2D, Height);
  TYPE(CUDA_MEMCPY3D, CUDA_MEMCPY3D);
  SAME(CUDA_MEMCPY3D, srcMemoryType);
  SAME(CUDA_MEMCPY3D, dstMemoryType);
  SAME(CUDA_MEMCPY3D, dstHeight);
  SAME(CUDA_MEMCPY3D, WidthInBytes);
  SAME(CUDA_MEMCPY3D, Height);
  SAME(CUDA_MEMCPY3D, Depth);
  TYPE(CUDA_MEMCPY3D_PEER, CUDA_MEMCPY3D);
  MEMBER(CUDA_MEMCPY3D_PEER, srcContext, CUDA_MEMCPY3D, reserved0);
  MEMBER(CUDA_MEMCPY3D_PEER, dstContext, CUDA_MEMCPY3D, reserved1);
  MEMBER(CUDA_MEMCPY3D_PEER, WidthInBytes, CUDA_MEMCPY3D, WidthInBytes);
  MEMBER(CUDA_MEMCPY3D_PEER, Height, CUDA_MEMCPY3D, Height);
  MEMBER(CUDA_MEMCPY3D_PEER, Depth, CUDA_MEMCPY3D, Depth);
  TYPE(CUmemcpy3DOperand, CUmemcpy3DOperand);
  SAME(CUmemcpy3DOperand, type);
  MEMBER(CUmemcpy3DOperand, op.ptr.ptr, CUmemcpy3DOperand, pointer.address);
  MEMBER(CUmemcpy3DOperand, op.ptr.rowLength, CUmemcpy3DOperand, pointer.row_bytes);
  MEMBER(CUmemcpy3DOperand, op.ptr.layerHeight, CUmemcpy3DOperand, pointer.layer_rows);
  MEMBER(CUmemcpy3DOperand, op.ptr.locHint, CUmemcpy3DOperand, pointer.location);
  MEMBER(CUmemcpy3DOperand, op.array.array, CUmemcpy3DOperand, array.array);
  MEMBER(CUmemcpy3DOperand, op.array.offset.z, CUmemcpy3DOperand, array.z);
  TYPE(CUDA_MEMCPY3D_BATCH_OP, CUDA_MEMCPY3D_BATCH_OP);
  MEMBER(CUDA_MEMCPY3D_BATCH_OP, src, CUDA_MEMCPY3D_BATCH_OP, from);
  MEMBER(CUDA_MEMCPY3D_BATCH_OP, dst, CUDA_MEMCPY3D_BATCH_OP, to);
  MEMBER(CUDA_MEMCPY3D_BATCH_OP, extent.width, CUDA_MEMCPY3D_BATCH_OP, width);
  MEMBER(CUDA_MEMCPY3D_BATCH_OP, extent.height, CUDA_MEMCPY3D_BATCH_OP, height);
  MEMBER(CUDA_MEMCPY3D_BATCH_OP, extent.depth, CUDA_MEMCPY3D_BATCH_OP, depth);
  MEMBER(CUDA_MEMCPY3D_BATCH_OP, srcAccessOrder, CUDA_MEMCPY3D_BATCH_OP, order);
  SAME(CUDA_MEMCPY3D_BATCH_OP, flags);
  TYPE(CUmemDecompressParams, CUmemDecompressParams);
  SAME(CUmemDecompressParams, srcNumBytes);
  SAME(CUmemDecompressParams, dstNumBytes);
  SAME(CUmemDecompressParams, dstActBytes);
  SAME(CUmemDecompressParams, src);
  SAME(CUmemDecompressParams, dst);
  SAME(CUmemDecompressParams, algo);
#if HEADER_CUDA_VERSION >= 13050
  TYPE(CUfabricCpyOperand, CUfabricCpyOperand);
  SAME(CUfabricCpyOperand, type);
  SAME(CUfabricCpyOperand, op);
  TYPE(CUDA_FABRIC_COPY_BATCH_OP, CUDA_FABRIC_COPY_BATCH_OP);
  SAME(CUDA_FABRIC_COPY_BATCH_OP, src);
  SAME(CUDA_FABRIC_COPY_BATCH_OP, dst);
  SAME(CUDA_FABRIC_COPY_BATCH_OP, size);
  SAME(CUDA_FABRIC_COPY_BATCH_OP, flags);
#endif
}

void CudaNumbers() {
  VALUE(CUDA_SUCCESS);
  VALUE(CUDA_ERROR_OUT_OF_MEMORY);
  VALUE(CUDA_ERROR_NOT_READY);
  VALUE(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  VALUE(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
  VALUE(CU_MEM_LOCATION_TYPE_DEVICE);
  VALUE(CU_STREAM_CAPTURE_MODE_RELAXED);
  VALUE(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
  VALUE(CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
  VALUE(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT);
  VALUE(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT);
  VALUE(CU_GRAPH_NODE_TYPE_GRAPH);
  VALUE(CU_GRAPH_NODE_TYPE_MEM_ALLOC);
  VALUE(CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS);
  VALUE(CU_MEMHOSTREGISTER_PORTABLE);
  VALUE(CU_MEMHOSTREGISTER_DEVICEMAP);
  VALUE(CU_EVENT_DEFAULT);
  VALUE(CUDA_ARRAY3D_LAYERED);
  VALUE(CUDA_ARRAY3D_CUBEMAP);
  VALUE(CUDA_ARRAY3D_SPARSE);
  VALUE(CUDA_ARRAY3D_DEFERRED_MAPPING);
  VALUE(CU_MEMORYTYPE_HOST);
  VALUE(CU_MEMORYTYPE_DEVICE);
  VALUE(CU_MEMORYTYPE_ARRAY);
}

// What the interposer answers.
void InterposedNvml() {
  VALUE(NVML_SUCCESS);
  VALUE(NVML_ERROR_INVALID_ARGUMENT);
  VALUE(NVML_ERROR_NOT_FOUND);
  VALUE(NVML_ERROR_INSUFFICIENT_SIZE);
  VALUE(NVML_ERROR_LIBRARY_NOT_FOUND);
  VALUE(NVML_ERROR_FUNCTION_NOT_FOUND);
  VALUE(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
  TYPE(nvmlMemory_t, nvmlMemory_t);
  SAME(nvmlMemory_t, total);
  SAME(nvmlMemory_t, free);
  SAME(nvmlMemory_t, used);
  TYPE(nvmlMemory_v2_t, nvmlMemory_v2_t);
  SAME(nvmlMemory_v2_t, version);
  SAME(nvmlMemory_v2_t, total);
  SAME(nvmlMemory_v2_t, reserved);
  SAME(nvmlMemory_v2_t, free);
  SAME(nvmlMemory_v2_t, used);
  TYPE(nvmlProcessInfo_v1_t, nvmlProcessInfo_v1_t);
  SAME(nvmlProcessInfo_v1_t, usedGpuMemory);
  TYPE(nvmlProcessInfo_v2_t, nvmlProcessInfo_v2_t);
  SAME(nvmlProcessInfo_v2_t, usedGpuMemory);
  SAME(nvmlProcessInfo_v2_t, computeInstanceId);
  TYPE(nvmlProcessDetail_v1_t, nvmlProcessDetail_v1_t);
  SAME(nvmlProcessDetail_v1_t, usedGpuMemory);
  SAME(nvmlProcessDetail_v1_t, usedGpuCcProtectedMemory);
  TYPE(nvmlProcessDetailList_v1_t, nvmlProcessDetailList_v1_t);
  SAME(nvmlProcessDetailList_v1_t, mode);
  SAME(nvmlProcessDetailList_v1_t, numProcArrayEntries);
  SAME(nvmlProcessDetailList_v1_t, procArray);
  TYPE(nvmlProcessUtilizationSample_t, nvmlProcessUtilizationSample_t);
  SAME(nvmlProcessUtilizationSample_t, timeStamp);
  SAME(nvmlProcessUtilizationSample_t, smUtil);
  SAME(nvmlProcessUtilizationSample_t, decUtil);
  TYPE(nvmlProcessUtilizationInfo_v1_t, nvmlProcessUtilizationInfo_v1_t);
  SAME(nvmlProcessUtilizationInfo_v1_t, timeStamp);
  SAME(nvmlProcessUtilizationInfo_v1_t, pid);
  SAME(nvmlProcessUtilizationInfo_v1_t, smUtil);
  SAME(nvmlProcessUtilizationInfo_v1_t, ofaUtil);
  TYPE(nvmlProcessesUtilizationInfo_v1_t, nvmlProcessesUtilizationInfo_v1_t);
  SAME(nvmlProcessesUtilizationInfo_v1_t, version);
  SAME(nvmlProcessesUtilizationInfo_v1_t, processSamplesCount);
  SAME(nvmlProcessesUtilizationInfo_v1_t, lastSeenTimeStamp);
  SAME(nvmlProcessesUtilizationInfo_v1_t, procUtilArray);
}

// What the agent asks.
void AskedNvml() {
  TYPE(nvmlPciInfo_t, abi::PciInfo);
  MEMBER(nvmlPciInfo_t, domain, abi::PciInfo, domain);
  MEMBER(nvmlPciInfo_t, pciDeviceId, abi::PciInfo, pci_device_id);
  MEMBER(nvmlPciInfo_t, pciSubSystemId, abi::PciInfo, pci_subsystem_id);
  MEMBER(nvmlPciInfo_t, busId, abi::PciInfo, bus_id);
  TYPE(nvmlMemory_t, abi::Memory);
  MEMBER(nvmlMemory_t, free, abi::Memory, free);
  TYPE(nvmlMemory_v2_t, abi::MemoryV2);
  MEMBER(nvmlMemory_v2_t, reserved, abi::MemoryV2, reserved);
  MEMBER(nvmlMemory_v2_t, used, abi::MemoryV2, used);
  TYPE(nvmlDeviceAttributes_t, abi::DeviceAttributes);
  MEMBER(nvmlDeviceAttributes_t, gpuInstanceSliceCount, abi::DeviceAttributes, gpu_instance_slices);
  MEMBER(nvmlDeviceAttributes_t, memorySizeMB, abi::DeviceAttributes, memory_mib);
  TYPE(nvmlGpuInstancePlacement_t, abi::Placement);
  TYPE(nvmlComputeInstancePlacement_t, abi::Placement);
  MEMBER(nvmlGpuInstancePlacement_t, size, abi::Placement, size);
  TYPE(nvmlGpuInstanceInfo_t, abi::GpuInstanceInfo);
  MEMBER(nvmlGpuInstanceInfo_t, id, abi::GpuInstanceInfo, id);
  MEMBER(nvmlGpuInstanceInfo_t, profileId, abi::GpuInstanceInfo, profile_id);
  MEMBER(nvmlGpuInstanceInfo_t, placement, abi::GpuInstanceInfo, placement);
  TYPE(nvmlGpuInstanceProfileInfo_t, abi::GpuInstanceProfileInfo);
  MEMBER(nvmlGpuInstanceProfileInfo_t, sliceCount, abi::GpuInstanceProfileInfo, slices);
  MEMBER(nvmlGpuInstanceProfileInfo_t, instanceCount, abi::GpuInstanceProfileInfo, instances);
  MEMBER(nvmlGpuInstanceProfileInfo_t, ofaCount, abi::GpuInstanceProfileInfo, ofas);
  MEMBER(nvmlGpuInstanceProfileInfo_t, memorySizeMB, abi::GpuInstanceProfileInfo, memory_mib);
  TYPE(nvmlComputeInstanceProfileInfo_t, abi::ComputeInstanceProfileInfo);
  MEMBER(nvmlComputeInstanceProfileInfo_t, instanceCount, abi::ComputeInstanceProfileInfo,
         instances);
  MEMBER(nvmlComputeInstanceProfileInfo_t, sharedOfaCount, abi::ComputeInstanceProfileInfo,
         shared_ofas);
  TYPE(nvmlComputeInstanceInfo_t, abi::ComputeInstanceInfo);
  MEMBER(nvmlComputeInstanceInfo_t, gpuInstance, abi::ComputeInstanceInfo, gpu_instance);
  MEMBER(nvmlComputeInstanceInfo_t, placement, abi::ComputeInstanceInfo, placement);
  TYPE(nvmlProcessInfo_t, abi::ProcessInfo);
  MEMBER(nvmlProcessInfo_t, usedGpuMemory, abi::ProcessInfo, used_memory_bytes);
  MEMBER(nvmlProcessInfo_t, computeInstanceId, abi::ProcessInfo, compute_instance_id);
  TYPE(nvmlProcessUtilizationSample_t, abi::ProcessUtilization);
  MEMBER(nvmlProcessUtilizationSample_t, timeStamp, abi::ProcessUtilization, time_us);
  MEMBER(nvmlProcessUtilizationSample_t, decUtil, abi::ProcessUtilization, decoder_percent);
  TYPE(nvmlEventData_t, abi::EventData);
  MEMBER(nvmlEventData_t, eventType, abi::EventData, type);
  MEMBER(nvmlEventData_t, eventData, abi::EventData, data);
  MEMBER(nvmlEventData_t, computeInstanceId, abi::EventData, compute_instance_id);
  TYPE(nvmlGpuFabricInfo_t, abi::FabricInfo);
  MEMBER(nvmlGpuFabricInfo_t, status, abi::FabricInfo, status);
  MEMBER(nvmlGpuFabricInfo_t, cliqueId, abi::FabricInfo, clique_id);
  MEMBER(nvmlGpuFabricInfo_t, state, abi::FabricInfo, state);
  TYPE(nvmlGpuFabricInfo_v2_t, abi::FabricInfoV2);
  MEMBER(nvmlGpuFabricInfo_v2_t, clusterUuid, abi::FabricInfoV2, cluster_uuid);
  MEMBER(nvmlGpuFabricInfo_v2_t, state, abi::FabricInfoV2, state);
  MEMBER(nvmlGpuFabricInfo_v2_t, healthMask, abi::FabricInfoV2, health_mask);
  TYPE(nvmlFieldValue_t, abi::FieldValue);
  MEMBER(nvmlFieldValue_t, scopeId, abi::FieldValue, scope_id);
  MEMBER(nvmlFieldValue_t, latencyUsec, abi::FieldValue, latency_us);
  MEMBER(nvmlFieldValue_t, valueType, abi::FieldValue, value_type);
  MEMBER(nvmlFieldValue_t, nvmlReturn, abi::FieldValue, status);
  MEMBER(nvmlFieldValue_t, value, abi::FieldValue, value);
}

// FUNCTION(name) for every function that both declare, and ASKED(name) for those of the agent's
// table; made by the script.
void Functions() {
#define FUNCTION(name) Signature(#name, static_cast<decltype(&name)>(nullptr));
#ifdef THEIRS
#define ASKED(name) FUNCTION(name)
#else
#define ASKED(name)
#endif
#include "functions.inc"
#ifndef THEIRS
  aliquot::gpu::NvmlApi api;
  aliquot::gpu::VisitNvml(api, []<typename Result, typename... Parameters>(
                                   const char* name, std::function<Result(Parameters...)>&, bool) {
    Signature(name, static_cast<Result (*)(Parameters...)>(nullptr));
  });
#endif
}

}  // namespace

int main() {
  CudaLaunches();
  CudaArrays();
  CudaMemory();
  CudaCopies();
  CudaNumbers();
  InterposedNvml();
  AskedNvml();
  Functions();
}
