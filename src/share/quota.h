// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "share/candidates.h"
#include "share/plan.h"

namespace aliquot::share {

// Most clients of one MPS server: 48 since Volta, 16 before.
// Source: NVIDIA Multi-Process Service documentation, "Limitations".
unsigned MaxMpsReplicas(const gpu::Gpu& gpu);

// The share that one of `replicas` (at least 2) copies of `device` stands for under `sharing`; all
// absent unless isolation is on.
//
//   memory   share: usable memory / replicas, rounded down to whole MiB. quantity: that much, but
//            never more than is usable, rounded down to whole MiB; a condition is added to
//            `conditions` if all replicas together promise more than there is.
//   compute  1000 / replicas, at least 1.
//
// Fails with kFailedPrecondition, the message saying why and what to do, if the device cannot be
// shared like this: MPS on a MIG device, more MPS replicas than clients, memory unknown, or less
// than one MiB for each.
Result<Share> ShareOf(const Candidate& device, unsigned replicas, const config::Sharing& sharing,
                      std::vector<Condition>& conditions);

}  // namespace aliquot::share
