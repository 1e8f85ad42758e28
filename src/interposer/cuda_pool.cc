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
#include "interposer/meter.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

// Steps in which pools grow on the GPUs seen.
constexpr uint64_t kPoolStep = 32u << 20;
constexpr uint64_t kAwaitFreesNs = 500'000'000;
constexpr uint64_t kAwaitReadersNs = 100'000'000;
constexpr uint64_t kNapNs = 100'000;

struct Pool {
  CUmemoryPool handle;
  int gpu;           // below 0: not charged (on the host, or another process's)
  uint32_t readers;  // threads that may be using the handle without the application's knowing
  uint32_t leaving;  // its pool is being destroyed: it has no handle, but is not free either
  Meter meter;
};
constexpr unsigned kPools = 128;
// Places are used again, never moved: whoever looked one up may still be reading its counter.
constinit Pool g_pools[kPools] = {};
// How many of them were ever used.
unsigned g_places = 0;
Mutex g_lock;

constinit Real<CUresult(CUmemoryPool, int, void*)> real_attribute("cuMemPoolGetAttribute");
constinit Real<CUresult(CUmemoryPool*, CUdevice)> real_device_pool("cuDeviceGetMemPool");
constinit Real<decltype(cuMemFreeAsync)> real_free("cuMemFreeAsync");
constinit Real<decltype(cuStreamQuery)> real_query("cuStreamQuery");
constinit Real<decltype(cuMemPoolTrimTo)> real_trim("cuMemPoolTrimTo");

// 0 for a pool that has left. Another thread of the application may be about to destroy it.
uint64_t Reserved(Pool* pool) {
  __atomic_fetch_add(&pool->readers, 1, __ATOMIC_SEQ_CST);
  const CUmemoryPool handle = __atomic_load_n(&pool->handle, __ATOMIC_SEQ_CST);
  uint64_t value = 0;
  const bool read =
      handle != nullptr &&
      real_attribute(handle, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &value) == CUDA_SUCCESS;
  __atomic_fetch_sub(&pool->readers, 1, __ATOMIC_RELEASE);
  return read ? value : 0;
}

// Takes the handle away and waits until nobody uses it, which is a short call of the driver.
void Leave(Pool* pool) {
  Store(&pool->leaving, 1u);
  __atomic_store_n(&pool->handle, static_cast<CUmemoryPool>(nullptr), __ATOMIC_SEQ_CST);
  const uint64_t deadline = NowNs() + kAwaitReadersNs;
  while (__atomic_load_n(&pool->readers, __ATOMIC_SEQ_CST) != 0 && NowNs() < deadline) Pause();
}

// The pool's place, made if there is none. Null if there is no room: then it is not charged.
Pool* Find(CUmemoryPool handle, int gpu_if_new) {
  Locked lock(&g_lock);
  Pool* spare = nullptr;
  for (Pool& pool : g_pools) {
    if (pool.handle == handle) return &pool;
    const bool unused = pool.handle == nullptr && LoadAcquire(&pool.leaving) == 0;
    if (unused && spare == nullptr) spare = &pool;
  }
  if (spare == nullptr) return nullptr;
  spare->gpu = gpu_if_new;
  Store(&spare->handle, handle);
  Store(&g_places, Max(g_places, static_cast<unsigned>(spare - g_pools) + 1));
  return spare;
}

// True if it had given memory back.
bool Settle(Pool* pool) {
  if (pool->gpu < 0) return false;
  const Meter::Outcome outcome = pool->meter.Settle([&] { return Reserved(pool); });
  const auto gpu = static_cast<unsigned>(pool->gpu);
  Release(gpu, outcome.release, ALIQUOT_KIND_POOL);
  Charge(gpu, outcome.excess, ALIQUOT_KIND_POOL);
  return outcome.release != 0;
}

// Growth is noted by the call that caused it, so a pool that held nothing is not asked.
bool SettlePool(Pool* pool) {
  if (pool == nullptr || pool->meter.charged() == 0 || Load(&pool->leaving) != 0) return false;
  return Settle(pool);
}

// After an allocation for which `need` is held. False if the pool took more than the share has
// left.
bool FinishAllocation(Pool* pool, uint64_t need) {
  const auto gpu = static_cast<unsigned>(pool->gpu);
  const Meter::Outcome outcome = pool->meter.Finish(need, [&] { return Reserved(pool); });
  Release(gpu, outcome.release, ALIQUOT_KIND_POOL);
  if (Reserve(gpu, outcome.excess, ALIQUOT_KIND_POOL)) return true;
  Charge(gpu, outcome.excess, ALIQUOT_KIND_POOL);
  return false;
}

// Waits until the GPU has come to the frees on a stream, for half a second at most: what the stream
// itself waits for may be this thread.
void AwaitFrees(CUstream stream) {
  const uint64_t deadline = NowNs() + kAwaitFreesNs;
  uint32_t never = 0;
  while (real_query(stream) == CUDA_ERROR_NOT_READY && NowNs() < deadline) {
    FutexWait(&never, 0, kNapNs, false);
  }
}

