// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Memory pools and stream-ordered allocation. A pool holds more than is allocated from it, takes
// memory in its own steps, and gives it back when the GPU comes to a free; so what is charged is
// the pool's own count of what it has reserved, read after every call that may change it. Before an
// allocation what it may need is reserved. Without an agent: as linear memory.

#include "interposer/capture.h"
#include "interposer/cuda_charge.h"
#include "interposer/cuda_device.h"
#include "interposer/cuda_hooks.h"
#include "interposer/cuda_settle.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

// Steps in which pools grow on the GPUs seen.
constexpr uint64_t kPoolStep = 32u << 20;

struct Pool {
  CUmemoryPool handle;
  int gpu;           // below 0: not charged (on the host, or another process's)
  uint64_t charged;  // what we hold for it
  uint64_t reading;  // number of the reading that `charged` comes from
};
constexpr int kPools = 128;
Pool g_pools[kPools];
int g_count = 0;
uint64_t g_readings = 0;
Mutex g_lock;
// Something was freed in stream order and may come back.
uint32_t g_freed = 0;

constinit Real<CUresult(CUmemoryPool, int, void*)> real_attribute("cuMemPoolGetAttribute");
constinit Real<CUresult(CUmemoryPool*, CUdevice)> real_device_pool("cuDeviceGetMemPool");
constinit Real<decltype(cuMemFreeAsync)> real_free("cuMemFreeAsync");
constinit Real<decltype(cuMemPoolTrimTo)> real_trim("cuMemPoolTrimTo");

uint64_t Read(CUmemoryPool pool, int attribute) {
  uint64_t value = 0;
  return real_attribute(pool, attribute, &value) == CUDA_SUCCESS ? value : 0;
}

// With the lock held. Null if there is no room for another.
Pool* Find(CUmemoryPool handle, int gpu_if_new) {
  for (int i = 0; i < g_count; ++i) {
    if (g_pools[i].handle == handle) return &g_pools[i];
  }
  if (g_count == kPools) return nullptr;
  g_pools[g_count] = {handle, gpu_if_new, 0, 0};
  return &g_pools[g_count++];
}

int GpuOfPool(CUmemoryPool handle, int gpu_if_new) {
  Locked lock(&g_lock);
  const Pool* pool = Find(handle, gpu_if_new);
  return pool == nullptr ? -1 : pool->gpu;
}

// Reads what the pool has reserved and makes that its charge: `*before` was it until now. The last
// reading counts, so that of two threads the later is right. False if another's is later.
bool TakeReading(CUmemoryPool handle, uint64_t* before, uint64_t* now) {
  uint64_t number = 0;
  {
    Locked lock(&g_lock);
    number = ++g_readings;
  }
  *now = Read(handle, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
  Locked lock(&g_lock);
  Pool* pool = Find(handle, -1);
  if (pool == nullptr || pool->reading > number) return false;
  pool->reading = number;
  *before = pool->charged;
  pool->charged = *now;
  return true;
}

// True if it had given memory back.
bool SettlePool(CUmemoryPool handle, int gpu) {
  uint64_t before = 0;
  uint64_t now = 0;
  if (gpu < 0 || !TakeReading(handle, &before, &now)) return false;
  Settle(gpu, before, now, ALIQUOT_KIND_POOL);
  return now < before;
}

// After an allocation for which `reserved` is held. False if the pool took more than the share has
// left.
bool SettleAllocation(CUmemoryPool handle, int gpu, uint64_t reserved) {
  const auto place = static_cast<unsigned>(gpu);
  uint64_t before = 0;
  uint64_t now = 0;
  if (!TakeReading(handle, &before, &now)) {
    Release(place, reserved, ALIQUOT_KIND_POOL);
    return true;
  }
  const uint64_t grown = Less(now, before);
  if (now < before) Release(place, before - now, ALIQUOT_KIND_POOL);
  if (grown <= reserved) {
    Release(place, reserved - grown, ALIQUOT_KIND_POOL);
    return true;
  }
  if (Reserve(place, grown - reserved, ALIQUOT_KIND_POOL)) return true;
  Charge(place, grown - reserved, ALIQUOT_KIND_POOL);
  return false;
}

// Reserves what the pool may take for an allocation: all of it, rounded to the pool's steps. If the
// share has not that much left, the pool first gives back what it does not use; what it can't give
// back yet, because the GPU has not come to the free, may serve all the same.
bool ReserveForPool(CUmemoryPool pool, unsigned gpu, uint64_t bytes, uint64_t* need) {
  if (__builtin_add_overflow(bytes, kPoolStep - 1, need)) return false;
  *need = *need / kPoolStep * kPoolStep;
  if (Reserve(gpu, *need, ALIQUOT_KIND_POOL)) return true;
  {
    const RelaxedCapture relaxed;
    real_trim(pool, 0);
  }
  if (ReserveOrSettle(gpu, *need, ALIQUOT_KIND_POOL)) return true;
  const uint64_t unused = Less(Read(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT),
                               Read(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT));
  *need = 0;
  return unused >= bytes;
}

template <typename Allocate>
CUresult FromPool(CUdeviceptr* pointer, uint64_t bytes, CUmemoryPool pool, CUstream stream,
                  Allocate allocate) {
  const int gpu = pool == nullptr ? -1 : GpuOfPool(pool, CurrentGpu());
  // In a capture it becomes a node of a graph, whose memory counts when it is launched.
  if (gpu < 0 || Capturing(stream)) return allocate();
  uint64_t need = 0;
  if (!ReserveForPool(pool, static_cast<unsigned>(gpu), bytes, &need)) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  const CUresult result = allocate();
  const bool within = SettleAllocation(pool, gpu, need);
  if (result != CUDA_SUCCESS || within) return result;
  real_free(*pointer, stream);
  Store(&g_freed, 1u);
  return CUDA_ERROR_OUT_OF_MEMORY;
}

CUmemoryPool PoolOfCurrentDevice() {
  CUmemoryPool pool = nullptr;
  const CUdevice device = CurrentDevice();
  if (device < 0 || GpuOf(device) < 0) return nullptr;
  return real_device_pool(&pool, device) == CUDA_SUCCESS ? pool : nullptr;
}

template <typename Free>
CUresult FreeInOrder(CUdeviceptr pointer, Free free) {
  const CUresult result = Forgetting(ContextBlocks(), pointer, free);
  if (result == CUDA_SUCCESS) Store(&g_freed, 1u);
  return result;
}

}  // namespace

