// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/marker.h"

#include "interposer/marker_write.h"
#include "interposer/session.h"

namespace aliquot::interposer {
namespace {

constexpr uint64_t kMicrosecond = 1000;
// How long unmarked work is taken to last, beyond twice its estimate.
constexpr uint64_t kUnmarkedSlack = 200 * kMicrosecond;
constexpr int kStreams = 16;
static_assert(ALIQUOT_WIRE_MARKERS == 32, "a bit of GpuWork::out for each slot");

struct StreamWork {
  CUstream stream;
  bool used;
  uint64_t unmarked;
};

struct GpuWork {
  Mutex lock;
  StreamWork streams[kStreams];
  uint64_t next;                             // number of the next marker
  uint32_t out;                              // slots whose markers were not seen written, as bits
  uint64_t abandoned[ALIQUOT_WIRE_MARKERS];  // marker of a slot that nobody waits for
};
constinit GpuWork g_work[ALIQUOT_WIRE_GPUS] = {};

// The stream's place, or null if too many streams have unmarked work: theirs is not marked, which
// is made up for by time.
StreamWork* PlaceOf(GpuWork* work, CUstream stream, bool make) {
  StreamWork* spare = nullptr;
  for (StreamWork& place : work->streams) {
    if (place.used && place.stream == stream) return &place;
    if (spare == nullptr && (!place.used || place.unmarked == 0)) spare = &place;
  }
  if (!make || spare == nullptr) return nullptr;
  *spare = {stream, true, 0};
  return spare;
}

// For counters that only holders of the lock write.
void Raise(uint64_t* counter, uint64_t by) { Store(counter, Load(counter) + by); }
void Lower(uint64_t* counter, uint64_t by) { Store(counter, Less(Load(counter), by)); }

bool Written(const aliquot_status_gpu& status, int slot) {
  return LoadAcquire(&status.issued[slot]) == LoadAcquire(&status.done[slot]);
}

// A slot whose marker was written, or -1 if all are out. With the lock held.
int FreeSlot(GpuWork* work, const aliquot_status_gpu& status) {
  uint32_t out = work->out;
  for (uint32_t left = out; left != 0; left &= left - 1) {
    const int slot = __builtin_ctz(left);
    if (Written(status, slot)) out &= ~(1u << slot);
  }
  Store(&work->out, out);
  return out == UINT32_MAX ? -1 : __builtin_ctz(~out);
}

uint64_t Unmarked(const aliquot_status_gpu& status, uint64_t now) {
  const uint64_t unmarked = Load(&status.unmarked_ns);
  const uint64_t since = Less(now, Load(&status.last_submit_ns));
  return since > 2 * unmarked + kUnmarkedSlack ? 0 : unmarked;
}

// Takes the stream's unmarked work into a slot. The slot, or -1 if there is none to be marked.
int TakeSlot(GpuWork* work, aliquot_status_gpu* status, CUstream stream, uint64_t least,
             uint64_t* number) {
  Locked lock(&work->lock);
  StreamWork* place = PlaceOf(work, stream, false);
  if (place == nullptr || place->unmarked == 0 || place->unmarked < least) return -1;
  const int slot = FreeSlot(work, *status);
  if (slot < 0) return -1;
  Store(&work->out, work->out | 1u << slot);
  *number = ++work->next;
  Store(&status->cost_ns[slot], place->unmarked);
  StoreRelease(&status->issued[slot], *number);
  Lower(&status->unmarked_ns, place->unmarked);
  place->unmarked = 0;
  return slot;
}

void Mark(unsigned gpu, CUstream stream, uint64_t least) {
  if (!MarkersPossible()) return;
  aliquot_status* status = Status();
  aliquot_status_gpu* own = &status->gpu[gpu];
  uint64_t number = 0;
  const int slot = TakeSlot(&g_work[gpu], own, stream, least, &number);
  if (slot < 0) return;
  if (WriteMarker(status, gpu, static_cast<unsigned>(slot), stream, number)) return;
  // Nobody will write it: done as far as slots go, and unmarked again.
  Locked lock(&g_work[gpu].lock);
  Raise(&own->unmarked_ns, Load(&own->cost_ns[slot]));
  StoreRelease(&own->done[slot], number);
}

}  // namespace

uint64_t InFlight(unsigned gpu, uint64_t now) {
  const aliquot_status_gpu& status = Status()->gpu[gpu];
  const GpuWork& work = g_work[gpu];
  uint64_t sum = Unmarked(status, now);
  for (uint32_t left = Load(&work.out); left != 0; left &= left - 1) {
    const int slot = __builtin_ctz(left);
    if (Written(status, slot) || Load(&status.issued[slot]) == Load(&work.abandoned[slot]))
      continue;
    sum += Load(&status.cost_ns[slot]);
  }
  return sum;
}

bool ReckonedDone(unsigned gpu, uint64_t now) {
  return now >= Load(&Status()->gpu[gpu].busy_until_ns);
}

void NoteSubmitted(unsigned gpu, CUstream stream, const Piece& piece, uint64_t now,
                   uint64_t distance_ns) {
  aliquot_status_gpu* status = &Status()->gpu[gpu];
  bool due = false;
  {
    Locked lock(&g_work[gpu].lock);
    // What time has made up for.
    if (Unmarked(*status, now) == 0 && Load(&status->unmarked_ns) != 0) {
      Store(&status->unmarked_ns, uint64_t{0});
      for (StreamWork& place : g_work[gpu].streams) place.unmarked = 0;
    }
    StreamWork* place = PlaceOf(&g_work[gpu], stream, true);
    if (place != nullptr) {
      place->unmarked += piece.inflight_ns;
      due = place->unmarked >= distance_ns;
    }
    Raise(&status->unmarked_ns, piece.inflight_ns);
    Raise(&status->service_ns, piece.service_ns);
    if (piece.measured) Raise(&status->learnt_ns, piece.service_ns);
    Raise(&status->launches, 1);
    Store(&status->last_submit_ns, now);
    // Estimates that are too high add up, but not beyond what markers show to be in flight.
    const uint64_t until = Max(Load(&status->busy_until_ns), now) + piece.service_ns;
    Store(&status->busy_until_ns, Min(until, now + InFlight(gpu, now)));
  }
  if (due) Mark(gpu, stream, distance_ns);
}

void NoteLaunch(unsigned gpu) {
  Locked lock(&g_work[gpu].lock);
  Raise(&Status()->gpu[gpu].launches, 1);
}

void FlushMarker(unsigned gpu, CUstream stream) { Mark(gpu, stream, 0); }

void NoteDone(unsigned gpu, CUstream stream, bool all) {
  aliquot_status_gpu* status = &Status()->gpu[gpu];
  Locked lock(&g_work[gpu].lock);
  for (StreamWork& place : g_work[gpu].streams) {
    if (!place.used || (!all && place.stream != stream)) continue;
    Lower(&status->unmarked_ns, place.unmarked);
    place.unmarked = 0;
  }
  if (all) Store(&status->unmarked_ns, uint64_t{0});
}

void DropStream(CUstream stream) {
  for (GpuWork& work : g_work) {
    Locked lock(&work.lock);
    StreamWork* place = PlaceOf(&work, stream, false);
    if (place != nullptr) *place = {};
  }
}

uint64_t MarkersWritten(unsigned gpu) {
  Locked lock(&g_work[gpu].lock);
  FreeSlot(&g_work[gpu], Status()->gpu[gpu]);
  return g_work[gpu].next - static_cast<uint64_t>(__builtin_popcount(g_work[gpu].out));
}

void AbandonInFlight(unsigned gpu) {
  const aliquot_status_gpu& status = Status()->gpu[gpu];
  for (int j = 0; j < ALIQUOT_WIRE_MARKERS; ++j) {
    Store(&g_work[gpu].abandoned[j], Load(&status.issued[j]));
  }
}

}  // namespace aliquot::interposer
