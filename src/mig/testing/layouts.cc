// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/testing/layouts.h"

#include <algorithm>
#include <cstdlib>

#include "mig/catalog.h"
#include "mig/placement.h"

namespace aliquot::mig::testing {
namespace {

constexpr unsigned kDoubleMemory = 0x9;

std::vector<const InstanceProfile*> PlainProfiles(const GpuMigState& gpu) {
  std::vector<const InstanceProfile*> plain;
  for (const InstanceProfile& profile : gpu.profiles) {
    if (profile.name.with.empty() && profile.name.without.empty() &&
        profile.index != kDoubleMemory) {
      plain.push_back(&profile);
    }
  }
  return plain;
}

void Require(bool holds) {
  if (!holds) std::abort();  // the test's own set-up does not work
}

}  // namespace

std::vector<Layout> MaximalLayouts(const GpuMigState& gpu) {
  const auto plain = PlainProfiles(gpu);
  const Placer placer(gpu.profiles);
  std::vector<Layout> found;
  std::vector<PlacedProfile> placed;
  const auto walk = [&](const auto& self, unsigned from) -> void {
    const bool full = std::none_of(plain.begin(), plain.end(), [&](const auto* profile) {
      return placer.Place(placed, {profile}).has_value();
    });
    if (full) {
      Layout layout{true, {}};
      for (const PlacedProfile& one : placed) {
        const auto whole = ResolveProfile(gpu, one.profile->name);
        layout.instances.push_back({one.profile->index,
                                    one.placement,
                                    {{whole->compute->index, {0, whole->compute->slices}}}});
      }
      found.push_back(std::move(layout));
      return;
    }
    for (const InstanceProfile* profile : plain) {
      for (const Placement& placement : profile->placements) {
        if (placement.start < from) continue;
        placed.push_back({profile, placement});
        const bool overlaps =
            placed.size() > 1 && placed[placed.size() - 2].placement.end() > placement.start;
        if (!overlaps && placer.Place(placed, {})) self(self, placement.end());
        placed.pop_back();
      }
    }
  };
  walk(walk, 0);
  return found;
}

std::map<ProfileName, unsigned> DevicesOf(const GpuMigState& gpu, const Layout& layout) {
  std::map<ProfileName, unsigned> devices;
  for (const InstanceTarget& instance : layout.instances) {
    const InstanceProfile* profile = FindProfile(gpu, instance.profile);
    for (const ComputeTarget& compute : instance.compute) {
      ProfileName name = profile->name;
      name.compute_slices = FindComputeProfile(*profile, compute.profile)->slices;
      ++devices[name];
    }
  }
  return devices;
}

DesiredGpu DesiredOf(const GpuMigState& gpu, const Layout& layout) {
  return {layout.mode_on, DevicesOf(gpu, layout)};
}

void Establish(FakeMigDriver& driver, const std::string& gpu, const Layout& layout) {
  Require(driver.SetMode(gpu, layout.mode_on).ok());
  for (const InstanceTarget& instance : layout.instances) {
    const auto id = driver.CreateGpuInstance(gpu, instance.profile, instance.placement);
    Require(id.ok());
    for (const ComputeTarget& compute : instance.compute) {
      Require(driver.CreateComputeInstance(gpu, *id, compute.profile, compute.placement).ok());
    }
  }
  driver.Restart();
}

}  // namespace aliquot::mig::testing
