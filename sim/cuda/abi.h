// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cuda/abi_types.h"

// The structures of the binary interface; see abi_types.h.

struct CUuuid_st {
  char bytes[16];
};
using CUuuid = CUuuid_st;

struct CUdevprop_st {
  int maxThreadsPerBlock;
  int maxThreadsDim[3];
  int maxGridSize[3];
  int sharedMemPerBlock;
  int totalConstantMemory;
  int SIMDWidth;
  int memPitch;
  int regsPerBlock;
  int clockRate;
  int textureAlign;
};
using CUdevprop = CUdevprop_st;
static_assert(sizeof(CUdevprop) == 56);

// Launch attributes are looked at only for their size; the simulation ignores what they ask for.
struct CUlaunchAttribute_st {
  int id;
  char pad[4];
  char value[64];
};
static_assert(sizeof(CUlaunchAttribute_st) == 72);
struct CUlaunchConfig_st {
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute_st* attrs;
  unsigned numAttrs;
};
using CUlaunchConfig = CUlaunchConfig_st;
static_assert(sizeof(CUlaunchConfig) == 56);
using CUexecAffinityParam = struct CUexecAffinityParam_st;
using CUctxCigParam = struct CUctxCigParam_st;
struct CUctxCreateParams_st {
  CUexecAffinityParam* execAffinityParams;
  int numExecAffinityParams;
  CUctxCigParam* cigParams;
};
using CUctxCreateParams = CUctxCreateParams_st;
static_assert(sizeof(CUctxCreateParams) == 24);
using CUstreamCigParam = struct CUstreamCigParam_st;
struct CUstreamCigCaptureParams_st {
  CUstreamCigParam* streamCigParams;
};
using CUstreamCigCaptureParams = CUstreamCigCaptureParams_st;

struct CUDA_MEMCPY2D_st {
  size_t srcXInBytes, srcY;
  CUmemorytype srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  size_t srcPitch;
  size_t dstXInBytes, dstY;
  CUmemorytype dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  size_t dstPitch;
  size_t WidthInBytes, Height;
};
using CUDA_MEMCPY2D = CUDA_MEMCPY2D_st;
static_assert(sizeof(CUDA_MEMCPY2D) == 128);

struct CUDA_MEMCPY3D_st {
  size_t srcXInBytes, srcY, srcZ, srcLOD;
  CUmemorytype srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  void* reserved0;
  size_t srcPitch, srcHeight;
  size_t dstXInBytes, dstY, dstZ, dstLOD;
  CUmemorytype dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  void* reserved1;
  size_t dstPitch, dstHeight;
  size_t WidthInBytes, Height, Depth;
};
using CUDA_MEMCPY3D = CUDA_MEMCPY3D_st;
static_assert(sizeof(CUDA_MEMCPY3D) == 200);
// One end of a copy of a batch: memory (type 1) or an array (type 2).
struct CUmemcpy3DOperand_st {
  unsigned type;
  union {
    struct {
      CUdeviceptr ptr;
      size_t rowLength;    // bytes; 0: as wide as the copy
      size_t layerHeight;  // rows; 0: as high as the copy
      unsigned locationType;
      int locationId;
    } ptr;
    struct {
      CUarray array;
      size_t x, y, z;
    } array;
  } op;
};
struct CUDA_MEMCPY3D_BATCH_OP_st {
  CUmemcpy3DOperand_st src, dst;
  size_t width, height, depth;
  unsigned srcAccessOrder;
  unsigned flags;
};
using CUDA_MEMCPY3D_BATCH_OP = CUDA_MEMCPY3D_BATCH_OP_st;
static_assert(sizeof(CUDA_MEMCPY3D_BATCH_OP) == 112);
// As CUDA_MEMCPY3D, with contexts in the two reserved words.
struct CUDA_MEMCPY3D_PEER_st {
  CUDA_MEMCPY3D_st copy;
};
using CUDA_MEMCPY3D_PEER = CUDA_MEMCPY3D_PEER_st;

struct CUDA_ARRAY_DESCRIPTOR_st {
  size_t Width, Height;
  CUarray_format Format;
  unsigned NumChannels;
};
using CUDA_ARRAY_DESCRIPTOR = CUDA_ARRAY_DESCRIPTOR_st;
static_assert(sizeof(CUDA_ARRAY_DESCRIPTOR) == 24);
struct CUDA_ARRAY3D_DESCRIPTOR_st {
  size_t Width, Height, Depth;
  CUarray_format Format;
  unsigned NumChannels;
  unsigned Flags;
};
using CUDA_ARRAY3D_DESCRIPTOR = CUDA_ARRAY3D_DESCRIPTOR_st;
static_assert(sizeof(CUDA_ARRAY3D_DESCRIPTOR) == 40);
struct CUDA_ARRAY_MEMORY_REQUIREMENTS_st {
  size_t size, alignment;
  unsigned reserved[4];
};
using CUDA_ARRAY_MEMORY_REQUIREMENTS = CUDA_ARRAY_MEMORY_REQUIREMENTS_st;

