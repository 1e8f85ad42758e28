// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "sim/cuda/allocation.h"
#include "sim/cuda/enter.h"
#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {
namespace {

CUresult Allocate(CUdeviceptr* address, size_t bytes, Range::Kind kind, unsigned flags) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    if (address == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    const CUresult safe = CheckUnsafeCall(driver);
    if (safe != CUDA_SUCCESS) return safe;
    return AllocateDevice(driver, context, bytes, kind, flags, address);
  });
}

CUresult AllocateHost(void** out, size_t bytes, unsigned flags) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    if (out == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    const std::uint64_t mapped = RoundUp(bytes, 4096);
    void* memory = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    Range range;
    range.kind = Range::Kind::kHost;
    range.base = reinterpret_cast<std::uintptr_t>(memory);
    range.bytes = bytes;
    range.mapped_bytes = mapped;
    range.block = range.base;
    range.block_bytes = mapped;
    range.device = context.device;
    range.context = &context;
    range.flags = flags;
    driver.addresses.Add(std::move(range));
    *out = memory;
    return CUDA_SUCCESS;
  });
}

}  // namespace

namespace api {

CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    if (free == nullptr || total == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const Node::Memory memory = driver.node->MemoryOf(context.info);
    *free = memory.free;
    *total = memory.total;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  return Allocate(address, bytes, Range::Kind::kDevice, 0);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr* address, size_t* pitch, size_t width, size_t height,
                            unsigned element) {
  if (pitch == nullptr || width == 0 || height == 0 ||
      (element != 4 && element != 8 && element != 16)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const std::uint64_t row = RoundUp(width, kPitchAlignment);
  if (height > (std::uint64_t{1} << 50) / row) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = Allocate(address, row * height, Range::Kind::kDevice, 0);
  if (result == CUDA_SUCCESS) *pitch = row;
  return result;
}

CUresult cuMemAllocManaged(CUdeviceptr* address, size_t bytes, unsigned flags) {
  // CU_MEM_ATTACH_GLOBAL or CU_MEM_ATTACH_HOST.
  if (flags != 1 && flags != 2) return CUDA_ERROR_INVALID_VALUE;
  return Allocate(address, bytes, Range::Kind::kManaged, flags);
}

CUresult cuMemFree_v2(CUdeviceptr address) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (address == 0) return CUDA_SUCCESS;
    const CUresult safe = CheckUnsafeCall(driver);
    if (safe != CUDA_SUCCESS) return safe;
    const auto found = driver.addresses.Find(address);
    if (!found || found->base != address) return CUDA_ERROR_INVALID_VALUE;
    // A free waits until the device no longer uses the memory.
    if (const auto context = driver.contexts.Find(found->context)) {
      std::vector<OperationPtr> pending;
      {
        const std::lock_guard<std::mutex> lock(driver.work.mutex);
        pending = context->executor->Outstanding();
      }
      context->Wait(pending);
    }
    const auto range = driver.addresses.Take(
        address, {Range::Kind::kDevice, Range::Kind::kManaged, Range::Kind::kPool});
    if (!range) return CUDA_ERROR_INVALID_VALUE;
    driver.FreeRange(*range);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr address) {
  return WithContext([&](Driver& driver, Context&) -> CUresult {
    const auto range = driver.addresses.Find(address);
    if (!range || !range->accessible()) return CUDA_ERROR_NOT_FOUND;
    if (base != nullptr) *base = range->base;
    if (bytes != nullptr) *bytes = range->bytes;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemAllocHost_v2(void** out, size_t bytes) { return AllocateHost(out, bytes, 0); }

CUresult cuMemHostAlloc(void** out, size_t bytes, unsigned flags) {
  return flags > 7 ? CUDA_ERROR_INVALID_VALUE : AllocateHost(out, bytes, flags);
}

CUresult cuMemFreeHost(void* memory) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto range =
        driver.addresses.Take(reinterpret_cast<std::uintptr_t>(memory), {Range::Kind::kHost});
    if (!range) return CUDA_ERROR_INVALID_VALUE;
    driver.FreeRange(*range);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* address, void* memory, unsigned flags) {
  return WithContext([&](Driver& driver, Context&) -> CUresult {
    const auto where = reinterpret_cast<std::uintptr_t>(memory);
    const auto range = driver.addresses.Find(where);
    if (!range || range->on_device() || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    return Give<CUdeviceptr>(address, where);
  });
}

CUresult cuMemHostGetFlags(unsigned* flags, void* memory) {
  return WithContext([&](Driver& driver, Context&) -> CUresult {
    const auto range = driver.addresses.Find(reinterpret_cast<std::uintptr_t>(memory));
    if (!range || range->on_device()) return CUDA_ERROR_INVALID_VALUE;
    return Give(flags, range->flags | 2u);  // always mapped
  });
}

CUresult cuMemHostRegister_v2(void* memory, size_t bytes, unsigned flags) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    if (memory == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    Range range;
    range.kind = Range::Kind::kRegistered;
    range.base = reinterpret_cast<std::uintptr_t>(memory);
    range.bytes = bytes;
    range.block = range.base;
    range.block_bytes = bytes;
    range.device = context.device;
    range.context = &context;
    range.flags = flags;
    if (driver.addresses.Find(range.base)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    driver.addresses.Add(std::move(range));
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostUnregister(void* memory) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto range =
        driver.addresses.Take(reinterpret_cast<std::uintptr_t>(memory), {Range::Kind::kRegistered});
    return range ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  });
}

CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise, CUdevice) {
  return WithContext([&](Driver& driver, Context&) {
    return driver.addresses.Covers(address, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuMemAdvise_v2(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUmemLocation) {
  return cuMemAdvise(address, bytes, advice, 0);
}

// Managed memory is always charged in full, so moving it takes only its place in the stream.
CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice, CUstream handle) {
  return WithStream(
      handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        if (!driver.addresses.Covers(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
        return context.Submit(stream, CU_GRAPH_NODE_TYPE_EMPTY, {});
      });
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes, CUmemLocation, unsigned,
                               CUstream handle) {
  return cuMemPrefetchAsync(address, bytes, 0, handle);
}

CUresult cuStreamAttachMemAsync(CUstream handle, CUdeviceptr address, size_t bytes, unsigned) {
  return cuMemPrefetchAsync(address, bytes, 0, handle);
}

}  // namespace api
}  // namespace aliquot::sim::cuda
