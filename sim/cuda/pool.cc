// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/pool.h"

#include <algorithm>

#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {

std::optional<Piece> Pool::Allocate(std::uint64_t bytes, const WorkQueue* queue) {
  const std::lock_guard<std::mutex> lock(mutex);
  const std::uint64_t need = RoundUp(bytes, kAlignment);
  std::optional<Piece> piece;
  // An exact fit only: what is freed and allocated in a loop has the same size each time.
  const auto reuse = std::find_if(pending.begin(), pending.end(), [&](const Pending& p) {
    return p.queue == queue && RoundUp(p.bytes, kAlignment) == need;
  });
  if (reuse != pending.end()) {
    piece = Piece{reuse->base, reuse->block};
    pending.erase(reuse);
  } else {
    piece = heap.Allocate(bytes);
  }
  if (!piece) return std::nullopt;
  used += bytes;
  used_high = std::max(used_high, used);
  reserved_high = std::max(reserved_high, heap.held());
  return piece;
}

void Pool::BeginFree(std::uintptr_t base, std::uint64_t bytes, const DeviceBlock& block,
                     const WorkQueue* queue) {
  const std::lock_guard<std::mutex> lock(mutex);
  used -= std::min(used, bytes);
  pending.push_back({base, bytes, queue, block});
}

void Pool::Freed(std::uintptr_t base) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto it = std::find_if(pending.begin(), pending.end(),
                               [&](const Pending& p) { return p.base == base; });
  if (it == pending.end()) return;  // in use again
  pending.erase(it);
  heap.Free(base);
}

void Pool::TrimTo(std::uint64_t keep) {
  const std::lock_guard<std::mutex> lock(mutex);
  heap.Trim(keep);
}

}  // namespace aliquot::sim::cuda
