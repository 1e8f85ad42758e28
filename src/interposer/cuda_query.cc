// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// How much memory there is: the share. Used up means free 0, never an error. Without an agent: from
// the grant's limit and the last snapshot.

#include "interposer/cuda_device.h"
#include "interposer/cuda_hooks.h"
#include "interposer/exported.h"
#include "interposer/ledger.h"
#include "interposer/real.h"
#include "interposer/session.h"
#include "interposer/share_file.h"

using namespace aliquot::interposer;

namespace {

unsigned Narrow(uint64_t bytes) { return static_cast<unsigned>(Min(bytes, uint64_t{UINT32_MAX})); }

template <typename Size, typename Convert>
CUresult Replace(CUresult result, Size* free, Size* total, Convert convert) {
  const int gpu = result == CUDA_SUCCESS ? CurrentGpu() : -1;
  if (gpu < 0 || free == nullptr || total == nullptr) return result;
  const MemoryAnswer answer = QueryMemory(static_cast<unsigned>(gpu), *free);
  if (answer.limited) {
    *free = convert(answer.free);
    *total = convert(Min(answer.total, uint64_t{*total}));
  }
  return result;
}

// The limit of the grant, which needs no session: programs ask this long before they compute.
uint64_t LimitOf(CUdevice device, uint64_t total) {
  const int gpu = GpuOf(device);
  const Share& share = GrantedShare();
  if (gpu < 0 || !share.memory || share.gpu[gpu].limit == 0) return total;
  return Min(total, share.gpu[gpu].limit);
}

}  // namespace

CUresult cuMemGetInfo(unsigned* free, unsigned* total) {
  static constinit Real<decltype(cuMemGetInfo)> real("cuMemGetInfo");
  return Replace(real(free, total), free, total, &Narrow);
}

CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  static constinit Real<decltype(cuMemGetInfo_v2)> real("cuMemGetInfo_v2");
  return Replace(real(free, total), free, total, [](uint64_t bytes) { return size_t{bytes}; });
}

CUresult cuDeviceTotalMem(unsigned* bytes, CUdevice device) {
  static constinit Real<decltype(cuDeviceTotalMem)> real("cuDeviceTotalMem");
  const CUresult result = real(bytes, device);
  if (result == CUDA_SUCCESS && bytes != nullptr) *bytes = Narrow(LimitOf(device, *bytes));
  return result;
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  static constinit Real<decltype(cuDeviceTotalMem_v2)> real("cuDeviceTotalMem_v2");
  const CUresult result = real(bytes, device);
  if (result == CUDA_SUCCESS && bytes != nullptr) *bytes = LimitOf(device, *bytes);
  return result;
}

int aliquotInterposerMemory(unsigned gpu, uint64_t physical_free, uint64_t* total, uint64_t* free) {
  if (!SessionOpened()) return -1;
  const MemoryAnswer answer = QueryMemory(gpu, physical_free);
  if (!answer.limited) return 0;
  *total = answer.total;
  *free = answer.free;
  return 1;
}
