// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "mig/layout.h"
#include "mig/steps.h"

namespace aliquot::mig {

// Something in use that a plan would have to disturb.
struct Blocker {
  std::string object;  // "device 3g.20gb (GPU instance 2, compute instance 0)", "the GPU"
  std::string uuid;    // of the device, or of the GPU
  std::vector<Holder> holders;

  friend bool operator==(const Blocker&, const Blocker&) = default;
};

// How one GPU gets from the layout it has to the one it should have.
struct GpuPlan {
  GpuMigState gpu;  // as it was when planned
  Layout after;
  std::vector<Step> steps;        // empty if the GPU is as it should be
  std::vector<Blocker> blockers;  // the plan can be carried out only if there are none
  std::vector<std::string> warnings;
  // MIG mode changes, and on this GPU that takes a reset (or a reboot where there is no reset).
  bool needs_reset = false;
  // The driver lists no profiles before MIG mode is on: `steps` turn it on, then plan again for
  // this. Absent otherwise.
  std::optional<DesiredGpu> then;

  bool changes() const { return !steps.empty(); }
};

struct MigPlan {
  std::vector<GpuPlan> gpus;  // those the configuration speaks of, ascending by index

  bool changes() const;
  bool blocked() const;
};

// Plans one GPU. `desired` is met with the least disturbance, see ChooseTarget, whose errors these
// are; a GPU without MIG that should have it is kFailedPrecondition.
Result<GpuPlan> PlanGpu(const GpuMigState& gpu, const DesiredGpu& desired);

// Plans the way to exactly `layout`, as rolling back, resuming and restoring need. Fails with
// kInvalidArgument if the GPU does not offer what is in it, at the places it says.
Result<GpuPlan> PlanLayout(const GpuMigState& gpu, const Layout& layout);

// Plans a node: desired[i] is for gpus[i]; absent means leave it alone. Fails if some GPU cannot be
// planned, with every distinct reason.
Result<MigPlan> PlanNode(const std::vector<GpuMigState>& gpus,
                         const std::vector<std::optional<DesiredGpu>>& desired);

// For people, one line each: what stays, what is done, what is in the way.
std::vector<std::string> Explain(const GpuPlan& plan);
// One line naming every blocker and its holders; empty if there are none.
std::string DescribeBlockers(const GpuPlan& plan);

}  // namespace aliquot::mig
