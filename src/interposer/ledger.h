// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arbiter/wire.h"
#include "interposer/libc.h"

// What this process holds of each GPU of the grant. `gpu` is a place in the grant. Any thread; only
// Reserve waits, for the agent (ALIQUOT_RESERVE_MS at most). No call of the driver is made, and no
// lock is held on return.
namespace aliquot::interposer {

// Takes `bytes` before the driver is asked for them. False: refused, nothing is held. Without an
// agent, within what the last snapshot allows.
bool Reserve(unsigned gpu, uint64_t bytes, uint32_t kind);
// As many as a context takes here. The bytes that are held now, or 0 if refused: see `*refused`.
uint64_t ReserveContext(unsigned gpu, bool* refused);
// Holds no more of it. Never fails: what the agent can't be told now it learns later.
void Release(unsigned gpu, uint64_t bytes, uint32_t kind);
// Held already, whether the tenant may or not.
void Charge(unsigned gpu, uint64_t bytes, uint32_t kind);

// What queries answer.
struct MemoryAnswer {
  uint64_t total;
  uint64_t free;
  bool limited;  // false: the grant sets no limit on this GPU, ask the driver
};
// From the agent's snapshot and what this process holds.
//   physical_free: what the driver says now; UINT64_MAX if not known.
MemoryAnswer QueryMemory(unsigned gpu, uint64_t physical_free);

// For the session, when a new agent takes over. BeginHandOver fills in what is held. EndHandOver
// calls `install`, which makes the new pages current, while no amount changes; without it the
// hand-over did not come about.
void BeginHandOver(uint64_t held[ALIQUOT_WIRE_GPUS]);
void EndHandOver(void (*install)(const void* what), const void* what);
// In the child of a fork: nothing is held.
void ForgetHeld();

}  // namespace aliquot::interposer
