// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/cuda_abi.h"
#include "interposer/libc.h"

// The hooks: functions exported in place of trampolines. Whoever defines one need only include
// this; trampolines.S makes way for it.

ALIQUOT_EXPORT CUresult cuGetProcAddress(const char*, void**, int, cuuint64_t);
ALIQUOT_EXPORT CUresult cuGetProcAddress_v2(const char*, void**, int, cuuint64_t, int*);

// Queries: cuda_query.cc
ALIQUOT_EXPORT CUresult cuMemGetInfo(unsigned*, unsigned*);
ALIQUOT_EXPORT CUresult cuMemGetInfo_v2(size_t*, size_t*);
ALIQUOT_EXPORT CUresult cuDeviceTotalMem(unsigned*, CUdevice);
ALIQUOT_EXPORT CUresult cuDeviceTotalMem_v2(size_t*, CUdevice);

// Linear memory: cuda_linear.cc
ALIQUOT_EXPORT CUresult cuMemAlloc(CUdeviceptr_v1*, unsigned);
ALIQUOT_EXPORT CUresult cuMemAlloc_v2(CUdeviceptr*, size_t);
ALIQUOT_EXPORT CUresult cuMemAllocPitch(CUdeviceptr_v1*, unsigned*, unsigned, unsigned, unsigned);
ALIQUOT_EXPORT CUresult cuMemAllocPitch_v2(CUdeviceptr*, size_t*, size_t, size_t, unsigned);
ALIQUOT_EXPORT CUresult cuMemAllocManaged(CUdeviceptr*, size_t, unsigned);
ALIQUOT_EXPORT CUresult cuMemFree(CUdeviceptr_v1);
ALIQUOT_EXPORT CUresult cuMemFree_v2(CUdeviceptr);

// Arrays: cuda_array.cc
ALIQUOT_EXPORT CUresult cuArrayCreate(CUarray*, const CUDA_ARRAY_DESCRIPTOR_v1*);
ALIQUOT_EXPORT CUresult cuArrayCreate_v2(CUarray*, const CUDA_ARRAY_DESCRIPTOR*);
ALIQUOT_EXPORT CUresult cuArray3DCreate(CUarray*, const CUDA_ARRAY3D_DESCRIPTOR_v1*);
ALIQUOT_EXPORT CUresult cuArray3DCreate_v2(CUarray*, const CUDA_ARRAY3D_DESCRIPTOR*);
ALIQUOT_EXPORT CUresult cuMipmappedArrayCreate(CUmipmappedArray*, const CUDA_ARRAY3D_DESCRIPTOR*,
                                               unsigned);
ALIQUOT_EXPORT CUresult cuArrayDestroy(CUarray);
ALIQUOT_EXPORT CUresult cuMipmappedArrayDestroy(CUmipmappedArray);

// Virtual memory: cuda_virtual.cc
ALIQUOT_EXPORT CUresult cuMemCreate(CUmemGenericAllocationHandle*, size_t,
                                    const CUmemAllocationProp*, unsigned long long);
ALIQUOT_EXPORT CUresult cuMemRelease(CUmemGenericAllocationHandle);
ALIQUOT_EXPORT CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle*, void*);
ALIQUOT_EXPORT CUresult cuMemMap(CUdeviceptr, size_t, size_t, CUmemGenericAllocationHandle,
                                 unsigned long long);
ALIQUOT_EXPORT CUresult cuMemUnmap(CUdeviceptr, size_t);

// Pools: cuda_pool.cc
ALIQUOT_EXPORT CUresult cuMemAllocAsync(CUdeviceptr*, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemAllocAsync_ptsz(CUdeviceptr*, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemAllocFromPoolAsync(CUdeviceptr*, size_t, CUmemoryPool, CUstream);
ALIQUOT_EXPORT CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr*, size_t, CUmemoryPool, CUstream);
ALIQUOT_EXPORT CUresult cuMemFreeAsync(CUdeviceptr, CUstream);
ALIQUOT_EXPORT CUresult cuMemFreeAsync_ptsz(CUdeviceptr, CUstream);
ALIQUOT_EXPORT CUresult cuMemPoolCreate(CUmemoryPool*, const CUmemPoolProps*);
ALIQUOT_EXPORT CUresult cuMemPoolDestroy(CUmemoryPool);
ALIQUOT_EXPORT CUresult cuMemPoolTrimTo(CUmemoryPool, size_t);
ALIQUOT_EXPORT CUresult cuMemPoolSetAttribute(CUmemoryPool, int, void*);
ALIQUOT_EXPORT CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool*, void*, int,
                                                           unsigned long long);

