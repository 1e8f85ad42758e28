// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <boost/json/object.hpp>
#include <string_view>

#include "agent/json_path.h"
#include "kube/client.h"
#include "labels/node_keys.h"

namespace aliquot::agent {

// Node Feature Discovery labels this Node, whatever it says of it.
inline bool NfdLabels(const kube::Object& node) {
  const boost::json::value* given = Find(node, {"metadata", "labels"});
  if (given == nullptr || !given->is_object()) return false;
  return std::any_of(given->get_object().begin(), given->get_object().end(), [](const auto& label) {
    return std::string_view(label.key()).starts_with(labels::kNfdPrefix);
  });
}

// Node Feature Discovery found a GPU: labels::kGpuPresent is the controller's then.
inline bool NfdSaysGpu(const kube::Object& node) {
  return std::any_of(labels::kNfdGpuLabels.begin(), labels::kNfdGpuLabels.end(),
                     [&](std::string_view label) {
                       return FindText(node, {"metadata", "labels", label}) == "true";
                     });
}

}  // namespace aliquot::agent
