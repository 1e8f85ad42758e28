// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Copies; see large.h. The forms with 32-bit sizes of before CUDA 3.2 are forwarded without a look.
// Without an agent: as kernels.

#include "interposer/cuda_hooks_copy.h"
#include "interposer/large.h"
#include "interposer/real.h"

namespace {

uint64_t Bytes(const CUDA_MEMCPY2D* box) {
  return box == nullptr ? 0 : box->WidthInBytes * box->Height;
}
uint64_t Bytes(const CUDA_MEMCPY3D* box) {
  return box == nullptr ? 0 : box->WidthInBytes * box->Height * box->Depth;
}

}  // namespace

using namespace aliquot::interposer;

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  static constinit Real<decltype(cuMemcpy)> real("cuMemcpy");
  return Large(bytes, kAny, nullptr, [&] { return real(to, from, bytes); });
}

CUresult cuMemcpy_ptds(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  static constinit Real<decltype(cuMemcpy_ptds)> real("cuMemcpy_ptds");
  return Large(bytes, kAny, PerThreadStream(), [&] { return real(to, from, bytes); });
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyHtoD_v2)> real("cuMemcpyHtoD_v2");
  return Large(bytes, kHost, nullptr, [&] { return real(to, from, bytes); });
}

CUresult cuMemcpyHtoD_v2_ptds(CUdeviceptr to, const void* from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyHtoD_v2_ptds)> real("cuMemcpyHtoD_v2_ptds");
  return Large(bytes, kHost, PerThreadStream(), [&] { return real(to, from, bytes); });
}

CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyDtoH_v2)> real("cuMemcpyDtoH_v2");
  return Large(bytes, kHost, nullptr, [&] { return real(to, from, bytes); });
}

CUresult cuMemcpyDtoH_v2_ptds(void* to, CUdeviceptr from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyDtoH_v2_ptds)> real("cuMemcpyDtoH_v2_ptds");
  return Large(bytes, kHost, PerThreadStream(), [&] { return real(to, from, bytes); });
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyDtoD_v2)> real("cuMemcpyDtoD_v2");
  return Large(bytes, kDevice, nullptr, [&] { return real(to, from, bytes); });
}

CUresult cuMemcpyDtoD_v2_ptds(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  static constinit Real<decltype(cuMemcpyDtoD_v2_ptds)> real("cuMemcpyDtoD_v2_ptds");
  return Large(bytes, kDevice, PerThreadStream(), [&] { return real(to, from, bytes); });
}

CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                      CUcontext from_context, size_t bytes) {
  static constinit Real<decltype(cuMemcpyPeer)> real("cuMemcpyPeer");
  return Large(bytes, kHost, nullptr,
               [&] { return real(to, to_context, from, from_context, bytes); });
}

CUresult cuMemcpyPeer_ptds(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                           CUcontext from_context, size_t bytes) {
  static constinit Real<decltype(cuMemcpyPeer_ptds)> real("cuMemcpyPeer_ptds");
  return Large(bytes, kHost, PerThreadStream(),
               [&] { return real(to, to_context, from, from_context, bytes); });
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* box) {
  static constinit Real<decltype(cuMemcpy2D_v2)> real("cuMemcpy2D_v2");
  return Large(Bytes(box), kAny, nullptr, [&] { return real(box); });
}

CUresult cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D* box) {
  static constinit Real<decltype(cuMemcpy2D_v2_ptds)> real("cuMemcpy2D_v2_ptds");
  return Large(Bytes(box), kAny, PerThreadStream(), [&] { return real(box); });
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D* box) {
  static constinit Real<decltype(cuMemcpy3D_v2)> real("cuMemcpy3D_v2");
  return Large(Bytes(box), kAny, nullptr, [&] { return real(box); });
}

CUresult cuMemcpy3D_v2_ptds(const CUDA_MEMCPY3D* box) {
  static constinit Real<decltype(cuMemcpy3D_v2_ptds)> real("cuMemcpy3D_v2_ptds");
  return Large(Bytes(box), kAny, PerThreadStream(), [&] { return real(box); });
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D* box) {
  static constinit Real<decltype(cuMemcpy3DPeer)> real("cuMemcpy3DPeer");
  return Large(Bytes(box), kHost, nullptr, [&] { return real(box); });
}

CUresult cuMemcpy3DPeer_ptds(const CUDA_MEMCPY3D* box) {
  static constinit Real<decltype(cuMemcpy3DPeer_ptds)> real("cuMemcpy3DPeer_ptds");
  return Large(Bytes(box), kHost, PerThreadStream(), [&] { return real(box); });
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyAsync)> real("cuMemcpyAsync");
  return Large(bytes, kAny, stream, [&] { return real(to, from, bytes, stream); });
}

