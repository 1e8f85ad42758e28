// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "arbiter/scheduler.h"

namespace aliquot::arbiter {

// Makes the turns of a tenant that holds several GPUs coincide. Its kernels may wait for each other
// across GPUs (collectives do, spinning), so a turn on one of them alone is wasted, and two tenants
// with one GPU each would wait for each other until a drain times out.
//
// `gpus`: the schedulers of the tenant's GPUs, always in the same order. The first on which it has
// to take turns decides by its own rules; the others follow. Returns whether any has to Step again
// now. Call after every Step of one of them. Pure.
bool AlignTurns(Scheduler::TenantId tenant, std::span<Scheduler* const> gpus);

}  // namespace aliquot::arbiter
