// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cuda/driver.h"

namespace aliquot::sim::cuda {

// A copy of a box of bytes, in the terms of CUDA_MEMCPY3D, made ready to run. Refuses what the
// driver does not know or what sticks out of an array or allocation.
CUresult MakeCopyWork(Driver& driver, const CUDA_MEMCPY3D& copy, Work* work);
// `bytes` from `from` to `to`, either of them any memory.
CUDA_MEMCPY3D LinearCopy(CUdeviceptr to, CUdeviceptr from, std::uint64_t bytes);
CUDA_MEMCPY3D From2D(const CUDA_MEMCPY2D& copy);
CUresult MakeMemsetWork(Driver& driver, const CUDA_MEMSET_NODE_PARAMS& set, Work* work);

// Carries the work out on the stream; `synchronous`: and waits for the stream.
CUresult SubmitCopy(CUstream stream, const CUDA_MEMCPY3D& copy, bool synchronous);
CUresult SubmitMemset(CUstream stream, const CUDA_MEMSET_NODE_PARAMS& set, bool synchronous);

}  // namespace aliquot::sim::cuda
