// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "mig/layout.h"

namespace aliquot::mig {

// The layout chosen for a GPU, and what the administrator should know about it.
struct Target {
  Layout layout;
  std::vector<std::string> warnings;
};

// Chooses where everything `desired` goes. Of all layouts that satisfy it, one that destroys the
// fewest devices in use, then the fewest devices, then the fewest GPU instances, then creates the
// fewest GPU instances; ties fall the same way every time. Exact. Devices in use that it cannot
// spare are not its concern: see PlanGpu.
//
// Devices smaller than their GPU instance ("1c.3g.20gb") may share one; an in-use compute instance
// of the right slices is good enough even if another profile would give it more multiprocessors.
//
// Fails with kNotFound for a profile the GPU does not offer, and with kResourceExhausted if the
// devices do not fit together, naming those that do not and the largest that would.
Result<Target> ChooseTarget(const GpuMigState& gpu, const DesiredGpu& desired);

}  // namespace aliquot::mig
