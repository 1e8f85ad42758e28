// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/enforced_shares.h"
#include "rpc/pod_resources_client.h"

namespace aliquot::agent {

// Asks the kubelet over its pod resources API, about every resource: a resource may be renamed to
// any domain. Thread-safe.
class KubeletHolders final : public HolderSource {
 public:
  // `socket` of the pod resources API; normally /var/lib/kubelet/pod-resources/kubelet.sock.
  explicit KubeletHolders(const std::string& socket) : client_(socket) {}
  void List(std::function<void(Result<std::vector<grants::HeldIds>>)> done) override;

 private:
  rpc::PodResourcesClient client_;
};

// The kubelet's pod resources socket beside that of its device plugins.
std::string PodResourcesSocket(const std::string& kubelet_socket);

}  // namespace aliquot::agent
