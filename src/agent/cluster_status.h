// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster_source.h"
#include "agent/label_publisher.h"
#include "agent/node_reporter.h"

namespace aliquot::agent {

// What the status page tells about the cluster. A plain value.
struct ClusterStatus {
  std::string node;
  std::string policy;  // the active ClusterPolicy; empty: none
  std::vector<std::string> policy_problems;
  std::vector<ClusterSource::WatchStatus> watches;
  std::string silent;  // why there was no first answer; empty once there was one
  std::optional<ConfigReport> report;
  std::string report_error;  // why the Node does not show it
  LabelMode label_mode = LabelMode::kHold;
  std::string labels_because;  // unless they are published
  LabelPublisher::View labels;
};

// `cluster` of the status page.
boost::json::object ToJson(const ClusterStatus& cluster);

}  // namespace aliquot::agent
