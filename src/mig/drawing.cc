// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace aliquot::mig {
namespace {

struct Box {
  Placement placement;
  std::string label;
};

std::string DevicesIn(const GpuMigState& gpu, unsigned profile,
                      const std::vector<unsigned>& compute_profiles) {
  const InstanceProfile* instance = FindProfile(gpu, profile);
  if (instance == nullptr) return "";
  std::string list;
  for (const unsigned index : compute_profiles) {
    const ComputeProfile* compute = FindComputeProfile(*instance, index);
    if (compute == nullptr) continue;
    if (compute_profiles.size() == 1 && compute->slices == instance->slices) return "";
    list += fmt::format("{}{}c", list.empty() ? "" : " ", compute->slices);
  }
  return fmt::format("[{}]", list);
}

std::vector<unsigned> ProfilesOf(const InstanceTarget& instance) {
  std::vector<unsigned> profiles;
  for (const ComputeTarget& compute : instance.compute) profiles.push_back(compute.profile);
  return profiles;
}

std::vector<unsigned> ProfilesOf(const GpuInstance& instance) {
  std::vector<unsigned> profiles;
  for (const ComputeInstance& compute : instance.compute) profiles.push_back(compute.profile);
  return profiles;
}

bool Touched(const GpuPlan& plan, const Placement& placement, Step::Kind kind) {
  return std::any_of(plan.steps.begin(), plan.steps.end(), [&](const Step& step) {
    return step.kind == kind && step.placement == placement;
  });
}

char Mark(const GpuPlan& plan, const Placement& placement, Step::Kind replaced, char if_replaced) {
  if (Touched(plan, placement, replaced)) return if_replaced;
  const bool refilled = Touched(plan, placement, Step::Kind::kDestroyComputeInstance) ||
                        Touched(plan, placement, Step::Kind::kCreateComputeInstance);
  return refilled ? '~' : '=';
}

std::vector<Box> Before(const GpuPlan& plan) {
  std::vector<Box> boxes;
  for (const GpuInstance& instance : plan.gpu.instances) {
    const char mark = Mark(plan, instance.placement, Step::Kind::kDestroyGpuInstance, '-');
    boxes.push_back({instance.placement,
                     fmt::format("{}{}{}{}", mark, InstanceName(plan.gpu, instance.profile),
                                 DevicesIn(plan.gpu, instance.profile, ProfilesOf(instance)),
                                 InUse(instance) ? " *" : "")});
  }
  std::sort(boxes.begin(), boxes.end(),
            [](const Box& a, const Box& b) { return a.placement < b.placement; });
  return boxes;
}

std::vector<Box> After(const GpuPlan& plan) {
  std::vector<Box> boxes;
  for (const InstanceTarget& instance : plan.after.instances) {
    const char mark = Mark(plan, instance.placement, Step::Kind::kCreateGpuInstance, '+');
    const bool used = std::any_of(
        plan.gpu.instances.begin(), plan.gpu.instances.end(), [&](const GpuInstance& there) {
          return mark != '+' && there.placement == instance.placement && InUse(there);
        });
    boxes.push_back({instance.placement,
                     fmt::format("{}{}{}{}", mark, InstanceName(plan.gpu, instance.profile),
                                 DevicesIn(plan.gpu, instance.profile, ProfilesOf(instance)),
                                 used ? " *" : "")});
  }
  return boxes;
}

std::string Row(const std::vector<Box>& boxes, unsigned slices, std::size_t width) {
  std::string row = "|";
  for (unsigned slice = 0; slice < slices;) {
    const auto box = std::find_if(boxes.begin(), boxes.end(),
                                  [&](const Box& b) { return b.placement.start == slice; });
    const unsigned size = box == boxes.end() ? 1 : std::max(1u, box->placement.size);
    const std::string label = box == boxes.end() ? "" : box->label;
    row += fmt::format("{:<{}}|", label, size * width - 1);
    slice += size;
  }
  return row;
}

std::string Line(const char* title, bool mode_on, const std::vector<Box>& boxes, unsigned slices,
                 std::size_t width) {
  const std::string content = mode_on ? Row(boxes, slices, width) : "MIG off";
  return fmt::format("{:<7}{}\n", title, content);
}

}  // namespace

std::string Draw(const GpuPlan& plan) {
  const GpuMigState& gpu = plan.gpu;
  std::string text = fmt::format("GPU {}  {}  {}\n", gpu.index, gpu.name, gpu.uuid);
  const std::vector<Box> before = Before(plan);
  const std::vector<Box> after = After(plan);
  const unsigned slices = MemorySlices(gpu.profiles);
  std::size_t width = 4;
  for (const auto* boxes : {&before, &after}) {
    for (const Box& box : *boxes) {
      const std::size_t size = std::max(1u, box.placement.size);
      width = std::max(width, (box.label.size() + size) / size);
    }
  }
  if (gpu.mode_on || plan.after.mode_on) {
    text += std::string(8, ' ');
    for (unsigned slice = 0; slice < slices; ++slice) {
      // The last number needs no padding.
      text += slice + 1 < slices ? fmt::format("{:<{}}", slice, width) : fmt::to_string(slice);
    }
    text += "\n";
  }
  text += Line("before", gpu.mode_on, before, slices, width);
  text += Line("after", plan.after.mode_on, after, slices, width);
  return text;
}

}  // namespace aliquot::mig
