// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/cost_table.h"

namespace aliquot::interposer {
namespace {

constexpr uint32_t kFirstSamples = 4;
constexpr uint32_t kThenEvery = 64;
// A sample takes the host as long as a launch or two: after so many, no more than one in this time.
constexpr uint32_t kManySamples = 32;
constexpr uint32_t kSeldomMs = 100;
constexpr uint64_t kWeight = 8;  // a sample counts an eighth, the first ones more
// A submission that takes more than so many times the usual was interrupted. What is usual is found
// out, since some hosts are slow; at first it is about three calls of the driver.
constexpr uint64_t kInterrupted = 4;
constexpr uint64_t kUsualHostNs = 20'000;
// Being switched out takes longer: that much more is the work's own.
constexpr uint64_t kShorterThanSwitchNs = 20'000;
// Below this part of the measurement it makes no difference.
constexpr uint64_t kHarmlessPart = 8;

uint64_t Mix(uint64_t value) {
  value *= 0x9e3779b97f4a7c15u;
  return value ^ (value >> 29);
}

uint64_t Mean(uint64_t before, uint64_t sample, uint64_t weight = kWeight) {
  if (before == 0) return Max(sample, uint64_t{1});
  return Max((before * (weight - 1) + sample) / weight, uint64_t{1});
}

}  // namespace

CostTable::Entry* CostTable::Find(uint64_t key, bool make) {
  const uint64_t home = Mix(key);
  Entry* spare = nullptr;
  for (unsigned i = 0; i < kProbes; ++i) {
    Entry* entry = &entries_[(home + i) % kEntries];
    const uint64_t known = Load(&entry->key);
    if (known == key) return entry;
    if (spare == nullptr && known == 0) spare = entry;
  }
  if (!make) return nullptr;
  if (spare == nullptr) spare = &entries_[home % kEntries];
  Store(&spare->nanoseconds, uint64_t{0});
  Store(&spare->samples, 0u);
  Store(&spare->doubts, 0u);
  Store(&spare->key, key);
  return spare;
}

uint64_t CostTable::Estimate(uint64_t key, uint64_t guess, bool* measured) {
  const Entry* entry = key == 0 ? nullptr : Find(key, false);
  const uint64_t known = entry == nullptr ? 0 : Load(&entry->nanoseconds);
  *measured = known != 0;
  if (known != 0) return known;
  const uint64_t mean = Load(&mean_);
  return key != 0 && mean != 0 ? mean : guess;
}

void CostTable::Restart(Entry* entry, uint64_t nanoseconds) {
  Store(&entry->nanoseconds, nanoseconds);
  Store(&entry->least, nanoseconds);
  Store(&entry->former, nanoseconds);
  Store(&entry->doubts, 0u);
  Store(&entry->samples, 1u);
}

// Whether a sample that others may have had a part in says nothing yet. After so many the work
// itself must have become longer, and the entry starts anew from the least of them.
bool CostTable::Doubtful(Entry* entry, uint64_t nanoseconds) {
  const uint64_t known = Load(&entry->nanoseconds);
  if (nanoseconds <= known + Min(known / 2, kShorterThanSwitchNs)) return false;
  const uint32_t doubts = Add(&entry->doubts, 1u);
  Store(&entry->doubted, doubts == 0 ? nanoseconds : Min(Load(&entry->doubted), nanoseconds));
  if (doubts + 1 >= kDoubts) Restart(entry, Load(&entry->doubted));
  return true;
}

void CostTable::Learn(uint64_t key, uint64_t nanoseconds, uint64_t host_ns, bool alone) {
  if (key == 0) return;
  const uint64_t usual = kInterrupted * Max(Load(&host_mean_), kUsualHostNs);
  Store(&host_mean_, Mean(usual / kInterrupted, Min(host_ns, usual)));
  if (host_ns > usual && host_ns > nanoseconds / kHarmlessPart) return;
  nanoseconds = Max(nanoseconds, uint64_t{1});
  Entry* entry = Find(key, true);
  const uint32_t samples = Load(&entry->samples);
  if (samples == 0) {
    Restart(entry, nanoseconds);
  } else if (alone || !Doubtful(entry, nanoseconds)) {
    Store(&entry->doubts, 0u);
    if (samples % kWindow == 0) {
      Store(&entry->former, Load(&entry->least));
      Store(&entry->least, nanoseconds);
    } else {
      Store(&entry->least, Min(Load(&entry->least), nanoseconds));
    }
    const uint64_t least = Min(Load(&entry->least), Load(&entry->former));
    const uint64_t most = least + least / 2;
    const uint64_t known = Load(&entry->nanoseconds);
    uint64_t mean = known;
    if (known > most) {
      mean = least;  // what was taken for the mean so far was not the work's own
    } else if (nanoseconds <= most) {
      mean = Mean(known, nanoseconds, Min(uint64_t{samples} + 1, kWeight));
    }
    Store(&entry->nanoseconds, Min(Max(mean, least), most));
    Store(&entry->samples, samples + 1);
  }
  Store(&mean_, Mean(Load(&mean_), Load(&entry->nanoseconds)));
}

bool CostTable::WantsSample(uint64_t key, uint64_t now) {
  if (key == 0) return false;
  Entry* entry = Find(key, true);
  const uint32_t samples = Load(&entry->samples);
  const uint32_t doubts = Load(&entry->doubts);
  // Where none counts it is not worth trying with each launch.
  if (samples + doubts < kFirstSamples) return true;
  const uint32_t asked = Load(&entry->asked) + 1;
  Store(&entry->asked, asked);
  if (asked % kThenEvery != 0) return false;
  const auto now_ms = static_cast<uint32_t>(now / 1'000'000);
  if (samples >= kManySamples && doubts == 0 && now_ms - Load(&entry->asked_ms) < kSeldomMs) {
    return false;
  }
  Store(&entry->asked_ms, now_ms);
  return true;
}

void CostTable::Forget(uint64_t key) {
  Entry* entry = Find(key, false);
  if (entry == nullptr) return;
  Store(&entry->nanoseconds, uint64_t{0});
  Store(&entry->samples, 0u);
  Store(&entry->doubts, 0u);
}

// Grids within a factor of about 1.2 count as alike.
uint64_t KernelKey(const void* function, uint64_t blocks, uint64_t threads) {
  const uint64_t total = Max(blocks, uint64_t{1});
  const unsigned power = 63u - static_cast<unsigned>(__builtin_clzll(total));
  const uint64_t fraction = power >= 2 ? (total >> (power - 2)) & 3 : 0;
  const uint64_t shape = (uint64_t{power} << 16) | (fraction << 12) | (threads & 0xfff);
  return Mix(reinterpret_cast<uint64_t>(function)) ^ Mix(shape + 1);
}

uint64_t GraphKey(const void* exec) { return Mix(reinterpret_cast<uint64_t>(exec) + 1); }

}  // namespace aliquot::interposer
