// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/node_reporter.h"

#include <boost/json/array.hpp>
#include <string_view>
#include <utility>

#include "agent/json_path.h"
#include "agent/node_features.h"
#include "kube/time.h"
#include "labels/node_keys.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

// The condition of this type on the node; null if there is none.
const json::object* ConditionOf(const kube::Object& node) {
  const json::value* conditions = Find(node, {"status", "conditions"});
  if (conditions == nullptr || !conditions->is_array()) return nullptr;
  for (const json::value& condition : conditions->get_array()) {
    if (!condition.is_object()) continue;
    if (FindText(condition.get_object(), {"type"}) == NodeReporter::kCondition) {
      return &condition.get_object();
    }
  }
  return nullptr;
}

const char* StatusOf(const ConfigReport& report) { return report.accepted ? "True" : "False"; }

// What the annotation shall be; empty: absent.
std::string AnnotationOf(const ConfigReport& report) {
  constexpr std::size_t kLongest = 1024;  // as labels::kConfigRefused promises
  if (report.accepted) return {};
  return (report.reason + ": " + report.message).substr(0, kLongest);
}

std::function<void(Result<kube::Object>)> Drop(std::function<void(Status)> done) {
  return [done = std::move(done)](const Result<kube::Object>& result) { done(result.status()); };
}

}  // namespace

NodeReporter::NodeReporter(Dependencies dependencies)
    : dependencies_(std::move(dependencies)),
      condition_({dependencies_.executor, dependencies_.clock, [this] { return ConditionNeeded(); },
                  [this](std::function<void(Status)> done) { WriteCondition(std::move(done)); }}),
      marks_({dependencies_.executor, dependencies_.clock, [this] { return MarksNeeded(); },
              [this](std::function<void(Status)> done) { WriteMarks(std::move(done)); }}) {}

void NodeReporter::SetReport(ConfigReport report) {
  if (report_ == report) return;
  // A start with everything in order is nobody's news.
  const bool news = report_ || !report.accepted;
  report_ = std::move(report);
  if (news && dependencies_.record)
    dependencies_.record(!report_->accepted, report_->reason, report_->message);
  condition_.Changed();
  marks_.Changed();
}

void NodeReporter::SetGpuPresent(bool present) {
  present_ = present;
  marks_.Check();
}

void NodeReporter::OnNode(const kube::Object* node) {
  node_.reset();
  if (node != nullptr) node_ = *node;
  condition_.Check();
  marks_.Check();
}

std::string NodeReporter::error() const {
  return condition_.error().empty() ? marks_.error() : condition_.error();
}

bool NodeReporter::ConditionNeeded() const {
  if (!node_ || !report_) return false;
  const json::object* shown = ConditionOf(*node_);
  return shown == nullptr || FindText(*shown, {"status"}) != StatusOf(*report_) ||
         FindText(*shown, {"reason"}) != report_->reason ||
         FindText(*shown, {"message"}) != report_->message;
}

void NodeReporter::WriteCondition(std::function<void(Status)> done) {
  const std::string now = kube::FormatTime(dependencies_.clock.WallNow());
  std::string since = now;
  if (const json::object* shown = ConditionOf(*node_);
      shown != nullptr && FindText(*shown, {"status"}) == StatusOf(*report_)) {
    since = FindText(*shown, {"lastTransitionTime"});
  }
  json::value patch = {{"status",
                        {{"conditions", json::array{{{"type", kCondition},
                                                     {"status", StatusOf(*report_)},
                                                     {"reason", report_->reason},
                                                     {"message", report_->message},
                                                     {"lastTransitionTime", since},
                                                     {"lastHeartbeatTime", now}}}}}}};
  // Conditions are merged by type: those of others stay, on every version of the API.
  dependencies_.client.Patch({kube::kNodes, "", dependencies_.node, "status"},
                             kube::PatchType::kStrategic, std::move(patch), dependencies_.executor,
                             Drop(std::move(done)));
}

bool NodeReporter::MarksNeeded() const {
  if (!node_) return false;
  if (report_ && FindText(*node_, {"metadata", "annotations", labels::kConfigRefused}) !=
                     AnnotationOf(*report_)) {
    return true;
  }
  if (!present_ || NfdSaysGpu(*node_)) return false;
  const std::string shown = FindText(*node_, {"metadata", "labels", labels::kGpuPresent});
  // Where there never was a GPU there is nothing to take back.
  return *present_ ? shown != "true" : shown == "true";
}

void NodeReporter::WriteMarks(std::function<void(Status)> done) {
  json::object metadata;
  if (report_) {
    const std::string text = AnnotationOf(*report_);
    metadata["annotations"] = {
        {labels::kConfigRefused, text.empty() ? json::value(nullptr) : json::value(text)}};
  }
  if (present_ && !NfdSaysGpu(*node_))
    metadata["labels"] = {{labels::kGpuPresent, *present_ ? "true" : "false"}};
  dependencies_.client.Patch({kube::kNodes, "", dependencies_.node, ""}, kube::PatchType::kMerge,
                             {{"metadata", std::move(metadata)}}, dependencies_.executor,
                             Drop(std::move(done)));
}

}  // namespace aliquot::agent
