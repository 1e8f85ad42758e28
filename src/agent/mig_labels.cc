// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "agent/json_path.h"
#include "kube/time.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxMessage = 1024;
constexpr char kComponent[] = "aliquot-agent";

}  // namespace

std::optional<std::string> WantedMigConfig(const Labels& labels) {
  const auto found = labels.find(kMigConfigLabel);
  if (found == labels.end() || found->second.empty()) return {};
  return found->second;
}

std::map<std::string, std::optional<std::string>> LabelChanges(
    const Labels& labels, const MigOrders& orders, const std::set<std::string>& clients) {
  std::map<std::string, std::optional<std::string>> changes;
  if (orders.state) {
    const auto state = labels.find(kMigStateLabel);
    const std::string wanted(ToString(*orders.state));
    if (wanted.empty() && state != labels.end()) changes[kMigStateLabel] = std::nullopt;
    if (!wanted.empty() && (state == labels.end() || state->second != wanted)) {
      changes[kMigStateLabel] = wanted;
    }
  }
  for (const auto& [key, value] : labels) {
    if (!key.starts_with(kDeployPrefix)) continue;
    if (orders.clients == MigOrders::Clients::kRunning && value == kPausedForMig) {
      changes[key] = "true";
    }
    if (orders.clients == MigOrders::Clients::kPaused && value == "true" &&
        clients.contains(key.substr(sizeof kDeployPrefix - 1))) {
      changes[key] = kPausedForMig;
    }
  }
  return changes;
}

std::set<std::string> PausedLabels(const Labels& labels) {
  std::set<std::string> paused;
  for (const auto& [key, value] : labels) {
    if (key.starts_with(kDeployPrefix) && value == kPausedForMig) paused.insert(key);
  }
  return paused;
}

std::vector<std::string> PodsSelectedBy(const std::vector<kube::Object>& pods,
                                        const std::set<std::string>& labels) {
  std::vector<std::string> names;
  for (const kube::Object& pod : pods) {
    const std::string phase = FindText(pod, {"status", "phase"});
    if (phase == "Succeeded" || phase == "Failed") continue;
    const json::value* found = Find(pod, {"spec", "nodeSelector"});
    const json::object* selector = found == nullptr ? nullptr : found->if_object();
    if (selector == nullptr) continue;
    const bool selected = std::any_of(selector->begin(), selector->end(), [&](const auto& entry) {
      return labels.contains(std::string(entry.key()));
    });
    if (!selected) continue;
    names.push_back(FindText(pod, {"metadata", "namespace"}) + "/" +
                    FindText(pod, {"metadata", "name"}));
  }
  std::sort(names.begin(), names.end());
  return names;
}

kube::Object NodeEvent(const std::string& node, const std::string& reason, bool warning,
                       const std::string& message, std::chrono::system_clock::time_point now) {
  const std::string time = kube::FormatTime(now);
  const auto ticks = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
  std::string text = message;
  if (text.size() > kMaxMessage) text = text.substr(0, kMaxMessage - 3) + "...";
  // A Node has no namespace; "default" is where kubectl describe looks for its Events, by the
  // node's name in the place of a uid, as the kubelet writes them.
  return {
      {"apiVersion", "v1"},
      {"kind", "Event"},
      {"metadata",
       {{"name", fmt::format("{}.{:x}", node, ticks.count())}, {"namespace", "default"}}},
      {"involvedObject", {{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node}, {"uid", node}}},
      {"type", warning ? "Warning" : "Normal"},
      {"reason", reason},
      {"message", text},
      {"count", 1},
      {"firstTimestamp", time},
      {"lastTimestamp", time},
      {"source", {{"component", kComponent}, {"host", node}}},
      {"reportingComponent", kComponent},
      {"reportingInstance", node}};
}

}  // namespace aliquot::agent
