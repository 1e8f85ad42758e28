// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Linear, pitched and managed memory. Without an agent: what the process holds unused, and what the
// last snapshot allows, can be allocated; freeing always works.

#include "interposer/cuda_charge.h"
#include "interposer/cuda_device.h"
#include "interposer/cuda_hooks.h"
#include "interposer/cuda_settle.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

// Rows are padded to this on all GPUs seen; what it really was is read off the result.
constexpr uint64_t kPitch = 512;

template <typename Pointer, typename Allocate>
CUresult Linear(Pointer* pointer, uint64_t bytes, uint32_t kind, Allocate allocate) {
  const int gpu = CurrentGpu();
  const uint64_t taken = TakenFor(bytes);
  const CUresult result = WithReserved(gpu, taken, kind, allocate);
  if (result == CUDA_SUCCESS) Remember(*pointer, gpu, taken, kind);
  return result;
}

template <typename Pointer, typename Size, typename Allocate>
CUresult Pitched(Pointer* pointer, Size* pitch, uint64_t width, uint64_t height,
                 Allocate allocate) {
  const int gpu = CurrentGpu();
  const uint64_t row = width > UINT64_MAX - kPitch ? width : (width + kPitch - 1) / kPitch * kPitch;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(row, height, &bytes)) bytes = UINT64_MAX;
  const uint64_t expected = TakenFor(bytes);
  const CUresult result = WithReserved(gpu, expected, ALIQUOT_KIND_LINEAR, allocate);
  if (result != CUDA_SUCCESS) return result;
  const uint64_t taken = TakenFor(*pitch * height);
  Settle(gpu, expected, taken, ALIQUOT_KIND_LINEAR);
  Remember(*pointer, gpu, taken, ALIQUOT_KIND_LINEAR);
  return result;
}

// A pointer we don't know may be of a pool.
template <typename Free>
CUresult FreeLinear(uint64_t pointer, Free free) {
  const CUresult result = Forgetting(ContextBlocks(), pointer, free);
  SettleAfterSync();
  return result;
}

}  // namespace
}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuMemAlloc(CUdeviceptr_v1* pointer, unsigned bytes) {
  static constinit Real<decltype(cuMemAlloc)> real("cuMemAlloc");
  return Linear(pointer, bytes, ALIQUOT_KIND_LINEAR, [&] { return real(pointer, bytes); });
}

CUresult cuMemAlloc_v2(CUdeviceptr* pointer, size_t bytes) {
  static constinit Real<decltype(cuMemAlloc_v2)> real("cuMemAlloc_v2");
  return Linear(pointer, bytes, ALIQUOT_KIND_LINEAR, [&] { return real(pointer, bytes); });
}

// Charged in full: it may come to lie on the GPU in full.
CUresult cuMemAllocManaged(CUdeviceptr* pointer, size_t bytes, unsigned flags) {
  static constinit Real<decltype(cuMemAllocManaged)> real("cuMemAllocManaged");
  return Linear(pointer, bytes, ALIQUOT_KIND_MANAGED, [&] { return real(pointer, bytes, flags); });
}

CUresult cuMemAllocPitch(CUdeviceptr_v1* pointer, unsigned* pitch, unsigned width, unsigned height,
                         unsigned element) {
  static constinit Real<decltype(cuMemAllocPitch)> real("cuMemAllocPitch");
  return Pitched(pointer, pitch, width, height,
                 [&] { return real(pointer, pitch, width, height, element); });
}

CUresult cuMemAllocPitch_v2(CUdeviceptr* pointer, size_t* pitch, size_t width, size_t height,
                            unsigned element) {
  static constinit Real<decltype(cuMemAllocPitch_v2)> real("cuMemAllocPitch_v2");
  return Pitched(pointer, pitch, width, height,
                 [&] { return real(pointer, pitch, width, height, element); });
}

CUresult cuMemFree(CUdeviceptr_v1 pointer) {
  static constinit Real<decltype(cuMemFree)> real("cuMemFree");
  return FreeLinear(pointer, [&] { return real(pointer); });
}

CUresult cuMemFree_v2(CUdeviceptr pointer) {
  static constinit Real<decltype(cuMemFree_v2)> real("cuMemFree_v2");
  return FreeLinear(pointer, [&] { return real(pointer); });
}
