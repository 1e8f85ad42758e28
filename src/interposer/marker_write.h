// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arbiter/wire.h"
#include "interposer/cuda_abi.h"

namespace aliquot::interposer {

// Has the GPU write `value` to status->gpu[gpu].done[slot] when it comes there on the stream. Makes
// the page known to the driver at the first call for it. False if the driver can't: then nobody
// writes.
bool WriteMarker(aliquot_status* status, unsigned gpu, unsigned slot, CUstream stream,
                 uint64_t value);
// Whether it is worth trying.
bool MarkersPossible();

}  // namespace aliquot::interposer
