// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/fd_poller.h"
#include "base/status.h"
#include "rpc/plugin_transport.h"

namespace aliquot::rpc {

// Serves v1beta1.DevicePlugin over gRPC, one server and one socket per resource: the kubelet sends
// the same authority to all and unix peers have no name, so a shared server could not tell which
// resource is meant. gRPC's threads and quotas are common to the process; a server adds little.
//
// Who may connect: processes that may open a 0600 socket in the kubelet's device plugin directory,
// which is root. What they are trusted with: asking for allocations, which changes no device.
//
// Confined to one thread, which must not be a gRPC one; nothing in it blocks on peers.
class DevicePluginServers final : public PluginTransport {
 public:
  // `instance` is NewInstanceId(), the same for all sockets of this process. `poller` must outlive
  // this object.
  DevicePluginServers(FdPoller& poller, std::string directory, std::string instance);
  // All endpoints must be gone. Waits for their servers to wind down, at most about a second.
  ~DevicePluginServers() override;

  Result<std::unique_ptr<PluginEndpoint>> Serve(const std::string& resource, PluginOptions options,
                                                std::shared_ptr<PluginHandler> handler) override;

 private:
  FdPoller& poller_;
  const std::string directory_;
  const std::string instance_;
  std::vector<std::future<void>> retiring_;  // servers winding down
};

}  // namespace aliquot::rpc
