// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "deviceplugin/allocate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cdi/extra_specs.h"

namespace aliquot::deviceplugin {
namespace {

using config::DeviceListStrategy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;

// Two GPUs with two replicas each; the minor numbers are not the indices.
struct Node {
  Node() {
    resource.name = "nvidia.com/gpu";
    for (unsigned i = 0; i < 2; ++i) {
      gpu::Gpu gpu;
      gpu.index = i;
      gpu.uuid = "GPU-" + std::to_string(i);
      gpu.device_path = "/dev/nvidia" + std::to_string(i + 5);
      inventory.gpus.push_back(gpu);
      host.nodes[gpu.device_path] = {};
      for (unsigned replica = 0; replica < 2; ++replica) {
        share::PlannedDevice device;
        device.id = gpu.uuid + "::" + std::to_string(replica);
        device.device_uuid = device.gpu_uuid = gpu.uuid;
        device.replica = replica;
        device.index = std::to_string(i);
        resource.devices.push_back(device);
      }
    }
    for (const char* path : {"/dev/nvidiactl", "/dev/nvidia-uvm"}) host.nodes[path] = {};
    cdi_devices = {{"gpu", {"GPU-0", "GPU-1"}}};
  }

  void Strategies(std::vector<DeviceListStrategy> strategies) {
    config.flags.device_list_strategies = std::move(strategies);
  }
  void EnableEverything() {
    config.flags.gdrcopy_enabled = config.flags.gds_enabled = config.flags.mofed_enabled = true;
    config.imex.channel_ids = {0};
    host.nodes[cdi::ImexChannelPath(0)] = {};
    cdi_devices["imex-channel"] = {"0"};
    cdi_devices["gdrcopy"] = {"all"};
    cdi_devices["mofed"] = {"all"};  // gds is enabled but its spec was empty
  }
  Result<rpc::ContainerAllocation> Run(const std::vector<std::string>& ids) const {
    return Allocate({config, resource, ids, inventory, host, roots, cdi_devices});
  }

