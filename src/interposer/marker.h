// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arbiter/wire.h"
#include "interposer/cuda_abi.h"

// Work in flight of one GPU: what was submitted, and the markers by which the GPU tells that it is
// done. Any thread; the driver is called without a lock.
namespace aliquot::interposer {

// Estimated nanoseconds of work that is not known to be done.
uint64_t InFlight(unsigned gpu, uint64_t now);
// Whether everything submitted is done if it took no longer than estimated.
bool ReckonedDone(unsigned gpu, uint64_t now);
// A piece of work that was submitted.
struct Piece {
  uint64_t service_ns;   // what it is likely to cost
  uint64_t inflight_ns;  // what it may cost, for the cap
  bool measured;
};
// Counts work on a stream, and has a marker written once there is enough of it (`distance_ns`).
void NoteSubmitted(unsigned gpu, CUstream stream, const Piece& piece, uint64_t now,
                   uint64_t distance_ns);
// Counts work too small for a cost of its own.
void NoteLaunch(unsigned gpu);
// Has a marker written for what is unmarked on a stream which the caller may use now.
void FlushMarker(unsigned gpu, CUstream stream);
// What is on the stream (with `all`, on any) is done.
void NoteDone(unsigned gpu, CUstream stream, bool all);
void DropStream(CUstream stream);
// How many markers were ever written; more of them: work in flight gets on.
uint64_t MarkersWritten(unsigned gpu);
// What is in flight now is not waited for any more: a stream that waits for somebody else.
void AbandonInFlight(unsigned gpu);

}  // namespace aliquot::interposer
