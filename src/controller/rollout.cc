// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/rollout.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "controller/json_path.h"

namespace aliquot::controller {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestTrouble = 200;

const json::array& ArrayAt(const json::object& object, Path path) {
  static const json::array kEmpty;
  const json::value* found = Find(object, path);
  return found != nullptr && found->is_array() ? found->get_array() : kEmpty;
}

bool IsReady(const kube::Object& pod) {
  for (const json::value& condition : ArrayAt(pod, {"status", "conditions"})) {
    if (condition.is_object() && Member(condition.get_object(), "type") == "Ready") {
      return Member(condition.get_object(), "status") == "True";
    }
  }
  return false;
}

// "ImagePullBackOff: ...", or why the last run ended.
std::string Trouble(const kube::Object& pod) {
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    for (const json::value& item : ArrayAt(pod, {"status", list})) {
      if (!item.is_object()) continue;
      const json::object& status = item.get_object();
      const json::object& waiting = ObjectAt(status, {"state", "waiting"});
      const json::object& ended = ObjectAt(status, {"lastState", "terminated"});
      const std::string_view reason = Member(waiting, "reason");
      if (!reason.empty() && reason != "ContainerCreating" && reason != "PodInitializing") {
        if (reason == "CrashLoopBackOff" && !ended.empty()) {
          return fmt::format("{}, last exit status {} ({})", reason, NumberAt(ended, {"exitCode"}),
                             Member(ended, "reason"));
        }
        return fmt::format("{}: {}", reason, Member(waiting, "message").substr(0, kLongestTrouble));
      }
    }
  }
  const std::string_view reason = Member(ObjectAt(pod, {"status"}), "reason");
  return std::string(reason.substr(0, kLongestTrouble));
}

}  // namespace

DaemonSet ReadDaemonSet(const kube::Object& object) {
  DaemonSet set;
  set.observed = NumberAt(object, {"status", "observedGeneration"}) >=
                 NumberAt(object, {"metadata", "generation"});
  set.desired = NumberAt(object, {"status", "desiredNumberScheduled"});
  set.template_generation = std::string(Member(ObjectAt(object, {"metadata", "annotations"}),
                                               "deprecated.daemonset.template.generation"));
  return set;
}

kube::Object AgentPodExcerpt(const kube::Object& object) {
  kube::Object out = {{"status", {{"conditions", ReadyConditions(object)}}}};
  CopyAt(object, {"metadata", "name"}, out);
  CopyAt(object, {"metadata", "deletionTimestamp"}, out);
  CopyAt(object, {"metadata", "labels", "pod-template-generation"}, out);
  CopyAt(object, {"spec", "nodeName"}, out);
  if (IsReady(object)) return out;
  CopyAt(object, {"status", "reason"}, out);
  CopyAt(object, {"status", "initContainerStatuses"}, out);
  CopyAt(object, {"status", "containerStatuses"}, out);
  return out;
}

AgentPod ReadAgentPod(const kube::Object& object) {
  AgentPod pod;
  pod.node = TextAt(object, {"spec", "nodeName"});
  pod.ready = IsReady(object);
  pod.leaving = Find(object, {"metadata", "deletionTimestamp"}) != nullptr;
  pod.template_generation =
      std::string(Member(ObjectAt(object, {"metadata", "labels"}), "pod-template-generation"));
  if (!pod.ready) pod.trouble = Trouble(object);
  return pod;
}

}  // namespace aliquot::controller
