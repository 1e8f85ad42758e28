// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "controller/plan.h"

namespace aliquot::controller {

// The status of the policy in effect. Conditions that were the same before keep the time of their
// last transition, those of others are left alone.
boost::json::object ActiveStatus(const Policy& policy, const Assessment& assessment,
                                 const std::string& ns, const std::string& now);

// The status of a policy that another one outranks.
boost::json::object IgnoredStatus(const Policy& policy, const Policy& active, const std::string& ns,
                                  const std::string& now);

// Whether the two differ in more than the messages of conditions that stay as they are.
bool DifferInMore(const boost::json::object& before, const boost::json::object& after);

// The problems in one text: those of the whole, then nodes; at most `most` nodes are named.
std::string Summarise(const std::vector<Problem>& problems, std::size_t most);

}  // namespace aliquot::controller
