// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "sim/cuda/allocation.h"
#include "sim/cuda/enter.h"
#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {
namespace {

// At the end of the memory file of an exported allocation, so that importers know what it is.
struct ExportTrailer {
  char magic[16];
  std::uint64_t bytes;
  std::int32_t location_type;
  std::int32_t location_id;
};
constexpr char kExportMagic[16] = "aliquot-vmm-1";

CUmemGenericAllocationHandle ToHandle(const PhysicalMemory* memory) {
  return reinterpret_cast<std::uintptr_t>(memory);
}

std::shared_ptr<PhysicalMemory> Find(Driver& driver, CUmemGenericAllocationHandle handle) {
  return driver.physical.Find(reinterpret_cast<const void*>(handle));
}

// The last reference frees it: the table holds one while there are handles or mappings.
void Drop(Driver& driver, PhysicalMemory* memory) {
  if (memory->handles.fetch_sub(1) == 1) driver.physical.Take(memory);
}

bool OnHost(CUmemLocationType type) {
  return type == CU_MEM_LOCATION_TYPE_HOST || type == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
         type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
}

bool MakeFile(PhysicalMemory& memory) {
  memory.own_file = UniqueFd(::memfd_create("aliquot-simulated-gpu-memory", MFD_CLOEXEC));
  ExportTrailer trailer{};
  std::memcpy(trailer.magic, kExportMagic, sizeof(kExportMagic));
  trailer.bytes = memory.bytes;
  trailer.location_type = memory.properties.location.type;
  trailer.location_id = memory.properties.location.id;
  return memory.own_file.valid() && ::pwrite(memory.own_file.get(), &trailer, sizeof(trailer),
                                             static_cast<off_t>(memory.bytes)) == sizeof(trailer);
}

}  // namespace

namespace api {

CUresult cuMemGetAllocationGranularity(size_t* granularity, const CUmemAllocationProp* properties,
                                       CUmemAllocationGranularity_flags) {
  return WithDriver([&](Driver&) -> CUresult {
    if (properties == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return Give<size_t>(granularity, kBlock);
  });
}

CUresult cuMemCreate(CUmemGenericAllocationHandle* out, size_t bytes,
                     const CUmemAllocationProp* properties, unsigned long long flags) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (out == nullptr || properties == nullptr || flags != 0 || bytes == 0 ||
        bytes % kBlock != 0 || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    auto memory = std::make_shared<PhysicalMemory>();
    memory->driver = &driver;
    memory->properties = *properties;
    memory->bytes = bytes;
    if (properties->location.type == CU_MEM_LOCATION_TYPE_DEVICE) {
      if (!driver.HasDevice(properties->location.id)) return CUDA_ERROR_INVALID_DEVICE;
      const auto number = static_cast<std::size_t>(properties->location.id);
      if (!driver.node->Charge(driver.devices()[number], bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
      memory->charged = true;
      memory->device = properties->location.id;
    } else if (!OnHost(properties->location.type)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    if (properties->requestedHandleTypes == CU_MEM_HANDLE_TYPE_NONE) {
      memory->offset = driver.arena->Reserve(bytes);
    } else if (properties->requestedHandleTypes != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) {
      return CUDA_ERROR_NOT_SUPPORTED;
    } else if (!MakeFile(*memory)) {
      return CUDA_ERROR_OPERATING_SYSTEM;
    }
    *out = ToHandle(memory.get());
    driver.physical.Add<void*>(std::move(memory));
    return CUDA_SUCCESS;
  });
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto memory = Find(driver, handle);
    if (memory == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Drop(driver, memory.get());
    return CUDA_SUCCESS;
  });
}

CUresult cuMemAddressReserve(CUdeviceptr* out, size_t bytes, size_t alignment, CUdeviceptr hint,
                             unsigned long long flags) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (out == nullptr || bytes == 0 || bytes % kBlock != 0 || flags != 0) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const std::uint64_t align = std::max<std::uint64_t>(alignment, kBlock);
    if ((align & (align - 1)) != 0) return CUDA_ERROR_INVALID_VALUE;
    void* memory = ::mmap(reinterpret_cast<void*>(hint), bytes + align, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    Range range;
    range.kind = Range::Kind::kReserved;
    range.block = reinterpret_cast<std::uintptr_t>(memory);
    range.block_bytes = bytes + align;
    range.base = RoundUp(range.block, align);
    range.bytes = bytes;
    *out = range.base;
    driver.addresses.Add(std::move(range));
    return CUDA_SUCCESS;
  });
}

CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto range = driver.addresses.Take(address, {Range::Kind::kReserved});
    if (!range) return CUDA_ERROR_INVALID_VALUE;
    if (range->bytes != bytes) {
      driver.addresses.Add(*range);
      return CUDA_ERROR_INVALID_VALUE;
    }
    ::munmap(reinterpret_cast<void*>(range->block), range->block_bytes);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset,
                  CUmemGenericAllocationHandle handle, unsigned long long flags) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto memory = Find(driver, handle);
    const auto around = driver.addresses.Find(address);
    if (memory == nullptr || flags != 0 || offset != 0 || bytes != memory->bytes ||
        address % kBlock != 0 || !around || around->kind != Range::Kind::kReserved ||
        address + bytes > around->base + around->bytes) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const bool own = memory->own_file.valid();
    if (Arena::Map(own ? memory->own_file.get() : driver.arena->fd(), own ? 0 : memory->offset,
                   bytes, reinterpret_cast<void*>(address), PROT_NONE) == nullptr) {
      return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memory->handles.fetch_add(1);
    Range range;
    range.kind = Range::Kind::kMapped;
    range.base = address;
    range.bytes = bytes;
    range.block = address;
    range.block_bytes = bytes;
    range.device = memory->device;
    range.handle = handle;
    driver.addresses.Add(std::move(range));
    return CUDA_SUCCESS;
  });
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
  return WithDriver([&](Driver& driver) -> CUresult {
    // One call may take away several neighbouring mappings, but no part of one.
    if (!driver.addresses.Covers(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
    for (CUdeviceptr at = address; at < address + bytes;) {
      const auto range = driver.addresses.Find(at);
      if (!range || range->kind != Range::Kind::kMapped || range->base != at ||
          at + range->bytes > address + bytes) {
        return CUDA_ERROR_INVALID_VALUE;
      }
      at += range->bytes;
    }
    for (CUdeviceptr at = address; at < address + bytes;) {
      const auto range = driver.addresses.Take(at, {Range::Kind::kMapped});
      if (!range) return CUDA_ERROR_INVALID_VALUE;
      ::mmap(reinterpret_cast<void*>(at), range->bytes, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
      if (const auto memory = Find(driver, range->handle)) Drop(driver, memory.get());
      at += range->bytes;
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc* access,
                        size_t count) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (access == nullptr || count == 0 || !driver.addresses.Covers(address, bytes)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    int protection = PROT_NONE;
    for (size_t i = 0; i < count; ++i) {
      if (access[i].flags >= CU_MEM_ACCESS_FLAGS_PROT_READ) protection |= PROT_READ;
      if (access[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE) protection |= PROT_WRITE;
    }
    return ::mprotect(reinterpret_cast<void*>(address), bytes, protection) == 0
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp* out,
                                                CUmemGenericAllocationHandle handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto memory = Find(driver, handle);
    return memory == nullptr ? CUDA_ERROR_INVALID_VALUE : Give(out, memory->properties);
  });
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* out, void* address) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto range = driver.addresses.Find(reinterpret_cast<std::uintptr_t>(address));
    if (!range || range->kind != Range::Kind::kMapped) return CUDA_ERROR_INVALID_VALUE;
    const auto memory = Find(driver, range->handle);
    if (memory == nullptr || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    memory->handles.fetch_add(1);
    *out = range->handle;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemExportToShareableHandle(void* out, CUmemGenericAllocationHandle handle,
                                      CUmemAllocationHandleType type, unsigned long long flags) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto memory = Find(driver, handle);
    if (memory == nullptr || out == nullptr || flags != 0 ||
        type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || !memory->own_file.valid()) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const int fd = ::fcntl(memory->own_file.get(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return CUDA_ERROR_OPERATING_SYSTEM;
    std::memcpy(out, &fd, sizeof(fd));
    return CUDA_SUCCESS;
  });
}

// The caller keeps its descriptor. The memory stays charged to the process that made it.
CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle* out, void* shareable,
                                        CUmemAllocationHandleType type) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (out == nullptr || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const auto given = static_cast<int>(reinterpret_cast<std::intptr_t>(shareable));
    auto memory = std::make_shared<PhysicalMemory>();
    memory->driver = &driver;
    memory->own_file = UniqueFd(::fcntl(given, F_DUPFD_CLOEXEC, 0));
    struct stat status{};
    ExportTrailer trailer{};
    if (!memory->own_file.valid() || ::fstat(memory->own_file.get(), &status) != 0 ||
        status.st_size < static_cast<off_t>(sizeof(trailer)) ||
        ::pread(memory->own_file.get(), &trailer, sizeof(trailer),
                status.st_size - static_cast<off_t>(sizeof(trailer))) != sizeof(trailer) ||
        std::memcmp(trailer.magic, kExportMagic, sizeof(kExportMagic)) != 0 ||
        trailer.bytes + sizeof(trailer) != static_cast<std::uint64_t>(status.st_size)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    memory->bytes = trailer.bytes;
    memory->properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    memory->properties.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    memory->properties.location = {static_cast<CUmemLocationType>(trailer.location_type),
                                   trailer.location_id};
    *out = ToHandle(memory.get());
    driver.physical.Add<void*>(std::move(memory));
    return CUDA_SUCCESS;
  });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
