// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "sim/cuda/arena.h"
#include "sim/cuda/node.h"

namespace aliquot::sim::cuda {

// Charged and mapped device memory of one device: a run of whole blocks.
struct DeviceBlock {
  std::uintptr_t base = 0;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;  // in the arena
};

// Charges `bytes`, rounded up to blocks, and maps them. Nothing: out of memory.
std::optional<DeviceBlock> AllocateBlock(Node& node, Arena& arena, const DeviceInfo& device,
                                         std::uint64_t bytes);
void FreeBlock(Node& node, Arena& arena, const DeviceInfo& device, const DeviceBlock& block);

// A piece of a block.
struct Piece {
  std::uintptr_t base = 0;
  DeviceBlock block;
};

// Packs allocations into blocks of at least `grain` bytes, first fit, and keeps empty blocks up
// to a threshold. Not thread-safe.
class DeviceHeap {
 public:
  DeviceHeap(Node& node, Arena& arena, const DeviceInfo& device, std::uint64_t grain)
      : node_(node), arena_(arena), device_(device), grain_(grain) {}
  ~DeviceHeap();
  DeviceHeap(const DeviceHeap&) = delete;
  DeviceHeap& operator=(const DeviceHeap&) = delete;

  std::optional<Piece> Allocate(std::uint64_t bytes);
  // False if nothing was allocated there.
  bool Free(std::uintptr_t base);
  // Gives empty blocks back until at most `keep` bytes are held.
  void Trim(std::uint64_t keep);
  std::uint64_t held() const { return held_; }
  std::uint64_t used() const { return used_; }

 private:
  struct Chunk {
    DeviceBlock block;
    std::map<std::uintptr_t, std::uint64_t> free;       // base to bytes
    std::map<std::uintptr_t, std::uint64_t> allocated;  // base to bytes
  };
  Node& node_;
  Arena& arena_;
  const DeviceInfo& device_;
  const std::uint64_t grain_;
  std::map<std::uintptr_t, Chunk> chunks_;
  std::uint64_t held_ = 0;
  std::uint64_t used_ = 0;
};

}  // namespace aliquot::sim::cuda
