// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aliquot::gpu {

// Which XIDs make a device unhealthy. A plain value. Variables and numbers are those of the NVIDIA
// k8s-device-plugin README, with their documented meaning.
class HealthPolicy {
 public:
  // Ignores the XIDs that an application can cause by itself: 13, 31, 43, 45, 68 and 109.
  HealthPolicy() = default;

  // `disable` is DP_DISABLE_HEALTHCHECKS, `enable` DP_ENABLE_HEALTHCHECKS: comma lists of XIDs, or
  // "all" (or "xids") for every one. Enabling wins over disabling and over the default, so that
  // disable "all" with enable "48" watches 48 alone. Entries that cannot be read are skipped with a
  // line in `warnings`.
  static HealthPolicy Parse(std::string_view disable, std::string_view enable,
                            std::vector<std::string>& warnings);

  bool IsFatal(std::uint64_t xid) const;

 private:
  bool disable_all_ = false;
  bool enable_all_ = false;
  std::set<std::uint64_t> disabled_ = {13, 31, 43, 45, 68, 109};
  std::set<std::uint64_t> enabled_;
};

// XIDs after which only a reset of the GPU (or a reboot) makes it trustworthy, by NVIDIA's XID
// error catalogue: uncorrectable memory (48, 95, 140), failed row remapping (64), NVLink (74), off
// the bus (79), security fault (110), GSP firmware (119, 120), failed initialisation (143).
bool NeedsReset(std::uint64_t xid);

}  // namespace aliquot::gpu
