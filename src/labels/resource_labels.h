// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "config/config.h"
#include "gpu/inventory.h"
#include "share/plan.h"

namespace aliquot::labels {

using Labels = std::map<std::string, std::string>;

// Adds nvidia.com/gpu.{product,count,replicas,sharing-strategy,memory,family,compute.*}, the slice
// attributes of `single`, and nvidia.com/mig-<profile>.* of `mixed`; rules at NodeLabels. The
// inventory has at least one GPU.
void AddResourceLabels(const gpu::Inventory& inventory, const config::Config& config,
                       const share::Plan& plan, Labels& labels);

}  // namespace aliquot::labels
