// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mig/compute_fill.h"
#include "mig/placement.h"
#include "mig/target.h"

namespace aliquot::mig {
namespace {

const ComputeInstance* FindCompute(const GpuMigState& gpu, const Step& step) {
  for (const GpuInstance& instance : gpu.instances) {
    if (instance.id != step.gpu_instance_id) continue;
    for (const ComputeInstance& compute : instance.compute) {
      if (compute.id == step.compute_instance_id) return &compute;
    }
  }
  return nullptr;
}

GpuPlan Complete(const GpuMigState& gpu, Layout after) {
  GpuPlan plan;
  plan.gpu = gpu;
  plan.after = std::move(after);
  plan.steps = StepsBetween(gpu, plan.after);
  for (const Step& step : plan.steps) {
    if (step.kind == Step::Kind::kSetMode) {
      plan.needs_reset = gpu.mode_on != step.mode_on && gpu.mode_switch == ModeSwitch::kWithReset;
      if (!gpu.holders.empty() && gpu.mode_on != step.mode_on) {
        plan.blockers.push_back({"the GPU", gpu.uuid, gpu.holders});
      }
    }
    if (step.kind != Step::Kind::kDestroyComputeInstance) continue;
    const ComputeInstance* compute = FindCompute(gpu, step);
    if (compute == nullptr || compute->holders.empty()) continue;
    plan.blockers.push_back({fmt::format("device {} (GPU instance {}, compute instance {})",
                                         DeviceName(gpu, step.profile, step.compute_profile),
                                         step.gpu_instance_id, step.compute_instance_id),
                             compute->uuid, compute->holders});
  }
  return plan;
}

Error NotOffered(const GpuMigState& gpu, const std::string& what) {
  return {Code::kInvalidArgument,
          fmt::format("the layout does not fit {}: {}; was it made for another GPU?", GpuTitle(gpu),
                      what)};
}

Status CheckOffered(const GpuMigState& gpu, const Layout& layout) {
  const auto legal = [](const std::vector<Placement>& places, const Placement& place) {
    return std::find(places.begin(), places.end(), place) != places.end();
  };
  std::vector<PlacedProfile> placed;
  for (const InstanceTarget& instance : layout.instances) {
    const InstanceProfile* profile = FindProfile(gpu, instance.profile);
    if (profile == nullptr) {
      return NotOffered(gpu, fmt::format("no GPU instance profile {}", instance.profile));
    }
    if (!legal(profile->placements, instance.placement)) {
      return NotOffered(gpu, fmt::format("{} cannot be at {}", profile->name.ToString(),
                                         instance.placement.start));
    }
    for (const PlacedProfile& other : placed) {
      if (other.placement.start < instance.placement.end() &&
          instance.placement.start < other.placement.end()) {
        return NotOffered(gpu,
                          fmt::format("two instances share memory slice {}",
                                      std::max(other.placement.start, instance.placement.start)));
      }
    }
    placed.push_back({profile, instance.placement});
    for (const ComputeTarget& compute : instance.compute) {
      if (FindComputeProfile(*profile, compute.profile) == nullptr) {
        return NotOffered(gpu, fmt::format("no compute instance profile {} in {}", compute.profile,
                                           profile->name.ToString()));
      }
    }
  }
  if (!Placer(gpu.profiles).Place(placed, {})) {
    return NotOffered(gpu, "its instances are more than the GPU allows together");
  }
  return {};
}

}  // namespace

bool MigPlan::changes() const {
  return std::any_of(gpus.begin(), gpus.end(), [](const GpuPlan& gpu) { return gpu.changes(); });
}

bool MigPlan::blocked() const {
  return std::any_of(gpus.begin(), gpus.end(),
                     [](const GpuPlan& gpu) { return !gpu.blockers.empty(); });
}

Result<GpuPlan> PlanGpu(const GpuMigState& gpu, const DesiredGpu& desired) {
  if (!gpu.mig_capable) {
    if (!desired.mig_enabled) return Complete(gpu, Layout{});
    return Error{Code::kFailedPrecondition,
                 fmt::format("{} ({}) cannot do MIG; leave it out of the configuration",
                             GpuTitle(gpu), gpu.name)};
  }
  if (desired.mig_enabled && !desired.devices.empty() && gpu.profiles.empty() && !gpu.mode_on) {
    GpuPlan plan = Complete(gpu, Layout{true, {}});
    plan.then = desired;
    plan.warnings.push_back(
        fmt::format("{}: the driver lists profiles only once MIG mode is on; the devices are "
                    "planned after that",
                    GpuTitle(gpu)));
    return plan;
  }
  auto target = ChooseTarget(gpu, desired);
  if (!target.ok()) return target.error();
  GpuPlan plan = Complete(gpu, std::move(target->layout));
  plan.warnings = std::move(target->warnings);
  return plan;
}

Result<GpuPlan> PlanLayout(const GpuMigState& gpu, const Layout& layout) {
  if (layout.mode_on && !gpu.mig_capable) return NotOffered(gpu, "it cannot do MIG");
  // Without MIG mode some drivers list no profiles; then the driver itself is the judge.
  if (!gpu.profiles.empty()) {
    if (Status offered = CheckOffered(gpu, layout); !offered.ok()) return offered.error();
  }
  Layout placed = layout;
  for (InstanceTarget& instance : placed.instances) {
    const InstanceProfile* profile = FindProfile(gpu, instance.profile);
    if (profile != nullptr && !CompletePlaces(*profile, instance.compute)) {
      return NotOffered(gpu, fmt::format("the devices in the {} at {} have no room",
                                         profile->name.ToString(), instance.placement.start));
    }
  }
  return Complete(gpu, std::move(placed));
}

Result<MigPlan> PlanNode(const std::vector<GpuMigState>& gpus,
                         const std::vector<std::optional<DesiredGpu>>& desired) {
  MigPlan plan;
  std::optional<Error> failed;
  for (std::size_t i = 0; i < gpus.size() && i < desired.size(); ++i) {
    if (!desired[i]) continue;
    auto gpu = PlanGpu(gpus[i], *desired[i]);
    if (gpu.ok()) {
      plan.gpus.push_back(*std::move(gpu));
    } else if (!failed) {
      failed = gpu.error();
    } else {
      failed->message += "; " + gpu.error().message;
    }
  }
  if (failed) return *failed;
  return plan;
}

std::string DescribeBlockers(const GpuPlan& plan) {
  std::string text;
  for (const Blocker& blocker : plan.blockers) {
    text += fmt::format("{}{} is in use by {}", text.empty() ? "" : "; ", blocker.object,
                        Describe(blocker.holders));
  }
  return text;
}

std::vector<std::string> Explain(const GpuPlan& plan) {
  const GpuMigState& gpu = plan.gpu;
  const Layout before = LayoutOf(gpu);
  std::vector<std::string> lines;
  if (!plan.changes()) {
    lines.push_back(
        fmt::format("{}: nothing to do, MIG {}", GpuTitle(gpu), Describe(gpu, plan.after)));
  } else {
    lines.push_back(fmt::format("{}: MIG {} -> {}", GpuTitle(gpu), Describe(gpu, before),
                                Describe(gpu, plan.after)));
  }
  for (const GpuInstance& instance : gpu.instances) {
    const bool touched = std::any_of(plan.steps.begin(), plan.steps.end(), [&](const Step& step) {
      return step.kind == Step::Kind::kDestroyGpuInstance && step.gpu_instance_id == instance.id;
    });
    if (touched || !plan.changes()) continue;
    lines.push_back(fmt::format("  keep GPU instance {} ({} at {})", instance.id,
                                InstanceName(gpu, instance.profile), instance.placement.start));
  }
  for (const Step& step : plan.steps) {
    std::string line = "  " + Describe(gpu, step);
    if (step.kind == Step::Kind::kSetMode && plan.needs_reset) {
      line += "; this resets the GPU, and where that is impossible takes effect at a reboot";
    }
    lines.push_back(std::move(line));
  }
  if (plan.then) lines.push_back("  then plan the devices, once the driver lists profiles");
  for (const Blocker& blocker : plan.blockers) {
    lines.push_back(
        fmt::format("  blocked: {} is in use by {}", blocker.object, Describe(blocker.holders)));
  }
  for (const std::string& warning : plan.warnings) lines.push_back("  warning: " + warning);
  return lines;
}

}  // namespace aliquot::mig
