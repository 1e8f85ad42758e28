// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/unique_fd.h"

namespace aliquot::sim::cuda {

// Where the bytes of simulated device memory are: one sparse file in memory, of which pages exist
// once they are written. Other processes of the same user can map a piece of it by way of
// /proc/<pid>/fd, which is how IPC handles work. Offsets are never used twice. Thread-safe.
class Arena {
 public:
  // Nothing if the kernel gives no memory file.
  static std::optional<Arena> Create();
  Arena(Arena&& other) noexcept : fd_(std::move(other.fd_)), next_(other.next_) {}

  int fd() const { return fd_.get(); }
  std::uint64_t Reserve(std::uint64_t bytes);
  // Gives the pages back; they read as zero afterwards.
  void Discard(std::uint64_t offset, std::uint64_t bytes);
  // Maps a piece, at `where` if not null (replacing what is there). Children of fork do not get
  // it, as with real device memory. Null if address space is short.
  static void* Map(int fd, std::uint64_t offset, std::uint64_t bytes, void* where, int protection);

 private:
  explicit Arena(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
  std::mutex mutex_;
  std::uint64_t next_ = 0;
};

}  // namespace aliquot::sim::cuda
