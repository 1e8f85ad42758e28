// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "interposer/libc.h"

// What our libraries export besides the functions of the libraries they stand in front of.

// Tells our libraries from real ones. The version of the wire protocol it speaks.
ALIQUOT_EXPORT const unsigned aliquotInterposerVersion;

// Of the CUDA library alone, for the NVML library of the same process, so that both answer from one
// snapshot and the process's own figures. What cuMemGetInfo would say of a GPU of the grant.
// 1: answered; 0: memory of this GPU is not limited; -1: this process does not use CUDA (yet).
ALIQUOT_EXPORT int aliquotInterposerMemory(unsigned gpu, uint64_t physical_free, uint64_t* total,
                                           uint64_t* free);
