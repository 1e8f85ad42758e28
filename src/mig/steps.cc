// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/steps.h"

#include <fmt/format.h>

#include <algorithm>

#include "mig/compute_fill.h"
#include "mig/placement.h"

namespace aliquot::mig {
namespace {

const InstanceTarget* FindAt(const Layout& layout, const GpuInstance& instance) {
  for (const InstanceTarget& target : layout.instances) {
    if (target.profile == instance.profile && target.placement == instance.placement) {
      return &target;
    }
  }
  return nullptr;
}

Step DestroyCompute(const GpuInstance& instance, const ComputeInstance& compute) {
  Step step;
  step.kind = Step::Kind::kDestroyComputeInstance;
  step.profile = instance.profile;
  step.placement = instance.placement;
  step.compute_profile = compute.profile;
  step.compute_placement = compute.placement;
  step.gpu_instance_id = instance.id;
  step.compute_instance_id = compute.id;
  return step;
}

Step DestroyInstance(const GpuInstance& instance) {
  Step step;
  step.kind = Step::Kind::kDestroyGpuInstance;
  step.profile = instance.profile;
  step.placement = instance.placement;
  step.gpu_instance_id = instance.id;
  return step;
}

Step Create(Step::Kind kind, const InstanceTarget& instance) {
  Step step;
  step.kind = kind;
  step.profile = instance.profile;
  step.placement = instance.placement;
  return step;
}

Step CreateCompute(const InstanceTarget& instance, const ComputeTarget& compute) {
  Step step = Create(Step::Kind::kCreateComputeInstance, instance);
  step.compute_profile = compute.profile;
  step.compute_placement = compute.placement;
  return step;
}

bool SameProfiles(const GpuInstance& instance, const InstanceTarget& target) {
  std::vector<unsigned> has;
  std::vector<unsigned> wants;
  for (const ComputeInstance& compute : instance.compute) has.push_back(compute.profile);
  for (const ComputeTarget& compute : target.compute) wants.push_back(compute.profile);
  std::sort(has.begin(), has.end());
  std::sort(wants.begin(), wants.end());
  return has == wants;
}

// Sorts out the compute instances of a GPU instance that stays. Where they lie matters only if the
// others then have no room: drivers may have put them elsewhere than asked.
class ComputeMatch {
 public:
  // `profile` may be null if the driver does not list it.
  ComputeMatch(const GpuInstance& instance, const InstanceTarget& target,
               const InstanceProfile* profile) {
    if (SameProfiles(instance, target)) return;
    missing_ = target.compute;
    for (const ComputeInstance& compute : instance.compute) surplus_.push_back(&compute);
    std::erase_if(surplus_, [&](const ComputeInstance* compute) {
      return TakeFrom(missing_, [&](const ComputeTarget& wanted) {
        return wanted == ComputeTarget{compute->profile, compute->placement};
      });
    });
    if (profile != nullptr) MatchElsewhere(instance, *profile);
  }

  const std::vector<const ComputeInstance*>& surplus() const { return surplus_; }
  const std::vector<ComputeTarget>& missing() const { return missing_; }

 private:
  template <typename Predicate>
  static bool TakeFrom(std::vector<ComputeTarget>& list, Predicate predicate) {
    const auto at = std::find_if(list.begin(), list.end(), predicate);
    if (at == list.end()) return false;
    list.erase(at);
    return true;
  }

  // Accepts instances of the right profile at other places, if what is still missing then fits
  // beside all that stays.
  void MatchElsewhere(const GpuInstance& instance, const InstanceProfile& profile) {
    std::vector<const ComputeInstance*> surplus = surplus_;
    std::vector<ComputeTarget> missing = missing_;
    std::erase_if(surplus, [&](const ComputeInstance* compute) {
      return TakeFrom(
          missing, [&](const ComputeTarget& wanted) { return wanted.profile == compute->profile; });
    });
    if (surplus.size() == surplus_.size()) return;
    std::vector<ComputeTarget> all = missing;
    for (const ComputeInstance& compute : instance.compute) {
      if (std::find(surplus.begin(), surplus.end(), &compute) != surplus.end()) continue;
      all.push_back({compute.profile, compute.placement});
    }
    for (std::size_t i = 0; i < missing.size(); ++i) all[i].placement = {};
    if (!CompletePlaces(profile, all)) return;
    for (std::size_t i = 0; i < missing.size(); ++i) missing[i].placement = all[i].placement;
    surplus_ = std::move(surplus);
    missing_ = std::move(missing);
  }

