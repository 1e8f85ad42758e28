// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/label_publisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <utility>

#include "agent/field_owners.h"
#include "agent/json_path.h"
#include "agent/node_features.h"
#include "base/text.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;
using Labels = LabelPublisher::Labels;

// Who keeps the labels of another feature discovery: NFD's master on Nodes, NVIDIA's
// gpu-feature-discovery in NodeFeature objects. Source: managedFields they leave.
bool KeepsFeatureLabels(const std::string& manager) {
  return manager == "nfd-master" || manager == "gpu-feature-discovery";
}

Labels FeatureLabels(const kube::Object& feature) {
  Labels labels;
  const json::value* found = Find(feature, {"spec", "labels"});
  if (found == nullptr || !found->is_object()) return labels;
  for (const auto& [name, value] : found->get_object()) {
    if (value.is_string()) labels.emplace(name, value.get_string());
  }
  return labels;
}

bool Contains(const Labels& all, const Labels& some) {
  return std::all_of(some.begin(), some.end(), [&](const auto& label) {
    const auto found = all.find(label.first);
    return found != all.end() && found->second == label.second;
  });
}

}  // namespace

LabelPublisher::LabelPublisher(Dependencies dependencies)
    : dependencies_(std::move(dependencies)),
      write_({dependencies_.executor, dependencies_.clock, [this] { return Needed(); },
              [this](Done done) { Write(std::move(done)); }}) {}

void LabelPublisher::Want(Wanted wanted) {
  if (wanted_ == wanted) return;
  wanted_ = std::move(wanted);
  node_complete_ = false;
  ReportOthers();
  write_.Changed();
}

void LabelPublisher::OnNode(const kube::Object* node) {
  node_exists_ = node != nullptr;
  on_node_ = node == nullptr ? Labels() : LabelsOf(*node);
  owners_ = node == nullptr ? decltype(owners_)() : LabelOwners(*node);
  const bool nfd_labels = node != nullptr && NfdLabels(*node);
  // NFD was installed after the newest look.
  if (nfd_labels && !nfd_labels_ && feature_ && !feature_->kind_exists) feature_.reset();
  nfd_labels_ = nfd_labels;
  if (ToFeature()) {
    const bool complete = Contains(on_node_, wanted_.labels);
    // NFD takes its labels away with the object, so that may be gone: look again.
    if (node_complete_ && !complete) feature_.reset();
    node_complete_ = complete;
  }
  ReportOthers();
  write_.Check();
}

bool LabelPublisher::ToFeature() const {
  return wanted_.mode == LabelMode::kPublish && wanted_.use_node_feature && feature_ &&
         feature_->kind_exists;
}

Labels LabelPublisher::ForNode() const {
  if (wanted_.mode != LabelMode::kPublish || ToFeature()) return {};
  Labels labels = wanted_.labels;
  for (const auto& [label, manager] : others_) labels.erase(label);
  return labels;
}

bool LabelPublisher::NodeWrong() const {
  const Labels labels = ForNode();
  if (!Contains(on_node_, labels)) return true;
  return std::any_of(owners_.begin(), owners_.end(), [&](const auto& owned) {
    return owned.second.contains(kManager) && !labels.contains(owned.first);
  });
}

bool LabelPublisher::FeatureWrong() const {
  if (!ToFeature()) return feature_->exists && feature_->ours;
  return feature_->other.empty() && feature_->labels != wanted_.labels;
}

bool LabelPublisher::Needed() const {
  if (!node_exists_ || wanted_.mode == LabelMode::kHold) return false;
  return !feature_ || NodeWrong() || FeatureWrong();
}

void LabelPublisher::Write(Done done) {
  if (feature_) return WriteWhatIsWrong(std::move(done));
  LookForFeature(std::move(done));
}

