// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/enforced_shares.h"
#include "rpc/pod_resources_client.h"

namespace aliquot::agent {

// Asks the kubelet over its pod resources API, about every resource: one may be renamed to any
// domain. Thread-safe.
class KubeletHolders final : public HolderSource {
 public:
  // `socket` of the pod resources API; normally /var/lib/kubelet/pod-resources/kubelet.sock.
  explicit KubeletHolders(const std::string& socket) : client_(socket) {}
  void List(std::function<void(Result<std::vector<grants::HeldIds>>)> done) override;

 private:
  rpc::PodResourcesClient client_;
};

// Enforced shares with the kubelet, the arbiter and the metrics they need, as the agent wires them.
// Confined to the executor, or used before it runs.
class NodeShares {
 public:
  // `kubelet_socket` is that of device plugins, beside which the one of pod resources is found;
  // empty = there is no kubelet. `registry` and `log` must outlive this.
  NodeShares(ShareOptions options, const std::string& kubelet_socket, Executor& executor,
             const Clock& clock, const Logger& log, metrics::Registry& registry,
             std::function<void()> changed);

  EnforcedShares* operator->() const { return shares_.get(); }
  EnforcedShares& operator*() const { return *shares_; }

 private:
  metrics::GrantMetrics metrics_;
  std::unique_ptr<KubeletHolders> holders_;  // null without a kubelet
  std::unique_ptr<EnforcedShares> shares_;
};

}  // namespace aliquot::agent
