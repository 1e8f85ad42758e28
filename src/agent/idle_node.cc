// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/idle_node.h"

#include <algorithm>
#include <utility>

#include "agent/field_owners.h"
#include "agent/json_path.h"
#include "agent/label_publisher.h"
#include "agent/node_features.h"
#include "labels/node_keys.h"

namespace aliquot::agent {
namespace {

bool HasLabelsOfOurs(const kube::Object& node) {
  const auto owners = LabelOwners(node);
  return std::any_of(owners.begin(), owners.end(), [](const auto& label) {
    return label.second.contains(LabelPublisher::kManager);
  });
}

}  // namespace

void IdleNode::Clean() {
  if (clean_ || client_) return;
  auto client = connect_();
  if (!client.ok()) {
    log_.Warning("cannot tell the cluster that there is no GPU",
                 {{"error", client.error().message}});
    return;
  }
  client_ = *std::move(client);
  again_ = false;
  under_way_ = 2;
  client_->Get({kube::kNodes, "", node_, ""}, executor_,
               [this](Result<kube::Object> node) { OnNode(std::move(node)); });
  client_->Get(LabelPublisher::FeatureRef(ns_, node_), executor_,
               [this](const Result<kube::Object>& feature) { OnFeature(feature); });
}

// That there is none, that nobody installed the kind or that it may not be read is all the same:
// this agent did not write one.
void IdleNode::OnFeature(const Result<kube::Object>& feature) {
  if (!feature.ok() || !ManagersOf(*feature).contains(LabelPublisher::kManager)) {
    return OnWritten({});
  }
  client_->Delete(LabelPublisher::FeatureRef(ns_, node_), executor_,
                  [this](const Result<kube::Object>& gone) { OnWritten(gone.status()); });
}

void IdleNode::OnNode(Result<kube::Object> node) {
  const kube::Ref ref{kube::kNodes, "", node_, ""};
  const auto done = [this](const Result<kube::Object>& result) { OnWritten(result.status()); };
  if (node.ok() && HasLabelsOfOurs(*node)) {
    ++under_way_;
    client_->Apply(ref, LabelPublisher::kManager, true,
                   {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", node_}}}},
                   executor_, done);
  }
  if (node.ok() && NfdSaysGpu(*node)) {
    again_ = true;  // of a device that was taken out, until NFD looks again
  } else if (node.ok() && FindText(*node, {"metadata", "labels", labels::kGpuPresent}) == "true") {
    ++under_way_;
    client_->Patch(ref, kube::PatchType::kMerge,
                   {{"metadata", {{"labels", {{labels::kGpuPresent, "false"}}}}}}, executor_, done);
  }
  OnWritten(node.status());
}

void IdleNode::OnWritten(const Status& status) {
  if (!status.ok()) {
    again_ = true;
    log_.Warning("cannot tell the cluster that there is no GPU",
                 {{"error", status.error().message}});
  }
  if (--under_way_ > 0) return;
  clean_ = !again_;
  // Not from within an answer of the client itself.
  executor_.Post([client = std::shared_ptr<kube::Client>(std::move(client_))] {});
}

}  // namespace aliquot::agent
