// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "gpu/inventory.h"
#include "share/plan.h"

namespace aliquot::share {

// What a node with this inventory advertises under this configuration. A pure function: equal
// inputs, in whatever order the inventory lists its GPUs, give equal plans.
//
//   1. Devices and their resource names: FindCandidates (share/candidates.h).
//   2. Which sharing entry each belongs to:  SelectDevices (share/selection.h).
//   3. Replicas "<uuid>::0" ... "<uuid>::<n-1>" under the entry's rename, or the resource's own
//   name
//      if it has none; replicas: 1 renames without sharing. What no entry selects stays unshared.
//   4. Shares by ShareOf (share/quota.h).
//
// Never fails: what cannot be offered is left out, or offered unshared under its own name where
// only the sharing is impossible, with an error condition naming object, cause and cure. Ids longer
// than the kubelet takes and device lists above kMaxListBytes (share/list_size.h) are such cases.
Plan BuildPlan(const gpu::Inventory& inventory, const config::Config& config);

// Names of resources, sorted.
struct PlanDiff {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  // The list the kubelet gets differs (ids, their order, or NUMA nodes): send it again.
  std::vector<std::string> changed;
  // Only what answers to the kubelet depend on differs (shares, limits, indices): nothing to send.
  std::vector<std::string> option_changed;

  bool empty() const {
    return added.empty() && removed.empty() && changed.empty() && option_changed.empty();
  }
  friend bool operator==(const PlanDiff&, const PlanDiff&) = default;
};

// What turns `before` into `after`. Conditions do not count.
PlanDiff Diff(const Plan& before, const Plan& after);

}  // namespace aliquot::share