  std::vector<const ComputeInstance*> surplus_;
  std::vector<ComputeTarget> missing_;
};

// Larger compute instances first: a driver that chooses places itself could otherwise put a small
// one where only the large one fits.
std::vector<ComputeTarget> LargestFirst(std::vector<ComputeTarget> compute) {
  std::stable_sort(compute.begin(), compute.end(), [](const auto& a, const auto& b) {
    return a.placement.size > b.placement.size;
  });
  return compute;
}

void AppendCreations(const GpuMigState& gpu, std::vector<const InstanceTarget*> missing,
                     std::vector<Step>& steps) {
  std::stable_sort(
      missing.begin(), missing.end(), [&](const InstanceTarget* a, const InstanceTarget* b) {
        const InstanceProfile* first = FindProfile(gpu, a->profile);
        const InstanceProfile* second = FindProfile(gpu, b->profile);
        return first != nullptr && second != nullptr && Placer::CreatedBefore(first, second);
      });
  for (const InstanceTarget* target : missing) {
    steps.push_back(Create(Step::Kind::kCreateGpuInstance, *target));
  }
  for (const InstanceTarget* target : missing) {
    for (const ComputeTarget& compute : LargestFirst(target->compute)) {
      steps.push_back(CreateCompute(*target, compute));
    }
  }
}

}  // namespace

std::vector<Step> StepsBetween(const GpuMigState& gpu, const Layout& target) {
  std::vector<Step> steps;
  std::vector<Step> additions;  // to GPU instances that stay
  std::vector<const InstanceTarget*> missing;
  for (const InstanceTarget& instance : target.instances) missing.push_back(&instance);

  for (const GpuInstance& instance : gpu.instances) {
    const InstanceTarget* stays = target.mode_on ? FindAt(target, instance) : nullptr;
    if (stays == nullptr) {
      for (const ComputeInstance& compute : instance.compute) {
        steps.push_back(DestroyCompute(instance, compute));
      }
      steps.push_back(DestroyInstance(instance));
      continue;
    }
    std::erase(missing, stays);
    const ComputeMatch match(instance, *stays, FindProfile(gpu, instance.profile));
    for (const ComputeInstance* compute : match.surplus()) {
      steps.push_back(DestroyCompute(instance, *compute));
    }
    for (const ComputeTarget& compute : LargestFirst(match.missing())) {
      additions.push_back(CreateCompute(*stays, compute));
    }
  }
  if (gpu.mode_on != target.mode_on || gpu.pending_mode_on != target.mode_on) {
    Step step;
    step.kind = Step::Kind::kSetMode;
    step.mode_on = target.mode_on;
    steps.push_back(step);
  }
  if (target.mode_on) AppendCreations(gpu, std::move(missing), steps);
  steps.insert(steps.end(), additions.begin(), additions.end());
  return steps;
}

std::string Describe(const GpuMigState& gpu, const Step& step) {
  const auto device = [&] { return DeviceName(gpu, step.profile, step.compute_profile); };
  switch (step.kind) {
    case Step::Kind::kDestroyComputeInstance:
      return fmt::format("destroy device {} (GPU instance {}, compute instance {})", device(),
                         step.gpu_instance_id, step.compute_instance_id);
    case Step::Kind::kDestroyGpuInstance:
      return fmt::format("destroy GPU instance {} ({} at {})", step.gpu_instance_id,
                         InstanceName(gpu, step.profile), step.placement.start);
    case Step::Kind::kSetMode:
      return step.mode_on ? "turn MIG mode on" : "turn MIG mode off";
    case Step::Kind::kCreateGpuInstance:
      return fmt::format("create GPU instance {} at {}", InstanceName(gpu, step.profile),
                         step.placement.start);
    case Step::Kind::kCreateComputeInstance:
      return fmt::format("create device {} in the GPU instance at {}", device(),
                         step.placement.start);
  }
  return "do nothing";
}

}  // namespace aliquot::mig
