// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/status_page.h"

#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>

#include "kube/time.h"

namespace aliquot::controller {
namespace {

namespace json = boost::json;

// The page is for people: of thousands of troubled nodes the first ones will do.
constexpr std::size_t kMostProblems = 200;

json::value OrNull(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::object CountsToJson(const NodeCounts& counts) {
  const auto mig = [&](MigState state) { return counts.mig[static_cast<std::size_t>(state)]; };
  return {{"gpu", counts.gpu()},
          {"serving", counts.serving},
          {"starting", counts.starting},
          {"refusing", counts.refusing},
          {"unreachable", counts.unreachable},
          {"paused", counts.paused},
          {"optedOut", counts.opted_out},
          {"mig",
           {{"pending", mig(MigState::kPending)},
            {"rebooting", mig(MigState::kRebooting)},
            {"success", mig(MigState::kSuccess)},
            {"failed", mig(MigState::kFailed)}}}};
}

json::object ControllerToJson(const ControllerStatus& status) {
  json::array problems;
  for (const Problem& problem : status.assessment.problems) {
    if (problems.size() == kMostProblems) break;
    problems.push_back({{"state", OrNull(problem.state)},
                        {"node", OrNull(problem.node)},
                        {"message", problem.text}});
  }
  return {{"policies", json::value_from(status.policies)},
          {"activePolicy", OrNull(status.assessment.active)},
          {"state", OrNull(status.assessment.state)},
          {"fieldsWithoutEffect", OrNull(status.without_effect)},
          {"nodes", status.nodes},
          {"gpuNodes", CountsToJson(status.assessment.counts)},
          {"problems", std::move(problems)},
          {"problemsInAll", status.assessment.problems.size()},
          {"writesPending", status.writes_pending},
          {"errors", json::value_from(status.errors)},
          {"outages", json::value_from(status.outages)}};
}

}  // namespace

json::value ToJson(const ServiceStatus& status) {
  json::object page = {{"version", status.version},
                       {"identity", status.identity},
                       {"startedAt", kube::FormatTime(status.started_at)},
                       {"leading", status.leading},
                       {"leader", OrNull(status.leader)}};
  if (status.controller) page["controller"] = ControllerToJson(*status.controller);
  return page;
}

}  // namespace aliquot::controller
