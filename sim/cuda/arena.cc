// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/arena.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {

std::optional<Arena> Arena::Create() {
  UniqueFd fd(::memfd_create("aliquot-simulated-gpu-memory", MFD_CLOEXEC));
  if (!fd.valid() || ::ftruncate(fd.get(), off_t{1} << 62) != 0) return std::nullopt;
  return Arena(std::move(fd));
}

std::uint64_t Arena::Reserve(std::uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::uint64_t offset = next_;
  next_ += RoundUp(bytes, kBlock);
  return offset;
}

void Arena::Discard(std::uint64_t offset, std::uint64_t bytes) {
  ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>(RoundUp(bytes, 4096)));
}

void* Arena::Map(int fd, std::uint64_t offset, std::uint64_t bytes, void* where, int protection) {
  std::uint64_t extra = 0;
  if (where == nullptr) {
    // Blocks lie on their own boundaries, as the driver's do.
    extra = kBlock;
    where = ::mmap(nullptr, bytes + extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (where == MAP_FAILED) return nullptr;
    const auto base = reinterpret_cast<std::uintptr_t>(where);
    const std::uintptr_t aligned = RoundUp(base, kBlock);
    if (aligned > base) ::munmap(where, aligned - base);
    if (base + extra > aligned) {
      ::munmap(reinterpret_cast<void*>(aligned + bytes), base + extra - aligned);
    }
    where = reinterpret_cast<void*>(aligned);
  }
  void* memory = ::mmap(where, bytes, protection, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd,
                        static_cast<off_t>(offset));
  if (memory == MAP_FAILED) {
    ::munmap(where, bytes);
    return nullptr;
  }
  ::madvise(memory, bytes, MADV_DONTFORK);
  ::madvise(memory, bytes, MADV_DONTDUMP);
  return memory;
}

}  // namespace aliquot::sim::cuda
