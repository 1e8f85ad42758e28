// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Virtual memory management. Physical memory is charged when it is created on a device of the
// grant, and lives until its last handle and its last mapping are gone. Memory on the host is not
// charged, nor is what another process created: its creator pays. Without an agent: as linear
// memory.

#include "interposer/cuda_charge.h"
#include "interposer/cuda_device.h"
#include "interposer/cuda_hooks.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

// The distance at which mappings are looked for in a range that is unmapped as a whole.
constexpr uint64_t kGranularity = 2u << 20;

// Physical memory by a number of ours: `owner` counts what keeps it alive.
constinit BlockTable g_physical = {};
// Handles: `owner` is the number of the physical memory, `kind` how often the handle is held.
constinit BlockTable g_handles = {};
// Mappings by their address: `owner` is the number of the physical memory.
constinit BlockTable g_mappings = {};
uint64_t g_next = 0;
// Over all three, for changes that belong together.
Mutex g_lock;

void Put(BlockTable* table, const Block& block) {
  Block former;
  table->Put(block, &former);
}

void KeepAlive(uint64_t number, int change, Block* gone) {
  Block physical = {};
  if (!g_physical.Take(number, &physical)) return;
  physical.owner = static_cast<uint64_t>(static_cast<int64_t>(physical.owner) + change);
  if (physical.owner != 0) {
    Put(&g_physical, physical);
  } else {
    *gone = physical;
  }
}

void NoteCreated(CUmemGenericAllocationHandle handle, int gpu, uint64_t bytes) {
  Locked lock(&g_lock);
  const uint64_t number = ++g_next;
  Put(&g_physical, {number, bytes, 1, static_cast<uint32_t>(gpu), ALIQUOT_KIND_VIRTUAL});
  Put(&g_handles, {handle, bytes, number, static_cast<uint32_t>(gpu), 1});
}

// The mapping gets a number of its own share in the memory.
void NoteMapped(CUdeviceptr address, uint64_t bytes, CUmemGenericAllocationHandle handle) {
  Locked lock(&g_lock);
  Block block = {};
  Block gone = {};
  if (!g_handles.Find(handle, &block)) return;
  KeepAlive(block.owner, 1, &gone);
  Put(&g_mappings, {address, bytes, block.owner, block.gpu, ALIQUOT_KIND_VIRTUAL});
}

// Another hold on a handle (change 1), or one less. The memory that goes with it in `*gone`.
bool ChangeHolds(CUmemGenericAllocationHandle handle, int change, Block* gone) {
  Locked lock(&g_lock);
  Block block = {};
  if (!g_handles.Take(handle, &block)) return false;
  block.kind = static_cast<uint32_t>(static_cast<int>(block.kind) + change);
  if (block.kind != 0) {
    Put(&g_handles, block);
  } else {
    KeepAlive(block.owner, -1, gone);
  }
  return true;
}

// A handle that the driver made of an address: one we knew, or one whose last hold was given up
// while the memory was still mapped.
void NoteRetained(CUmemGenericAllocationHandle handle, CUdeviceptr address) {
  Block gone = {};
  if (ChangeHolds(handle, 1, &gone)) return;
  Locked lock(&g_lock);
  Block mapping = {};
  if (!g_mappings.Find(address, &mapping)) return;
  KeepAlive(mapping.owner, 1, &gone);
  Put(&g_handles, {handle, mapping.bytes, mapping.owner, mapping.gpu, 1});
}

void NoteUnmapped(CUdeviceptr address, uint64_t bytes) {
  const uint64_t end = address + bytes;
  while (address < end) {
    Block mapping = {};
    Block gone = {};
    {
      Locked lock(&g_lock);
      if (g_mappings.Take(address, &mapping)) KeepAlive(mapping.owner, -1, &gone);
    }
    if (gone.key != 0) Release(gone.gpu, gone.bytes, ALIQUOT_KIND_VIRTUAL);
    address += mapping.bytes != 0 ? mapping.bytes : kGranularity;
  }
}

}  // namespace
}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, size_t bytes,
                     const CUmemAllocationProp* properties, unsigned long long flags) {
  static constinit Real<decltype(cuMemCreate)> real("cuMemCreate");
  const bool on_device =
      properties != nullptr && properties->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
  const int gpu = on_device ? GpuOf(properties->location.id) : -1;
  const CUresult result = WithReserved(gpu, bytes, ALIQUOT_KIND_VIRTUAL,
                                       [&] { return real(handle, bytes, properties, flags); });
  if (result == CUDA_SUCCESS && gpu >= 0) NoteCreated(*handle, gpu, bytes);
  return result;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  static constinit Real<decltype(cuMemRelease)> real("cuMemRelease");
  Block gone = {};
  // Before the driver, which may give the number to another thread at once. It refuses only handles
  // that are none, and those we don't know either.
  ChangeHolds(handle, -1, &gone);
  const CUresult result = real(handle);
  if (gone.key != 0) Release(gone.gpu, gone.bytes, ALIQUOT_KIND_VIRTUAL);
  return result;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* handle, void* address) {
  static constinit Real<decltype(cuMemRetainAllocationHandle)> real("cuMemRetainAllocationHandle");
  const CUresult result = real(handle, address);
  if (result == CUDA_SUCCESS) NoteRetained(*handle, reinterpret_cast<CUdeviceptr>(address));
  return result;
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset,
                  CUmemGenericAllocationHandle handle, unsigned long long flags) {
  static constinit Real<decltype(cuMemMap)> real("cuMemMap");
  const CUresult result = real(address, bytes, offset, handle, flags);
  if (result == CUDA_SUCCESS) NoteMapped(address, bytes, handle);
  return result;
}

// The range stays reserved for the process, so nobody maps there before we have noted it.
CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
  static constinit Real<decltype(cuMemUnmap)> real("cuMemUnmap");
  const CUresult result = real(address, bytes);
  if (result == CUDA_SUCCESS) NoteUnmapped(address, bytes);
  return result;
}
