// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/gpu_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "cdi/build.h"
#include "cdi/extra_specs.h"
#include "cdi/share_spec.h"
#include "cdi/temp_tree.h"

namespace aliquot::cdi {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kLib[] = "/usr/lib/x86_64-linux-gnu";

gpu::Gpu MakeGpu(unsigned index, unsigned minor) {
  gpu::Gpu gpu;
  gpu.index = index;
  gpu.minor = minor;
  gpu.uuid = "GPU-0000000" + std::to_string(index);
  gpu.device_path = "/dev/nvidia" + std::to_string(minor);
  return gpu;
}

// A node with its driver in a container's directory. Tests change what they are about.
struct Node {
  Node() {
    config.flags.device_list_strategies = {config::DeviceListStrategy::kCdiCri};
    inventory.driver_version = "580.159.04";
    for (const char* path : {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"}) {
      host.nodes[path] = {};
    }
    files.version = inventory.driver_version;
    files.libraries = {{std::string(kLib) + "/libcuda.so.580.159.04",
                        {{std::string(kLib) + "/libcuda.so.1", "libcuda.so.580.159.04"}}},
                       {std::string(kLib) + "/libnvidia-ml.so.580.159.04", {}}};
    files.binaries = {{"/usr/bin/nvidia-smi", "/usr/lib/nvidia/current/nvidia-smi"}};
    files.firmware = {{"/lib/firmware/nvidia/580.159.04/gsp_tu10x.bin",
                       "/usr/lib/firmware/nvidia/580.159.04/gsp_tu10x.bin"}};
    files.sockets = {{"/run/nvidia-persistenced/socket", "/run/nvidia-persistenced/socket"}};
    files.cuda_directories = {kLib};
    roots.driver_host = "/run/nvidia/driver";
    roots.dev_host = "";
  }

  // A Tesla T4 whose minor number is not its index.
  void AddT4() {
    gpu::Gpu gpu = MakeGpu(0, 3);
    gpu.drm_paths = {"/dev/dri/card1", "/dev/dri/renderD128"};
    host.nodes["/dev/nvidia3"] = {};
    host.nodes["/dev/dri/card1"] = {0660, 44, false};
    host.nodes["/dev/dri/renderD128"] = {0666, 105, false};
    host.links["/dev/dri/by-path/pci-0000:06:00.0-card"] = "../card1";
    host.links["/dev/dri/by-path/pci-0000:07:00.0-card"] = "../card2";
    inventory.gpus.push_back(gpu);
  }

  void AddMigA100() {
    gpu::Gpu gpu = MakeGpu(0, 0);
    gpu.mig_enabled = true;
    host.nodes["/dev/nvidia0"] = {};
    for (unsigned i = 0; i < 2; ++i) {
      gpu::MigDevice mig;
      mig.uuid = "MIG-0000000" + std::to_string(i);
      mig.index = i;
      mig.profile = "3g.20gb";
      mig.gi_cap_path = "/dev/nvidia-caps/nvidia-cap" + std::to_string(21 + 9 * i);
      mig.ci_cap_path = "/dev/nvidia-caps/nvidia-cap" + std::to_string(22 + 9 * i);
      host.nodes[mig.gi_cap_path] = {0444, 0, false};
      host.nodes[mig.ci_cap_path] = {0444, 0, false};
      gpu.mig_devices.push_back(mig);
    }
    inventory.gpus.push_back(gpu);
  }

  SpecInput Input() const {
    return {config, inventory, host, roots, files, hooks, options, with_files};
  }

  config::Config config;
  gpu::Inventory inventory;
  HostDevices host;
  Roots roots;
  DriverFiles files;
  Hooks hooks{"/usr/bin/nvidia-ctk", {}};
  Options options;
  bool with_files = true;
};

// What a runtime's strict decoder accepts: known keys of the right kind, nothing else.
void CheckKeys(const json::object& object, const std::map<std::string, json::kind>& known) {
  for (const auto& [key, value] : object) {
    const auto found = known.find(std::string(key));
    ASSERT_NE(found, known.end()) << "unknown key " << key;
    EXPECT_EQ(value.kind(), found->second) << key;
  }
}

void CheckEdits(const json::object& edits) {
  const auto s = json::kind::string;
  const auto a = json::kind::array;
  CheckKeys(edits,
            {{"env", a}, {"deviceNodes", a}, {"mounts", a}, {"hooks", a}, {"additionalGids", a}});
  const auto each = [&](const char* key, const std::map<std::string, json::kind>& known) {
    const json::value* array = edits.if_contains(key);
    if (array == nullptr) return;
    EXPECT_FALSE(array->as_array().empty()) << key;
    for (const json::value& item : array->as_array()) CheckKeys(item.as_object(), known);
  };
  each("deviceNodes", {{"path", s}, {"hostPath", s}, {"permissions", s}});
  each("mounts", {{"hostPath", s}, {"containerPath", s}, {"options", a}});
  each("hooks", {{"hookName", s}, {"path", s}, {"args", a}, {"env", a}});
}

void CheckSchema(const std::string& text) {
  const json::value parsed = json::parse(text);
  const json::object& spec = parsed.as_object();
  CheckKeys(spec, {{"cdiVersion", json::kind::string},
                   {"kind", json::kind::string},
                   {"devices", json::kind::array},
                   {"containerEdits", json::kind::object}});
  for (const json::value& device : spec.at("devices").as_array()) {
    CheckKeys(device.as_object(),
              {{"name", json::kind::string}, {"containerEdits", json::kind::object}});
    CheckEdits(device.at("containerEdits").as_object());
  }
  if (const json::value* common = spec.if_contains("containerEdits")) {
    CheckEdits(common->as_object());
  }
}

void ExpectGolden(const Spec& spec, const std::string& name) {
  EXPECT_TRUE(Validate(spec).ok());
  const std::string text = ToJson(spec);
  CheckSchema(text);
  const Result<std::string> golden = ReadFile("src/cdi/testdata/" + name);
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  EXPECT_EQ(text, *golden);
}

std::vector<std::string> Names(const Spec& spec) {
  std::vector<std::string> out;
  for (const Device& device : spec.devices) out.push_back(device.name);
  return out;
}

std::vector<std::string> MountPoints(const ContainerEdits& edits) {
  std::vector<std::string> out;
  for (const Mount& mount : edits.mounts) out.push_back(mount.container_path);
  return out;
}

TEST(GpuSpec, T4) {
  Node node;
  node.AddT4();
  ExpectGolden(BuildGpuSpec(node.Input()).spec, "t4.json");
}

TEST(GpuSpec, T4WithoutAHookProgramMountsLinkNames) {
  Node node;
  node.AddT4();
  node.hooks = Hooks(std::nullopt, {});
  ExpectGolden(BuildGpuSpec(node.Input()).spec, "t4-no-hooks.json");
}

TEST(GpuSpec, MigDevicesAndNotTheirGpu) {
  Node node;
  node.AddMigA100();
  node.roots.dev_host = "/run/nvidia/driver";
  ExpectGolden(BuildGpuSpec(node.Input()).spec, "mig.json");
}

TEST(GpuSpec, NamesFollowTheIdStrategy) {
  Node node;
  node.AddMigA100();
  node.config.flags.device_id_strategy = config::DeviceIdStrategy::kIndex;
  EXPECT_THAT(Names(BuildGpuSpec(node.Input()).spec), ElementsAre("0:0", "0:1"));
  EXPECT_EQ(GpuDeviceName(node.inventory.gpus[0], config::DeviceIdStrategy::kIndex), "0");
}

TEST(GpuSpec, ADeviceWithoutItsFileIsLeftOutAndTheOthersStay) {
  Node node;
  node.AddT4();
  node.inventory.gpus.push_back(MakeGpu(1, 4));
  const BuiltSpec built = BuildGpuSpec(node.Input());
  EXPECT_THAT(Names(built.spec), ElementsAre("GPU-00000000"));
  EXPECT_THAT(built.warnings, ElementsAre(HasSubstr("/dev/nvidia4")));
}

TEST(GpuSpec, ASimulatedNodeShowsNoDeviceFileEvenIfTheHostHasSome) {
  Node node;
  node.AddT4();
  node.inventory.simulated_node = "t4-x1";
  node.with_files = false;
  const Spec spec = BuildGpuSpec(node.Input()).spec;
  ASSERT_THAT(spec.devices, SizeIs(1));
  EXPECT_THAT(spec.devices[0].edits.env, ElementsAre("ALIQUOT_SIMULATED_NODE=t4-x1"));
  EXPECT_THAT(spec.devices[0].edits.device_nodes, IsEmpty());
  EXPECT_THAT(spec.common.device_nodes, IsEmpty());
  EXPECT_THAT(spec.common.mounts, IsEmpty());
  EXPECT_TRUE(Validate(spec).ok());
}

TEST(GpuSpec, FeatureFlagDropsGroups) {
  Node node;
  node.AddT4();
  EXPECT_THAT(BuildGpuSpec(node.Input()).spec.devices[0].edits.additional_gids, ElementsAre(44));
  node.options.feature_flags = {kNoAdditionalGids};
  const Spec spec = BuildGpuSpec(node.Input()).spec;
  EXPECT_THAT(spec.devices[0].edits.additional_gids, IsEmpty());
  EXPECT_EQ(MinimumVersion(spec), "0.3.0");
}

TEST(GpuSpec, ADisabledHookHasItsReplacement) {
  Node node;
  node.AddT4();
  node.hooks = Hooks("/usr/bin/nvidia-ctk", {"create-symlinks"});
  const Spec spec = BuildGpuSpec(node.Input()).spec;
  EXPECT_THAT(spec.devices[0].edits.hooks, IsEmpty());
  EXPECT_THAT(MountPoints(spec.common), testing::Contains(std::string(kLib) + "/libcuda.so.1"));
  EXPECT_THAT(MountPoints(spec.common),
              testing::Not(testing::Contains("/usr/local/nvidia/lib64/libcuda.so.1")));
}

TEST(GpuSpec, OnlyGraphicsMigProfilesGetDisplayNodes) {
  Node node;
  node.AddMigA100();
  node.inventory.gpus[0].drm_paths = {"/dev/dri/card1"};
  node.host.nodes["/dev/dri/card1"] = {};
  node.inventory.gpus[0].mig_devices[1].profile = "1g.24gb+gfx";
  const Spec spec = BuildGpuSpec(node.Input()).spec;
  EXPECT_THAT(spec.devices[0].edits.device_nodes, SizeIs(3));
  EXPECT_THAT(spec.devices[1].edits.device_nodes, SizeIs(4));
}

TEST(ExtraSpecs, GdsMountsWhatTheHostHas) {
  Node node;
  TempTree tree;
  tree.Directory("/run/udev");
  node.roots.driver = tree.root();
  node.config.flags.gds_enabled = true;
  node.host.nodes["/dev/nvidia-fs0"] = {};
  node.host.nodes["/dev/nvidia-fs1"] = {};
  const auto built = BuildExtraSpecs(node.Input());
  ASSERT_THAT(built, SizeIs(1));
  ExpectGolden(built[0].spec, "gds.json");
}

TEST(ExtraSpecs, WhatIsEnabledAndMissingWarnsAndIsNotPublished) {
  Node node;
  node.config.flags.gdrcopy_enabled = node.config.flags.mofed_enabled = true;
  node.config.imex.channel_ids = {0};
  for (const BuiltSpec& built : BuildExtraSpecs(node.Input())) {
    EXPECT_THAT(built.spec.devices, IsEmpty());
    EXPECT_THAT(built.warnings, SizeIs(1));
  }
}

TEST(ExtraSpecs, ImexChannelOutsideTheDevRootKeepsItsPlainPath) {
  Node node;
  node.roots.dev_host = "/run/nvidia/driver";
  node.config.imex.channel_ids = {0};
  node.host.nodes[ImexChannelPath(0)] = {0666, 0, true};
  const auto built = BuildExtraSpecs(node.Input());
  ASSERT_THAT(built, SizeIs(1));
  EXPECT_EQ(built[0].spec.devices[0].name, "0");
  EXPECT_EQ(built[0].spec.devices[0].edits.device_nodes[0].host_path, "");
}

TEST(BuildSpecs, NothingWithoutACdiStrategy) {
  Node node;
  node.AddT4();
  node.config.flags.device_list_strategies = {config::DeviceListStrategy::kEnvVar};
  const auto set = BuildSpecs(node.config, node.inventory, node.host, node.roots, {});
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_THAT(set->specs, IsEmpty());
}

TEST(BuildSpecs, ReadsTheDriverRootAndNamesWhatItPublishes) {
  Node node;
  node.AddT4();
  TempTree tree;
  tree.File(std::string(kLib) + "/libcuda.so.580.159.04");
  node.roots.driver = tree.root();
  const auto set = BuildSpecs(node.config, node.inventory, node.host, node.roots, {});
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->Devices(), (PublishedDevices{{"gpu", {"GPU-00000000"}}}));
  EXPECT_THAT(set->warnings, ElementsAre(HasSubstr("docs/cdi.md")));
  EXPECT_EQ(set->specs[0].common.mounts[0].host_path,
            "/run/nvidia/driver/usr/lib/x86_64-linux-gnu/libcuda.so.580.159.04");
}

TEST(BuildSpecs, ARealNodeWithoutDriverFilesIsAnErrorAndASimulatedOneIsNot) {
  Node node;
  node.AddT4();
  TempTree tree;
  node.roots.driver = tree.root();
  EXPECT_FALSE(BuildSpecs(node.config, node.inventory, node.host, node.roots, {}).ok());
  node.inventory.simulated_node = "t4-x1";
  EXPECT_TRUE(BuildSpecs(node.config, node.inventory, node.host, node.roots, {}).ok());
}

TEST(BuildSpecs, ASimulatedNodeHasTheFilesThatWereWrittenForIt) {
  Node node;
  node.AddT4();
  node.inventory.simulated_node = "t4-x1";
  TempTree tree;
  tree.File(std::string(kLib) + "/libcuda.so.580.159.04");
  node.roots.driver = tree.root();
  const auto build = [&] {
    auto set = BuildSpecs(node.config, node.inventory, node.host, node.roots, {});
    EXPECT_TRUE(set.ok()) << set.error().message;
    return set->specs.at(0);
  };
  EXPECT_THAT(build().common.mounts, IsEmpty()) << "a real driver's";
  tree.File("/usr/share/aliquot/simulated-node", "a100-40gb-x8\n");
  EXPECT_THAT(build().common.mounts, IsEmpty()) << "another node's";
  tree.File("/usr/share/aliquot/simulated-node", "t4-x1\n");
  const Spec spec = build();
  EXPECT_EQ(spec.common.mounts.at(0).host_path,
            "/run/nvidia/driver/usr/lib/x86_64-linux-gnu/libcuda.so.580.159.04");
  EXPECT_THAT(spec.devices.at(0).edits.device_nodes, SizeIs(3));
  EXPECT_THAT(spec.devices.at(0).edits.env, ElementsAre("ALIQUOT_SIMULATED_NODE=t4-x1"));
}

std::map<std::string, std::string> ByContainerPath(const ContainerEdits& edits) {
  std::map<std::string, std::string> out;
  for (const Mount& mount : edits.mounts) out[mount.container_path] = mount.host_path;
  return out;
}

Node ShareNode() {
  Node node;
  node.AddT4();
  node.options.share_libraries = {"/ours/cuda.so", "/ours/nvml.so", "/run/aliquot/driver"};
  node.config.sharing.isolation.emplace();
  node.config.sharing.isolation->compute = config::Isolation::Compute::kFair;
  return node;
}

TEST(ShareSpec, LiesOverTheDriversLibraries) {
  const Node node = ShareNode();
  const BuiltSpec built = BuildShareSpec(node.Input(), BuildGpuSpec(node.Input()).spec);
  ASSERT_THAT(built.spec.devices, SizeIs(1));
  EXPECT_TRUE(Validate(built.spec).ok());
  const std::string lib(kLib);
  const std::map<std::string, std::string> expected = {
      {lib + "/libcuda.so.580.159.04", "/ours/cuda.so"},
      {"/run/aliquot/driver/libcuda.so.1", "/run/nvidia/driver" + lib + "/libcuda.so.580.159.04"},
      {lib + "/libnvidia-ml.so.580.159.04", "/ours/nvml.so"},
      {"/run/aliquot/driver/libnvidia-ml.so.1",
       "/run/nvidia/driver" + lib + "/libnvidia-ml.so.580.159.04"}};
  EXPECT_EQ(ByContainerPath(built.spec.devices[0].edits), expected);
}

// Without the hook program the driver's libraries are mounted under every name.
TEST(ShareSpec, LiesOverEveryName) {
  Node node = ShareNode();
  node.hooks = Hooks(std::nullopt, {});
  const Spec gpu = BuildGpuSpec(node.Input()).spec;
  const BuiltSpec built = BuildShareSpec(node.Input(), gpu);
  const auto ours = ByContainerPath(built.spec.devices.at(0).edits);
  int over = 0;
  for (const auto& [container, host] : ByContainerPath(gpu.common)) {
    const bool cuda = host.find("libcuda.so") != std::string::npos;
    const bool nvml = host.find("libnvidia-ml.so") != std::string::npos;
    if (!cuda && !nvml) continue;
    EXPECT_EQ(ours.at(container), cuda ? "/ours/cuda.so" : "/ours/nvml.so");
    ++over;
  }
  EXPECT_GE(over, 6);
}

TEST(ShareSpec, OnlyWhereSharesAreEnforcedAndADriverIsOnTheHost) {
  Node node = ShareNode();
  node.files.libraries.pop_back();
  const BuiltSpec without = BuildShareSpec(node.Input(), BuildGpuSpec(node.Input()).spec);
  EXPECT_THAT(without.spec.devices, IsEmpty());
  EXPECT_THAT(without.warnings, SizeIs(1));
  node = ShareNode();
  node.config.sharing.isolation.reset();
  EXPECT_THAT(BuildShareSpec(node.Input(), BuildGpuSpec(node.Input()).spec).spec.devices,
              IsEmpty());
  node = ShareNode();
  node.inventory.simulated_node = "t4-x1";
  EXPECT_THAT(BuildShareSpec(node.Input(), BuildGpuSpec(node.Input()).spec).spec.devices,
              SizeIs(1));
  node.with_files = false;
  EXPECT_THAT(BuildShareSpec(node.Input(), BuildGpuSpec(node.Input()).spec).spec.devices,
              IsEmpty());
}

}  // namespace
}  // namespace aliquot::cdi
