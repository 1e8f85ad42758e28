// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: objects as an API server would send them.
#pragma once

#include <boost/json/parse.hpp>
#include <map>
#include <string>

#include "kube/client.h"

namespace aliquot::controller {

using LabelMap = std::map<std::string, std::string>;

inline boost::json::object ToObject(const LabelMap& map) {
  boost::json::object object;
  for (const auto& [key, value] : map) object[key] = value;
  return object;
}

inline kube::Object TestNode(const std::string& name, const LabelMap& labels = {},
                             bool ready = true, const LabelMap& annotations = {}) {
  return {
      {"metadata",
       {{"name", name}, {"labels", ToObject(labels)}, {"annotations", ToObject(annotations)}}},
      {"status", {{"conditions", {{{"type", "Ready"}, {"status", ready ? "True" : "False"}}}}}}};
}

inline kube::Object TestPod(const std::string& name, const std::string& node, bool ready = true,
                            const std::string& waiting = "") {
  boost::json::object status = {
      {"conditions", {{{"type", "Ready"}, {"status", ready ? "True" : "False"}}}}};
  if (!waiting.empty()) {
    status["containerStatuses"] = {
        {{"name", "agent"}, {"state", {{"waiting", {{"reason", waiting}, {"message", "why"}}}}}}};
  }
  return {{"metadata",
           {{"name", name},
            {"namespace", "gpu-operator"},
            {"labels",
             {{"app.kubernetes.io/name", "aliquot"},
              {"app.kubernetes.io/component", "agent"},
              {"pod-template-generation", "1"}}}}},
          {"spec", {{"nodeName", node}}},
          {"status", std::move(status)}};
}

inline kube::Object TestDaemonSet(int desired, const std::string& template_generation = "1") {
  return {{"metadata",
           {{"name", "aliquot-agent"},
            {"namespace", "gpu-operator"},
            {"generation", 1},
            {"annotations", {{"deprecated.daemonset.template.generation", template_generation}}}}},
          {"status", {{"observedGeneration", 1}, {"desiredNumberScheduled", desired}}}};
}

inline kube::Object TestConfigMap(const std::string& name, const LabelMap& data) {
  return {{"metadata", {{"name", name}, {"namespace", "gpu-operator"}}}, {"data", ToObject(data)}};
}

// `spec` as JSON.
inline kube::Object TestPolicy(const std::string& name, const std::string& spec = "{}",
                               const std::string& created = "2026-01-01T00:00:00Z") {
  return {{"apiVersion", "nvidia.com/v1"},
          {"kind", "ClusterPolicy"},
          {"metadata", {{"name", name}, {"creationTimestamp", created}, {"generation", 1}}},
          {"spec", boost::json::parse(spec)}};
}

inline constexpr char kTenReplicas[] =
    "version: v1\n"
    "sharing:\n  timeSlicing:\n    resources:\n    - name: nvidia.com/gpu\n      replicas: 10\n";

}  // namespace aliquot::controller
