// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/policy_event.h"

#include <fmt/format.h>

#include <functional>

#include "kube/time.h"

namespace aliquot::controller {
namespace {

constexpr char kComponent[] = "aliquot-controller";
constexpr std::size_t kLongestMessage = 1024;  // the API server refuses longer ones

}  // namespace

kube::Object PolicyEvent(const Notice& notice, const std::string& identity,
                         std::chrono::system_clock::time_point now) {
  const std::string time = kube::FormatTime(now);
  const std::size_t mark = std::hash<std::string>()(identity + notice.reason + notice.message);
  return {{"apiVersion", "v1"},
          {"kind", "Event"},
          {"metadata",
           {{"name", fmt::format("{}.{:x}.{:x}", notice.policy.substr(0, 200),
                                 now.time_since_epoch().count(), mark & 0xffffu)},
            {"namespace", kEventNamespace}}},
          {"involvedObject",
           {{"apiVersion", "nvidia.com/v1"},
            {"kind", "ClusterPolicy"},
            {"name", notice.policy},
            {"uid", notice.uid}}},
          {"type", notice.warning ? "Warning" : "Normal"},
          {"reason", notice.reason},
          {"message", notice.message.substr(0, kLongestMessage)},
          {"count", 1},
          {"firstTimestamp", time},
          {"lastTimestamp", time},
          {"source", {{"component", kComponent}}},
          {"reportingComponent", kComponent},
          {"reportingInstance", identity}};
}

}  // namespace aliquot::controller
