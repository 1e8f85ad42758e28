// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <tuple>

namespace aliquot::mig {
namespace {

// The order in which the driver tries the starts of a profile on parts with eight memory slices;
// on all others it goes upwards. Source: placements observed on A100, H100 and H200.
std::span<const unsigned> DriverStarts(unsigned memory_slices, unsigned size) {
  static constexpr std::array<unsigned, 7> kEighth = {6, 4, 5, 0, 1, 2, 3};
  static constexpr std::array<unsigned, 4> kQuarter = {4, 0, 2, 6};
  static constexpr std::array<unsigned, 2> kHalf = {4, 0};
  if (memory_slices != 8) return {};
  if (size == 1) return kEighth;
  if (size == 2) return kQuarter;
  if (size == 4) return kHalf;
  return {};
}

std::size_t RankOf(unsigned start, std::span<const unsigned> order) {
  const auto at = std::find(order.begin(), order.end(), start);
  // Starts the list does not know come after, upwards.
  return at != order.end() ? static_cast<std::size_t>(at - order.begin()) : order.size() + start;
}

std::uint64_t MaskOf(const Placement& placement) {
  std::uint64_t mask = 0;
  for (unsigned slice = placement.start; slice < placement.end() && slice < 64; ++slice) {
    mask |= std::uint64_t{1} << slice;
  }
  return mask;
}

bool Has(const std::vector<std::string>& attributes, std::string_view attribute) {
  return std::find(attributes.begin(), attributes.end(), attribute) != attributes.end();
}

ProfileCounts CountsOf(std::vector<const InstanceProfile*> instances) {
  std::sort(instances.begin(), instances.end(), Placer::CreatedBefore);
  ProfileCounts counts;
  for (const InstanceProfile* profile : instances) {
    if (counts.empty() || counts.back().first != profile) counts.emplace_back(profile, 0);
    ++counts.back().second;
  }
  return counts;
}

}  // namespace

std::string Describe(const ProfileCounts& counts) {
  std::string text;
  for (const auto& [profile, count] : counts) {
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, profile->name.ToString());
  }
  return text.empty() ? "nothing" : text;
}

std::string Shortfall::ToString() const {
  std::string text = fmt::format("{} do{} not fit", Describe(missing),
                                 missing.size() == 1 && missing[0].second == 1 ? "es" : "");
  text += fitting.empty() ? "" : fmt::format(" beside {}", Describe(fitting));
  text += largest_beside == nullptr
              ? "; nothing more would"
              : fmt::format("; the largest that would is {}", largest_beside->name.ToString());
  return text;
}

Placer::Placer(const std::vector<InstanceProfile>& profiles)
    : profiles_(profiles),
      compute_slices_(ComputeSlices(profiles)),
      memory_slices_(MemorySlices(profiles)) {
  for (const InstanceProfile& profile : profiles) {
    Kind kind;
    kind.slices = profile.slices;
    kind.max_instances = profile.max_instances;
    kind.all_media = Has(profile.name.with, "me.all");
    kind.media_extension = kind.all_media || Has(profile.name.with, "me");
    const gpu::EngineCounts& engines = profile.engines;
    kind.uses_media = engines.decoder + engines.encoder + engines.jpeg + engines.ofa > 0;
    for (const Placement& placement : profile.placements) {
      kind.candidates.push_back({MaskOf(placement), placement});
      kind.size = placement.size;
    }
    std::sort(kind.candidates.begin(), kind.candidates.end(),
              [&](const Candidate& a, const Candidate& b) {
                const auto order = DriverStarts(memory_slices_, a.placement.size);
                return RankOf(a.placement.start, order) < RankOf(b.placement.start, order);
              });
    kinds_.push_back(std::move(kind));
  }
}

bool Placer::CreatedBefore(const InstanceProfile* a, const InstanceProfile* b) {
  const auto key = [](const InstanceProfile* profile) {
    // Negated so that more comes first.
    return std::tuple(~profile->slices, ~profile->memory_mib, profile->max_instances,
                      profile->index);
  };
  return key(a) < key(b);
}

std::size_t Placer::PositionOf(const InstanceProfile* profile) const {
  return static_cast<std::size_t>(profile - profiles_.data());
}

