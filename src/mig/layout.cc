// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/layout.h"

#include <fmt/format.h>

#include <algorithm>

namespace aliquot::mig {
namespace {

std::vector<unsigned> ComputeProfilesOf(const InstanceTarget& instance) {
  std::vector<unsigned> profiles;
  for (const ComputeTarget& compute : instance.compute) profiles.push_back(compute.profile);
  std::sort(profiles.begin(), profiles.end());
  return profiles;
}

}  // namespace

Layout LayoutOf(const GpuMigState& gpu) {
  Layout layout;
  layout.mode_on = gpu.mode_on;
  for (const GpuInstance& instance : gpu.instances) {
    InstanceTarget target{instance.profile, instance.placement, {}};
    for (const ComputeInstance& compute : instance.compute) {
      target.compute.push_back({compute.profile, compute.placement});
    }
    layout.instances.push_back(std::move(target));
  }
  std::sort(layout.instances.begin(), layout.instances.end(),
            [](const auto& a, const auto& b) { return a.placement < b.placement; });
  return layout;
}

bool SameLayout(const Layout& a, const Layout& b) {
  return a.mode_on == b.mode_on &&
         std::equal(a.instances.begin(), a.instances.end(), b.instances.begin(), b.instances.end(),
                    [](const InstanceTarget& x, const InstanceTarget& y) {
                      return x.profile == y.profile && x.placement == y.placement &&
                             ComputeProfilesOf(x) == ComputeProfilesOf(y);
                    });
}

const InstanceProfile* FindProfile(const GpuMigState& gpu, unsigned index) {
  for (const InstanceProfile& profile : gpu.profiles) {
    if (profile.index == index) return &profile;
  }
  return nullptr;
}

const ComputeProfile* FindComputeProfile(const InstanceProfile& profile, unsigned index) {
  for (const ComputeProfile& compute : profile.compute) {
    if (compute.index == index) return &compute;
  }
  return nullptr;
}

unsigned MemorySlices(const std::vector<InstanceProfile>& profiles) {
  unsigned slices = 0;
  for (const InstanceProfile& profile : profiles) {
    for (const Placement& placement : profile.placements) {
      slices = std::max(slices, placement.end());
    }
  }
  return slices;
}

unsigned ComputeSlices(const std::vector<InstanceProfile>& profiles) {
  unsigned slices = 0;
  for (const InstanceProfile& profile : profiles) slices = std::max(slices, profile.slices);
  return slices;
}

std::string DeviceName(const GpuMigState& gpu, unsigned profile, unsigned compute_profile) {
  const InstanceProfile* instance = FindProfile(gpu, profile);
  if (instance == nullptr) return InstanceName(gpu, profile);
  ProfileName name = instance->name;
  const ComputeProfile* compute = FindComputeProfile(*instance, compute_profile);
  if (compute == nullptr) {
    return fmt::format("compute profile {} of {}", compute_profile, name.ToString());
  }
  name.compute_slices = compute->slices;
  return name.ToString();
}

std::string InstanceName(const GpuMigState& gpu, unsigned profile) {
  const InstanceProfile* instance = FindProfile(gpu, profile);
  if (instance == nullptr) return fmt::format("profile {}", profile);
  return instance->name.ToString();
}

std::string GpuTitle(const GpuMigState& gpu) {
  return fmt::format("GPU {} ({})", gpu.index, gpu.uuid);
}

std::string Describe(const Holder& holder) {
  std::string process;
  if (holder.pid) process = fmt::format("pid {}", *holder.pid);
  if (!holder.process.empty()) process += (process.empty() ? "" : " ") + holder.process;
  if (holder.pod.empty()) return process.empty() ? "an unknown process" : process;
  if (process.empty()) return "pod " + holder.pod;
  return fmt::format("pod {} ({})", holder.pod, process);
}

std::string Describe(const std::vector<Holder>& holders) {
  std::string text;
  for (const Holder& holder : holders) text += (text.empty() ? "" : ", ") + Describe(holder);
  return text;
}

std::string Describe(const GpuMigState& gpu, const Layout& layout) {
  if (!layout.mode_on) return "off";
  if (layout.instances.empty()) return "on: empty";
  std::string text = "on:";
  for (const InstanceTarget& instance : layout.instances) {
    text += fmt::format("{} {} at {}", &instance == layout.instances.data() ? "" : ",",
                        InstanceName(gpu, instance.profile), instance.placement.start);
    const InstanceProfile* profile = FindProfile(gpu, instance.profile);
    const bool plain = profile != nullptr && instance.compute.size() == 1 &&
                       DeviceName(gpu, instance.profile, instance.compute.front().profile) ==
                           profile->name.ToString();
    if (plain) continue;
    text += " with";
    if (instance.compute.empty()) text += " no compute instance";
    for (const ComputeTarget& compute : instance.compute) {
      text += " " + DeviceName(gpu, instance.profile, compute.profile);
    }
  }
  return text;
}

bool InUse(const GpuInstance& instance) {
  return std::any_of(instance.compute.begin(), instance.compute.end(),
                     [](const ComputeInstance& compute) { return !compute.holders.empty(); });
}

}  // namespace aliquot::mig
