// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/meter.h"

namespace aliquot::interposer {

void Meter::Begin(uint64_t need) {
  Locked lock(&lock_);
  pending_ += need;
}

// A counter below what is charged is left to Settle, which knows whether the reading is the last.
Meter::Outcome Meter::Finish(uint64_t need, uint64_t now) {
  Locked lock(&lock_);
  pending_ -= need;
  const uint64_t grown = Less(now, charged_);
  const uint64_t mine = Min(grown, need);
  const uint64_t excess = Less(grown, need + pending_);
  charged_ += mine + excess;
  return {need - mine, excess};
}

Meter::Outcome Meter::Settle(uint64_t reading, uint64_t now) {
  Locked lock(&lock_);
  if (settled_ > reading) return {0, 0};
  settled_ = reading;
  const uint64_t release = Less(charged_, now);
  const uint64_t excess = Less(now, charged_ + pending_);
  charged_ = charged_ - release + excess;
  return {release, excess};
}

}  // namespace aliquot::interposer
