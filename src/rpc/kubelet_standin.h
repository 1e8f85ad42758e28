// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "rpc/device_plugin_types.h"

namespace aliquot::rpc {

// What the stand-in knows about one resource.
struct StandinResource {
  std::string endpoint;              // base name of the plugin's socket
  bool connected = false;            // its ListAndWatch stream is up
  bool preferred_available = false;  // as GetDevicePluginOptions answered
  std::size_t registrations = 0;     // since the stand-in was made, over its restarts
  std::size_t lists = 0;             // messages received, over its restarts
  std::vector<DeviceEntry> devices;  // the last list; empty after a restart until told again
  std::map<std::string, std::string> held_by;  // device id → "pod/container"
  std::string stream_error;                    // why the last stream ended, if it ended by itself

  std::size_t capacity() const { return devices.size(); }
  // Healthy devices, 0 when the plugin is gone.
  std::size_t allocatable() const;
};

struct StandinState {
  bool running = false;
  std::map<std::string, StandinResource> resources;  // by name

  std::size_t capacity(const std::string& resource) const;
  std::size_t allocatable(const std::string& resource) const;
};

struct StandinPlacement {
  std::vector<std::string> ids;  // sorted
  ContainerAllocation allocation;
};

// A STAND-IN for the device manager of a kubelet, for tests and the demo: it is not a kubelet and
// runs no containers. Towards a device plugin it behaves like one, in the same order: empties its
// directory of sockets at start, serves Registration on <directory>/kubelet.sock, connects back to
// the plugin within Register, reads ListAndWatch without a deadline and with grpc-go's limit of
// 4 MiB, prefers GetPreferredAllocation's ids, allocates, and keeps placements over restarts.
// Thread-safe. Calls block, on the caller's thread, until the plugin has answered.
class KubeletStandin {
 public:
  struct Options {
    std::string directory;
    std::size_t max_receive_bytes = 4u << 20;
    std::chrono::milliseconds dial_timeout = std::chrono::seconds(10);
    // Serves the pod resources API there: the placed containers, in the namespace "default" unless
    // their pod is called NAMESPACE:NAME. Empty: not served.
    std::string pod_resources_socket = "";
    // Called on a thread of the stand-in after every change; may be empty.
    std::function<void(const StandinState&)> observer = nullptr;
  };

  static Result<std::unique_ptr<KubeletStandin>> Start(Options options);
  ~KubeletStandin();

  // Leaves as a kubelet does on SIGTERM: its socket goes, streams end, placements stay.
  void Stop();
  // Comes back after Stop: wipes the directory, forgets lists, serves.
  Status Resume();
  Status Restart();

  StandinState state() const;
  // Waits until `wanted` holds; false if it did not within `timeout`.
  bool WaitFor(const std::function<bool(const StandinState&)>& wanted,
               std::chrono::milliseconds timeout = std::chrono::seconds(20)) const;

  // Places a container: picks `count` free healthy devices of `resource` and allocates them.
  // kResourceExhausted if there are not enough; else the plugin's own error.
  Result<StandinPlacement> Place(const std::string& pod, const std::string& container,
                                 const std::string& resource, std::size_t count);
  // Frees what `pod` holds.
  void Remove(const std::string& pod);

 private:
  class Impl;
  explicit KubeletStandin(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aliquot::rpc