CUresult cuMemcpyAsync_ptsz(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyAsync_ptsz)> real("cuMemcpyAsync_ptsz");
  return Large(bytes, kAny, PerThread(stream), [&] { return real(to, from, bytes, stream); });
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyHtoDAsync_v2)> real("cuMemcpyHtoDAsync_v2");
  return Large(bytes, kHost, stream, [&] { return real(to, from, bytes, stream); });
}

CUresult cuMemcpyHtoDAsync_v2_ptsz(CUdeviceptr to, const void* from, size_t bytes,
                                   CUstream stream) {
  static constinit Real<decltype(cuMemcpyHtoDAsync_v2_ptsz)> real("cuMemcpyHtoDAsync_v2_ptsz");
  return Large(bytes, kHost, PerThread(stream), [&] { return real(to, from, bytes, stream); });
}

CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyDtoHAsync_v2)> real("cuMemcpyDtoHAsync_v2");
  return Large(bytes, kHost, stream, [&] { return real(to, from, bytes, stream); });
}

CUresult cuMemcpyDtoHAsync_v2_ptsz(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyDtoHAsync_v2_ptsz)> real("cuMemcpyDtoHAsync_v2_ptsz");
  return Large(bytes, kHost, PerThread(stream), [&] { return real(to, from, bytes, stream); });
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyDtoDAsync_v2)> real("cuMemcpyDtoDAsync_v2");
  return Large(bytes, kDevice, stream, [&] { return real(to, from, bytes, stream); });
}

CUresult cuMemcpyDtoDAsync_v2_ptsz(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                   CUstream stream) {
  static constinit Real<decltype(cuMemcpyDtoDAsync_v2_ptsz)> real("cuMemcpyDtoDAsync_v2_ptsz");
  return Large(bytes, kDevice, PerThread(stream), [&] { return real(to, from, bytes, stream); });
}

CUresult cuMemcpyWithAttributesAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                     void* attributes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyWithAttributesAsync)> real("cuMemcpyWithAttributesAsync");
  return Large(bytes, kAny, stream, [&] { return real(to, from, bytes, attributes, stream); });
}

CUresult cuMemcpyWithAttributesAsync_ptsz(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                          void* attributes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyWithAttributesAsync_ptsz)> real(
      "cuMemcpyWithAttributesAsync_ptsz");
  return Large(bytes, kAny, PerThread(stream),
               [&] { return real(to, from, bytes, attributes, stream); });
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                           CUcontext from_context, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyPeerAsync)> real("cuMemcpyPeerAsync");
  return Large(bytes, kHost, stream,
               [&] { return real(to, to_context, from, from_context, bytes, stream); });
}

CUresult cuMemcpyPeerAsync_ptsz(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                                CUcontext from_context, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemcpyPeerAsync_ptsz)> real("cuMemcpyPeerAsync_ptsz");
  return Large(bytes, kHost, PerThread(stream),
               [&] { return real(to, to_context, from, from_context, bytes, stream); });
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* box, CUstream stream) {
  static constinit Real<decltype(cuMemcpy2DAsync_v2)> real("cuMemcpy2DAsync_v2");
  return Large(Bytes(box), kAny, stream, [&] { return real(box, stream); });
}

CUresult cuMemcpy2DAsync_v2_ptsz(const CUDA_MEMCPY2D* box, CUstream stream) {
  static constinit Real<decltype(cuMemcpy2DAsync_v2_ptsz)> real("cuMemcpy2DAsync_v2_ptsz");
  return Large(Bytes(box), kAny, PerThread(stream), [&] { return real(box, stream); });
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D* box, CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DAsync_v2)> real("cuMemcpy3DAsync_v2");
  return Large(Bytes(box), kAny, stream, [&] { return real(box, stream); });
}

CUresult cuMemcpy3DAsync_v2_ptsz(const CUDA_MEMCPY3D* box, CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DAsync_v2_ptsz)> real("cuMemcpy3DAsync_v2_ptsz");
  return Large(Bytes(box), kAny, PerThread(stream), [&] { return real(box, stream); });
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D* box, CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DPeerAsync)> real("cuMemcpy3DPeerAsync");
  return Large(Bytes(box), kHost, stream, [&] { return real(box, stream); });
}

CUresult cuMemcpy3DPeerAsync_ptsz(const CUDA_MEMCPY3D* box, CUstream stream) {
  static constinit Real<decltype(cuMemcpy3DPeerAsync_ptsz)> real("cuMemcpy3DPeerAsync_ptsz");
  return Large(Bytes(box), kHost, PerThread(stream), [&] { return real(box, stream); });
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* box) {
  static constinit Real<decltype(cuMemcpy2DUnaligned_v2)> real("cuMemcpy2DUnaligned_v2");
  return Large(Bytes(box), kAny, nullptr, [&] { return real(box); });
}

CUresult cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D* box) {
  static constinit Real<decltype(cuMemcpy2DUnaligned_v2_ptds)> real("cuMemcpy2DUnaligned_v2_ptds");
  return Large(Bytes(box), kAny, PerThreadStream(), [&] { return real(box); });
}
