// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/status.h"
#include "deviceplugin/allocate.h"
#include "grants/injection.h"
#include "rpc/device_plugin_types.h"

namespace aliquot::deviceplugin {

// Whether a container of this request gets our libraries mounted over the driver's, by CDI. Not if
// another strategy is configured too: whether the runtime then acts on CDI names is its own choice,
// and the grant has to say where the real libraries are.
bool LibrariesLieOverDriver(const AllocateInput& input);

// Adds to `out`, an answer of Allocate for the same input, what a container with a grant needs:
// mounts in every strategy, and the CDI device after those of its GPUs where the libraries lie
// over the driver's. Pure.
Status AddShare(const AllocateInput& input, const grants::Injection& injection,
                rpc::ContainerAllocation& out);

}  // namespace aliquot::deviceplugin
