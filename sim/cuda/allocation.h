// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cuda/driver.h"

namespace aliquot::sim::cuda {

// Allocates zeroed (or reused, and then stale) device memory of a context and enters it into the
// address map. Small pieces share blocks of the context; others get blocks of their own.
CUresult AllocateDevice(Driver& driver, Context& context, std::uint64_t bytes, Range::Kind kind,
                        unsigned flags, CUdeviceptr* address);

// CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED if this thread may not make calls that could disturb a
// capture (and then the captures it disturbed are invalid), else CUDA_SUCCESS.
CUresult CheckUnsafeCall(Driver& driver);

}  // namespace aliquot::sim::cuda
