// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/unique_fd.h"
#include "sim/cuda/enter.h"

namespace aliquot::sim::cuda {
namespace {

// What the 64 bytes of a memory handle hold: where in which process's memory file the allocation
// is. The inode tells a process from a later one with the same number. Works between processes of
// one user and one PID namespace.
struct IpcHandle {
  char magic[8];
  std::int32_t pid;
  std::int32_t fd;
  std::uint64_t inode;
  std::uint64_t offset;
  std::uint64_t bytes;
  std::uint64_t into;  // of the allocation within its block
  std::int32_t gpu;
  std::int32_t reserved;
};
static_assert(sizeof(IpcHandle) <= sizeof(CUipcMemHandle));
constexpr char kIpcMagic[8] = "alq-ipc";

}  // namespace

namespace api {

CUresult cuIpcGetMemHandle(CUipcMemHandle* out, CUdeviceptr address) {
  return WithContext([&](Driver& driver, Context&) -> CUresult {
    const auto range = driver.addresses.Find(address);
    if (out == nullptr || !range || range->kind != Range::Kind::kDevice) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    struct stat status{};
    if (::fstat(driver.arena->fd(), &status) != 0) return CUDA_ERROR_OPERATING_SYSTEM;
    IpcHandle handle{};
    std::memcpy(handle.magic, kIpcMagic, sizeof(kIpcMagic));
    handle.pid = ::getpid();
    handle.fd = driver.arena->fd();
    handle.inode = status.st_ino;
    handle.offset = range->offset;
    handle.bytes = range->block_bytes;
    handle.into = range->base - range->block;
    handle.gpu = static_cast<std::int32_t>(
        driver.devices()[static_cast<std::size_t>(range->device)].engine.gpu);
    *out = {};
    std::memcpy(out->reserved, &handle, sizeof(handle));
    return CUDA_SUCCESS;
  });
}

// The memory stays charged to the process that allocated it. The same process cannot open its own.
CUresult cuIpcOpenMemHandle_v2(CUdeviceptr* out, CUipcMemHandle from, unsigned) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    IpcHandle handle{};
    std::memcpy(&handle, from.reserved, sizeof(handle));
    if (out == nullptr || std::memcmp(handle.magic, kIpcMagic, sizeof(kIpcMagic)) != 0) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    if (handle.pid == ::getpid()) return CUDA_ERROR_INVALID_CONTEXT;
    const std::string path = fmt::format("/proc/{}/fd/{}", handle.pid, handle.fd);
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    struct stat status{};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || status.st_ino != handle.inode) {
      return CUDA_ERROR_INVALID_VALUE;  // the exporter is gone, or not ours to look into
    }
    void* memory =
        Arena::Map(fd.get(), handle.offset, handle.bytes, nullptr, PROT_READ | PROT_WRITE);
    if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
    Range range;
    range.kind = Range::Kind::kImported;
    range.base = reinterpret_cast<std::uintptr_t>(memory);
    range.bytes = handle.bytes;
    range.mapped_bytes = handle.bytes;
    range.block = range.base;
    range.block_bytes = handle.bytes;
    range.device = context.device;
    range.context = &context;
    *out = range.base + handle.into;
    driver.addresses.Add(std::move(range));
    return CUDA_SUCCESS;
  });
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto found = driver.addresses.Find(address);
    if (!found || found->kind != Range::Kind::kImported) return CUDA_ERROR_INVALID_VALUE;
    const auto range = driver.addresses.Take(found->base, {Range::Kind::kImported});
    if (!range) return CUDA_ERROR_INVALID_VALUE;
    driver.FreeRange(*range);
    return CUDA_SUCCESS;
  });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
