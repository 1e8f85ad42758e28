// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_mode.h"

#include <utility>

namespace aliquot::agent {

ClusterMode::ClusterMode(Dependencies dependencies, std::unique_ptr<kube::Client> client,
                         WishOptions options)
    : dependencies_(dependencies),
      options_(std::move(options)),
      client_(std::move(client)),
      source_(*client_, dependencies.executor, dependencies.log, options_, *this) {}

void ClusterMode::OnWish(const Wish& wish) {
  wish_ = wish;
  silent_.clear();
  dependencies_.listener.OnOffer(wish.config);
  dependencies_.listener.OnMigWish(wish.mig);
}

void ClusterMode::OnNode(const kube::Object* node) { dependencies_.listener.OnNode(node); }

void ClusterMode::OnClusterSilent(const std::string& why) {
  silent_ = why;
  dependencies_.listener.OnClusterSilent();
}

ClusterStatus ClusterMode::status() const {
  ClusterStatus status;
  status.node = options_.node;
  if (wish_) {
    status.policy = wish_->policy;
    status.policy_problems = wish_->policy_problems;
  }
  status.watches = source_.watches();
  status.silent = silent_;
  return status;
}

}  // namespace aliquot::agent
