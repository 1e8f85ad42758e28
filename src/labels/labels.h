// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "config/config.h"
#include "gpu/inventory.h"
#include "labels/host_facts.h"
#include "share/plan.h"

namespace aliquot::labels {

// The labels of a node with this inventory, of which `plan` was made under `config`. Names and
// values are those of NVIDIA's gpu-feature-discovery, so that schedulers and selectors written for
// it work; all values are valid and at most 63 characters. A pure function of its arguments.
//
// Where gpu-feature-discovery leaves it open, or flaps:
//   - nvidia.com/gpu.* describe the model that most GPUs of the node have (MIG devices, under
//     `single`), ties going to the lowest GPU index; nvidia.com/mig-<profile>.* likewise.
//   - gpu.replicas is the largest number of copies that a device of this model has in the plan, so
//   a
//     replica is at least 1/gpu.replicas of a device; 1 unshared, 0 not offered or MIG on. The
//     product ends in -SHARED if that is above 1 and the shared devices keep their resource name.
//     Counts of GPUs are physical, never multiplied by replicas.
//   - under `single`, a node whose MIG devices cannot be offered under one name is
//     <model>-MIG-INVALID with count, replicas and memory 0. GPUs without MIG devices, which the
//     plan leaves out, do not make the rest invalid.
//   - mig-<profile>.* tell about MIG devices of the plan only.
//   - gpu.mode is `unknown` unless the PCI class of every GPU is known and the same.
// aliquot.dev/simulated=true marks simulated nodes; it is absent on real ones.
std::map<std::string, std::string> NodeLabels(const gpu::Inventory& inventory,
                                              const config::Config& config, const share::Plan& plan,
                                              const HostFacts& facts);

}  // namespace aliquot::labels
