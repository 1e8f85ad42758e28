// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/device_plugin_proto.h"

#include <gtest/gtest.h>

#include "rpc/plugin_transport.h"

namespace aliquot::rpc {
namespace {

TEST(DevicePluginProto, ListIsTheWireFormatOfTheApi) {
  // Bytes as grpc-go sends them: field 1 device {1: id, 2: health, 3: topology {1: node {1: id}}}.
  EXPECT_EQ(EncodeList({{"a", true, {}}}), std::string("\x0a\x0c\x0a\x01"
                                                       "a\x12\x07Healthy"));
  EXPECT_EQ(EncodeList({{"a", false, 1}, {"b", true, 0}}),
            std::string("\x0a\x14\x0a\x01"
                        "a\x12\x09Unhealthy\x1a\x04\x0a\x02\x08\x01"
                        "\x0a\x10\x0a\x01"
                        "b\x12\x07Healthy\x1a\x02\x0a\x00",
                        40));
}

TEST(DevicePluginProto, ListComesBack) {
  std::vector<DeviceEntry> devices;
  for (int i = 0; i < 300; ++i) {
    DeviceEntry& device = devices.emplace_back();
    device.id = std::string(static_cast<std::size_t>(i), 'x') + std::to_string(i);
    device.healthy = i % 3 != 0;
    if (i % 2 == 0) device.numa_node = i;
  }
  const std::string bytes = EncodeList(devices);
  v1beta1::ListAndWatchResponse list;
  ASSERT_TRUE(list.ParseFromString(bytes));
  EXPECT_EQ(FromProto(list), devices);
}

TEST(DevicePluginProto, AllocationComesBackWhole) {
  ContainerAllocation allocation;
  allocation.envs = {{"NVIDIA_VISIBLE_DEVICES", "GPU-1"}, {"X", ""}};
  allocation.mounts = {{"/in", "/host", true}, {"/b", "/c", false}};
  allocation.devices = {{"/dev/nvidia0", "/dev/nvidia0", "rw"}};
  allocation.annotations = {{"cdi.k8s.io/x", "a=b"}};
  allocation.cdi_devices = {"k8s.device-plugin.nvidia.com/gpu=GPU-1"};
  v1beta1::ContainerAllocateResponse wire;
  ToProto(allocation, &wire);
  EXPECT_EQ(FromProto(wire), allocation);
}

}  // namespace
}  // namespace aliquot::rpc
