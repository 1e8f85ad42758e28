// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "mig/layout.h"

namespace aliquot::mig {

// One thing to do to a GPU. A GPU instance is known by its place, since its id exists only once it
// was created; ids are there for what is destroyed.
struct Step {
  enum class Kind {
    kDestroyComputeInstance,
    kDestroyGpuInstance,
    kSetMode,
    kCreateGpuInstance,
    kCreateComputeInstance,
  };
  Kind kind = Kind::kSetMode;
  bool mode_on = false;          // kSetMode
  unsigned profile = 0;          // of the GPU instance
  Placement placement;           // of the GPU instance
  unsigned compute_profile = 0;  // of the compute instance
  Placement compute_placement;   // of the compute instance
  unsigned gpu_instance_id = 0;
  unsigned compute_instance_id = 0;

  friend bool operator==(const Step&, const Step&) = default;
};

// What turns `gpu` into `target`, in an order that works: destroy, set the mode, create GPU
// instances, create compute instances. Instances that are in both layouts at the same place are not
// touched. Empty exactly if nothing has to be done. The target must be one that fits.
std::vector<Step> StepsBetween(const GpuMigState& gpu, const Layout& target);

// "create GPU instance 3g.20gb at 4".
std::string Describe(const GpuMigState& gpu, const Step& step);

}  // namespace aliquot::mig
