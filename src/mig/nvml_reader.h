// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "gpu/nvml_api.h"
#include "mig/layout.h"

namespace aliquot::mig {

// Reads one GPU's MIG state from NVML: profiles and legal places, instances, and who uses them.
// Nothing comes from a list of products. One thing NVML tells only of GPU instances that exist: the
// compute instances that could be made in them; for other profiles they follow from the profile's
// slices by the driver's rule. `api` must have an open session. Blocks as NVML does.
Result<GpuMigState> ReadMigState(const gpu::NvmlApi& api, gpu::abi::Device device);

// NVML's id of the profile with NVML index `index`. kNotFound if the GPU does not offer it.
Result<unsigned> GpuInstanceProfileId(const gpu::NvmlApi& api, gpu::abi::Device device,
                                      unsigned index);

// Compute instances of a GPU instance of `profile`, one of `all` the GPU's: those with all its
// slices, or with at most half of them rounded up; two kinds in a double-memory instance of one
// slice, of which one has all its multiprocessors.
// Source of the rule: NVIDIA go-nvlib, MIG profiles; figures of it in the MIG User Guide.
std::vector<ComputeProfile> DeriveComputeProfiles(const InstanceProfile& profile,
                                                  const std::vector<InstanceProfile>& all);

}  // namespace aliquot::mig
