// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "rpc/plugin_transport.h"

namespace aliquot::rpc {

class CallTracker;

// Registers with the kubelet listening on one socket. Thread-safe.
class KubeletClient final : public KubeletRegistrar {
 public:
  // `deadline` covers the kubelet's connecting back, for which it allows itself 10 s.
  explicit KubeletClient(std::string kubelet_socket,
                         std::chrono::milliseconds deadline = std::chrono::seconds(15));
  // Cancels what is in progress; its callbacks run before this returns.
  ~KubeletClient() override;

  void Register(const Registration& registration, std::function<void(Status)> done) override;

 private:
  const std::string kubelet_socket_;
  const std::chrono::milliseconds deadline_;
  const std::unique_ptr<CallTracker> calls_;
};

}  // namespace aliquot::rpc
