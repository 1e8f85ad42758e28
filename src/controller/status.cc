// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/status.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/array.hpp>
#include <set>

#include "controller/json_path.h"

namespace aliquot::controller {
namespace {

namespace json = boost::json;

// The type of our own condition: which fields of the spec do nothing here.
constexpr char kIgnoredFields[] = "SpecFieldsIgnored";
constexpr std::array<std::string_view, 3> kOurTypes = {"Ready", "Error", kIgnoredFields};
constexpr std::size_t kMostNodes = 5;
// A condition's message may have 32,768 characters; nobody reads more than a screen of it.
constexpr std::size_t kLongestMessage = 2000;

struct Condition {
  std::string type;
  bool status;
  std::string reason;
  std::string message;
};

const json::object* FindCondition(const json::object& status, std::string_view type) {
  const json::value* list = Find(status, {"conditions"});
  if (list == nullptr || !list->is_array()) return nullptr;
  for (const json::value& item : list->get_array()) {
    if (item.is_object() && Member(item.get_object(), "type") == type) return &item.get_object();
  }
  return nullptr;
}

json::object StatusWith(const Policy& policy, const std::string& state, const std::string& ns,
                        const std::string& now, const std::vector<Condition>& conditions) {
  json::array list;
  const json::value* before = Find(policy.status, {"conditions"});
  if (before != nullptr && before->is_array()) {
    for (const json::value& item : before->get_array()) {
      if (!item.is_object()) continue;
      const std::string_view type = Member(item.get_object(), "type");
      if (std::find(kOurTypes.begin(), kOurTypes.end(), type) == kOurTypes.end()) {
        list.push_back(item);
      }
    }
  }
  for (const Condition& condition : conditions) {
    const char* word = condition.status ? "True" : "False";
    const json::object* old = FindCondition(policy.status, condition.type);
    const bool same = old != nullptr && Member(*old, "status") == word;
    list.push_back({{"type", condition.type},
                    {"status", word},
                    {"reason", condition.reason},
                    {"message", condition.message.substr(0, kLongestMessage)},
                    {"observedGeneration", policy.generation},
                    {"lastTransitionTime", same ? Member(*old, "lastTransitionTime") : now}});
  }
  json::object status = policy.status;
  status["state"] = state;
  status["namespace"] = ns;
  status["conditions"] = std::move(list);
  return status;
}

Condition IgnoredFields(const Policy& policy) {
  if (policy.without_effect.empty()) {
    return {kIgnoredFields, false, "AllFieldsEffective", ""};
  }
  return {kIgnoredFields, true, "FieldsWithoutEffect",
          "these fields of spec change nothing here; " + policy.without_effect};
}

std::string Fulfilled(const NodeCounts& counts) {
  std::string text =
      fmt::format("{} node{} with GPUs served", counts.serving, counts.serving == 1 ? "" : "s");
  if (counts.unreachable > 0) {
    text += fmt::format("; {} not counted, being not ready themselves", counts.unreachable);
  }
  if (counts.paused > 0) text += fmt::format("; {} paused", counts.paused);
  if (counts.opted_out > 0) text += fmt::format("; {} opted out", counts.opted_out);
  return text;
}

// What to say when something is missing. The reason and the beginning of the message are those of
// NVIDIA's operator, which alerts look for.
Condition ErrorOf(const std::vector<Problem>& problems) {
  std::set<std::string> states;
  bool whole = false;
  for (const Problem& problem : problems) {
    if (problem.state.empty()) {
      whole = true;
    } else {
      states.insert(problem.state);
    }
  }
  const std::string details = Summarise(problems, kMostNodes);
  if (whole) return {"Error", true, "ReconcileFailed", details};
  return {"Error", true, "OperandNotReady",
          fmt::format("ClusterPolicy is not ready; states not ready: [{}]: {}",
                      fmt::join(states, " "), details)};
}

}  // namespace

std::string Summarise(const std::vector<Problem>& problems, std::size_t most) {
  std::string text;
  std::size_t shown = 0;
  std::size_t nodes = 0;
  for (const Problem& problem : problems) {
    if (!problem.node.empty() && ++nodes > most) continue;
    if (!text.empty()) text += "; ";
    if (!problem.node.empty()) text += "node " + problem.node + ": ";
    text += problem.text;
    ++shown;
  }
  if (shown < problems.size()) text += fmt::format("; and {} more nodes", problems.size() - shown);
  return text;
}

json::object ActiveStatus(const Policy& policy, const Assessment& assessment, const std::string& ns,
                          const std::string& now) {
  std::vector<Condition> conditions;
  if (assessment.problems.empty()) {
    const bool any = assessment.counts.gpu() > 0;
    conditions.push_back(
        {"Ready", true, any ? "Reconciled" : "NoGPUNodes",
         any ? Fulfilled(assessment.counts) : "no node of the cluster has an NVIDIA GPU"});
    conditions.push_back({"Error", false, "Ready", ""});
  } else {
    Condition error = ErrorOf(assessment.problems);
    conditions.push_back({"Ready", false, "Error", error.message});
    conditions.push_back(std::move(error));
  }
  conditions.push_back(IgnoredFields(policy));
  return StatusWith(policy, assessment.state, ns, now, conditions);
}

json::object IgnoredStatus(const Policy& policy, const Policy& active, const std::string& ns,
                           const std::string& now) {
  const std::string message =
      fmt::format("ClusterPolicy {} of {} is older and in effect; delete one of the two",
                  active.name, active.created);
  return StatusWith(policy, "ignored", ns, now,
                    {{"Ready", false, "Ignored", message},
                     {"Error", true, "Ignored", message},
                     IgnoredFields(policy)});
}

bool DifferInMore(const json::object& before, const json::object& after) {
  if (Member(before, "state") != Member(after, "state")) return true;
  for (const std::string_view type : kOurTypes) {
    const json::object* old = FindCondition(before, type);
    const json::object* fresh = FindCondition(after, type);
    if (old == nullptr || fresh == nullptr) return true;
    for (const char* key : {"status", "reason"}) {
      if (Member(*old, key) != Member(*fresh, key)) return true;
    }
    if (NumberAt(*old, {"observedGeneration"}) != NumberAt(*fresh, {"observedGeneration"})) {
      return true;
    }
  }
  return false;
}

}  // namespace aliquot::controller
