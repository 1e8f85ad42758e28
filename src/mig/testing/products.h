// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "mig/layout.h"

namespace aliquot::mig::testing {

// The MIG tables of every product, from NVML and nvidia-smi listings of the drivers, NVIDIA's MIG
// User Guide, and, where neither says, the rule that fits all the others.
std::vector<std::string> ProductNames();

// GPU `index` of a node of the named product: MIG off and idle. UUIDs are derived from the index.
GpuMigState MakeGpu(const std::string& product, unsigned index = 0);

}  // namespace aliquot::mig::testing
