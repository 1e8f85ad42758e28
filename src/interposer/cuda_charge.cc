// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/cuda_charge.h"

#include "interposer/cuda_device.h"
#include "interposer/cuda_settle.h"

namespace aliquot::interposer {
namespace {

constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kBlock = 2 * kMiB;
constexpr uint64_t kSmallUnit = 512;

constinit BlockTable g_blocks = {};

}  // namespace

uint64_t TakenFor(uint64_t bytes) {
  const uint64_t unit = bytes > kMiB ? kBlock : kSmallUnit;
  uint64_t rounded = 0;
  if (__builtin_add_overflow(bytes, unit - 1, &rounded)) return UINT64_MAX;
  return rounded / unit * unit;
}

bool ReserveOrSettle(unsigned gpu, uint64_t bytes, uint32_t kind) {
  if (Reserve(gpu, bytes, kind)) return true;
  return SettlePools() && Reserve(gpu, bytes, kind);
}

void Settle(int gpu, uint64_t before, uint64_t after, uint32_t kind) {
  if (gpu < 0) return;
  if (after > before) Charge(static_cast<unsigned>(gpu), after - before, kind);
  if (after < before) Release(static_cast<unsigned>(gpu), before - after, kind);
}

void Remember(uint64_t key, int gpu, uint64_t bytes, uint32_t kind) {
  if (gpu < 0) return;
  Block former = {};
  const Block block = {key, bytes, CurrentContext(), static_cast<uint32_t>(gpu), kind};
  if (g_blocks.Put(block, &former)) Release(former.gpu, former.bytes, former.kind);
}

BlockTable* ContextBlocks() { return &g_blocks; }

void ForgetOwned(uint64_t context) {
  Block block = {};
  while (context != 0 && g_blocks.TakeOwned(context, &block)) {
    Release(block.gpu, block.bytes, block.kind);
  }
}

}  // namespace aliquot::interposer
