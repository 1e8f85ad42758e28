// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Copies from and to arrays of one dimension; see large.h. Without an agent: as kernels.

#include "interposer/cuda_hooks_copy.h"
#include "interposer/large.h"
#include "interposer/real.h"

using namespace aliquot::interposer;

CUresult cuMemcpyDtoA_v2(CUarray to, size_t offset, CUdeviceptr from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyDtoA_v2)> real("cuMemcpyDtoA_v2");
  return Large(bytes, kDevice, nullptr, [&] { return real(to, offset, from, bytes); });
}

CUresult cuMemcpyDtoA_v2_ptds(CUarray to, size_t offset, CUdeviceptr from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyDtoA_v2_ptds)> real("cuMemcpyDtoA_v2_ptds");
  return Large(bytes, kDevice, PerThreadStream(), [&] { return real(to, offset, from, bytes); });
}

CUresult cuMemcpyAtoD_v2(CUdeviceptr to, CUarray from, size_t offset, size_t bytes) {
  static constinit Real<decltype(cuMemcpyAtoD_v2)> real("cuMemcpyAtoD_v2");
  return Large(bytes, kDevice, nullptr, [&] { return real(to, from, offset, bytes); });
}

CUresult cuMemcpyAtoD_v2_ptds(CUdeviceptr to, CUarray from, size_t offset, size_t bytes) {
  static constinit Real<decltype(cuMemcpyAtoD_v2_ptds)> real("cuMemcpyAtoD_v2_ptds");
  return Large(bytes, kDevice, PerThreadStream(), [&] { return real(to, from, offset, bytes); });
}

CUresult cuMemcpyAtoA_v2(CUarray to, size_t to_offset, CUarray from, size_t from_offset,
                         size_t bytes) {
  static constinit Real<decltype(cuMemcpyAtoA_v2)> real("cuMemcpyAtoA_v2");
  return Large(bytes, kDevice, nullptr,
               [&] { return real(to, to_offset, from, from_offset, bytes); });
}

CUresult cuMemcpyAtoA_v2_ptds(CUarray to, size_t to_offset, CUarray from, size_t from_offset,
                              size_t bytes) {
  static constinit Real<decltype(cuMemcpyAtoA_v2_ptds)> real("cuMemcpyAtoA_v2_ptds");
  return Large(bytes, kDevice, PerThreadStream(),
               [&] { return real(to, to_offset, from, from_offset, bytes); });
}

CUresult cuMemcpyHtoA_v2(CUarray to, size_t offset, const void* from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyHtoA_v2)> real("cuMemcpyHtoA_v2");
  return Large(bytes, kHost, nullptr, [&] { return real(to, offset, from, bytes); });
}

CUresult cuMemcpyHtoA_v2_ptds(CUarray to, size_t offset, const void* from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyHtoA_v2_ptds)> real("cuMemcpyHtoA_v2_ptds");
  return Large(bytes, kHost, PerThreadStream(), [&] { return real(to, offset, from, bytes); });
}

CUresult cuMemcpyAtoH_v2(void* to, CUarray from, size_t offset, size_t bytes) {
  static constinit Real<decltype(cuMemcpyAtoH_v2)> real("cuMemcpyAtoH_v2");
  return Large(bytes, kHost, nullptr, [&] { return real(to, from, offset, bytes); });
}

CUresult cuMemcpyAtoH_v2_ptds(void* to, CUarray from, size_t offset, size_t bytes) {
  static constinit Real<decltype(cuMemcpyAtoH_v2_ptds)> real("cuMemcpyAtoH_v2_ptds");
  return Large(bytes, kHost, PerThreadStream(), [&] { return real(to, from, offset, bytes); });
}

CUresult cuMemcpyHtoAAsync_v2(CUarray to, size_t offset, const void* from, size_t bytes,
                              CUstream stream) {
  static constinit Real<decltype(cuMemcpyHtoAAsync_v2)> real("cuMemcpyHtoAAsync_v2");
  return Large(bytes, kHost, stream, [&] { return real(to, offset, from, bytes, stream); });
}

CUresult cuMemcpyHtoAAsync_v2_ptsz(CUarray to, size_t offset, const void* from, size_t bytes,
                                   CUstream stream) {
  static constinit Real<decltype(cuMemcpyHtoAAsync_v2_ptsz)> real("cuMemcpyHtoAAsync_v2_ptsz");
  return Large(bytes, kHost, PerThread(stream),
               [&] { return real(to, offset, from, bytes, stream); });
}

CUresult cuMemcpyAtoHAsync_v2(void* to, CUarray from, size_t offset, size_t bytes,
                              CUstream stream) {
  static constinit Real<decltype(cuMemcpyAtoHAsync_v2)> real("cuMemcpyAtoHAsync_v2");
  return Large(bytes, kHost, stream, [&] { return real(to, from, offset, bytes, stream); });
}

CUresult cuMemcpyAtoHAsync_v2_ptsz(void* to, CUarray from, size_t offset, size_t bytes,
                                   CUstream stream) {
  static constinit Real<decltype(cuMemcpyAtoHAsync_v2_ptsz)> real("cuMemcpyAtoHAsync_v2_ptsz");
  return Large(bytes, kHost, PerThread(stream),
               [&] { return real(to, from, offset, bytes, stream); });
}