struct CUmemLocation_st {
  CUmemLocationType type;
  int id;
};
using CUmemLocation = CUmemLocation_st;
struct CUmemAllocationProp_st {
  CUmemAllocationType type;
  CUmemAllocationHandleType requestedHandleTypes;
  CUmemLocation location;
  void* win32HandleMetaData;
  struct {
    unsigned char compressionType;
    unsigned char gpuDirectRDMACapable;
    unsigned short usage;
    unsigned char reserved[4];
  } allocFlags;
};
using CUmemAllocationProp = CUmemAllocationProp_st;
static_assert(sizeof(CUmemAllocationProp) == 32);
struct CUmemAccessDesc_st {
  CUmemLocation location;
  CUmemAccess_flags flags;
};
using CUmemAccessDesc = CUmemAccessDesc_st;
static_assert(sizeof(CUmemAccessDesc) == 12);
struct CUmemPoolProps_st {
  CUmemAllocationType allocType;
  CUmemAllocationHandleType handleTypes;
  CUmemLocation location;
  void* win32SecurityAttributes;
  size_t maxSize;
  unsigned short usage;
  unsigned char reserved[54];
};
using CUmemPoolProps = CUmemPoolProps_st;
static_assert(sizeof(CUmemPoolProps) == 88);
struct CUipcMemHandle_st {
  char reserved[64];
};
using CUipcMemHandle = CUipcMemHandle_st;

struct CUDA_KERNEL_NODE_PARAMS_st {
  CUfunction func;
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  void** kernelParams;
  void** extra;
};
using CUDA_KERNEL_NODE_PARAMS_v1 = CUDA_KERNEL_NODE_PARAMS_st;
static_assert(sizeof(CUDA_KERNEL_NODE_PARAMS_v1) == 56);
struct CUDA_KERNEL_NODE_PARAMS_v2_st {
  CUfunction func;
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  void** kernelParams;
  void** extra;
  CUkernel kern;
  CUcontext ctx;
};
using CUDA_KERNEL_NODE_PARAMS = CUDA_KERNEL_NODE_PARAMS_v2_st;
static_assert(sizeof(CUDA_KERNEL_NODE_PARAMS) == 72);
struct CUDA_MEMSET_NODE_PARAMS_st {
  CUdeviceptr dst;
  size_t pitch;
  unsigned value;
  unsigned elementSize;
  size_t width, height;
};
using CUDA_MEMSET_NODE_PARAMS = CUDA_MEMSET_NODE_PARAMS_st;
static_assert(sizeof(CUDA_MEMSET_NODE_PARAMS) == 40);
struct CUDA_HOST_NODE_PARAMS_st {
  CUhostFn fn;
  void* userData;
};
using CUDA_HOST_NODE_PARAMS = CUDA_HOST_NODE_PARAMS_st;
struct CUDA_MEM_ALLOC_NODE_PARAMS_v1_st {
  CUmemPoolProps poolProps;
  const CUmemAccessDesc* accessDescs;
  size_t accessDescCount;
  size_t bytesize;
  CUdeviceptr dptr;
};
using CUDA_MEM_ALLOC_NODE_PARAMS = CUDA_MEM_ALLOC_NODE_PARAMS_v1_st;
static_assert(sizeof(CUDA_MEM_ALLOC_NODE_PARAMS) == 120);
struct CUDA_GRAPH_INSTANTIATE_PARAMS_st {
  cuuint64_t flags;
  CUstream hUploadStream;
  CUgraphNode hErrNode_out;
  int result_out;
};
using CUDA_GRAPH_INSTANTIATE_PARAMS = CUDA_GRAPH_INSTANTIATE_PARAMS_st;
static_assert(sizeof(CUDA_GRAPH_INSTANTIATE_PARAMS) == 32);
struct CUgraphExecUpdateResultInfo_st {
  CUgraphExecUpdateResult result;
  CUgraphNode errorNode;
  CUgraphNode errorFromNode;
};
using CUgraphExecUpdateResultInfo = CUgraphExecUpdateResultInfo_st;
static_assert(sizeof(CUgraphExecUpdateResultInfo) == 24);
struct CUgraphEdgeData_st {
  unsigned char from_port, to_port, type, reserved[5];
};
using CUgraphEdgeData = CUgraphEdgeData_st;
// A node of any kind, as far as kinds are modelled.
struct CUgraphNodeParams_st {
  CUgraphNodeType type;
  int reserved0[3];
  union {
    long long reserved1[29];
    CUDA_KERNEL_NODE_PARAMS kernel;
    struct {
      int flags, reserved;
      CUcontext copyCtx;
      CUDA_MEMCPY3D copyParams;
    } memcpy;
    CUDA_MEMSET_NODE_PARAMS memset;  // a context behind it
    CUDA_HOST_NODE_PARAMS host;      // how to wait, and a context behind it
    CUgraph graph;                   // what becomes of it behind it
    CUevent event;                   // to wait for, or to record
    CUDA_MEM_ALLOC_NODE_PARAMS alloc;
    CUdeviceptr free;
  };
  long long reserved2;
};
using CUgraphNodeParams = CUgraphNodeParams_st;
static_assert(sizeof(CUgraphNodeParams) == 256);
