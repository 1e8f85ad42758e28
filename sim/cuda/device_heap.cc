// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/device_heap.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {

std::optional<DeviceBlock> AllocateBlock(Node& node, Arena& arena, const DeviceInfo& device,
                                         std::uint64_t bytes) {
  if (bytes > std::uint64_t{1} << 50) return std::nullopt;
  DeviceBlock block;
  block.bytes = RoundUp(bytes, kBlock);
  if (!node.Charge(device, block.bytes)) return std::nullopt;
  block.offset = arena.Reserve(block.bytes);
  void* memory = Arena::Map(arena.fd(), block.offset, block.bytes, nullptr, PROT_READ | PROT_WRITE);
  if (memory == nullptr) {
    node.Uncharge(device, block.bytes);
    return std::nullopt;
  }
  block.base = reinterpret_cast<std::uintptr_t>(memory);
  return block;
}

void FreeBlock(Node& node, Arena& arena, const DeviceInfo& device, const DeviceBlock& block) {
  ::munmap(reinterpret_cast<void*>(block.base), block.bytes);
  arena.Discard(block.offset, block.bytes);
  node.Uncharge(device, block.bytes);
}

DeviceHeap::~DeviceHeap() {
  for (const auto& [base, chunk] : chunks_) FreeBlock(node_, arena_, device_, chunk.block);
}

std::optional<Piece> DeviceHeap::Allocate(std::uint64_t bytes) {
  const std::uint64_t need = RoundUp(bytes, kAlignment);
  const auto from = [&](Chunk& chunk) -> std::optional<Piece> {
    for (auto it = chunk.free.begin(); it != chunk.free.end(); ++it) {
      if (it->second < need) continue;
      const std::uintptr_t base = it->first;
      const std::uint64_t rest = it->second - need;
      chunk.free.erase(it);
      if (rest > 0) chunk.free[base + need] = rest;
      chunk.allocated[base] = need;
      used_ += need;
      return Piece{base, chunk.block};
    }
    return std::nullopt;
  };
  for (auto& [base, chunk] : chunks_) {
    if (auto piece = from(chunk)) return piece;
  }
  const auto block = AllocateBlock(node_, arena_, device_, RoundUp(need, grain_));
  if (!block) return std::nullopt;
  held_ += block->bytes;
  Chunk& chunk = chunks_[block->base];
  chunk.block = *block;
  chunk.free[block->base] = block->bytes;
  return from(chunk);
}

bool DeviceHeap::Free(std::uintptr_t base) {
  auto it = chunks_.upper_bound(base);
  if (it == chunks_.begin()) return false;
  Chunk& chunk = std::prev(it)->second;
  const auto allocated = chunk.allocated.find(base);
  if (allocated == chunk.allocated.end()) return false;
  used_ -= allocated->second;
  auto piece = chunk.free.emplace(base, allocated->second).first;
  chunk.allocated.erase(allocated);
  const auto after = std::next(piece);
  if (after != chunk.free.end() && piece->first + piece->second == after->first) {
    piece->second += after->second;
    chunk.free.erase(after);
  }
  if (piece != chunk.free.begin()) {
    const auto before = std::prev(piece);
    if (before->first + before->second == piece->first) {
      before->second += piece->second;
      chunk.free.erase(piece);
    }
  }
  return true;
}

void DeviceHeap::Trim(std::uint64_t keep) {
  for (auto it = chunks_.begin(); it != chunks_.end() && held_ > keep;) {
    if (!it->second.allocated.empty()) {
      ++it;
      continue;
    }
    held_ -= it->second.block.bytes;
    FreeBlock(node_, arena_, device_, it->second.block);
    it = chunks_.erase(it);
  }
}

}  // namespace aliquot::sim::cuda
