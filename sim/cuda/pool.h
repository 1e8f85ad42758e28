// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "sim/cuda/device_heap.h"
#include "sim/cuda/operation.h"

namespace aliquot::sim::cuda {

// A memory pool of stream-ordered allocations. Memory freed on a stream is given out again at once
// on the same stream, and on others when the free has been carried out. Thread-safe.
struct Pool {
  Pool(Node& node, Arena& arena, const DeviceInfo& info, int device_number, std::uint64_t grain)
      : device(device_number), heap(node, arena, info, grain) {}

  struct Pending {
    std::uintptr_t base = 0;
    std::uint64_t bytes = 0;
    const WorkQueue* queue = nullptr;
    DeviceBlock block;
  };

  std::optional<Piece> Allocate(std::uint64_t bytes, const WorkQueue* queue);
  // The memory may be used again on `queue`, and is free once Freed says so.
  void BeginFree(std::uintptr_t base, std::uint64_t bytes, const DeviceBlock& block,
                 const WorkQueue* queue);
  void Freed(std::uintptr_t base);
  // Gives back what exceeds the release threshold, as every synchronisation does.
  void Settle() { TrimTo(release_threshold); }
  void TrimTo(std::uint64_t keep);

  const int device;
  std::mutex mutex;  // guards the rest
  DeviceHeap heap;
  std::vector<Pending> pending;
  std::uint64_t release_threshold = 0;
  std::uint64_t reserved_high = 0;
  std::uint64_t used = 0;
  std::uint64_t used_high = 0;
  std::map<int, std::uint64_t> switches;  // attributes that are only stored
};

}  // namespace aliquot::sim::cuda
