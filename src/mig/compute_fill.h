// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "mig/layout.h"

namespace aliquot::mig {

// How many compute instances of each kind; which kinds is said beside it.
using Demand = std::vector<unsigned>;
bool IsZero(const Demand& demand);
// Whether `part` can be taken out of `whole`; then Minus does.
bool Covers(const Demand& whole, const Demand& part);
Demand Minus(const Demand& whole, const Demand& part);

// One way of filling one GPU instance with compute instances.
struct Fill {
  Demand serves;                       // what it contributes to a demand; never zero
  std::vector<ComputeTarget> compute;  // all of it, those that stay first
  unsigned destroyed = 0;              // compute instances there now that must go
  unsigned destroyed_in_use = 0;       // of these, how many have holders
};

// Every useful way of filling a GPU instance of `profile` towards `wish`, one per contribution:
// that which destroys the fewest used, then the fewest instances of `existing` (null: a new GPU
// instance). Exact in places: compute instances that stay keep theirs. One with the slices of a
// kind serves it unless it is idle and has fewer multiprocessors.
// Sorted by fewest destroyed first, then by most served.
std::vector<Fill> FillsOf(const InstanceProfile& profile,
                          const std::vector<const ComputeProfile*>& kinds, const Demand& wish,
                          const GpuInstance* existing);

// Gives every compute instance without a place (size 0) one beside the others, if there is room for
// all; else leaves them so and returns false. Checkpoints of mig-parted have no places.
bool CompletePlaces(const InstanceProfile& profile, std::vector<ComputeTarget>& compute);

}  // namespace aliquot::mig
