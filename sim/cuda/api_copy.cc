// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <optional>

#include "sim/cuda/copy.h"
#include "sim/cuda/enter.h"

namespace aliquot::sim::cuda {
namespace {

// What the null stream of synchronous calls is called by the rest of the library.
constexpr CUstream kDefault = nullptr;

CUdeviceptr Address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

// Between an array and linear memory, in bytes from the array's start.
CUDA_MEMCPY3D ToArray(CUarray array, size_t offset, CUdeviceptr from, size_t bytes) {
  CUDA_MEMCPY3D copy = LinearCopy(0, from, bytes);
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.dstArray = array;
  copy.dstXInBytes = offset;
  return copy;
}

CUDA_MEMCPY3D FromArray(CUdeviceptr to, CUarray array, size_t offset, size_t bytes) {
  CUDA_MEMCPY3D copy = LinearCopy(to, 0, bytes);
  copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.srcArray = array;
  copy.srcXInBytes = offset;
  return copy;
}

// Batches are refused there.
bool IsDefault(CUstream stream) { return stream == kDefault; }

// Between memory; arrays in batches are not modelled.
std::optional<CUDA_MEMCPY3D> FromBatch(const CUDA_MEMCPY3D_BATCH_OP& op) {
  constexpr unsigned kPointer = 1;
  if (op.src.type != kPointer || op.dst.type != kPointer) return std::nullopt;
  const auto& from = op.src.op.ptr;
  const auto& to = op.dst.op.ptr;
  CUDA_MEMCPY3D copy = LinearCopy(to.ptr, from.ptr, op.width);
  copy.srcPitch = from.rowLength != 0 ? from.rowLength : op.width;
  copy.srcHeight = from.layerHeight != 0 ? from.layerHeight : op.height;
  copy.dstPitch = to.rowLength != 0 ? to.rowLength : op.width;
  copy.dstHeight = to.layerHeight != 0 ? to.layerHeight : op.height;
  copy.Height = op.height;
  copy.Depth = op.depth;
  return copy;
}

CUDA_MEMSET_NODE_PARAMS Rows(CUdeviceptr to, size_t pitch, unsigned value, unsigned element,
                             size_t width, size_t height) {
  return {to, pitch, value, element, width, height};
}

}  // namespace

namespace api {

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return SubmitCopy(kDefault, LinearCopy(to, from, bytes), true);
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return SubmitCopy(stream, LinearCopy(to, from, bytes), false);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  return SubmitCopy(kDefault, LinearCopy(to, Address(from), bytes), true);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  return SubmitCopy(stream, LinearCopy(to, Address(from), bytes), false);
}

CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  return SubmitCopy(kDefault, LinearCopy(Address(to), from, bytes), true);
}

CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return SubmitCopy(stream, LinearCopy(Address(to), from, bytes), false);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return SubmitCopy(kDefault, LinearCopy(to, from, bytes), true);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return SubmitCopy(stream, LinearCopy(to, from, bytes), false);
}

CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext, size_t bytes) {
  return SubmitCopy(kDefault, LinearCopy(to, from, bytes), true);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext, size_t bytes,
                           CUstream stream) {
  return SubmitCopy(stream, LinearCopy(to, from, bytes), false);
}

CUresult cuMemcpyDtoA_v2(CUarray to, size_t offset, CUdeviceptr from, size_t bytes) {
  return SubmitCopy(kDefault, ToArray(to, offset, from, bytes), true);
}

CUresult cuMemcpyAtoD_v2(CUdeviceptr to, CUarray from, size_t offset, size_t bytes) {
  return SubmitCopy(kDefault, FromArray(to, from, offset, bytes), true);
}

CUresult cuMemcpyHtoA_v2(CUarray to, size_t offset, const void* from, size_t bytes) {
  return SubmitCopy(kDefault, ToArray(to, offset, Address(from), bytes), true);
}

CUresult cuMemcpyHtoAAsync_v2(CUarray to, size_t offset, const void* from, size_t bytes,
                              CUstream stream) {
  return SubmitCopy(stream, ToArray(to, offset, Address(from), bytes), false);
}

CUresult cuMemcpyAtoH_v2(void* to, CUarray from, size_t offset, size_t bytes) {
  return SubmitCopy(kDefault, FromArray(Address(to), from, offset, bytes), true);
}

CUresult cuMemcpyAtoHAsync_v2(void* to, CUarray from, size_t offset, size_t bytes,
                              CUstream stream) {
  return SubmitCopy(stream, FromArray(Address(to), from, offset, bytes), false);
}

