// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "mig/catalog.h"
#include "mig/compute_fill.h"
#include "mig/placement.h"

namespace aliquot::mig {
namespace {

// More of one profile than any GPU has slices. Larger counts are refused before they are spread
// out into lists.
constexpr unsigned kMostOfOne = 64;

// What is disturbed, worst first; compared in this order.
struct Cost {
  unsigned devices_in_use = 0;
  unsigned devices = 0;
  unsigned instances = 0;
  unsigned created = 0;

  friend auto operator<=>(const Cost&, const Cost&) = default;
  friend Cost operator+(const Cost& a, const Cost& b) {
    return {a.devices_in_use + b.devices_in_use, a.devices + b.devices, a.instances + b.instances,
            a.created + b.created};
  }
};

// All devices wanted of one GPU instance profile, and the instances of it that exist.
struct ProfileWish {
  const InstanceProfile* profile = nullptr;
  std::vector<const ComputeProfile*> kinds;  // most slices first
  Demand demand;                             // per kind
  std::vector<const GpuInstance*> existing;
};

// One way of serving a ProfileWish: instances that stay and new ones, each with its content.
struct Option {
  std::vector<std::pair<const GpuInstance*, std::vector<ComputeTarget>>> kept;
  std::vector<std::vector<ComputeTarget>> fresh;
  Cost cost;
};

Cost CostOfDestroying(const GpuInstance& instance) {
  Cost cost;
  cost.instances = 1;
  for (const ComputeInstance& compute : instance.compute) {
    ++cost.devices;
    cost.devices_in_use += !compute.holders.empty();
  }
  return cost;
}

// Lists every way of serving one wish that some placement could make the best one.
class OptionLister {
 public:
  explicit OptionLister(const ProfileWish& wish) : wish_(wish) {
    if (wish.profile == nullptr || IsZero(wish.demand)) return;
    fresh_fills_ = FillsOf(*wish.profile, wish.kinds, wish.demand, nullptr);
    for (const GpuInstance* instance : wish.existing) {
      fills_.push_back(FillsOf(*wish.profile, wish.kinds, wish.demand, instance));
    }
  }

  // Cheapest first.
  std::vector<Option> List() {
    Walk(0, 0, wish_.demand, {});
    std::vector<Option> options;
    for (auto& [key, option] : best_) options.push_back(std::move(option));
    std::stable_sort(options.begin(), options.end(),
                     [](const Option& a, const Option& b) { return a.cost < b.cost; });
    return options;
  }

 private:
  // The fewest new instances that hold `demand`; nothing if none do.
  const std::optional<std::vector<const Fill*>>& Fresh(const Demand& demand) {
    if (const auto known = fresh_.find(demand); known != fresh_.end()) return known->second;
    std::optional<std::vector<const Fill*>> fewest;
    if (IsZero(demand)) fewest.emplace();
    const auto first = std::find_if(demand.begin(), demand.end(), [](unsigned n) { return n > 0; });
    const auto kind = static_cast<std::size_t>(first - demand.begin());
    for (const Fill& fill : fresh_fills_) {
      // Some instance must hold the first kind, so begin with it.
      if (first == demand.end() || fill.serves[kind] == 0 || !Covers(demand, fill.serves)) continue;
      const auto& rest = Fresh(Minus(demand, fill.serves));
      if (!rest || (fewest && fewest->size() <= rest->size() + 1)) continue;
      fewest = rest;
      fewest->insert(fewest->begin(), &fill);
    }
    return fresh_.emplace(demand, std::move(fewest)).first->second;
  }

  // Decides about existing[next] and those after it. `mask` has the kept ones before it.
  void Walk(std::size_t next, std::uint64_t mask, const Demand& rest, const Option& so_far) {
    if (next == wish_.existing.size()) return Finish(mask, rest, so_far);
    if (!fills_.empty()) {
      for (const Fill& fill : fills_[next]) {
        if (!Covers(rest, fill.serves)) continue;
        Option option = so_far;
        option.kept.emplace_back(wish_.existing[next], fill.compute);
        option.cost = option.cost + Cost{fill.destroyed_in_use, fill.destroyed, 0, 0};
        Walk(next + 1, mask | std::uint64_t{1} << next, Minus(rest, fill.serves), option);
      }
    }
    Option option = so_far;
    option.cost = option.cost + CostOfDestroying(*wish_.existing[next]);
    Walk(next + 1, mask, rest, option);
  }