// Reserves what the pool may take for an allocation, rounded to the pool's steps. If the share has
// not that much left, the pool first gives back what it does not use, then what is about to be
// freed.
bool ReserveForPool(Pool* pool, CUstream stream, uint64_t bytes, uint64_t* need) {
  if (__builtin_add_overflow(bytes, kPoolStep - 1, need)) return false;
  *need = *need / kPoolStep * kPoolStep;
  const auto gpu = static_cast<unsigned>(pool->gpu);
  if (Reserve(gpu, *need, ALIQUOT_KIND_POOL)) return true;
  const RelaxedCapture relaxed;
  real_trim(pool->handle, 0);
  if (ReserveOrSettle(gpu, *need, ALIQUOT_KIND_POOL)) return true;
  if (pool->meter.charged() == 0) return false;
  AwaitFrees(stream);
  real_trim(pool->handle, 0);
  return ReserveOrSettle(gpu, *need, ALIQUOT_KIND_POOL);
}

template <typename Allocate>
CUresult FromPool(CUdeviceptr* pointer, uint64_t bytes, CUmemoryPool handle, CUstream stream,
                  Allocate allocate) {
  Pool* pool = handle == nullptr ? nullptr : Find(handle, CurrentGpu());
  if (pool == nullptr || pool->gpu < 0) return allocate();
  // In a capture it becomes a node of a graph, whose memory counts when it is launched.
  if (Capturing(stream)) {
    ExpectGraphMemory();
    return allocate();
  }
  uint64_t need = 0;
  if (!ReserveForPool(pool, stream, bytes, &need)) return CUDA_ERROR_OUT_OF_MEMORY;
  pool->meter.Begin(need);
  const CUresult result = allocate();
  const bool within = FinishAllocation(pool, need);
  if (result != CUDA_SUCCESS || within) return result;
  real_free(*pointer, stream);
  return CUDA_ERROR_OUT_OF_MEMORY;
}

CUmemoryPool PoolOfCurrentDevice() {
  CUmemoryPool pool = nullptr;
  const CUdevice device = CurrentDevice();
  if (device < 0 || GpuOf(device) < 0) return nullptr;
  return real_device_pool(&pool, device) == CUDA_SUCCESS ? pool : nullptr;
}

}  // namespace

bool SettlePools() {
  bool back = SettleGraphMemory();
  const unsigned places = Load(&g_places);
  for (unsigned i = 0; i < places; ++i) back = SettlePool(&g_pools[i]) || back;
  return back;
}

// Whether something may have come back is not remembered: what was waited for need not be all that
// was freed, and a pool may keep what came back until another call.
void SettleAfterSync() {
  if (__builtin_expect(Load(&g_places) != 0, 0)) SettlePools();
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
  return Forgetting(ContextBlocks(), pointer, [&] { return real_free(pointer, stream); });
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr pointer, CUstream stream) {
  static constinit Real<decltype(cuMemFreeAsync_ptsz)> real("cuMemFreeAsync_ptsz");
  return Forgetting(ContextBlocks(), pointer, [&] { return real(pointer, stream); });
}

CUresult cuMemPoolCreate(CUmemoryPool* pool, const CUmemPoolProps* properties) {
  static constinit Real<decltype(cuMemPoolCreate)> real("cuMemPoolCreate");
  const CUresult result = real(pool, properties);
  if (result != CUDA_SUCCESS || properties == nullptr) return result;
  const bool on_device = properties->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
  Find(*pool, on_device ? GpuOf(properties->location.id) : -1);
  return result;
}

// What is still allocated from it lives on and shows in NVML's figures.
CUresult cuMemPoolDestroy(CUmemoryPool handle) {
  static constinit Real<decltype(cuMemPoolDestroy)> real("cuMemPoolDestroy");
  Pool* pool = Find(handle, -1);
  // Before the driver, which may give the handle to another pool at once.
  if (pool != nullptr) Leave(pool);
  const CUresult result = real(handle);
  if (pool == nullptr) return result;
  if (result != CUDA_SUCCESS) Store(&pool->handle, handle);
  Settle(pool);
  StoreRelease(&pool->leaving, 0u);
  return result;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
  const CUresult result = real_trim(pool, keep);
  if (result == CUDA_SUCCESS) SettlePool(Find(pool, CurrentGpu()));
  return result;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, int attribute, void* value) {
  static constinit Real<decltype(cuMemPoolSetAttribute)> real("cuMemPoolSetAttribute");
  const CUresult result = real(pool, attribute, value);
  if (result == CUDA_SUCCESS) SettlePool(Find(pool, CurrentGpu()));
  return result;
}

CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool* pool, void* handle, int type,
                                            unsigned long long flags) {
  static constinit Real<decltype(cuMemPoolImportFromShareableHandle)> real(
      "cuMemPoolImportFromShareableHandle");
  const CUresult result = real(pool, handle, type, flags);
  if (result == CUDA_SUCCESS) Find(*pool, -1);
  return result;
}
