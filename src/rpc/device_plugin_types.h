// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace aliquot::rpc {

// Plain values of the kubelet's device plugin API v1beta1, so that only rpc/ knows protobuf.
// Source: Kubernetes documentation, "Device Plugins".

struct DeviceEntry {
  std::string id;  // at most 63 characters
  bool healthy = true;
  std::optional<int> numa_node;

  friend bool operator==(const DeviceEntry&, const DeviceEntry&) = default;
};

struct Mount {
  std::string container_path;
  std::string host_path;
  bool read_only = false;

  friend bool operator==(const Mount&, const Mount&) = default;
};

struct DeviceNode {
  std::string container_path;
  std::string host_path;
  std::string permissions;  // of "rwm"

  friend bool operator==(const DeviceNode&, const DeviceNode&) = default;
};

// What one container gets.
struct ContainerAllocation {
  std::map<std::string, std::string> envs;
  std::vector<Mount> mounts;
  std::vector<DeviceNode> devices;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> cdi_devices;  // fully qualified names

  friend bool operator==(const ContainerAllocation&, const ContainerAllocation&) = default;
};

// One container's part of GetPreferredAllocation.
struct PreferredRequest {
  std::vector<std::string> available;     // ids
  std::vector<std::string> must_include;  // ids, a subset of available
  int size = 0;                           // how many ids to choose
};

}  // namespace aliquot::rpc
