// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace aliquot::rpc {

class CallTracker;

// The devices of one resource that one container holds.
struct HeldDevices {
  std::string pod_namespace;
  std::string pod;
  std::string container;
  std::string resource;          // "nvidia.com/gpu"
  std::vector<std::string> ids;  // as offered to the kubelet, sorted

  friend bool operator==(const HeldDevices&, const HeldDevices&) = default;
};

// Asks the kubelet's pod resources API (v1) which container holds what. Thread-safe.
class PodResourcesClient {
 public:
  // The kubelet serves it on /var/lib/kubelet/pod-resources/kubelet.sock.
  explicit PodResourcesClient(std::string socket,
                              std::chrono::milliseconds deadline = std::chrono::seconds(10));
  // Cancels what is in progress; its callbacks run before this returns.
  ~PodResourcesClient();

  // All containers with devices of resources whose names begin with `prefix`, in the kubelet's
  // order; the same resource of one container is one entry. `done` is called exactly once, on a
  // gRPC thread.
  void List(std::string prefix, std::function<void(Result<std::vector<HeldDevices>>)> done);

 private:
  const std::string socket_;
  const std::chrono::milliseconds deadline_;
  const std::unique_ptr<CallTracker> calls_;
};

}  // namespace aliquot::rpc
