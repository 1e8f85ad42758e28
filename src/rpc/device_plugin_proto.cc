// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/device_plugin_proto.h"

#include "rpc/plugin_transport.h"

namespace aliquot::rpc {

std::string EncodeList(const std::vector<DeviceEntry>& devices) {
  constexpr std::size_t kMostBesideId = 32;
  std::size_t most = 0;
  for (const DeviceEntry& device : devices) most += device.id.size() + kMostBesideId;
  std::string bytes;
  bytes.reserve(most);
  // A message's repeated field may be written piecewise, so one device at a time is enough and
  // 10,000 message objects never exist together.
  v1beta1::ListAndWatchResponse one;
  v1beta1::Device* wire = one.add_devices();
  for (const DeviceEntry& device : devices) {
    wire->set_id(device.id);
    wire->set_health(device.healthy ? "Healthy" : "Unhealthy");
    wire->clear_topology();
    if (device.numa_node) wire->mutable_topology()->add_nodes()->set_id(*device.numa_node);
    one.AppendToString(&bytes);
  }
  return bytes;
}

std::vector<DeviceEntry> FromProto(const v1beta1::ListAndWatchResponse& list) {
  std::vector<DeviceEntry> devices;
  devices.reserve(static_cast<std::size_t>(list.devices_size()));
  for (const v1beta1::Device& device : list.devices()) {
    DeviceEntry& entry = devices.emplace_back();
    entry.id = device.id();
    entry.healthy = device.health() == "Healthy";
    if (device.topology().nodes_size() > 0) {
      entry.numa_node = static_cast<int>(device.topology().nodes(0).id());
    }
  }
  return devices;
}

void ToProto(const ContainerAllocation& allocation, v1beta1::ContainerAllocateResponse* out) {
  out->mutable_envs()->insert(allocation.envs.begin(), allocation.envs.end());
  out->mutable_annotations()->insert(allocation.annotations.begin(), allocation.annotations.end());
  for (const Mount& mount : allocation.mounts) {
    v1beta1::Mount* wire = out->add_mounts();
    wire->set_container_path(mount.container_path);
    wire->set_host_path(mount.host_path);
    wire->set_read_only(mount.read_only);
  }
  for (const DeviceNode& node : allocation.devices) {
    v1beta1::DeviceSpec* wire = out->add_devices();
    wire->set_container_path(node.container_path);
    wire->set_host_path(node.host_path);
    wire->set_permissions(node.permissions);
  }
  for (const std::string& name : allocation.cdi_devices) out->add_cdi_devices()->set_name(name);
}

ContainerAllocation FromProto(const v1beta1::ContainerAllocateResponse& response) {
  ContainerAllocation allocation;
  allocation.envs.insert(response.envs().begin(), response.envs().end());
  allocation.annotations.insert(response.annotations().begin(), response.annotations().end());
  for (const v1beta1::Mount& mount : response.mounts()) {
    allocation.mounts.push_back({mount.container_path(), mount.host_path(), mount.read_only()});
  }
  for (const v1beta1::DeviceSpec& node : response.devices()) {
    allocation.devices.push_back({node.container_path(), node.host_path(), node.permissions()});
  }
  for (const v1beta1::CDIDevice& device : response.cdi_devices()) {
    allocation.cdi_devices.push_back(device.name());
  }
  return allocation;
}

}  // namespace aliquot::rpc
