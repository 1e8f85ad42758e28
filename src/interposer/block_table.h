// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/libc.h"

namespace aliquot::interposer {

// What was charged for something that the driver knows by a number: a device pointer, a handle.
struct Block {
  uint64_t key;
  uint64_t bytes;
  // The context it goes down with, or 0; for other uses see the table's owner.
  uint64_t owner;
  uint32_t gpu;
  uint32_t kind;
};

// Blocks by key, for any number of threads. Grows by mapping pages and never shrinks; if there is
// no memory for that the block is forgotten (its charge stays until the process ends). The locks
// are held for the look-up alone. Zero-initialised; lives as long as the process. Key 0 is not
// stored.
class BlockTable {
 public:
  // Replaces a block of the same key, which the driver must have given back without our knowledge;
  // that one is left in `*former`, and the answer is true.
  bool Put(const Block& block, Block* former);
  // Takes it out. False if it is not there.
  bool Take(uint64_t key, Block* block);
  bool Find(uint64_t key, Block* block);
  // Takes out any one block of this owner.
  bool TakeOwned(uint64_t owner, Block* block);

 private:
  struct Shard {
    Mutex lock;
    uint32_t capacity;  // power of two, or 0
    uint32_t count;
    Block* blocks;
  };
  static constexpr unsigned kShards = 32;

  static bool Grow(Shard* shard);
  static Block* Seek(Shard* shard, uint64_t key);
  static void Remove(Shard* shard, Block* block);
  Shard* ShardOf(uint64_t key);

  Shard shards_[kShards] = {};
};

}  // namespace aliquot::interposer