// Graphs: cuda_graph.cc
ALIQUOT_EXPORT CUresult cuGraphAddMemAllocNode(CUgraphNode*, CUgraph, const CUgraphNode*, size_t,
                                               CUDA_MEM_ALLOC_NODE_PARAMS*);
ALIQUOT_EXPORT CUresult cuGraphAddNode(CUgraphNode*, CUgraph, const CUgraphNode*, size_t,
                                       CUgraphNodeParams*);
ALIQUOT_EXPORT CUresult cuGraphAddNode_v2(CUgraphNode*, CUgraph, const CUgraphNode*, const void*,
                                          size_t, CUgraphNodeParams*);
ALIQUOT_EXPORT CUresult cuGraphAddNode_v3(CUgraphNode*, CUgraph, const CUgraphNode*, const void*,
                                          size_t, CUgraphNodeParams*);
ALIQUOT_EXPORT CUresult cuGraphInstantiate(CUgraphExec*, CUgraph, CUgraphNode*, char*, size_t);
ALIQUOT_EXPORT CUresult cuGraphInstantiate_v2(CUgraphExec*, CUgraph, CUgraphNode*, char*, size_t);
ALIQUOT_EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec*, CUgraph, unsigned long long);
ALIQUOT_EXPORT CUresult cuGraphInstantiateWithParams(CUgraphExec*, CUgraph, void*);
ALIQUOT_EXPORT CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec*, CUgraph, void*);
ALIQUOT_EXPORT CUresult cuGraphExecDestroy(CUgraphExec);
ALIQUOT_EXPORT CUresult cuGraphExecUpdate(CUgraphExec, CUgraph, CUgraphNode*, int*);
ALIQUOT_EXPORT CUresult cuGraphExecUpdate_v2(CUgraphExec, CUgraph, void*);
ALIQUOT_EXPORT CUresult cuGraphUpload(CUgraphExec, CUstream);
ALIQUOT_EXPORT CUresult cuGraphUpload_ptsz(CUgraphExec, CUstream);
ALIQUOT_EXPORT CUresult cuGraphLaunch(CUgraphExec, CUstream);
ALIQUOT_EXPORT CUresult cuGraphLaunch_ptsz(CUgraphExec, CUstream);
ALIQUOT_EXPORT CUresult cuDeviceGraphMemTrim(CUdevice);

// Contexts: cuda_context.cc
ALIQUOT_EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext*, CUdevice);
ALIQUOT_EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice);
ALIQUOT_EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice);
ALIQUOT_EXPORT CUresult cuDevicePrimaryCtxReset(CUdevice);
ALIQUOT_EXPORT CUresult cuDevicePrimaryCtxReset_v2(CUdevice);
ALIQUOT_EXPORT CUresult cuCtxCreate(CUcontext*, unsigned, CUdevice);
ALIQUOT_EXPORT CUresult cuCtxCreate_v2(CUcontext*, unsigned, CUdevice);
ALIQUOT_EXPORT CUresult cuCtxCreate_v3(CUcontext*, void*, int, unsigned, CUdevice);
ALIQUOT_EXPORT CUresult cuCtxCreate_v4(CUcontext*, void*, unsigned, CUdevice);
ALIQUOT_EXPORT CUresult cuCtxDestroy(CUcontext);
ALIQUOT_EXPORT CUresult cuCtxDestroy_v2(CUcontext);
ALIQUOT_EXPORT CUresult cuGreenCtxCreate(CUgreenCtx*, void*, CUdevice, unsigned);
ALIQUOT_EXPORT CUresult cuGreenCtxDestroy(CUgreenCtx);

// Stream capture: cuda_capture.cc
ALIQUOT_EXPORT CUresult cuStreamBeginCapture(CUstream);
ALIQUOT_EXPORT CUresult cuStreamBeginCapture_ptsz(CUstream);
ALIQUOT_EXPORT CUresult cuStreamBeginCapture_v2(CUstream, int);
ALIQUOT_EXPORT CUresult cuStreamBeginCapture_v2_ptsz(CUstream, int);
ALIQUOT_EXPORT CUresult cuStreamBeginCaptureToGraph(CUstream, CUgraph, const CUgraphNode*,
                                                    const void*, size_t, int);