  config::Config config;
  share::PlannedResource resource;
  gpu::Inventory inventory;
  cdi::HostDevices host;
  cdi::Roots roots;
  cdi::PublishedDevices cdi_devices;
};

std::vector<std::string> HostPaths(const rpc::ContainerAllocation& allocation) {
  std::vector<std::string> out;
  for (const rpc::DeviceNode& node : allocation.devices) out.push_back(node.host_path);
  return out;
}

std::vector<std::string> MountPoints(const rpc::ContainerAllocation& allocation) {
  std::vector<std::string> out;
  for (const rpc::Mount& mount : allocation.mounts) out.push_back(mount.container_path);
  return out;
}

TEST(Allocate, EnvironmentListsEachDeviceOnceInRequestOrder) {
  Node node;
  const auto got = node.Run({"GPU-1::1", "GPU-0::0", "GPU-1::0"});
  ASSERT_TRUE(got.ok()) << got.error().message;
  rpc::ContainerAllocation want;
  want.envs = {{"NVIDIA_VISIBLE_DEVICES", "GPU-1,GPU-0"}};
  EXPECT_EQ(*got, want);
}

TEST(Allocate, IndexStrategyKeepsTheOrderToo) {
  Node node;
  node.config.flags.device_id_strategy = config::DeviceIdStrategy::kIndex;
  EXPECT_EQ(node.Run({"GPU-1::1", "GPU-1::0", "GPU-0::0"})->envs.at("NVIDIA_VISIBLE_DEVICES"),
            "1,0");
}

TEST(Allocate, VolumeMounts) {
  Node node;
  node.EnableEverything();
  node.Strategies({DeviceListStrategy::kVolumeMounts});
  const auto got = node.Run({"GPU-0::0"});
  EXPECT_EQ(got->envs.at("NVIDIA_VISIBLE_DEVICES"), "/var/run/nvidia-container-devices");
  EXPECT_FALSE(got->envs.contains("NVIDIA_IMEX_CHANNELS"));
  EXPECT_THAT(MountPoints(*got), ElementsAre("/var/run/nvidia-container-devices/GPU-0",
                                             "/var/run/nvidia-container-devices/imex/0"));
  EXPECT_EQ(got->mounts[0].host_path, "/dev/null");
  EXPECT_THAT(got->devices, IsEmpty());
}

TEST(Allocate, TheMountMarkerWinsOverTheListWhateverTheOrder) {
  Node node;
  node.EnableEverything();
  node.Strategies({DeviceListStrategy::kVolumeMounts, DeviceListStrategy::kEnvVar});
  const auto got = node.Run({"GPU-0::0"});
  EXPECT_EQ(got->envs.at("NVIDIA_VISIBLE_DEVICES"), "/var/run/nvidia-container-devices");
  EXPECT_EQ(got->envs.at("NVIDIA_IMEX_CHANNELS"), "0");
}

TEST(Allocate, CdiCriNamesInOrderWithoutEmptyClasses) {
  Node node;
  node.EnableEverything();
  node.Strategies({DeviceListStrategy::kCdiCri});
  node.config.flags.pass_device_specs = true;  // ignored: nothing but CDI is asked for
  const auto got = node.Run({"GPU-1::0", "GPU-0::1"});
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_THAT(got->cdi_devices, ElementsAre("k8s.device-plugin.nvidia.com/gpu=GPU-1",
                                            "k8s.device-plugin.nvidia.com/gpu=GPU-0",
                                            "k8s.device-plugin.nvidia.com/imex-channel=0",
                                            "k8s.device-plugin.nvidia.com/gdrcopy=all",
                                            "k8s.device-plugin.nvidia.com/mofed=all"));
  EXPECT_THAT(got->annotations, IsEmpty());
  EXPECT_THAT(got->devices, IsEmpty());
  EXPECT_THAT(got->envs,
              ElementsAre(Pair("NVIDIA_GDRCOPY", "enabled"), Pair("NVIDIA_GDS", "enabled"),
                          Pair("NVIDIA_MOFED", "enabled")));
}

TEST(Allocate, CdiAnnotationsHoldTheSameNamesUnderOneKey) {
  Node node;
  node.Strategies({DeviceListStrategy::kCdiAnnotations});
  const auto got = node.Run({"GPU-0::0", "GPU-1::0"});
  ASSERT_THAT(got->annotations, SizeIs(1));
  EXPECT_THAT(got->annotations.begin()->first, StartsWith("cdi.k8s.io/nvidia-device-plugin_"));
  EXPECT_EQ(got->annotations.begin()->second,
            "k8s.device-plugin.nvidia.com/gpu=GPU-0,k8s.device-plugin.nvidia.com/gpu=GPU-1");
  EXPECT_THAT(got->cdi_devices, IsEmpty());
  EXPECT_THAT(got->envs, IsEmpty());
}

TEST(Allocate, AllStrategiesAddUp) {
  Node node;
  node.Strategies({DeviceListStrategy::kEnvVar, DeviceListStrategy::kVolumeMounts,
                   DeviceListStrategy::kCdiAnnotations, DeviceListStrategy::kCdiCri});
  node.config.flags.pass_device_specs = true;
  const auto got = node.Run({"GPU-0::0"});
  EXPECT_THAT(got->envs, SizeIs(1));
  EXPECT_THAT(got->mounts, SizeIs(1));
  EXPECT_THAT(got->annotations, SizeIs(1));
  EXPECT_THAT(got->cdi_devices, SizeIs(1));
  EXPECT_THAT(got->devices, SizeIs(3));
}

TEST(Allocate, CdiNamesFollowTheIndexStrategy) {
  Node node;
  node.Strategies({DeviceListStrategy::kCdiCri});
  node.config.flags.device_id_strategy = config::DeviceIdStrategy::kIndex;
  node.cdi_devices = {{"gpu", {"0", "1"}}};
  EXPECT_THAT(node.Run({"GPU-1::0"})->cdi_devices,
              ElementsAre("k8s.device-plugin.nvidia.com/gpu=1"));
}

TEST(Allocate, ADeviceWithoutASpecIsRefusedHereNotByTheRuntime) {
  Node node;
  node.Strategies({DeviceListStrategy::kCdiCri});
  node.cdi_devices = {{"gpu", {"GPU-0"}}};
  const auto got = node.Run({"GPU-1::0"});
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(got.error().message, HasSubstr("GPU-1"));
}

TEST(Allocate, NoIdsGiveNoAnnotation) {
  Node node;
  node.Strategies({DeviceListStrategy::kCdiAnnotations});
  EXPECT_EQ(*node.Run({}), rpc::ContainerAllocation{});
}

TEST(Allocate, DeviceSpecsOnceEachBelowTheDevRoot) {
  Node node;
  node.EnableEverything();
  node.config.flags.pass_device_specs = true;
  node.roots.dev_host = "/run/nvidia/driver";
  node.host.nodes[cdi::ImexChannelPath(0)].outside_dev_root = true;
  const auto got = node.Run({"GPU-0::0", "GPU-0::1"});
  EXPECT_THAT(
      HostPaths(*got),
      ElementsAre("/run/nvidia/driver/dev/nvidiactl", "/run/nvidia/driver/dev/nvidia-uvm",
                  "/run/nvidia/driver/dev/nvidia5", "/dev/nvidia-caps-imex-channels/channel0"));
  EXPECT_EQ(got->devices[2].container_path, "/dev/nvidia5");
  EXPECT_EQ(got->devices[2].permissions, "rw");
}

TEST(Allocate, MigDevicesShareTheirGpusNode) {
  Node node;
  node.config.flags.pass_device_specs = true;
  node.resource.devices.clear();
  for (unsigned i = 0; i < 2; ++i) {
    gpu::MigDevice mig;
    mig.uuid = "MIG-" + std::to_string(i);
    mig.gi_cap_path = "/dev/nvidia-caps/nvidia-cap" + std::to_string(10 + 2 * i);
    mig.ci_cap_path = "/dev/nvidia-caps/nvidia-cap" + std::to_string(11 + 2 * i);
    node.inventory.gpus[0].mig_devices.push_back(mig);
    share::PlannedDevice device;
    device.id = device.device_uuid = mig.uuid;
    device.mig_uuid = mig.uuid;
    device.gpu_uuid = "GPU-0";
    node.resource.devices.push_back(device);
  }
  EXPECT_THAT(HostPaths(*node.Run({"MIG-0", "MIG-1"})),
              ElementsAre("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia5",
                          "/dev/nvidia-caps/nvidia-cap10", "/dev/nvidia-caps/nvidia-cap11",
                          "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13"));
}

TEST(Allocate, ASimulatedGpuNeverGetsARealDeviceFile) {
  Node node;
  node.EnableEverything();
  node.inventory.simulated_node = "t4-x4";
  node.config.flags.pass_device_specs = true;
  const auto got = node.Run({"GPU-0::0"});
  EXPECT_THAT(got->devices, IsEmpty());
  EXPECT_FALSE(got->envs.contains("NVIDIA_IMEX_CHANNELS"));
  EXPECT_EQ(got->envs.at("NVIDIA_VISIBLE_DEVICES"), "GPU-0");
}

TEST(Allocate, AMissingImexChannelIsSkippedUnlessRequired) {
  Node node;
  node.config.imex.channel_ids = {0};
  EXPECT_FALSE(node.Run({"GPU-0::0"})->envs.contains("NVIDIA_IMEX_CHANNELS"));
  node.config.imex.required = true;
  EXPECT_EQ(node.Run({"GPU-0::0"}).error().code, Code::kFailedPrecondition);
}

TEST(Allocate, UnknownIdIsNamed) {
  EXPECT_EQ(Node().Run({"GPU-9"}).error(), (Error{Code::kNotFound, "unknown device: GPU-9"}));
}

TEST(CdiAnnotationKey, DependsOnResourceAndIdsAlone) {
  const auto key = [](const std::string& resource, const std::vector<std::string>& ids) {
    return *CdiAnnotationKey("cdi.k8s.io/", resource, ids);
  };
  EXPECT_EQ(key("nvidia.com/gpu", {"a", "b"}), key("nvidia.com/gpu", {"b", "a"}));
  EXPECT_NE(key("nvidia.com/gpu", {"a", "b"}), key("nvidia.com/gpu", {"a"}));
  EXPECT_NE(key("nvidia.com/gpu", {"a"}), key("nvidia.com/mig-1g.5gb", {"a"}));
  EXPECT_THAT(key("nvidia.com/gpu", {"a"}),
              testing::MatchesRegex("cdi\\.k8s\\.io/nvidia-device-plugin_[0-9a-f-]{36}"));
}

TEST(CdiAnnotationKey, RefusesPrefixesTheApiServerWouldRefuse) {
  EXPECT_TRUE(CdiAnnotationKey("nvidia.cdi.k8s.io/", "r", {"a"}).ok());
  EXPECT_TRUE(CdiAnnotationKey("", "r", {"a"}).ok());
  for (const char* prefix :
       {"/", "a b/", "Upper.io/", ".dot.io/", "seven-letters-too-long-without-a-slash"}) {
    const auto key = CdiAnnotationKey(prefix, "r", {"a"});
    ASSERT_FALSE(key.ok()) << prefix;
    EXPECT_EQ(key.error().code, Code::kInvalidArgument);
    EXPECT_THAT(key.error().message, HasSubstr(prefix));
  }
}

}  // namespace
}  // namespace aliquot::deviceplugin
