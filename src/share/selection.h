// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "share/candidates.h"
#include "share/plan.h"

namespace aliquot::share {

struct Selection {
  // For each candidate, the position of the entry of sharing.resources that it belongs to.
  std::vector<std::optional<std::size_t>> entry_of;
  std::vector<Condition> conditions;
};

// "sharing.timeSlicing.resources[2]" or "sharing.mps.resources[2]".
std::string EntryPath(const config::Sharing& sharing, std::size_t entry);

// Gives candidates to sharing entries, in the order of the entries. A device belongs to the first
// entry that selects it; what no entry selects stays unshared.
//
//   all     every device of the resource that no earlier entry took
//   count   the first N, in index order, that no earlier entry took
//   list    exactly these; one that an earlier entry took stays there, with a condition
//
// `devices` counts in extended mode only. Conditions tell about an entry whose resource the node
// does not have, a reference that matches nothing (with the valid choices), an entry that finds
// nothing left, and a count larger than what is left.
Selection SelectDevices(std::span<const Candidate> candidates, const config::Sharing& sharing);

}  // namespace aliquot::share