bool Placer::WithinLimits(const Positions& instances) const {
  unsigned compute = 0;
  unsigned media_extensions = 0;
  unsigned media_users = 0;
  bool all_media = false;
  for (const std::size_t position : instances) {
    const Kind& kind = kinds_[position];
    compute += kind.slices;
    const auto same = std::count(instances.begin(), instances.end(), position);
    if (same > static_cast<std::ptrdiff_t>(kind.max_instances)) return false;
    media_extensions += kind.media_extension;
    media_users += kind.uses_media;
    all_media |= kind.all_media;
  }
  return compute <= compute_slices_ && media_extensions <= 1 && !(all_media && media_users > 1);
}

bool Placer::Search(const Positions& add, std::size_t next, std::size_t first_candidate,
                    std::uint64_t occupied, std::vector<Placement>& found) const {
  if (next == add.size()) return true;
  const std::vector<Candidate>& candidates = kinds_[add[next]].candidates;
  const bool same_follows = next + 1 < add.size() && add[next + 1] == add[next];
  for (std::size_t i = first_candidate; i < candidates.size(); ++i) {
    if ((occupied & candidates[i].mask) != 0) continue;
    found.push_back(candidates[i].placement);
    // Equal instances are interchangeable, so the next one tries only later places.
    if (Search(add, next + 1, same_follows ? i + 1 : 0, occupied | candidates[i].mask, found)) {
      return true;
    }
    found.pop_back();
  }
  return false;
}

std::optional<std::vector<PlacedProfile>> Placer::Place(
    std::span<const PlacedProfile> kept, std::vector<const InstanceProfile*> add) const {
  std::sort(add.begin(), add.end(), CreatedBefore);
  Positions all;
  Positions positions;
  std::uint64_t occupied = 0;
  for (const PlacedProfile& instance : kept) {
    all.push_back(PositionOf(instance.profile));
    occupied |= MaskOf(instance.placement);
  }
  unsigned size = 0;
  for (const InstanceProfile* profile : add) {
    positions.push_back(PositionOf(profile));
    all.push_back(positions.back());
    size += kinds_[positions.back()].size;
  }
  if (size + static_cast<unsigned>(std::popcount(occupied)) > memory_slices_) return {};
  if (!WithinLimits(all)) return {};
  std::vector<Placement> found;
  if (!Search(positions, 0, 0, occupied, found)) return {};
  std::vector<PlacedProfile> placed;
  for (std::size_t i = 0; i < add.size(); ++i) placed.push_back({add[i], found[i]});
  return placed;
}

Shortfall Placer::Explain(std::span<const PlacedProfile> kept,
                          std::vector<const InstanceProfile*> add) const {
  const ProfileCounts wish = CountsOf(add);
  std::vector<const InstanceProfile*> chosen;
  std::vector<const InstanceProfile*> best;
  std::tuple<unsigned, unsigned, std::size_t> best_worth{0, 0, 0};
  // Walks the subsets of the wish that fit; any subset of a set that fits fits too, so a branch
  // ends where adding one more fails.
  const auto walk = [&](const auto& self, std::size_t next) -> void {
    unsigned memory = 0;
    unsigned compute = 0;
    for (const InstanceProfile* profile : chosen) {
      memory += kinds_[PositionOf(profile)].size;
      compute += profile->slices;
    }
    if (const std::tuple worth(memory, compute, chosen.size()); worth > best_worth) {
      best_worth = worth;
      best = chosen;
    }
    if (next == wish.size()) return;
    const auto& [profile, count] = wish[next];
    unsigned taken = 0;
    while (taken < count) {
      chosen.push_back(profile);
      if (!Place(kept, chosen)) {
        chosen.pop_back();
        break;
      }
      ++taken;
    }
    while (true) {
      self(self, next + 1);
      if (taken == 0) break;
      chosen.pop_back();
      --taken;
    }
  };
  walk(walk, 0);

  Shortfall shortfall;
  shortfall.fitting = CountsOf(best);
  for (const auto& [profile, count] : wish) {
    const auto fits = std::count(best.begin(), best.end(), profile);
    if (count > fits) shortfall.missing.emplace_back(profile, count - static_cast<unsigned>(fits));
  }
  for (const InstanceProfile& profile : profiles_) {
    best.push_back(&profile);
    const bool larger =
        shortfall.largest_beside == nullptr || CreatedBefore(&profile, shortfall.largest_beside);
    if (larger && Place(kept, best)) shortfall.largest_beside = &profile;
    best.pop_back();
  }
  return shortfall;
}

}  // namespace aliquot::mig
