// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "mig/planner.h"

namespace aliquot::mig {

// A GPU's memory slices before and after a plan, as ASCII lines ending in newlines:
//
//   GPU 0  NVIDIA A100-SXM4-40GB  GPU-...
//           0      1      2      3      4      5      6      7
//   before |=3g.20gb *                 |-2g.10gb     |-1g.5gb|       |
//   after  |=3g.20gb *                 |+3g.20gb                   |
//
// "=" stays, "-" goes, "+" is new, "~" stays with other devices in it, "*" is in use. Instances
// with other devices than one whole one list them in brackets.
std::string Draw(const GpuPlan& plan);

}  // namespace aliquot::mig
