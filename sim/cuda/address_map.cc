// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/address_map.h"

#include <algorithm>

namespace aliquot::sim::cuda {
namespace {

using Ranges = std::map<std::uintptr_t, Range>;

Ranges::const_iterator Containing(const Ranges& ranges, std::uintptr_t address) {
  auto it = ranges.upper_bound(address);
  if (it == ranges.begin()) return ranges.end();
  --it;
  return address - it->second.base < it->second.bytes ? it : ranges.end();
}

}  // namespace

void AddressMap::Add(Range range) {
  const std::lock_guard<std::mutex> lock(mutex_);
  range.id = next_id_++;
  auto& ranges = range.kind == Range::Kind::kReserved ? reservations_ : ranges_;
  ranges[range.base] = std::move(range);
}

std::optional<Range> AddressMap::Take(std::uintptr_t base,
                                      std::initializer_list<Range::Kind> kinds) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Ranges* ranges : {&ranges_, &reservations_}) {
    const auto it = ranges->find(base);
    if (it == ranges->end()) continue;
    if (std::find(kinds.begin(), kinds.end(), it->second.kind) == kinds.end()) continue;
    Range range = std::move(it->second);
    ranges->erase(it);
    return range;
  }
  return std::nullopt;
}

std::optional<Range> AddressMap::Find(std::uintptr_t address) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const Ranges* ranges : {&ranges_, &reservations_}) {
    if (const auto it = Containing(*ranges, address); it != ranges->end()) return it->second;
  }
  return std::nullopt;
}

bool AddressMap::Covers(std::uintptr_t address, std::uint64_t bytes) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (bytes == 0) return true;
  const std::uintptr_t end = address + bytes;
  if (end < address) return false;
  while (address < end) {
    const auto it = Containing(ranges_, address);
    if (it == ranges_.end()) return false;
    address = it->second.base + it->second.bytes;
    if (it->second.kind != Range::Kind::kMapped) break;
  }
  return address >= end;
}

std::vector<Range> AddressMap::TakeAllOf(const Context* context) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Range> taken;
  for (auto it = ranges_.begin(); it != ranges_.end();) {
    if (it->second.context != context) {
      ++it;
      continue;
    }
    taken.push_back(std::move(it->second));
    it = ranges_.erase(it);
  }
  return taken;
}

void AddressMap::SetSyncMemops(std::uintptr_t address, bool on) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = Containing(ranges_, address);
  if (it != ranges_.end()) ranges_[it->first].sync_memops = on;
}

}  // namespace aliquot::sim::cuda
