// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"
#include "gpu/inventory.h"
#include "share/plan.h"

namespace aliquot::share {

// A device the node can offer, and the resource it belongs to before any sharing entry is applied.
// Points into the inventory it was made from.
struct Candidate {
  const gpu::Gpu* gpu = nullptr;
  const gpu::MigDevice* mig = nullptr;  // null for a whole GPU
  std::string resource;                 // "nvidia.com/gpu", "nvidia.com/mig-1g.5gb", ...

  const std::string& uuid() const { return mig != nullptr ? mig->uuid : gpu->uuid; }
  // "0" or "0:1".
  std::string Index() const;
  // 0 if unknown.
  std::uint64_t usable_bytes() const {
    return mig != nullptr ? mig->memory_usable_bytes : gpu->memory_usable_bytes;
  }
};

struct Candidates {
  std::vector<Candidate> devices;  // sorted by GPU index, MIG index
  std::vector<Condition> conditions;
};

// Which devices the node offers under which names, by flags.migStrategy:
//
//   none    every GPU is nvidia.com/gpu, also one with MIG on (with a warning).
//   single  whole GPUs, or the MIG devices of GPUs with MIG on, are nvidia.com/gpu. All of them
//   must
//           be of one kind: if whole GPUs and MIG devices, or MIG devices of two profiles, would
//           share the name, none of them is offered, since a pod could not say which it wants. A
//           GPU with MIG on and no MIG devices is left out and does not hinder the others.
//   mixed   whole GPUs are nvidia.com/gpu, a MIG device is nvidia.com/mig-<profile>. A MIG device
//           whose compute instance is smaller than its GPU instance is left out.
//
// In extended mode config.gpu_patterns (against the product name) and config.mig_patterns (against
// the profile) come first, and the first match names the device; the rules of `single` and `mixed`
// above then apply only to devices that no pattern matched.
//
// What is left out gets a condition with its cause and cure. The reference implementation stops for
// all GPUs of the node in each of these cases. Devices without a UUID, or with one seen before, are
// left out. Conditions also tell about inventory.broken and about patterns that match nothing.
Candidates FindCandidates(const gpu::Inventory& inventory, const config::Config& config);

}  // namespace aliquot::share
