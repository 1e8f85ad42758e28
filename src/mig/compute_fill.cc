// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/compute_fill.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

namespace aliquot::mig {
namespace {

std::uint64_t MaskOf(const Placement& placement) {
  std::uint64_t mask = 0;
  for (unsigned i = placement.start; i < placement.end() && i < 64; ++i) {
    mask |= std::uint64_t{1} << i;
  }
  return mask;
}

bool CompleteFrom(const InstanceProfile& profile, std::vector<ComputeTarget>& compute,
                  std::size_t next, std::uint64_t occupied) {
  while (next < compute.size() && compute[next].placement.size != 0) ++next;
  if (next == compute.size()) return true;
  const ComputeProfile* kind = FindComputeProfile(profile, compute[next].profile);
  if (kind == nullptr) return false;
  for (const Placement& placement : kind->placements) {
    if ((occupied & MaskOf(placement)) != 0) continue;
    compute[next].placement = placement;
    if (CompleteFrom(profile, compute, next + 1, occupied | MaskOf(placement))) return true;
    compute[next].placement = {};
  }
  return false;
}

// Walks the ways to fill one GPU instance.
class Filler {
 public:
  Filler(const InstanceProfile& profile, const std::vector<const ComputeProfile*>& kinds,
         const Demand& wish)
      : profile_(profile), kinds_(kinds), wish_(wish) {}

  // All ways that keep exactly the given ones of `existing`.
  void Keep(const GpuInstance* existing, std::uint64_t kept) {
    fill_ = Fill{Demand(kinds_.size(), 0), {}, 0, 0};
    const std::size_t count = existing == nullptr ? 0 : existing->compute.size();
    std::uint64_t occupied = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const ComputeInstance& compute = existing->compute[i];
      if ((kept >> i & 1) == 0) {
        ++fill_.destroyed;
        fill_.destroyed_in_use += !compute.holders.empty();
        continue;
      }
      const auto kind = KindServedBy(compute);
      if (!kind || ++fill_.serves[*kind] > wish_[*kind]) return;
      fill_.compute.push_back({compute.profile, compute.placement});
      occupied |= MaskOf(compute.placement);
    }
    Add(0, occupied);
  }

  std::vector<Fill> Take() {
    std::vector<Fill> fills;
    for (auto& [serves, fill] : best_) fills.push_back(std::move(fill));
    std::stable_sort(fills.begin(), fills.end(), [](const Fill& a, const Fill& b) {
      const auto served = [](const Fill& fill) {
        return std::accumulate(fill.serves.begin(), fill.serves.end(), 0u);
      };
      return std::tuple(a.destroyed_in_use, a.destroyed, ~served(a)) <
             std::tuple(b.destroyed_in_use, b.destroyed, ~served(b));
    });
    return fills;
  }

 private:
  std::optional<std::size_t> KindServedBy(const ComputeInstance& compute) const {
    for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
      if (kinds_[kind]->index == compute.profile) return kind;
    }
    const ComputeProfile* profile = FindComputeProfile(profile_, compute.profile);
    for (std::size_t kind = 0; profile != nullptr && kind < kinds_.size(); ++kind) {
      const bool good_enough =
          !compute.holders.empty() || profile->multiprocessors >= kinds_[kind]->multiprocessors;
      if (kinds_[kind]->slices == profile->slices && good_enough) return kind;
    }
    return {};
  }

  // Records what there is, then tries one more instance of each kind from `first_kind` on in each
  // place. Few slices make this small: at most seven instances in seven places.
  void Add(std::size_t first_kind, std::uint64_t occupied) {
    if (!IsZero(fill_.serves)) Record();
    for (std::size_t kind = first_kind; kind < kinds_.size(); ++kind) {
      if (fill_.serves[kind] == wish_[kind] || !MayAdd(*kinds_[kind])) continue;
      for (const Placement& placement : kinds_[kind]->placements) {
        if ((occupied & MaskOf(placement)) != 0) continue;
        ++fill_.serves[kind];
        fill_.compute.push_back({kinds_[kind]->index, placement});
        Add(kind, occupied | MaskOf(placement));
        fill_.compute.pop_back();
        --fill_.serves[kind];
        // One slice fits as well in one place as in another; larger ones may block each other.
        if (placement.size == 1) break;
      }
    }
  }

  bool MayAdd(const ComputeProfile& kind) const {
    const auto same =
        std::count_if(fill_.compute.begin(), fill_.compute.end(),
                      [&](const ComputeTarget& there) { return there.profile == kind.index; });
    return same < static_cast<std::ptrdiff_t>(kind.max_instances);
  }

  void Record() {
    const auto [at, added] = best_.try_emplace(fill_.serves, fill_);
    if (added) return;
    if (std::tuple(fill_.destroyed_in_use, fill_.destroyed) <
        std::tuple(at->second.destroyed_in_use, at->second.destroyed)) {
      at->second = fill_;
    }
  }

  const InstanceProfile& profile_;
  const std::vector<const ComputeProfile*>& kinds_;
  const Demand& wish_;
  Fill fill_;  // being built
  std::map<Demand, Fill> best_;
};

}  // namespace

bool IsZero(const Demand& demand) {
  return std::all_of(demand.begin(), demand.end(), [](unsigned count) { return count == 0; });
}

bool Covers(const Demand& whole, const Demand& part) {
  return std::equal(whole.begin(), whole.end(), part.begin(), part.end(), std::greater_equal<>());
}

Demand Minus(const Demand& whole, const Demand& part) {
  Demand rest;
  for (std::size_t i = 0; i < whole.size(); ++i) rest.push_back(whole[i] - part[i]);
  return rest;
}

std::vector<Fill> FillsOf(const InstanceProfile& profile,
                          const std::vector<const ComputeProfile*>& kinds, const Demand& wish,
                          const GpuInstance* existing) {
  Filler filler(profile, kinds, wish);
  const std::size_t count = existing == nullptr ? 0 : existing->compute.size();
  for (std::uint64_t kept = 0; kept >> count == 0; ++kept) filler.Keep(existing, kept);
  return filler.Take();
}

bool CompletePlaces(const InstanceProfile& profile, std::vector<ComputeTarget>& compute) {
  std::uint64_t occupied = 0;
  for (const ComputeTarget& target : compute) occupied |= MaskOf(target.placement);
  return CompleteFrom(profile, compute, 0, occupied);
}

}  // namespace aliquot::mig
