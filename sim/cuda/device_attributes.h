// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "sim/cuda/node.h"

namespace aliquot::sim::cuda {

// The value of a CU_DEVICE_ATTRIBUTE_*; nothing for a number the driver does not know.
std::optional<int> DeviceAttribute(const DeviceInfo& device, int attribute);

}  // namespace aliquot::sim::cuda
