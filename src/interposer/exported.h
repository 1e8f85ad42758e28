// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "interposer/libc.h"

// What our libraries export besides the functions of the libraries they stand in front of.

// Tells our libraries from real ones. The version of the wire protocol it speaks.
ALIQUOT_EXPORT const unsigned aliquotInterposerVersion;
