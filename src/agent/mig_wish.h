// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace aliquot::agent {

// What is asked of the MIG node flow, beside the label of the node.
struct MigWish {
  bool enabled = true;        // false: nothing is begun
  bool allow_reboot = false;  // WITH_REBOOT
  std::string config_map;     // with the layout configurations; empty: none

  friend bool operator==(const MigWish&, const MigWish&) = default;
};

}  // namespace aliquot::agent
