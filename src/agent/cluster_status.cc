// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_status.h"

#include <boost/json.hpp>

namespace aliquot::agent {
namespace {

namespace json = boost::json;

json::value OrNull(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::array WatchesToJson(const std::vector<ClusterSource::WatchStatus>& all) {
  json::array watches;
  for (const ClusterSource::WatchStatus& watch : all) {
    watches.push_back({{"what", watch.what},
                       {"name", OrNull(watch.name)},
                       {"synced", watch.synced},
                       {"error", OrNull(watch.error)}});
  }
  return watches;
}

const char* NameOf(LabelMode mode) {
  switch (mode) {
    case LabelMode::kPublish:
      return "publish";
    case LabelMode::kHold:
      return "hold";
    case LabelMode::kRemove:
      return "remove";
  }
  return "";
}

}  // namespace

json::object ToJson(const ClusterStatus& cluster) {
  json::value report = nullptr;
  if (cluster.report) {
    report = {{"accepted", cluster.report->accepted},
              {"reason", cluster.report->reason},
              {"message", cluster.report->message},
              {"error", OrNull(cluster.report_error)}};
  }
  json::object labels = {{"mode", NameOf(cluster.label_mode)},
                         {"because", OrNull(cluster.labels_because)},
                         {"target", OrNull(cluster.labels.target)},
                         {"published", cluster.labels.labels},
                         {"keptByOthers", json::value_from(cluster.labels.kept_by_others)},
                         {"error", OrNull(cluster.labels.error)}};
  return {{"node", cluster.node},
          {"policy", OrNull(cluster.policy)},
          {"policyProblems", json::value_from(cluster.policy_problems)},
          {"noAnswerYet", OrNull(cluster.silent)},
          {"report", std::move(report)},
          {"labels", std::move(labels)},
          {"watches", WatchesToJson(cluster.watches)}};
}

}  // namespace aliquot::agent
