// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/health_policy.h"

#include <fmt/format.h>

#include "base/text.h"

namespace aliquot::gpu {
namespace {

// Adds the XIDs of a comma list to `xids`; returns whether "all" is among them.
bool ParseList(std::string_view variable, std::string_view list, std::set<std::uint64_t>& xids,
               std::vector<std::string>& warnings) {
  bool all = false;
  if (Trim(list).empty()) return false;
  for (const std::string& entry : Split(list, ',')) {
    const std::string text = ToLower(Trim(entry));
    if (text == "all" || text == "xids") {
      all = true;
    } else if (const auto xid = ParseUnsigned(text)) {
      xids.insert(*xid);
    } else {
      warnings.push_back(fmt::format(
          "{}: \"{}\" is skipped; expected an XID number, \"all\" or \"xids\", separated by commas",
          variable, Trim(entry)));
    }
  }
  return all;
}

}  // namespace

HealthPolicy HealthPolicy::Parse(std::string_view disable, std::string_view enable,
                                 std::vector<std::string>& warnings) {
  HealthPolicy policy;
  policy.disable_all_ = ParseList("DP_DISABLE_HEALTHCHECKS", disable, policy.disabled_, warnings);
  policy.enable_all_ = ParseList("DP_ENABLE_HEALTHCHECKS", enable, policy.enabled_, warnings);
  return policy;
}

bool HealthPolicy::IsFatal(std::uint64_t xid) const {
  if (enable_all_ || enabled_.contains(xid)) return true;
  return !disable_all_ && !disabled_.contains(xid);
}

bool NeedsReset(std::uint64_t xid) {
  static const std::set<std::uint64_t> kXids = {48, 64, 74, 79, 95, 110, 119, 120, 140, 143};
  return kXids.contains(xid);
}

}  // namespace aliquot::gpu
