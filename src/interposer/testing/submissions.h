// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/cuda/testing/program.h"

namespace aliquot::sim::cuda::testing {

// One call of the driver that a program may make while its gate is closed.
struct Call {
  std::string name;
  bool held;  // until the gate opens; else it must return at once
  std::function<CUresult()> make;
};

// Every function that gives the GPU work, and those beside them that must never wait. They work on
// `memory`, of 16 MiB at least, and leave nothing behind but what is in `stream`.
std::vector<Call> EveryCall(CUfunction spin, CUdeviceptr memory, CUstream stream);

}  // namespace aliquot::sim::cuda::testing
