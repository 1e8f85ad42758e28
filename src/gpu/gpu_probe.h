// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "gpu/health.h"
#include "gpu/nvml_api.h"

namespace aliquot::gpu {

// Asks a GPU a few cheap questions that a dead one cannot answer: its handle, PCI identity, memory
// and, where the driver has it, the recovery action it wants. Only on the driver thread. Fails only
// if the driver is gone.
Result<ProbeResult> ProbeGpu(const NvmlApi& api, const std::string& gpu_uuid);

}  // namespace aliquot::gpu
