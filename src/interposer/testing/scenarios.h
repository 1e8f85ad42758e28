// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cuda/testing/program.h"

namespace aliquot::sim::cuda::testing {

// Scenarios about memory, work and NVML; false if the name is not theirs.
bool PlayCharged(const std::string& name, const Arguments& arguments);
bool PlayWorking(const std::string& name, const Arguments& arguments);
bool PlayNvml(const std::string& name, const Arguments& arguments);

}  // namespace aliquot::sim::cuda::testing
