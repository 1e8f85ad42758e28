// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/block_table.h"
#include "interposer/cuda_abi.h"
#include "interposer/ledger.h"

// The one way in which allocations are charged: reserve, ask the driver, remember or give back.
namespace aliquot::interposer {

// What the driver takes for so many bytes: blocks of 2 MiB, of which small allocations share one;
// what sharing wastes shows in NVML's figures and is charged by the agent.
uint64_t TakenFor(uint64_t bytes);

// As Reserve of the ledger. Before it gives up it looks whether pools have given memory back.
bool ReserveOrSettle(unsigned gpu, uint64_t bytes, uint32_t kind);

// Calls `allocate`, which asks the driver, with `bytes` held.
//   gpu: place in the grant; below 0: nothing is charged.
// CUDA_ERROR_OUT_OF_MEMORY without asking the driver if the share is used up.
template <typename Allocate>
CUresult WithReserved(int gpu, uint64_t bytes, uint32_t kind, Allocate allocate) {
  if (gpu < 0) return allocate();
  const auto place = static_cast<unsigned>(gpu);
  if (!ReserveOrSettle(place, bytes, kind)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = allocate();
  if (result != CUDA_SUCCESS) Release(place, bytes, kind);
  return result;
}

// Remembers what an allocation holds, with the current context as its owner.
void Remember(uint64_t key, int gpu, uint64_t bytes, uint32_t kind);
// Held turned out to be `before`, and is `after`.
void Settle(int gpu, uint64_t before, uint64_t after, uint32_t kind);

// Frees by calling `free`, which asks the driver; what was remembered under the key is held no
// more. A key that we don't know is the driver's business alone.
template <typename Free>
CUresult Forgetting(BlockTable* table, uint64_t key, Free free) {
  Block block = {};
  // Before the driver, which may give the number to another thread at once.
  const bool known = table->Take(key, &block);
  const CUresult result = free();
  if (!known) return result;
  if (result == CUDA_SUCCESS) {
    Release(block.gpu, block.bytes, block.kind);
  } else {
    Block former;
    table->Put(block, &former);
  }
  return result;
}

// Everything that belongs to a context: pointers, arrays.
BlockTable* ContextBlocks();
// The context is gone with all that was allocated in it.
void ForgetOwned(uint64_t context);

}  // namespace aliquot::interposer
