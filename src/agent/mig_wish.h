// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace aliquot::agent {

// What is asked of the MIG node flow, beside the label of the node.
struct MigWish {
  bool enabled = true;          // false: nothing is begun
  bool allow_reboot = false;    // WITH_REBOOT
  std::string config_map = {};  // with the layout configurations; empty: none
  // With the systemd units of the host that are stopped for a change; empty: those of the options.
  std::string clients_map = {};
  // WITH_SHUTDOWN_HOST_GPU_CLIENTS: whether they are stopped. Absent: if a ConfigMap names them.
  std::optional<bool> stop_host_clients = {};

  friend bool operator==(const MigWish&, const MigWish&) = default;
};

}  // namespace aliquot::agent
