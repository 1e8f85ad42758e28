// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the simulated libcuda.so.1 exports beyond the real one. A program that finds these symbols
// is not on real hardware. C, so that any language can ask.

#ifdef __cplusplus
extern "C" {
#endif

// One context's use of one GPU (or MIG device) since the context was made.
typedef struct {
  unsigned pid;                // as the caller's pid namespace has it; 0 if it does not
  unsigned gpu;                // index in the node
  unsigned gpu_instance;       // 0xFFFFFFFF without MIG
  unsigned compute_instance;   // 0xFFFFFFFF without MIG
  unsigned long long busy_ns;  // simulated time its kernels had the GPU
  unsigned long long turns;    // how often it was given the GPU
} AliquotSimulatedSeat;

// The name of the simulated node; empty before cuInit.
__attribute__((visibility("default"))) const char* aliquotSimulatedNode(void);

// Fills in up to `room` entries, one per context of every process that shares the node's state
// directory, and returns how many there are. 0 before cuInit. Thread-safe.
__attribute__((visibility("default"))) unsigned aliquotSimulatedSeats(AliquotSimulatedSeat* seats,
                                                                      unsigned room);

#ifdef __cplusplus
}
#endif