  void Finish(std::uint64_t mask, const Demand& rest, Option option) {
    const auto& fresh = Fresh(rest);
    if (!fresh) return;
    for (const Fill* fill : *fresh) option.fresh.push_back(fill->compute);
    option.cost.created = static_cast<unsigned>(fresh->size());
    // Only which instances stay and how many come matters to what fits beside them.
    const auto [at, added] = best_.try_emplace({mask, fresh->size()}, option);
    if (!added && option.cost < at->second.cost) at->second = std::move(option);
  }

  const ProfileWish& wish_;
  std::vector<Fill> fresh_fills_;
  std::vector<std::vector<Fill>> fills_;  // per existing instance
  std::map<Demand, std::optional<std::vector<const Fill*>>> fresh_;
  std::map<std::pair<std::uint64_t, std::size_t>, Option> best_;
};

// Picks one option per wish so that everything has a place, at the least cost.
class Chooser {
 public:
  Chooser(const Placer& placer, const std::vector<ProfileWish>& wishes)
      : placer_(placer), wishes_(wishes) {
    for (const ProfileWish& wish : wishes) options_.push_back(OptionLister(wish).List());
    least_.resize(wishes.size() + 1);
    for (std::size_t i = wishes.size(); i > 0; --i) {
      if (!options_[i - 1].empty()) least_[i - 1] = least_[i] + options_[i - 1].front().cost;
    }
  }

  // Nothing if there is no placement, even with all existing instances gone.
  std::optional<Layout> Choose() {
    chosen_.assign(wishes_.size(), nullptr);
    Walk(0, {});
    return std::move(best_);
  }

 private:
  void Walk(std::size_t next, const Cost& cost) {
    if (best_ && best_cost_ <= cost + least_[next]) return;
    if (next == wishes_.size()) return Try(cost);
    for (const Option& option : options_[next]) {
      if (best_ && best_cost_ <= cost + option.cost + least_[next + 1]) return;
      chosen_[next] = &option;
      Walk(next + 1, cost + option.cost);
    }
  }

  void Try(const Cost& cost) {
    std::vector<PlacedProfile> kept;
    std::vector<const InstanceProfile*> add;
    for (std::size_t i = 0; i < wishes_.size(); ++i) {
      for (const auto& [instance, compute] : chosen_[i]->kept) {
        kept.push_back({wishes_[i].profile, instance->placement});
      }
      add.insert(add.end(), chosen_[i]->fresh.size(), wishes_[i].profile);
    }
    const auto placed = placer_.Place(kept, std::move(add));
    if (!placed) return;
    best_cost_ = cost;
    best_ = Assemble(*placed);
  }

  Layout Assemble(const std::vector<PlacedProfile>& placed) const {
    Layout layout;
    layout.mode_on = true;
    for (std::size_t i = 0; i < wishes_.size(); ++i) {
      for (const auto& [instance, compute] : chosen_[i]->kept) {
        layout.instances.push_back({instance->profile, instance->placement, compute});
      }
      auto content = chosen_[i]->fresh.begin();
      for (const PlacedProfile& fresh : placed) {
        if (fresh.profile != wishes_[i].profile) continue;
        layout.instances.push_back({fresh.profile->index, fresh.placement, *content++});
      }
    }
    std::sort(layout.instances.begin(), layout.instances.end(),
              [](const auto& a, const auto& b) { return a.placement < b.placement; });
    return layout;
  }

