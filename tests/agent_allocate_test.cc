// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// What a container gets, from the configuration file to the kubelet's answer, and the CDI files
// that the answer counts on.
#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr char kGpuSpec[] = "cdi/k8s.device-plugin.nvidia.com-gpu.json";
constexpr char kGpuClass[] = "k8s.device-plugin.nvidia.com/gpu=";

class AgentAllocateTest : public AgentTest {
 protected:
  void ConfigurePlugin(const std::string& keys, const std::string& more = "") {
    Configure("version: v1\nflags:\n  plugin: {" + keys + "}\n" + more);
  }
  rpc::StandinPlacement Place(std::size_t count, const std::string& resource = kGpu) {
    auto placed = kubelet_->Place("pod" + std::to_string(++pods_), "main", resource, count);
    EXPECT_TRUE(placed.ok()) << placed.error().message;
    return placed.ok() ? *std::move(placed) : rpc::StandinPlacement();
  }
  // The device names in the CDI file for GPUs; empty if there is no file.
  std::set<std::string> CdiDevices() {
    std::set<std::string> names;
    const auto text = ReadFile(Path(kGpuSpec));
    if (!text.ok()) return names;
    const json::value spec = json::parse(*text);
    for (const json::value& device : spec.at("devices").as_array()) {
      names.insert(json::value_to<std::string>(device.at("name")));
    }
    return names;
  }

  int pods_ = 0;
};

TEST_F(AgentAllocateTest, EnvironmentVariable) {
  Configure(SharedBy(2));
  StartAll(8);
  const rpc::StandinPlacement placed = Place(1);
  rpc::ContainerAllocation expected;
  expected.envs["NVIDIA_VISIBLE_DEVICES"] = placed.ids[0].substr(0, placed.ids[0].find("::"));
  EXPECT_EQ(placed.allocation, expected);
  EXPECT_FALSE(fs::exists(Path(kGpuSpec))) << "nobody asked for CDI";
}

TEST_F(AgentAllocateTest, AllReplicasOfAGpuAreOneDevice) {
  Simulate("t4-x1");
  Configure(SharedBy(4));
  StartAll(4);
  EXPECT_EQ(Place(4).allocation.envs.at("NVIDIA_VISIBLE_DEVICES"), GpuUuid(0));
}

TEST_F(AgentAllocateTest, VolumeMounts) {
  ConfigurePlugin("deviceListStrategy: volume-mounts");
  StartAll(4);
  const rpc::StandinPlacement placed = Place(2);
  const std::string root = "/var/run/nvidia-container-devices";
  EXPECT_EQ(placed.allocation.envs.at("NVIDIA_VISIBLE_DEVICES"), root);
  ASSERT_EQ(placed.allocation.mounts.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(placed.allocation.mounts[i].container_path, root + "/" + placed.ids[i]);
    EXPECT_EQ(placed.allocation.mounts[i].host_path, "/dev/null");
  }
}

TEST_F(AgentAllocateTest, CdiCri) {
  ConfigurePlugin("deviceListStrategy: [cdi-cri]");
  StartAll(4);
  const rpc::StandinPlacement placed = Place(2);
  EXPECT_EQ(placed.allocation.cdi_devices,
            (std::vector<std::string>{kGpuClass + placed.ids[0], kGpuClass + placed.ids[1]}));
  EXPECT_TRUE(placed.allocation.envs.empty());
  EXPECT_TRUE(placed.allocation.annotations.empty());
  const std::set<std::string> names = CdiDevices();
  for (std::size_t gpu = 0; gpu < 4; ++gpu) EXPECT_TRUE(names.contains(GpuUuid(gpu)));
}

TEST_F(AgentAllocateTest, CdiAnnotations) {
  ConfigurePlugin("deviceListStrategy: cdi-annotations, cdiAnnotationPrefix: cdi.example.com/");
  StartAll(4);
  const rpc::StandinPlacement placed = Place(2);
  ASSERT_EQ(placed.allocation.annotations.size(), 1u);
  const auto& [key, value] = *placed.allocation.annotations.begin();
  EXPECT_TRUE(key.starts_with("cdi.example.com/nvidia-device-plugin_")) << key;
  EXPECT_EQ(value, kGpuClass + placed.ids[0] + "," + kGpuClass + placed.ids[1]);
  EXPECT_TRUE(placed.allocation.cdi_devices.empty());
}

TEST_F(AgentAllocateTest, EveryStrategyTogether) {
  ConfigurePlugin("deviceListStrategy: [envvar, cdi-annotations, cdi-cri]");
  StartAll(4);
  const rpc::ContainerAllocation allocation = Place(1).allocation;
  EXPECT_EQ(allocation.envs.size(), 1u);
  EXPECT_EQ(allocation.annotations.size(), 1u);
  EXPECT_EQ(allocation.cdi_devices.size(), 1u);
}

// At the moment a list with a device is seen, a container may start on it.
TEST_F(AgentAllocateTest, CdiFilesAreThereBeforeTheListIsOffered) {
  ConfigurePlugin("deviceListStrategy: cdi-cri");
  std::atomic<int> lists = 0;
  std::atomic<int> without = 0;
  auto kubelet = rpc::KubeletStandin::Start(
      {.directory = Path("device-plugins"), .observer = [&](const rpc::StandinState& state) {
         if (state.allocatable(kGpu) == 0) return;
         ++lists;
         if (!fs::exists(Path(kGpuSpec))) ++without;
       }});
  ASSERT_TRUE(kubelet.ok());
  kubelet_ = *std::move(kubelet);
  StartAgent();
  ASSERT_TRUE(Shows(4));
  // The stand-in tells its observer after those who wait.
  EXPECT_TRUE(Eventually([&] { return lists > 0; }));
  EXPECT_EQ(without, 0);
}