CUresult cuMemcpyAtoA_v2(CUarray to, size_t to_offset, CUarray from, size_t from_offset,
                         size_t bytes) {
  CUDA_MEMCPY3D copy = ToArray(to, to_offset, 0, bytes);
  copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.srcArray = from;
  copy.srcXInBytes = from_offset;
  return SubmitCopy(kDefault, copy, true);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* copy) {
  return copy == nullptr ? CUDA_ERROR_INVALID_VALUE : SubmitCopy(kDefault, From2D(*copy), true);
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* copy) {
  return copy == nullptr ? CUDA_ERROR_INVALID_VALUE : SubmitCopy(kDefault, From2D(*copy), true);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* copy, CUstream stream) {
  return copy == nullptr ? CUDA_ERROR_INVALID_VALUE : SubmitCopy(stream, From2D(*copy), false);
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D* copy) {
  return copy == nullptr ? CUDA_ERROR_INVALID_VALUE : SubmitCopy(kDefault, *copy, true);
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D* copy, CUstream stream) {
  return copy == nullptr ? CUDA_ERROR_INVALID_VALUE : SubmitCopy(stream, *copy, false);
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER* copy) {
  return copy == nullptr ? CUDA_ERROR_INVALID_VALUE : SubmitCopy(kDefault, copy->copy, true);
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* copy, CUstream stream) {
  return copy == nullptr ? CUDA_ERROR_INVALID_VALUE : SubmitCopy(stream, copy->copy, false);
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr* to, CUdeviceptr* from, size_t* sizes, size_t count,
                               void* attributes, size_t* places, size_t attribute_count,
                               CUstream stream) {
  if (to == nullptr || from == nullptr || sizes == nullptr || count == 0 || attributes == nullptr ||
      places == nullptr || attribute_count == 0 || IsDefault(stream)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (size_t i = 0; i < count; ++i) {
    const CUresult result = SubmitCopy(stream, LinearCopy(to[i], from[i], sizes[i]), false);
    if (result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

CUresult cuMemcpyBatchAsync(CUdeviceptr* to, CUdeviceptr* from, size_t* sizes, size_t count,
                            void* attributes, size_t* places, size_t attribute_count,
                            size_t* failed, CUstream stream) {
  if (failed != nullptr) *failed = SIZE_MAX;  // none in particular
  return cuMemcpyBatchAsync_v2(to, from, sizes, count, attributes, places, attribute_count, stream);
}

CUresult cuMemcpy3DBatchAsync_v2(size_t count, CUDA_MEMCPY3D_BATCH_OP* copies,
                                 unsigned long long flags, CUstream stream) {
  if (count == 0 || copies == nullptr || flags != 0 || IsDefault(stream)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (size_t i = 0; i < count; ++i) {
    const std::optional<CUDA_MEMCPY3D> copy = FromBatch(copies[i]);
    if (!copy) return CUDA_ERROR_NOT_SUPPORTED;
    const CUresult result = SubmitCopy(stream, *copy, false);
    if (result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

CUresult cuMemcpyWithAttributesAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                     void* attributes, CUstream stream) {
  if (attributes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return SubmitCopy(stream, LinearCopy(to, from, bytes), false);
}

CUresult cuMemcpy3DWithAttributesAsync(CUDA_MEMCPY3D_BATCH_OP* copy, unsigned long long flags,
                                       CUstream stream) {
  if (copy == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const std::optional<CUDA_MEMCPY3D> box = FromBatch(*copy);
  return box ? SubmitCopy(stream, *box, false) : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP* copies, size_t* failed,
                              unsigned long long flags, CUstream stream) {
  if (failed != nullptr) *failed = SIZE_MAX;
  return cuMemcpy3DBatchAsync_v2(count, copies, flags, stream);
}

CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return SubmitMemset(kDefault, Rows(to, 0, value, 1, count, 1), true);
}

CUresult cuMemsetD2D8_v2(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                         size_t height) {
  return SubmitMemset(kDefault, Rows(to, pitch, value, 1, width, height), true);
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  return SubmitMemset(stream, Rows(to, 0, value, 1, count, 1), false);
}

CUresult cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                           size_t height, CUstream stream) {
  return SubmitMemset(stream, Rows(to, pitch, value, 1, width, height), false);
}

CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
  return SubmitMemset(kDefault, Rows(to, 0, value, 2, count, 1), true);
}

CUresult cuMemsetD2D16_v2(CUdeviceptr to, size_t pitch, unsigned short value, size_t width,
                          size_t height) {
  return SubmitMemset(kDefault, Rows(to, pitch, value, 2, width, height), true);
}

CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
  return SubmitMemset(stream, Rows(to, 0, value, 2, count, 1), false);
}

CUresult cuMemsetD2D16Async(CUdeviceptr to, size_t pitch, unsigned short value, size_t width,
                            size_t height, CUstream stream) {
  return SubmitMemset(stream, Rows(to, pitch, value, 2, width, height), false);
}

CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return SubmitMemset(kDefault, Rows(to, 0, value, 4, count, 1), true);
}

CUresult cuMemsetD2D32_v2(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                          size_t height) {
  return SubmitMemset(kDefault, Rows(to, pitch, value, 4, width, height), true);
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return SubmitMemset(stream, Rows(to, 0, value, 4, count, 1), false);
}

CUresult cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                            size_t height, CUstream stream) {
  return SubmitMemset(stream, Rows(to, pitch, value, 4, width, height), false);
}

}  // namespace api
}  // namespace aliquot::sim::cuda
