// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "gpu/inventory.h"
#include "grants/grant.h"
#include "share/plan.h"

namespace aliquot::grants {

// What a container gets that holds replicas, and what becomes of it when the configuration changes.
// Pure functions. The rule, as docs/enforced-shares.md tells it to administrators: a running
// container is never given less than it was promised; how the time of a GPU is dealt out changes at
// once; what a promise did not cover when the container began, it never covers.

// The part of `ids` that carries a share: k of N replicas of a device give k/N of its usable memory
// (or k times the quantity, never more than is usable), in whole MiB, rounded down once for the
// sum. Devices in the order of `ids`. Ids without a share, or unknown, are passed over; an empty
// result means that the container needs no grant.
std::vector<GrantDevice> PromiseFor(const share::PlannedResource& resource,
                                    const std::vector<std::string>& ids,
                                    const gpu::Inventory& inventory,
                                    const config::Isolation& isolation);

// The memory limit of a promise made earlier, under the configuration of now: never below what was
// promised; raised if the configuration promises more to `held` replicas; absent (lifted) while the
// configuration limits no memory. A promise without a limit stays without.
std::optional<std::uint64_t> LimitNow(const GrantDevice& promised,
                                      const std::optional<config::Isolation>& isolation);

// The class of a grant's container, by the namespace of its pod; normal until that is known.
config::Isolation::TenantClass ClassNow(const Grant& grant,
                                        const std::optional<config::Isolation>& isolation);

// Whether the memory of `wanted` is there beside `others`, promises that are still held. Each
// replica counts once, however many grants of a pod's containers in turn have it, and those of
// `wanted` not at all beside it. Only memory: share is a promise of real memory; a quantity may
// promise more than there is, which the plan warns about. kResourceExhausted names the device and
// what takes its room: after a change of the number of replicas, old and new fractions do not
// always add up to one.
Status CheckRoom(const Grant& wanted, const std::vector<const Grant*>& others,
                 const config::Isolation& isolation);

}  // namespace aliquot::grants
