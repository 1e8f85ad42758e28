// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/cost_table.h"
#include "interposer/cuda_abi.h"

// Measures single pieces of work with a pair of events around them. A few at a time; any thread.
// Nothing is measured while a stream is being captured.
namespace aliquot::interposer {

// Before the work is submitted. The sample, or -1 if none can be taken now.
//   alone: nobody else is on the GPU.
//   idle: nothing of the process should be in flight: the GPU then waits for the launch itself
//         between the two events, and that is not the work's.
int BeginSample(uint64_t key, CUstream stream, bool alone, bool idle);
// After it; `taken`: the driver took it.
void EndSample(int sample, CUstream stream, bool taken);
// Learns from the samples that are complete. One relaxed load if none is on its way.
void CollectSamples(CostTable* costs);
// The same every 100 us at most: of what we do for a launch, asking the driver costs most.
void CollectSamplesSometimes(CostTable* costs, uint64_t now);

}  // namespace aliquot::interposer