void LabelPublisher::LookForFeature(Done done) {
  dependencies_.client.List(
      {kube::kNodeFeatures, dependencies_.ns, {}, "metadata.name=" + FeatureRef().name},
      dependencies_.executor,
      [this, done = std::move(done)](const Result<std::vector<kube::Object>>& found) {
        Feature feature;
        if (found.ok()) {
          feature.kind_exists = true;
        } else if (found.error().code == Code::kPermissionDenied) {
          dependencies_.log.Warning("labels go to the Node itself",
                                    {{"because", found.error().message}});
        } else if (found.error().code != Code::kNotFound) {
          return done(found.status());
        }
        if (found.ok() && !found->empty()) {
          feature.exists = true;
          feature.labels = FeatureLabels(found->front());
          for (const std::string& manager : ManagersOf(found->front())) {
            if (manager == kManager) feature.ours = true;
            if (KeepsFeatureLabels(manager)) feature.other = manager;
          }
        }
        feature_ = std::move(feature);
        node_complete_ = false;
        ReportOthers();
        WriteWhatIsWrong(done);
      });
}

void LabelPublisher::WriteWhatIsWrong(Done done) {
  if (wanted_.mode == LabelMode::kHold) return done({});
  if (NodeWrong()) return ApplyToNode(std::move(done));
  if (!FeatureWrong()) return done({});
  if (ToFeature()) return ApplyFeature(std::move(done));
  dependencies_.client.Delete(FeatureRef(), dependencies_.executor,
                              [this, done = std::move(done)](const Result<kube::Object>& gone) {
                                if (gone.ok() && feature_) feature_->exists = false;
                                done(gone.status());
                              });
}

void LabelPublisher::ApplyToNode(Done done) {
  json::object metadata = {{"name", dependencies_.node}};
  if (const Labels labels = ForNode(); !labels.empty()) {
    metadata["labels"] = json::value_from(labels);
  }
  kube::Object node = {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", std::move(metadata)}};
  // By force: what somebody else changed is put back. Those who may keep theirs are left out above.
  dependencies_.client.Apply(
      {kube::kNodes, "", dependencies_.node, ""}, kManager, true, std::move(node),
      dependencies_.executor,
      [done = std::move(done)](const Result<kube::Object>& result) { done(result.status()); });
}

void LabelPublisher::ApplyFeature(Done done) {
  kube::Object feature = {
      {"apiVersion", "nfd.k8s-sigs.io/v1alpha1"},
      {"kind", "NodeFeature"},
      {"metadata",
       {{"name", FeatureRef().name},
        {"namespace", dependencies_.ns},
        {"labels", {{"nfd.node.kubernetes.io/node-name", dependencies_.node}}}}},
      {"spec",
       {{"features",
         {{"attributes", json::object()},
          {"flags", json::object()},
          {"instances", json::object()}}},
        {"labels", json::value_from(wanted_.labels)}}}};
  dependencies_.client.Apply(FeatureRef(), kManager, true, std::move(feature),
                             dependencies_.executor,
                             [this, done = std::move(done)](const Result<kube::Object>& result) {
                               if (result.ok() && feature_) {
                                 feature_->exists = feature_->ours = true;
                                 feature_->labels = FeatureLabels(*result);
                               } else {
                                 feature_.reset();  // the kind may be gone
                               }
                               done(result.status());
                             });
}

void LabelPublisher::ReportOthers() {
  Labels others;
  if (wanted_.mode == LabelMode::kPublish && feature_) {
    for (const auto& [label, value] : wanted_.labels) {
      if (ToFeature()) {
        if (!feature_->other.empty()) others[label] = feature_->other;
        continue;
      }
      const auto owners = owners_.find(label);
      const auto shown = on_node_.find(label);
      if (owners == owners_.end() || shown == on_node_.end() || shown->second == value) continue;
      for (const std::string& manager : owners->second) {
        if (KeepsFeatureLabels(manager)) others[label] = manager;
      }
    }
  }
  if (others == others_) return;
  others_ = std::move(others);
  if (others_.empty()) return;
  dependencies_.log.Warning(
      "labels are kept by another feature discovery",
      {{"manager", others_.begin()->second},
       {"labels", fmt::to_string(others_.size())},
       {"first", others_.begin()->first},
       {"remedy", "switch one of the two off, here by gfd.enabled of the policy"}});
}

LabelPublisher::View LabelPublisher::view() const {
  View view;
  if (feature_ && wanted_.mode == LabelMode::kPublish) {
    view.target = ToFeature() ? FeatureRef().ToString() : "node " + dependencies_.node;
    view.labels = wanted_.labels.size() - others_.size();
  }
  view.kept_by_others = others_;
  view.error = write_.error();
  view.writes = write_.writes();
  view.failures = write_.failures();
  return view;
}

}  // namespace aliquot::agent
