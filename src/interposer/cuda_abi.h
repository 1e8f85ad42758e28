// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

// The binary interface of the CUDA driver as far as we look at it, written down from the CUDA
// driver API reference (CUDA 13.5, 64-bit). Handles are opaque; what passes through us unread has
// the type it takes on the way. The names are CUDA's own, in the global namespace, so that a hook
// reads like the function it stands for. cuda_hooks.h declares the hooks.

using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUdeviceptr_v1 = unsigned int;
using CUmemGenericAllocationHandle = unsigned long long;
using cuuint32_t = uint32_t;
using cuuint64_t = uint64_t;
using CUcontext = struct CUctx_st*;
using CUgreenCtx = struct CUgreenCtx_st*;
using CUfunction = struct CUfunc_st*;
using CUarray = struct CUarray_st*;
using CUmipmappedArray = struct CUmipmappedArray_st*;
using CUevent = struct CUevent_st*;
using CUstream = struct CUstream_st*;
using CUgraph = struct CUgraph_st*;
using CUgraphNode = struct CUgraphNode_st*;
using CUgraphExec = struct CUgraphExec_st*;
using CUmemoryPool = struct CUmemPoolHandle_st*;
using CUhostFn = void (*)(void* data);

enum CUresult : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
  CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD = 908,
};
using CUstreamCallback = void (*)(CUstream stream, CUresult status, void* data);

enum : int {
  CU_MEM_LOCATION_TYPE_DEVICE = 1,
  CU_STREAM_CAPTURE_MODE_RELAXED = 2,
  CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT = 5,
  CU_MEMPOOL_ATTR_USED_MEM_CURRENT = 7,
  CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT = 0,
  CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT = 2,
  CU_GRAPH_NODE_TYPE_GRAPH = 4,
  CU_GRAPH_NODE_TYPE_MEM_ALLOC = 10,
  CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS = 122,
};
enum : unsigned {
  CU_MEMHOSTREGISTER_PORTABLE = 1,
  CU_MEMHOSTREGISTER_DEVICEMAP = 2,
  CU_EVENT_DEFAULT = 0,
};

struct CUuuid {
  uint8_t bytes[16];
};

struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  CUstream hStream;
  void* attrs;
  unsigned numAttrs;
};
static_assert(sizeof(CUlaunchConfig) == 56);

// Several devices at once; one of these for each.
struct CUDA_LAUNCH_PARAMS {
  CUfunction function;
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  CUstream hStream;
  void** kernelParams;
};
static_assert(sizeof(CUDA_LAUNCH_PARAMS) == 56);

// The descriptors of arrays before CUDA 3.2 have 32-bit sizes.
template <typename Size>
struct ArrayDescriptor {
  Size Width, Height;
  unsigned Format, NumChannels;
};
template <typename Size>
struct Array3DDescriptor {
  Size Width, Height, Depth;
  unsigned Format, NumChannels, Flags;
};
using CUDA_ARRAY_DESCRIPTOR = ArrayDescriptor<size_t>;
using CUDA_ARRAY_DESCRIPTOR_v1 = ArrayDescriptor<unsigned>;
using CUDA_ARRAY3D_DESCRIPTOR = Array3DDescriptor<size_t>;
using CUDA_ARRAY3D_DESCRIPTOR_v1 = Array3DDescriptor<unsigned>;
static_assert(sizeof(CUDA_ARRAY_DESCRIPTOR) == 24);
static_assert(sizeof(CUDA_ARRAY3D_DESCRIPTOR) == 40);
enum : unsigned {
  CUDA_ARRAY3D_LAYERED = 0x01,
  CUDA_ARRAY3D_CUBEMAP = 0x04,
  CUDA_ARRAY3D_SPARSE = 0x40,
  CUDA_ARRAY3D_DEFERRED_MAPPING = 0x80
};
struct CUDA_ARRAY_MEMORY_REQUIREMENTS {
  size_t size, alignment;
  unsigned reserved[4];
};

