// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/libc.h"

namespace aliquot::interposer {

// What the driver counts as reserved (by a pool, by the graphs of a device) against what we hold
// for it. Calls that may raise the counter hold what they need before; several at once see each
// other's growth in it, which is told apart by what each of them held. Any thread.
// Zero-initialised.
//
// The counter is read by `read`, without a lock, since that is a call of the driver; it may be
// called several times. A reading during which another one was noted may be the older of the two:
// it is made again. Whoever repeats does so because another thread got on.
class Meter {
 public:
  struct Outcome {
    uint64_t release;  // held and not needed
    uint64_t excess;   // needed and not held: counted as held, so the caller has to see to it
  };

  // `need` is held for a call that is about to be made.
  void Begin(uint64_t need);
  // It is done. What the counter fell by is left to Settle.
  template <typename Read>
  Outcome Finish(uint64_t need, Read read) {
    return Noted(read, [&](uint64_t now) { return NoteFinished(need, now); });
  }
  // Outside of such calls.
  template <typename Read>
  Outcome Settle(Read read) {
    return Noted(read, [&](uint64_t now) { return NoteSettled(now); });
  }
  uint64_t charged() const { return Load(&charged_); }

 private:
  template <typename Read, typename Note>
  Outcome Noted(Read read, Note note) {
    while (true) {
      const uint64_t before = LoadAcquire(&notes_);
      const uint64_t now = read();
      Locked lock(&lock_);
      if (before != notes_) continue;
      StoreRelease(&notes_, before + 1);
      return note(now);
    }
  }
  Outcome NoteFinished(uint64_t need, uint64_t now);
  Outcome NoteSettled(uint64_t now);

  Mutex lock_;
  uint64_t charged_ = 0;
  uint64_t pending_ = 0;
  uint64_t notes_ = 0;  // how many readings were noted
};

}  // namespace aliquot::interposer
