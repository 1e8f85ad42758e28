// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/assess.h"
#include "controller/json_path.h"
#include "controller/status.h"

namespace aliquot::controller {
namespace {

// So many problems of one policy are told as events at a time.
constexpr std::size_t kMostNotices = 5;

std::vector<Notice> NoticesOf(const Policy& policy, const Assessment& assessment) {
  std::vector<Notice> notices;
  if (assessment.problems.empty()) {
    if (Member(policy.status, "state") != assessment.state) {
      notices.push_back({policy.name, policy.uid, false, "Ready", "the policy is fulfilled"});
    }
    return notices;
  }
  for (const Problem& problem : assessment.problems) {
    // Nodes tell their own troubles; here they would be thousands.
    if (!problem.node.empty() || notices.size() == kMostNotices) break;
    // Progress is for the conditions; it changes too often to be told.
    if (!problem.state.empty()) continue;
    notices.push_back({policy.name, policy.uid, true, "ReconcileFailed", problem.text});
  }
  return notices;
}

}  // namespace

Actions Plan(const Observed& observed, const std::string& now) {
  Actions actions;
  const Policy* active = ActivePolicy(observed.policies);
  if (active == nullptr) return actions;
  actions.config_maps = NamedConfigMaps(active->spec);
  actions.assessment = Assess(observed, *active);

  for (const auto& [name, node] : observed.nodes) {
    LabelChanges labels = PlanLabels(node.facts, active->spec);
    if (!labels.empty()) actions.nodes.push_back({name, node.version, std::move(labels)});
  }
  const auto write = [&](const Policy& policy, boost::json::object status) {
    if (status == policy.status) return;
    const bool urgent = DifferInMore(policy.status, status);
    actions.statuses.push_back({policy.name, policy.version, std::move(status), urgent});
  };
  for (const auto& [name, policy] : observed.policies) {
    if (&policy != active) {
      boost::json::object status = IgnoredStatus(policy, *active, observed.ns, now);
      actions.notices.push_back(
          {name, policy.uid, true, "Ignored",
           fmt::format("ClusterPolicy {} is older and in effect; delete one of the two",
                       active->name)});
      write(policy, std::move(status));
    } else if (actions.assessment.complete) {
      write(policy, ActiveStatus(policy, actions.assessment, observed.ns, now));
      for (Notice& notice : NoticesOf(policy, actions.assessment)) {
        actions.notices.push_back(std::move(notice));
      }
    }
  }
  return actions;
}

}  // namespace aliquot::controller