ALIQUOT_EXPORT CUresult cuStreamBeginCaptureToGraph_ptsz(CUstream, CUgraph, const CUgraphNode*,
                                                         const void*, size_t, int);
ALIQUOT_EXPORT CUresult cuStreamBeginRecaptureToGraph(CUstream, int, CUgraph, void*, void*);
ALIQUOT_EXPORT CUresult cuStreamBeginRecaptureToGraph_ptsz(CUstream, int, CUgraph, void*, void*);
ALIQUOT_EXPORT CUresult cuStreamBeginCaptureToCig(CUstream, void*);
ALIQUOT_EXPORT CUresult cuStreamBeginCaptureToCig_ptsz(CUstream, void*);
ALIQUOT_EXPORT CUresult cuStreamEndCapture(CUstream, CUgraph*);
ALIQUOT_EXPORT CUresult cuStreamEndCapture_ptsz(CUstream, CUgraph*);
ALIQUOT_EXPORT CUresult cuStreamEndCaptureToCig(CUstream);
ALIQUOT_EXPORT CUresult cuStreamEndCaptureToCig_ptsz(CUstream);

// Kernels: cuda_launch.cc
ALIQUOT_EXPORT CUresult cuLaunchKernel(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned,
                                       unsigned, unsigned, CUstream, void**, void**);
ALIQUOT_EXPORT CUresult cuLaunchKernel_ptsz(CUfunction, unsigned, unsigned, unsigned, unsigned,
                                            unsigned, unsigned, unsigned, CUstream, void**, void**);
ALIQUOT_EXPORT CUresult cuLaunchKernelEx(const CUlaunchConfig*, CUfunction, void**, void**);
ALIQUOT_EXPORT CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig*, CUfunction, void**, void**);
ALIQUOT_EXPORT CUresult cuLaunchCooperativeKernel(CUfunction, unsigned, unsigned, unsigned,
                                                  unsigned, unsigned, unsigned, unsigned, CUstream,
                                                  void**);
ALIQUOT_EXPORT CUresult cuLaunchCooperativeKernel_ptsz(CUfunction, unsigned, unsigned, unsigned,
                                                       unsigned, unsigned, unsigned, unsigned,
                                                       CUstream, void**);
ALIQUOT_EXPORT CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS*, unsigned,
                                                             unsigned);
ALIQUOT_EXPORT CUresult cuLaunch(CUfunction);
ALIQUOT_EXPORT CUresult cuLaunchGrid(CUfunction, int, int);
ALIQUOT_EXPORT CUresult cuLaunchGridAsync(CUfunction, int, int, CUstream);
ALIQUOT_EXPORT CUresult cuLaunchHostFunc(CUstream, CUhostFn, void*);
ALIQUOT_EXPORT CUresult cuLaunchHostFunc_ptsz(CUstream, CUhostFn, void*);
ALIQUOT_EXPORT CUresult cuLaunchHostFunc_v2(CUstream, CUhostFn, void*, unsigned);
ALIQUOT_EXPORT CUresult cuLaunchHostFunc_v2_ptsz(CUstream, CUhostFn, void*, unsigned);
ALIQUOT_EXPORT CUresult cuStreamAddCallback(CUstream, CUstreamCallback, void*, unsigned);
ALIQUOT_EXPORT CUresult cuStreamAddCallback_ptsz(CUstream, CUstreamCallback, void*, unsigned);

// Waiting for the GPU: cuda_sync.cc
ALIQUOT_EXPORT CUresult cuStreamSynchronize(CUstream);
ALIQUOT_EXPORT CUresult cuStreamSynchronize_ptsz(CUstream);
ALIQUOT_EXPORT CUresult cuStreamQuery(CUstream);
ALIQUOT_EXPORT CUresult cuStreamQuery_ptsz(CUstream);
ALIQUOT_EXPORT CUresult cuCtxSynchronize();
ALIQUOT_EXPORT CUresult cuCtxSynchronize_v2(CUcontext);
ALIQUOT_EXPORT CUresult cuEventSynchronize(CUevent);
ALIQUOT_EXPORT CUresult cuEventQuery(CUevent);
ALIQUOT_EXPORT CUresult cuStreamDestroy(CUstream);
ALIQUOT_EXPORT CUresult cuStreamDestroy_v2(CUstream);
