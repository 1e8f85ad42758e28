// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_labels.h"

#include <algorithm>
#include <boost/json.hpp>

#include "agent/json_path.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

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

}  // namespace aliquot::agent