struct CUmemLocation {
  int type;
  int id;
};
struct CUmemAllocationProp {
  int type;
  int requestedHandleTypes;
  CUmemLocation location;
  void* win32HandleMetaData;
  unsigned char allocFlags[8];
};
static_assert(sizeof(CUmemAllocationProp) == 32);
struct CUmemPoolProps {
  int allocType;
  int handleTypes;
  CUmemLocation location;
  void* win32SecurityAttributes;
  size_t maxSize;
  unsigned char reserved[56];
};
static_assert(sizeof(CUmemPoolProps) == 88);
struct CUDA_MEM_ALLOC_NODE_PARAMS {
  CUmemPoolProps poolProps;
  const void* accessDescs;
  size_t accessDescCount;
  size_t bytesize;
  CUdeviceptr dptr;
};
static_assert(sizeof(CUDA_MEM_ALLOC_NODE_PARAMS) == 120);
// Of the parameters of any node only the type and, if it allocates, the allocation.
struct CUgraphNodeParams {
  int type;
  int reserved0[3];
  union {
    long long reserved1[29];
    CUDA_MEM_ALLOC_NODE_PARAMS alloc;
  };
  long long reserved2;
};
static_assert(sizeof(CUgraphNodeParams) == 256);

struct CUDA_MEMCPY2D {
  size_t srcXInBytes, srcY;
  unsigned srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  size_t srcPitch;
  size_t dstXInBytes, dstY;
  unsigned dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  size_t dstPitch;
  size_t WidthInBytes, Height;
};
static_assert(sizeof(CUDA_MEMCPY2D) == 128);
// Also CUDA_MEMCPY3D_PEER, which has contexts in the reserved words.
struct CUDA_MEMCPY3D {
  size_t srcXInBytes, srcY, srcZ, srcLOD;
  unsigned srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  void* reserved0;
  size_t srcPitch, srcHeight;
  size_t dstXInBytes, dstY, dstZ, dstLOD;
  unsigned dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  void* reserved1;
  size_t dstPitch, dstHeight;
  size_t WidthInBytes, Height, Depth;
};
static_assert(sizeof(CUDA_MEMCPY3D) == 200);
// One copy of a batch: from one operand (1: a pointer, 2: an array) to the other.
struct CUmemcpy3DOperand {
  unsigned type;
  union {
    struct {
      CUdeviceptr address;
      size_t row_bytes, layer_rows;
      struct {
        unsigned type;
        int id;
      } location;
    } pointer;
    struct {
      CUarray array;
      size_t x, y, z;
    } array;
  };
};
struct CUDA_MEMCPY3D_BATCH_OP {
  CUmemcpy3DOperand from, to;
  size_t width, height, depth;  // width in bytes, of arrays in elements
  unsigned order, flags;
};
static_assert(sizeof(CUDA_MEMCPY3D_BATCH_OP) == 112);
// One copy of a batch over a fabric: an operand is a pointer (type 1) or a logical endpoint (2).
struct CUfabricCpyOperand {
  unsigned type;
  unsigned long long op[2];
};
struct CUDA_FABRIC_COPY_BATCH_OP {
  CUfabricCpyOperand src, dst;
  size_t size;
  unsigned flags;
};
static_assert(sizeof(CUDA_FABRIC_COPY_BATCH_OP) == 64);
// Of a batch of decompressions: from the second pointer to the third.
struct CUmemDecompressParams {
  size_t srcNumBytes, dstNumBytes;
  unsigned* dstActBytes;
  const void* src;
  void* dst;
  int algo;
  unsigned char padding[20];
};
static_assert(sizeof(CUmemDecompressParams) == 64);
enum : unsigned { CU_MEMORYTYPE_HOST = 1, CU_MEMORYTYPE_DEVICE = 2, CU_MEMORYTYPE_ARRAY = 3 };