bool SettlePools() {
  bool back = SettleGraphMemory();
  for (int i = 0;; ++i) {
    Pool pool = {};
    {
      Locked lock(&g_lock);
      if (i >= g_count) return back;
      pool = g_pools[i];
    }
    back = SettlePool(pool.handle, pool.gpu) || back;
  }
}

void SettleAfterSync() {
  if (__builtin_expect(Load(&g_freed) == 0, 1)) return;
  Store(&g_freed, 0u);
  SettlePools();
}

}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuMemAllocAsync(CUdeviceptr* pointer, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemAllocAsync)> real("cuMemAllocAsync");
  return FromPool(pointer, bytes, PoolOfCurrentDevice(), stream,
                  [&] { return real(pointer, bytes, stream); });
}

CUresult cuMemAllocAsync_ptsz(CUdeviceptr* pointer, size_t bytes, CUstream stream) {
  static constinit Real<decltype(cuMemAllocAsync_ptsz)> real("cuMemAllocAsync_ptsz");
  return FromPool(pointer, bytes, PoolOfCurrentDevice(), PerThread(stream),
                  [&] { return real(pointer, bytes, stream); });
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr* pointer, size_t bytes, CUmemoryPool pool,
                                 CUstream stream) {
  static constinit Real<decltype(cuMemAllocFromPoolAsync)> real("cuMemAllocFromPoolAsync");
  return FromPool(pointer, bytes, pool, stream, [&] { return real(pointer, bytes, pool, stream); });
}

CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr* pointer, size_t bytes, CUmemoryPool pool,
                                      CUstream stream) {
  static constinit Real<decltype(cuMemAllocFromPoolAsync_ptsz)> real(
      "cuMemAllocFromPoolAsync_ptsz");
  return FromPool(pointer, bytes, pool, PerThread(stream),
                  [&] { return real(pointer, bytes, pool, stream); });
}

CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream stream) {
  return FreeInOrder(pointer, [&] { return real_free(pointer, stream); });
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr pointer, CUstream stream) {
  static constinit Real<decltype(cuMemFreeAsync_ptsz)> real("cuMemFreeAsync_ptsz");
  return FreeInOrder(pointer, [&] { return real(pointer, stream); });
}

CUresult cuMemPoolCreate(CUmemoryPool* pool, const CUmemPoolProps* properties) {
  static constinit Real<decltype(cuMemPoolCreate)> real("cuMemPoolCreate");
  const CUresult result = real(pool, properties);
  if (result != CUDA_SUCCESS || properties == nullptr) return result;
  const bool on_device = properties->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
  GpuOfPool(*pool, on_device ? GpuOf(properties->location.id) : -1);
  return result;
}

// What is still allocated from it lives on and shows in NVML's figures.
CUresult cuMemPoolDestroy(CUmemoryPool handle) {
  static constinit Real<decltype(cuMemPoolDestroy)> real("cuMemPoolDestroy");
  const CUresult result = real(handle);
  if (result != CUDA_SUCCESS) return result;
  Pool gone = {nullptr, -1, 0, 0};
  {
    Locked lock(&g_lock);
    for (int i = 0; i < g_count; ++i) {
      if (g_pools[i].handle != handle) continue;
      gone = g_pools[i];
      g_pools[i] = g_pools[--g_count];
      break;
    }
  }
  if (gone.gpu >= 0) Release(static_cast<unsigned>(gone.gpu), gone.charged, ALIQUOT_KIND_POOL);
  return result;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
  const CUresult result = real_trim(pool, keep);
  if (result == CUDA_SUCCESS) SettlePool(pool, GpuOfPool(pool, CurrentGpu()));
  return result;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, int attribute, void* value) {
  static constinit Real<decltype(cuMemPoolSetAttribute)> real("cuMemPoolSetAttribute");
  const CUresult result = real(pool, attribute, value);
  if (result == CUDA_SUCCESS) SettlePool(pool, GpuOfPool(pool, CurrentGpu()));
  return result;
}

CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool* pool, void* handle, int type,
                                            unsigned long long flags) {
  static constinit Real<decltype(cuMemPoolImportFromShareableHandle)> real(
      "cuMemPoolImportFromShareableHandle");
  const CUresult result = real(pool, handle, type, flags);
  if (result == CUDA_SUCCESS) GpuOfPool(*pool, -1);
  return result;
}
