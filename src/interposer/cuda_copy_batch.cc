// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Batches of copies, and of decompressions, are one piece of work each: they go by the gate if all
// together are large, see large.h. Before CUDA 13 they also told which copy failed. What the
// younger functions copy with attributes is described as one copy of a batch. Without an agent: as
// kernels.

#include "interposer/cuda_hooks_copy.h"
#include "interposer/large.h"
#include "interposer/real.h"

namespace {

uint64_t Bytes(const size_t* sizes, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; sizes != nullptr && i < count; ++i) sum += sizes[i];
  return sum;
}

// An element of an array is at least a byte; most are four.
uint64_t Bytes(const CUDA_MEMCPY3D_BATCH_OP* copies, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; copies != nullptr && i < count; ++i) {
    sum += copies[i].width * copies[i].height * copies[i].depth;
  }
  return sum;
}

uint64_t Bytes(const CUDA_FABRIC_COPY_BATCH_OP* copies, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; copies != nullptr && i < count; ++i) sum += copies[i].size;
  return sum;
}

uint64_t Bytes(const CUmemDecompressParams* pieces, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; pieces != nullptr && i < count; ++i) sum += pieces[i].dstNumBytes;
  return sum;
}

}  // namespace

using namespace aliquot::interposer;

CUresult cuMemcpyBatchAsync(CUdeviceptr* to, CUdeviceptr* from, size_t* sizes, size_t count,
                            void* attributes, size_t* places, size_t attribute_count,
                            size_t* failed, CUstream stream) {
  static constinit Real<decltype(cuMemcpyBatchAsync)> real("cuMemcpyBatchAsync");
  return Large(Bytes(sizes, count), kAny, stream, [&] {
    return real(to, from, sizes, count, attributes, places, attribute_count, failed, stream);
  });
}

CUresult cuMemcpyBatchAsync_ptsz(CUdeviceptr* to, CUdeviceptr* from, size_t* sizes, size_t count,
                                 void* attributes, size_t* places, size_t attribute_count,
                                 size_t* failed, CUstream stream) {
  static constinit Real<decltype(cuMemcpyBatchAsync_ptsz)> real("cuMemcpyBatchAsync_ptsz");
  return Large(Bytes(sizes, count), kAny, PerThread(stream), [&] {
    return real(to, from, sizes, count, attributes, places, attribute_count, failed, stream);
  });
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr* to, CUdeviceptr* from, size_t* sizes, size_t count,
                               void* attributes, size_t* places, size_t attribute_count,
                               CUstream stream) {
  static constinit Real<decltype(cuMemcpyBatchAsync_v2)> real("cuMemcpyBatchAsync_v2");
  return Large(Bytes(sizes, count), kAny, stream, [&] {
    return real(to, from, sizes, count, attributes, places, attribute_count, stream);
  });
}

CUresult cuMemcpyBatchAsync_v2_ptsz(CUdeviceptr* to, CUdeviceptr* from, size_t* sizes, size_t count,
                                    void* attributes, size_t* places, size_t attribute_count,
                                    CUstream stream) {
  static constinit Real<decltype(cuMemcpyBatchAsync_v2_ptsz)> real("cuMemcpyBatchAsync_v2_ptsz");
  return Large(Bytes(sizes, count), kAny, PerThread(stream), [&] {
    return real(to, from, sizes, count, attributes, places, attribute_count, stream);
  });
}

CUresult cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP* copies, size_t* failed,
                              unsigned long long flags, CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DBatchAsync)> real("cuMemcpy3DBatchAsync");
  return Large(Bytes(copies, count), kAny, stream,
               [&] { return real(count, copies, failed, flags, stream); });
}

CUresult cuMemcpy3DBatchAsync_ptsz(size_t count, CUDA_MEMCPY3D_BATCH_OP* copies, size_t* failed,
                                   unsigned long long flags, CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DBatchAsync_ptsz)> real("cuMemcpy3DBatchAsync_ptsz");
  return Large(Bytes(copies, count), kAny, PerThread(stream),
               [&] { return real(count, copies, failed, flags, stream); });
}

CUresult cuMemcpy3DBatchAsync_v2(size_t count, CUDA_MEMCPY3D_BATCH_OP* copies,
                                 unsigned long long flags, CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DBatchAsync_v2)> real("cuMemcpy3DBatchAsync_v2");
  return Large(Bytes(copies, count), kAny, stream,
               [&] { return real(count, copies, flags, stream); });
}

CUresult cuMemcpy3DBatchAsync_v2_ptsz(size_t count, CUDA_MEMCPY3D_BATCH_OP* copies,
                                      unsigned long long flags, CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DBatchAsync_v2_ptsz)> real(
      "cuMemcpy3DBatchAsync_v2_ptsz");
  return Large(Bytes(copies, count), kAny, PerThread(stream),
               [&] { return real(count, copies, flags, stream); });
}

CUresult cuMemcpy3DWithAttributesAsync(CUDA_MEMCPY3D_BATCH_OP* copy, unsigned long long flags,
                                       CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DWithAttributesAsync)> real(
      "cuMemcpy3DWithAttributesAsync");
  return Large(Bytes(copy, 1), kAny, stream, [&] { return real(copy, flags, stream); });
}

CUresult cuMemcpy3DWithAttributesAsync_ptsz(CUDA_MEMCPY3D_BATCH_OP* copy, unsigned long long flags,
                                            CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DWithAttributesAsync_ptsz)> real(
      "cuMemcpy3DWithAttributesAsync_ptsz");
  return Large(Bytes(copy, 1), kAny, PerThread(stream), [&] { return real(copy, flags, stream); });
}

CUresult cuFabricCpyBatchAsync(size_t count, CUDA_FABRIC_COPY_BATCH_OP* copies,
                               unsigned long long flags, CUstream stream) {
  static constinit Real<decltype(cuFabricCpyBatchAsync)> real("cuFabricCpyBatchAsync");
  return Large(Bytes(copies, count), kAny, stream,
               [&] { return real(count, copies, flags, stream); });
}

CUresult cuFabricCpyBatchAsync_ptsz(size_t count, CUDA_FABRIC_COPY_BATCH_OP* copies,
                                    unsigned long long flags, CUstream stream) {
  static constinit Real<decltype(cuFabricCpyBatchAsync_ptsz)> real("cuFabricCpyBatchAsync_ptsz");
  return Large(Bytes(copies, count), kAny, PerThread(stream),
               [&] { return real(count, copies, flags, stream); });
}

CUresult cuMemBatchDecompressAsync(CUmemDecompressParams* pieces, size_t count, unsigned flags,
                                   size_t* failed, CUstream stream) {
  static constinit Real<decltype(cuMemBatchDecompressAsync)> real("cuMemBatchDecompressAsync");
  return Large(Bytes(pieces, count), kAny, stream,
               [&] { return real(pieces, count, flags, failed, stream); });
}

CUresult cuMemBatchDecompressAsync_ptsz(CUmemDecompressParams* pieces, size_t count, unsigned flags,
                                        size_t* failed, CUstream stream) {
  static constinit Real<decltype(cuMemBatchDecompressAsync_ptsz)> real(
      "cuMemBatchDecompressAsync_ptsz");
  return Large(Bytes(pieces, count), kAny, PerThread(stream),
               [&] { return real(pieces, count, flags, failed, stream); });
}
