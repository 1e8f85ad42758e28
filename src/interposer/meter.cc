// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/meter.h"

namespace aliquot::interposer {

void Meter::Begin(uint64_t need) {
  Locked lock(&lock_);
  pending_ += need;
}

// With the lock held.
Meter::Outcome Meter::NoteFinished(uint64_t need, uint64_t now) {
  pending_ -= need;
  const uint64_t grown = Less(now, charged_);
  const uint64_t mine = Min(grown, need);
  const uint64_t excess = Less(grown, need + pending_);
  Store(&charged_, charged_ + mine + excess);
  return {need - mine, excess};
}

// With the lock held.
Meter::Outcome Meter::NoteSettled(uint64_t now) {
  const uint64_t release = Less(charged_, now);
  const uint64_t excess = Less(now, charged_ + pending_);
  Store(&charged_, charged_ - release + excess);
  return {release, excess};
}

}  // namespace aliquot::interposer
