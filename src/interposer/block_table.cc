// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/block_table.h"

#include <sys/mman.h>

namespace aliquot::interposer {
namespace {

constexpr uint32_t kFirstCapacity = 256;

// Handles and pointers differ in their middle bits.
uint64_t Hash(uint64_t key) {
  key *= 0x9e3779b97f4a7c15u;
  return key ^ (key >> 32);
}

}  // namespace

BlockTable::Shard* BlockTable::ShardOf(uint64_t key) {
  return &shards_[(Hash(key) >> 24) % kShards];
}

// The block of this key, or the empty place where it belongs. There is always an empty place.
Block* BlockTable::Seek(Shard* shard, uint64_t key) {
  const uint32_t mask = shard->capacity - 1;
  for (uint32_t at = static_cast<uint32_t>(Hash(key)) & mask;; at = (at + 1) & mask) {
    Block* block = &shard->blocks[at];
    if (block->key == key || block->key == 0) return block;
  }
}

bool BlockTable::Grow(Shard* shard) {
  Shard larger = {};
  larger.capacity = shard->capacity == 0 ? kFirstCapacity : shard->capacity * 2;
  larger.blocks = static_cast<Block*>(Pages(larger.capacity * sizeof(Block)));
  if (larger.blocks == nullptr) return false;
  for (uint32_t i = 0; i < shard->capacity; ++i) {
    if (shard->blocks[i].key != 0) *Seek(&larger, shard->blocks[i].key) = shard->blocks[i];
  }
  if (shard->blocks != nullptr) ::munmap(shard->blocks, shard->capacity * sizeof(Block));
  shard->blocks = larger.blocks;
  shard->capacity = larger.capacity;
  return true;
}

// Moves later blocks up that were displaced over the one that goes.
void BlockTable::Remove(Shard* shard, Block* block) {
  const uint32_t mask = shard->capacity - 1;
  uint32_t hole = static_cast<uint32_t>(block - shard->blocks);
  for (uint32_t at = (hole + 1) & mask; shard->blocks[at].key != 0; at = (at + 1) & mask) {
    const uint32_t home = static_cast<uint32_t>(Hash(shard->blocks[at].key)) & mask;
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      shard->blocks[hole] = shard->blocks[at];
      hole = at;
    }
  }
  shard->blocks[hole] = {};
  --shard->count;
}

bool BlockTable::Put(const Block& block, Block* former) {
  if (block.key == 0) return false;
  Shard* shard = ShardOf(block.key);
  Locked lock(&shard->lock);
  if (shard->count * 4 >= shard->capacity * 3 && !Grow(shard)) return false;
  Block* place = Seek(shard, block.key);
  const bool replaced = place->key == block.key;
  if (replaced) *former = *place;
  if (!replaced) ++shard->count;
  *place = block;
  return replaced;
}

bool BlockTable::Take(uint64_t key, Block* block) {
  if (key == 0) return false;
  Shard* shard = ShardOf(key);
  Locked lock(&shard->lock);
  if (shard->capacity == 0) return false;
  Block* place = Seek(shard, key);
  if (place->key == 0) return false;
  *block = *place;
  Remove(shard, place);
  return true;
}

bool BlockTable::Find(uint64_t key, Block* block) {
  if (key == 0) return false;
  Shard* shard = ShardOf(key);
  Locked lock(&shard->lock);
  if (shard->capacity == 0) return false;
  *block = *Seek(shard, key);
  return block->key != 0;
}

bool BlockTable::TakeOwned(uint64_t owner, Block* block) {
  for (Shard& shard : shards_) {
    Locked lock(&shard.lock);
    for (uint32_t i = 0; i < shard.capacity; ++i) {
      if (shard.blocks[i].key == 0 || shard.blocks[i].owner != owner) continue;
      *block = shard.blocks[i];
      Remove(&shard, &shard.blocks[i]);
      return true;
    }
  }
  return false;
}

}  // namespace aliquot::interposer