  const Placer& placer_;
  const std::vector<ProfileWish>& wishes_;
  std::vector<std::vector<Option>> options_;
  std::vector<Cost> least_;  // of the wishes from each position on
  std::vector<const Option*> chosen_;
  std::optional<Layout> best_;
  Cost best_cost_;
};

void AddDevices(ProfileWish& wish, const ComputeProfile* kind, unsigned count) {
  const auto at = std::find(wish.kinds.begin(), wish.kinds.end(), kind);
  if (at != wish.kinds.end()) {
    wish.demand[static_cast<std::size_t>(at - wish.kinds.begin())] += count;
    return;
  }
  const auto before = std::find_if(wish.kinds.begin(), wish.kinds.end(),
                                   [&](const auto* other) { return other->slices < kind->slices; });
  wish.demand.insert(wish.demand.begin() + (before - wish.kinds.begin()), count);
  wish.kinds.insert(before, kind);
}

// The wishes per profile, with what exists of each; profiles no longer wanted included.
Result<std::vector<ProfileWish>> ResolveWishes(const GpuMigState& gpu, const DesiredGpu& desired,
                                               std::vector<std::string>& warnings) {
  std::map<unsigned, ProfileWish> wishes;  // by profile index
  for (const auto& [name, count] : desired.devices) {
    const auto resolved = ResolveProfile(gpu, name);
    if (!resolved.ok()) return resolved.error();
    if (!resolved->warning.empty()) warnings.push_back(resolved->warning);
    if (count > kMostOfOne) {
      return Error{Code::kResourceExhausted, fmt::format("{} cannot hold {} x {}: at most {} fit",
                                                         GpuTitle(gpu), count, name.ToString(),
                                                         resolved->instance->max_instances *
                                                             resolved->compute->max_instances)};
    }
    ProfileWish& wish = wishes[resolved->instance->index];
    wish.profile = resolved->instance;
    AddDevices(wish, resolved->compute, count);
  }
  for (const GpuInstance& instance : gpu.instances) {
    ProfileWish& wish = wishes[instance.profile];
    wish.profile = FindProfile(gpu, instance.profile);
    wish.existing.push_back(&instance);
  }
  std::vector<ProfileWish> list;
  for (auto& [index, wish] : wishes) list.push_back(std::move(wish));
  return list;
}

bool WithinComputeSlices(const GpuMigState& gpu, const std::vector<ProfileWish>& wishes) {
  unsigned slices = 0;
  for (const ProfileWish& wish : wishes) {
    for (std::size_t i = 0; i < wish.kinds.size(); ++i) {
      slices += wish.kinds[i]->slices * wish.demand[i];
    }
  }
  return slices <= ComputeSlices(gpu.profiles);
}

// How many GPU instances the devices of one wish take, filled largest device first.
std::size_t InstancesFor(const ProfileWish& wish) {
  std::vector<unsigned> free;  // compute slices left in each
  for (std::size_t kind = 0; kind < wish.kinds.size(); ++kind) {
    for (unsigned i = 0; i < wish.demand[kind]; ++i) {
      const unsigned slices = wish.kinds[kind]->slices;
      auto roomy = std::find_if(free.begin(), free.end(), [&](unsigned n) { return n >= slices; });
      if (roomy == free.end()) roomy = free.insert(free.end(), wish.profile->slices);
      *roomy -= std::min(*roomy, slices);
    }
  }
  return free.size();
}

Error DoesNotFit(const GpuMigState& gpu, const Placer& placer,
                 const std::vector<ProfileWish>& wishes) {
  std::vector<const InstanceProfile*> needed;
  for (const ProfileWish& wish : wishes) {
    needed.insert(needed.end(), InstancesFor(wish), wish.profile);
  }
  return {Code::kResourceExhausted,
          fmt::format("the devices do not fit on {} together: {}", GpuTitle(gpu),
                      placer.Explain({}, needed).ToString())};
}

}  // namespace

Result<Target> ChooseTarget(const GpuMigState& gpu, const DesiredGpu& desired) {
  Target target;
  target.layout.mode_on = desired.mig_enabled;
  if (!desired.mig_enabled) return target;
  auto wishes = ResolveWishes(gpu, desired, target.warnings);
  if (!wishes.ok()) return wishes.error();
  const Placer placer(gpu.profiles);
  if (!WithinComputeSlices(gpu, *wishes)) return DoesNotFit(gpu, placer, *wishes);
  auto layout = Chooser(placer, *wishes).Choose();
  if (!layout) return DoesNotFit(gpu, placer, *wishes);
  target.layout = *std::move(layout);
  for (const InstanceTarget& instance : target.layout.instances) {
    const InstanceProfile* profile = FindProfile(gpu, instance.profile);
    for (const ComputeTarget& compute : instance.compute) {
      const ComputeProfile* has = FindComputeProfile(*profile, compute.profile);
      for (const ComputeProfile& other : profile->compute) {
        if (other.slices != has->slices || other.multiprocessors <= has->multiprocessors) continue;
        target.warnings.push_back(
            fmt::format("{}: the {} at {} has {} of {} multiprocessors; it is in use and stays so "
                        "until it is idle and the layout is applied again",
                        GpuTitle(gpu), profile->name.ToString(), instance.placement.start,
                        has->multiprocessors, other.multiprocessors));
      }
    }
  }
  return target;
}

}  // namespace aliquot::mig
