// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/inventory_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gpu/inventory_keeper.h"
#include "gpu/mig_names.h"
#include "gpu/nvml_fake.h"
#include "gpu/nvml_session.h"

namespace aliquot::gpu {
namespace {

// A directory that stands for "/", removed at the end.
class TestRoot {
 public:
  TestRoot() : path_(::testing::TempDir() + "aliquot-gpu-" + std::to_string(::getpid())) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestRoot() { std::filesystem::remove_all(path_); }
  void Write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path_ + file).parent_path());
    std::ofstream(path_ + file) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class InventoryTest : public ::testing::Test {
 protected:
  Result<Inventory> Read() {
    const NvmlApi api = nvml_.Api();
    const Result<NvmlSession> session = NvmlSession::Open(api, ++generation_);
    if (!session.ok()) return session.error();
    return reader_.Read(api, generation_, simulated_node_);
  }

  TestRoot root_;
  FakeNvml nvml_;
  InventoryReader reader_{HostFiles(root_.path())};
  std::uint64_t generation_ = 0;
  std::string simulated_node_;
};

TEST_F(InventoryTest, ReadsWhatNvmlAndTheHostSay) {
  nvml_.AddGpus(1);
  nvml_.Edit([](auto& gpus) {
    gpus[0].bus_id = "00000000:1A:00.0";
    gpus[0].minor = 3;
    gpus[0].fabric = abi::FabricInfoV2{0, {0xab, 1}, abi::Return::kSuccess, 7, 3, 0};
  });
  root_.Write("/sys/bus/pci/devices/0000:1a:00.0/numa_node", "1\n");
  root_.Write("/sys/bus/pci/devices/0000:1a:00.0/drm/renderD128/dev", "");
  root_.Write("/sys/bus/pci/devices/0000:1a:00.0/drm/card1/dev", "");
  root_.Write("/sys/bus/pci/devices/0000:1a:00.0/drm/version", "");

  const Result<Inventory> inventory = Read();
  ASSERT_TRUE(inventory.ok()) << inventory.error().message;
  EXPECT_EQ(inventory->driver_version, "580.159.04");
  EXPECT_EQ(inventory->nvml_version, "13.580.159.04");
  EXPECT_EQ(inventory->cuda_version, 13000);
  EXPECT_FALSE(inventory->simulated());
  ASSERT_EQ(inventory->gpus.size(), 1u);
  const Gpu& gpu = inventory->gpus[0];
  EXPECT_EQ(gpu.bus_id, "0000:1a:00.0");
  EXPECT_EQ(gpu.device_path, "/dev/nvidia3");
  EXPECT_EQ(gpu.multiprocessors, 108u);
  EXPECT_EQ(gpu.memory_total_bytes, 40960ull << 20);
  EXPECT_EQ(gpu.memory_usable_bytes, 40360ull << 20);
  EXPECT_EQ(gpu.numa_node, 1);
  EXPECT_EQ(gpu.drm_paths, (std::vector<std::string>{"/dev/dri/card1", "/dev/dri/renderD128"}));
  ASSERT_TRUE(gpu.fabric.has_value());
  EXPECT_EQ(gpu.fabric->cluster_uuid, "ab010000-0000-0000-0000-000000000000");
  EXPECT_EQ(gpu.fabric->clique_id, 7u);
  EXPECT_TRUE(gpu.mig_capable);
  EXPECT_EQ(gpu.mig_profiles, (std::vector<std::string>{"1g.10gb", "1g.5gb", "1g.5gb+me", "2g.10gb",
                                                        "3g.20gb", "4g.20gb", "7g.40gb"}));
}

TEST_F(InventoryTest, OneBrokenGpuDoesNotHideTheOthers) {
  nvml_.AddGpus(3);
  nvml_.LoseGpu(1);
  const Result<Inventory> inventory = Read();
  ASSERT_TRUE(inventory.ok());
  ASSERT_EQ(inventory->gpus.size(), 2u);
  EXPECT_EQ(inventory->gpus[1].uuid, "GPU-2");
  EXPECT_EQ(inventory->topology.size(), 2u);
  ASSERT_EQ(inventory->broken.size(), 1u);
  EXPECT_EQ(inventory->broken[0].index, 1u);
  EXPECT_EQ(inventory->broken[0].reason, "nvmlDeviceGetName: GPU is lost (NVML error 15)");
}

// Whatever one call says about one GPU, the others are there; and the calls that ask about
// features rather than about health leave the GPU in place when they are not supported.
TEST_F(InventoryTest, NoFailureOfOneCallTakesAnotherGpuAway) {
  nvml_.AddGpus(2);
  nvml_.Edit([](auto& gpus) {
    gpus[0].mig_enabled = true;
    gpus[0].migs = {{7, 0, 0x0}};
  });
  NvmlApi api = nvml_.Api();
  std::vector<std::string> symbols;
  VisitNvml(api, [&](const char* symbol, auto&, bool) {
    if (std::string(symbol).starts_with("nvmlDevice")) symbols.push_back(symbol);
  });
  for (const std::string& symbol : symbols) {
    if (symbol == "nvmlDeviceGetCount_v2") continue;
    for (const abi::Return result :
         {abi::Return::kUnknown, abi::Return::kGpuIsLost, abi::Return::kNotSupported}) {
      nvml_.Fail(symbol, result, 0);
      const Result<Inventory> inventory = Read();
      ASSERT_TRUE(inventory.ok()) << symbol << ": " << inventory.error().message;
      ASSERT_FALSE(inventory->gpus.empty()) << symbol;
      EXPECT_EQ(inventory->gpus.back().uuid, "GPU-1") << symbol;
      EXPECT_EQ(inventory->gpus.size() + inventory->broken.size(), 2u) << symbol;
      nvml_.ClearFaults();
    }
  }
}

TEST_F(InventoryTest, ADeadDriverIsAnErrorAndNotAnEmptyNode) {
  nvml_.AddGpus(2);
  const NvmlApi api = nvml_.Api();
  const Result<NvmlSession> session = NvmlSession::Open(api, 1);
  ASSERT_TRUE(session.ok());
  for (const abi::Return result : {abi::Return::kUninitialized, abi::Return::kDriverNotLoaded,
                                   abi::Return::kLibRmVersionMismatch}) {
    nvml_.Fail("nvmlDeviceGetUUID", result, 0);
    const Result<Inventory> inventory = reader_.Read(api, 1, "");
    ASSERT_FALSE(inventory.ok());
    EXPECT_TRUE(IsDriverGone(inventory.error())) << inventory.error().message;
  }
}

TEST_F(InventoryTest, OptionalSymbolsTurnFeaturesOff) {
  nvml_.AddGpus(2);
  NvmlApi api = nvml_.Api();
  VisitNvml(api, [](const char*, auto& member, bool required) {
    if (!required) member = nullptr;
  });
  const Result<NvmlSession> session = NvmlSession::Open(api, 1);
  const Result<Inventory> inventory = reader_.Read(api, 1, "");
  ASSERT_TRUE(inventory.ok()) << inventory.error().message;
  ASSERT_EQ(inventory->gpus.size(), 2u);
  EXPECT_FALSE(inventory->gpus[0].mig_capable);
  EXPECT_EQ(inventory->gpus[0].memory_usable_bytes, inventory->gpus[0].memory_total_bytes);
  EXPECT_EQ(inventory->gpus[0].multiprocessors, 0u);
  EXPECT_EQ(inventory->topology.At(0, 1).p2p, P2pLevel::kUnknown);
}

TEST_F(InventoryTest, SkipsDisplayAdapters) {
  nvml_.AddGpus(3);
  nvml_.Edit([](auto& gpus) {
    gpus[0].name = "DGX Display";
    gpus[1].name = "NVIDIA DGX Display";
  });
  const Result<Inventory> inventory = Read();
  ASSERT_TRUE(inventory.ok());
  ASSERT_EQ(inventory->gpus.size(), 1u);
  EXPECT_EQ(inventory->gpus[0].index, 2u);
}

TEST_F(InventoryTest, MigDevicesWithNamesPlacementsAndCapabilityFiles) {
  root_.Write("/proc/driver/nvidia-caps/mig-minors",
              "config 1\nmonitor 2\ngpu0/gi7/access 66\ngpu0/gi7/ci0/access 67\n"
              "gpu0/gi2/ci1/access x\ngpu0/gi2/access 21\ngpu0/gi2/ci1/access 23\n");
  nvml_.AddGpus(1);
  nvml_.Edit([](auto& gpus) {
    gpus[0].mig_enabled = true;
    gpus[0].migs = {{7, 0, 0x7}, {2, 1, 0x2, 1, 14}, {2, 0, 0x2, 2, 28}, {3, 0, 0x9}};
  });
  const Result<Inventory> inventory = Read();
  ASSERT_TRUE(inventory.ok()) << inventory.error().message;
  const std::vector<MigDevice>& migs = inventory->gpus[0].mig_devices;
  ASSERT_EQ(migs.size(), 4u);
  EXPECT_EQ(migs[0].profile, "2c.3g.20gb");
  EXPECT_EQ(migs[1].profile, "1c.3g.20gb");
  EXPECT_EQ(migs[1].index, 1u);
  EXPECT_EQ(migs[1].multiprocessors, 14u);
  EXPECT_EQ(migs[1].memory_total_bytes, 19968ull << 20);
  EXPECT_EQ(migs[1].gi_cap_path, "/dev/nvidia-caps/nvidia-cap21");
  EXPECT_EQ(migs[1].ci_cap_path, "/dev/nvidia-caps/nvidia-cap23");
  EXPECT_EQ(migs[0].ci_cap_path, "");
  EXPECT_EQ(migs[2].profile, "1g.10gb");
  EXPECT_EQ(migs[3].profile, "1g.5gb+me");
  EXPECT_EQ(migs[3].gi_slices, 1u);
}

TEST_F(InventoryTest, ABrokenMigDeviceLeavesItsSiblings) {
  nvml_.AddGpus(1);
  nvml_.Edit([](auto& gpus) {
    gpus[0].mig_enabled = true;
    gpus[0].migs = {{7, 0, 0x0}, {8, 0, 0x0}};
  });
  NvmlApi api = nvml_.Api();
  const Result<NvmlSession> session = NvmlSession::Open(api, 1);
  const auto ask = api.device_attributes;
  int calls = 0;
  api.device_attributes = [&](abi::Device d, abi::DeviceAttributes* a) {
    return ++calls == 1 ? abi::Return::kUnknown : ask(d, a);
  };
  const Result<Inventory> inventory = reader_.Read(api, 1, "");
  ASSERT_TRUE(inventory.ok());
  ASSERT_EQ(inventory->gpus.size(), 1u);
  ASSERT_EQ(inventory->gpus[0].mig_devices.size(), 1u);
  ASSERT_EQ(inventory->gpus[0].broken_mig_devices.size(), 1u);
  EXPECT_EQ(inventory->gpus[0].broken_mig_devices[0].uuid, "MIG-0-7-0");
  EXPECT_EQ(inventory->gpus[0].broken_mig_devices[0].reason,
            "nvmlDeviceGetAttributes_v2: unknown error (NVML error 999)");
}

TEST_F(InventoryTest, SimulatedNodesHaveCapabilityFilesByRule) {
  simulated_node_ = "a100-40gb-x8";
  nvml_.AddGpus(2);
  nvml_.Edit([](auto& gpus) {
    gpus[1].mig_enabled = true;
    gpus[1].migs = {{14, 7, 0x0}};
  });
  const Result<Inventory> inventory = Read();
  ASSERT_TRUE(inventory.ok());
  EXPECT_EQ(inventory->simulated_node, "a100-40gb-x8");
  EXPECT_EQ(inventory->gpus[1].mig_devices[0].gi_cap_path, "/dev/nvidia-caps/nvidia-cap264");
  EXPECT_EQ(inventory->gpus[1].mig_devices[0].ci_cap_path, "/dev/nvidia-caps/nvidia-cap272");
}

TEST_F(InventoryTest, TopologyIsReadOncePerSetOfGpusAndTakesTheSmallerLinkCount) {
  nvml_.AddGpus(4);
  nvml_.Edit([](auto& gpus) {
    gpus[0].links = {gpus[3].bus_id, gpus[3].bus_id, "00000000:C0:00.0"};
    gpus[3].links = {gpus[0].bus_id};
  });
  const NvmlApi api = nvml_.Api();
  const Result<NvmlSession> session = NvmlSession::Open(api, 1);
  Result<Inventory> inventory = reader_.Read(api, 1, "");
  ASSERT_TRUE(inventory.ok());
  EXPECT_EQ(inventory->topology.At(0, 3), (Link{P2pLevel::kSystem, 1}));
  EXPECT_EQ(inventory->topology.At(3, 0), (Link{P2pLevel::kSystem, 1}));
  EXPECT_EQ(inventory->topology.At(0, 1), (Link{P2pLevel::kSingle, 0}));
  const int calls = nvml_.Calls("nvmlDeviceGetTopologyCommonAncestor");
  EXPECT_EQ(calls, 6);
  inventory = reader_.Read(api, 1, "");
  EXPECT_EQ(nvml_.Calls("nvmlDeviceGetTopologyCommonAncestor"), calls);
  nvml_.LoseGpu(2);
  inventory = reader_.Read(api, 1, "");
  EXPECT_EQ(inventory->topology.At(0, 2), (Link{P2pLevel::kSystem, 1}));  // GPU-0 and GPU-3
  EXPECT_EQ(nvml_.Calls("nvmlDeviceGetTopologyCommonAncestor"), calls + 3);
}

TEST(MigNames, FollowTheRuleOfNvidiasTools) {
  const struct {
    unsigned slices;
    std::uint64_t mib;
    std::uint64_t total_mib;
    const char* name;
  } cases[] = {
      {1, 4864, 40960, "1g.5gb"},      {7, 40192, 40960, "7g.40gb"},
      {1, 4864, 40536, "1g.5gb"},      {3, 19968, 40960, "3g.20gb"},
      {1, 9856, 81920, "1g.10gb"},     {7, 80384, 81920, "7g.80gb"},
      {1, 5952, 24576, "1g.6gb"},      {4, 24000, 24576, "4g.24gb"},
      {1, 16384, 143771, "1g.18gb"},   {2, 33280, 143771, "2g.35gb"},
      {3, 71424, 143771, "3g.71gb"},   {7, 143360, 143771, "7g.141gb"},
      {1, 10880, 95830, "1g.12gb"},    {3, 47232, 95830, "3g.47gb"},
      {1, 20992, 183359, "1g.23gb"},   {2, 45312, 183359, "2g.45gb"},
      {7, 182784, 183359, "7g.180gb"}, {1, 24192, 97887, "1g.24gb"},
      {4, 97280, 97887, "4g.96gb"},    {1, 9984, 81559, "1g.10gb"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(MigProfileName(0, c.slices, c.mib, c.total_mib << 20, ""), c.name) << c.total_mib;
  }
  EXPECT_EQ(MigProfileName(1, 3, 19968, 40960ull << 20, ""), "1c.3g.20gb");
  EXPECT_EQ(ProfileSuffix(0x7), "+me");
  EXPECT_EQ(ProfileSuffix(0x9), "");
  EXPECT_EQ(ProfileSuffix(0xC), "+gfx");
  EXPECT_EQ(ProfileSuffix(0xE), "-me");
  EXPECT_EQ(ProfileSuffix(0x10), "+me.all");
  EXPECT_EQ(ProfileSuffix(0x11), std::nullopt);
}

// Naming by first match gives the smaller compute instance the name of the whole profile, and tools
// that create by name lose multiprocessors.
TEST_F(InventoryTest, TheSmallerInstanceOfTheDoubleMemoryProfileHasItsOwnName) {
  nvml_.AddGpus(1);
  nvml_.Edit([](auto& gpus) {
    abi::GpuInstanceProfileInfo info{};
    info.id = 15;
    info.slices = 1;
    info.multiprocessors = 26;
    info.memory_mib = 33280;
    gpus[0].memory_total = 143771ull << 20;
    gpus[0].profiles = {{0x9, info}};
    gpus[0].mig_enabled = true;
    gpus[0].migs = {{3, 0, 0x9}, {4, 0, 0x9, 1, 16}};
  });
  const Result<Inventory> inventory = Read();
  ASSERT_TRUE(inventory.ok());
  EXPECT_EQ(inventory->gpus[0].mig_devices[0].profile, "1g.35gb");
  EXPECT_EQ(inventory->gpus[0].mig_devices[1].profile, "1c.1g.35gb");
}

TEST(MigMinorsTest, SkipsLinesItCannotRead) {
  const MigMinors minors = MigMinors::Parse(
      "config 1\n\ngpu0/gi0/access 3\ngpu0/gi0/ci0/access 4\r\ngpu0/gi0\ngpu/gi0/access 1\n"
      "gpu1/gi99999999999/access 7\ngpu1/gi0/access -3\ngpu1/gi0/ci0/other 4\ngpu1/gi2/access  "
      "156");
  EXPECT_EQ(minors.GpuInstance(0, 0), 3u);
  EXPECT_EQ(minors.ComputeInstance(0, 0, 0), 4u);
  EXPECT_EQ(minors.GpuInstance(1, 2), 156u);
  EXPECT_EQ(minors.GpuInstance(1, 0), std::nullopt);
  EXPECT_EQ(minors.skipped_lines(), 5u);
  EXPECT_EQ(MigMinors::ByRule().ComputeInstance(31, 14, 7), 4322u);
}

TEST(HostFilesTest, BusIdsAsSysfsSpellsThem) {
  EXPECT_EQ(SysfsBusId("00000000:1A:00.0"), "0000:1a:00.0");
  EXPECT_EQ(SysfsBusId("00010000:1A:00.0"), "10000:1a:00.0");
  EXPECT_EQ(SysfsBusId("0000:06:00.0"), "0000:06:00.0");
  EXPECT_EQ(SysfsBusId(""), "");
}

TEST(HostFilesTest, ANumaNodeTheFirmwareDoesNotKnowIsAbsent) {
  TestRoot root;
  root.Write("/sys/bus/pci/devices/a/numa_node", "-1\n");
  root.Write("/sys/bus/pci/devices/b/numa_node", "0\n");
  const HostFiles files(root.path() + "/");
  EXPECT_EQ(files.NumaNode("a"), std::nullopt);
  EXPECT_EQ(files.NumaNode("b"), 0);
  EXPECT_EQ(files.NumaNode("c"), std::nullopt);
  EXPECT_EQ(files.ReadMigMinors().error().code, Code::kNotFound);
}

Gpu SomeGpu(unsigned index, const std::string& uuid) {
  Gpu gpu;
  gpu.index = index;
  gpu.uuid = uuid;
  gpu.bus_id = "bus-" + uuid;
  return gpu;
}

MigDevice SomeMig(const std::string& uuid, unsigned index, unsigned gi) {
  MigDevice mig;
  mig.uuid = uuid;
  mig.index = index;
  mig.gi_id = gi;
  return mig;
}

Inventory SomeInventory(std::vector<Gpu> gpus, std::vector<BrokenGpu> broken = {}) {
  Inventory inventory;
  inventory.topology = Topology(gpus.size());
  inventory.gpus = std::move(gpus);
  inventory.broken = std::move(broken);
  return inventory;
}

TEST(InventoryKeeperTest, ALostGpuStaysWithItsLastGoodValueAndLinks) {
  InventoryKeeper keeper;
  Inventory first = SomeInventory({SomeGpu(0, "a"), SomeGpu(1, "b"), SomeGpu(2, "c")});
  first.gpus[1].mig_devices = {SomeMig("MIG-b", 0, 0)};
  first.topology.Set(0, 1, {P2pLevel::kSingle, 4});
  EXPECT_TRUE(keeper.Merge(first).lost.empty());

  const Inventory second =
      SomeInventory({SomeGpu(0, "a"), SomeGpu(2, "c")}, {{1, "", "", "GPU is lost"}});
  const InventoryKeeper::Merged merged = keeper.Merge(second);
  EXPECT_EQ(merged.inventory, first);
  EXPECT_EQ(merged.lost, (std::vector<LostDevice>{{"b", "GPU is lost"}, {"MIG-b", "GPU is lost"}}));
  EXPECT_TRUE(keeper.Merge(first).lost.empty());
}

TEST(InventoryKeeperTest, AGpuThatNeverWorkedIsOnlyBroken) {
  InventoryKeeper keeper;
  const Inventory inventory = SomeInventory({SomeGpu(0, "a")}, {{1, "b", "", "GPU is lost"}});
  EXPECT_EQ(keeper.Merge(inventory).inventory, inventory);
}

TEST(InventoryKeeperTest, ForgetsAGpuWhoseIndexAnotherTakes) {
  InventoryKeeper keeper;
  (void)keeper.Merge(SomeInventory({SomeGpu(0, "a"), SomeGpu(1, "b")}));
  const Inventory now = SomeInventory({SomeGpu(0, "b")});
  EXPECT_EQ(keeper.Merge(now).inventory, now);
}

TEST(InventoryKeeperTest, ADestroyedMigDeviceGoesAndABrokenOneStays) {
  InventoryKeeper keeper;
  Inventory inventory = SomeInventory({SomeGpu(0, "a")});
  inventory.gpus[0].mig_devices = {SomeMig("MIG-1", 0, 1), SomeMig("MIG-2", 1, 2)};
  (void)keeper.Merge(inventory);
  Inventory now = SomeInventory({SomeGpu(0, "a")});
  now.gpus[0].broken_mig_devices = {{1, "MIG-2", "unknown error"}};
  const InventoryKeeper::Merged merged = keeper.Merge(now);
  ASSERT_EQ(merged.inventory.gpus[0].mig_devices.size(), 1u);
  EXPECT_EQ(merged.inventory.gpus[0].mig_devices[0].uuid, "MIG-2");
  EXPECT_TRUE(merged.inventory.gpus[0].broken_mig_devices.empty());
  EXPECT_EQ(merged.lost, (std::vector<LostDevice>{{"MIG-2", "unknown error"}}));
}

}  // namespace
}  // namespace aliquot::gpu
