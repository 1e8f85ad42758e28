// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>

namespace aliquot::agent {

// Where the node is on its way to the MIG configuration of its label; for /statusz.
struct MigStatus {
  std::string label;    // wanted; empty: nothing is
  std::string state;    // as in the state label; empty before the first decision
  std::string phase;    // "settled", "looking", ...
  std::string reason;   // of the state
  std::string layouts;  // where configurations come from
  std::optional<std::chrono::system_clock::time_point> since;  // of the state
  std::set<std::string> withheld;                              // GPUs being changed

  friend bool operator==(const MigStatus&, const MigStatus&) = default;
};

}  // namespace aliquot::agent
