// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/cost_table.h"

namespace aliquot::interposer {
namespace {

constexpr uint32_t kFirstSamples = 4;
constexpr uint32_t kThenEvery = 64;
constexpr uint64_t kWeight = 8;  // a sample counts an eighth
// A submission that takes more than so many times the usual was interrupted. What is usual is found
// out, since some hosts are slow; at first it is about three calls of the driver.
constexpr uint64_t kInterrupted = 4;
constexpr uint64_t kUsualHostNs = 20'000;
// Below this part of the measurement it makes no difference.
constexpr uint64_t kHarmlessPart = 8;

uint64_t Mix(uint64_t value) {
  value *= 0x9e3779b97f4a7c15u;
  return value ^ (value >> 29);
}

uint64_t Mean(uint64_t before, uint64_t sample) {
  if (before == 0) return Max(sample, uint64_t{1});
  return Max((before * (kWeight - 1) + sample) / kWeight, uint64_t{1});
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

void CostTable::Learn(uint64_t key, uint64_t nanoseconds, uint64_t host_ns) {
  if (key == 0) return;
  const uint64_t most = kInterrupted * Max(Load(&host_mean_), kUsualHostNs);
  Store(&host_mean_, Mean(most / kInterrupted, Min(host_ns, most)));
  if (host_ns > most && host_ns > nanoseconds / kHarmlessPart) return;
  Entry* entry = Find(key, true);
  Store(&entry->nanoseconds, Mean(Load(&entry->nanoseconds), nanoseconds));
  Add(&entry->samples, 1u);
  Store(&mean_, Mean(Load(&mean_), nanoseconds));
}

bool CostTable::WantsSample(uint64_t key) {
  if (key == 0) return false;
  Entry* entry = Find(key, true);
  return Load(&entry->samples) < kFirstSamples || Add(&entry->asked, 1u) % kThenEvery == 0;
}

void CostTable::Forget(uint64_t key) {
  Entry* entry = Find(key, false);
  if (entry == nullptr) return;
  Store(&entry->nanoseconds, uint64_t{0});
  Store(&entry->samples, 0u);
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
