// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/nvml_abi.h"

namespace aliquot::interposer {

// The place of NVML's device in the grant, or -1 if the grant does not govern it.
int GpuOf(nvmlDevice_t device);

}  // namespace aliquot::interposer
