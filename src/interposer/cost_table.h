// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/libc.h"

namespace aliquot::interposer {

// How long pieces of work take on the GPU, by what they are: a mean of what was measured, without
// what others had a part in. A context that is switched out in the middle of a measurement, even of
// a few microseconds, adds milliseconds to it, and nothing ever takes away: so only samples near
// the least of the last few count. Any thread, without locks: a lost update is a lost sample. When
// it is full, pieces of work push each other out.
class CostTable {
 public:
  // Nanoseconds; `guess`, or the mean of everything measured so far, for what was never measured.
  //   measured: whether it was.
  uint64_t Estimate(uint64_t key, uint64_t guess, bool* measured);
  // A measurement. It may include all of `host_ns`, the time that the host took to submit it: one
  // during which the process was off the CPU is not learnt from.
  //   alone: nobody else was on the GPU. Of others, one well above what is known counts only
  //   after kDoubts in a row.
  void Learn(uint64_t key, uint64_t nanoseconds, uint64_t host_ns, bool alone);
  // Whether another sample of it is worth taking: the first ones, then now and then, and seldom
  // once many agree.
  //   now: nanoseconds of any clock that never goes back.
  bool WantsSample(uint64_t key, uint64_t now);
  // What is known of it no longer holds.
  void Forget(uint64_t key);

 private:
  struct alignas(64) Entry {  // one line of the cache
    uint64_t key;
    uint64_t nanoseconds;  // the estimate; 0: none
    uint64_t least;        // of the samples of this window
    uint64_t former;       // of those of the window before
    uint64_t doubted;      // the least of the samples that did not count
    uint32_t doubts;
    uint32_t samples;
    uint32_t asked;
    uint32_t asked_ms;  // when a sample was last asked for; wraps
  };
  static constexpr uint32_t kWindow = 4;
  static constexpr uint32_t kDoubts = 8;
  static constexpr unsigned kEntries = 4096;
  static constexpr unsigned kProbes = 8;

  Entry* Find(uint64_t key, bool make);
  static void Restart(Entry* entry, uint64_t nanoseconds);
  static bool Doubtful(Entry* entry, uint64_t nanoseconds);

  Entry entries_[kEntries] = {};
  uint64_t mean_ = 0;
  uint64_t host_mean_ = 0;
};

// Keys that tell kinds of work apart.
uint64_t KernelKey(const void* function, uint64_t blocks, uint64_t threads);
uint64_t GraphKey(const void* exec);

}  // namespace aliquot::interposer
