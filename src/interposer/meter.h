// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/libc.h"

namespace aliquot::interposer {

// What the driver counts as reserved (by a pool, by the graphs of a device) against what we hold
// for it. Calls that may raise the counter hold what they need before; several at once see each
// other's growth in it, which is told apart by what each of them held. Any thread; the counter is
// read by the caller, without a lock. Zero-initialised.
class Meter {
 public:
  struct Outcome {
    uint64_t release;  // held and not needed
    uint64_t excess;   // needed and not held: counted as held, so the caller has to see to it
  };

  // `need` is held for a call that is about to be made.
  void Begin(uint64_t need);
  // It is done, and the counter says `now`.
  Outcome Finish(uint64_t need, uint64_t now);
  // A number for a reading, taken before the counter is read.
  uint64_t NextReading() { return Add(&readings_, uint64_t{1}) + 1; }
  // Outside of such calls. Of readings that overlap the last one counts.
  Outcome Settle(uint64_t reading, uint64_t now);
  uint64_t charged() const { return Load(&charged_); }

 private:
  Mutex lock_;
  uint64_t charged_ = 0;
  uint64_t pending_ = 0;
  uint64_t readings_ = 0;
  uint64_t settled_ = 0;  // the reading that counted last
};

}  // namespace aliquot::interposer
