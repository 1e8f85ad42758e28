// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "rpc/plugin_transport.h"

namespace grpc {
class Service;
}

namespace aliquot::rpc {

// The gRPC service of one resource, apart from how it is reached. Thread-safe.
class DevicePluginService {
 public:
  DevicePluginService(PluginOptions options, std::shared_ptr<PluginHandler> handler);
  // Only after the server it is registered with is gone.
  ~DevicePluginService();

  grpc::Service* service();
  void Publish(const std::vector<DeviceEntry>& devices);
  void SetOptions(PluginOptions options);
  EndpointStats stats() const;
  // Ends all streams and fails all calls, present and future.
  void Stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aliquot::rpc
