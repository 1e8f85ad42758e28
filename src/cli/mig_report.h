// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "cli/mig_node.h"
#include "mig/apply.h"

namespace aliquot::cli {

// What `mig` commands print. Texts end in a newline.

// Each GPU's slices before and after, the steps between, and what is in the way.
std::string DescribePlan(const MigNode& node, const MigNodePlan& plan);
boost::json::object PlanToJson(const MigNode& node, const MigNodePlan& plan);

// How an apply ended, by GPU, as the node is now: call MigNode::Refresh before.
std::string DescribeReport(const MigNode& node, const mig::ApplyReport& report);
boost::json::object ReportToJson(const MigNode& node, const mig::ApplyReport& report);

}  // namespace aliquot::cli