TEST_F(AgentAllocateTest, CdiFilesComeAndGoWithTheStrategy) {
  StartAll(4);
  EXPECT_FALSE(fs::exists(Path(kGpuSpec)));
  ConfigurePlugin("deviceListStrategy: cdi-cri");
  ASSERT_TRUE(Eventually([&] { return !CdiDevices().empty(); }));
  ASSERT_TRUE(Eventually([&] {
    kubelet_->Remove("probe");
    const auto placed = kubelet_->Place("probe", "main", kGpu, 1);
    return placed.ok() && placed->allocation.cdi_devices.size() == 1;
  }));
  ConfigurePlugin("deviceListStrategy: envvar");
  EXPECT_TRUE(Eventually([&] { return !fs::exists(Path(kGpuSpec)); }));
  EXPECT_EQ(Resource().registrations, 1u);
  EXPECT_EQ(Resource().lists, 1u) << "the list is the same";
}

TEST_F(AgentAllocateTest, MigDevicesByCdiAndEnvironment) {
  Simulate("a30-x2-mig");
  Configure("flags:\n  migStrategy: mixed\n  plugin: {deviceListStrategy: [envvar, cdi-cri]}\n");
  StartKubelet();
  StartAgent();
  const std::string resource = "nvidia.com/mig-1g.6gb";
  ASSERT_TRUE(Shows(8, 8, resource));
  const rpc::StandinPlacement placed = Place(1, resource);
  EXPECT_TRUE(placed.ids[0].starts_with("MIG-"));
  EXPECT_EQ(placed.allocation.envs.at("NVIDIA_VISIBLE_DEVICES"), placed.ids[0]);
  EXPECT_EQ(placed.allocation.cdi_devices, std::vector<std::string>{kGpuClass + placed.ids[0]});
  EXPECT_TRUE(CdiDevices().contains(placed.ids[0]));
}

TEST_F(AgentAllocateTest, IndexIds) {
  Simulate("a30-x2-mig");
  Configure("flags:\n  migStrategy: single\n  plugin: {deviceIDStrategy: index}\n");
  StartAll(8);
  const rpc::StandinPlacement placed = Place(8);
  EXPECT_TRUE(placed.ids[0].starts_with("MIG-")) << "the kubelet's ids stay UUIDs";
  std::vector<std::string> indices =
      Split(placed.allocation.envs.at("NVIDIA_VISIBLE_DEVICES"), ',');
  std::sort(indices.begin(), indices.end());
  EXPECT_EQ(Join(indices, ","), "0:0,0:1,0:2,0:3,1:0,1:1,1:2,1:3");
}

// A simulated GPU has no device files, and those of a real one on the same host are not its own.
TEST_F(AgentAllocateTest, DeviceSpecsOfASimulatedNodeAreNone) {
  ConfigurePlugin("passDeviceSpecs: true");
  StartAll(4);
  const rpc::ContainerAllocation allocation = Place(1).allocation;
  EXPECT_EQ(allocation.envs.size(), 1u);
  EXPECT_TRUE(allocation.devices.empty());
}

TEST_F(AgentAllocateTest, ExtraFabrics) {
  Configure("flags: {gdsEnabled: true, mofedEnabled: true, gdrcopyEnabled: true}\n");
  StartAll(4);
  const auto envs = Place(1).allocation.envs;
  EXPECT_EQ(envs.at("NVIDIA_GDS"), "enabled");
  EXPECT_EQ(envs.at("NVIDIA_MOFED"), "enabled");
  EXPECT_EQ(envs.at("NVIDIA_GDRCOPY"), "enabled");
}

TEST_F(AgentAllocateTest, MoreThanOneReplicaIsRefusedIfSoConfigured) {
  Configure(
      "sharing:\n  timeSlicing:\n    failRequestsGreaterThanOne: true\n    resources:\n"
      "    - {name: nvidia.com/gpu, replicas: 4}\n");
  StartAll(16);
  const auto refused = kubelet_->Place("greedy", "main", kGpu, 2);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "invalid allocation request for \"nvidia.com/gpu\": invalid request: maximum request "
            "size for shared resources is 1; found 2");
  Place(1);
  EXPECT_EQ(
      agent_.Metric("aliquot_allocations_total{resource=\"nvidia.com/gpu\",result=\"failed\"}"), 1);
}

TEST_F(AgentAllocateTest, LinkedGpusArePreferred) {
  Simulate("mixed-a100-t4");
  StartAll(4);
  EXPECT_EQ(Place(2).ids, (std::vector<std::string>{std::min(GpuUuid(0), GpuUuid(1)),
                                                    std::max(GpuUuid(0), GpuUuid(1))}));
}

TEST_F(AgentAllocateTest, PoliciesOfReplicas) {
  const auto gpus_of = [](const rpc::StandinPlacement& placed) {
    std::set<std::string> gpus;
    for (const std::string& id : placed.ids) gpus.insert(id.substr(0, id.find("::")));
    return gpus.size();
  };
  Configure(SharedBy(4));
  StartAll(16);
  EXPECT_EQ(gpus_of(Place(4)), 4u) << "distributed by default";
  kubelet_->Remove("pod1");
  ConfigurePlugin("sharedDevicesAllocationPolicy: packed",
                  "sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}\n");
  ASSERT_TRUE(agent_.AwaitStatus("/config/generation", 2));
  EXPECT_EQ(gpus_of(Place(4)), 1u);
}

}  // namespace
}  // namespace aliquot::tests
