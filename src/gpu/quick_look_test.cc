// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "gpu/inventory_reader.h"
#include "gpu/nvml_fake.h"
#include "gpu/nvml_session.h"

namespace aliquot::gpu {
namespace {

using Look = InventoryReader::Look;

// Eight GPUs that one reader has seen in full, in a session that stays open.
class QuickLookTest : public ::testing::Test {
 protected:
  QuickLookTest() {
    nvml_.AddGpus(8);
    EXPECT_TRUE(Read(Look::kFull).ok());
  }

  Result<Inventory> Read(Look look) { return reader_.Read(api_, generation_, "", look); }
  Inventory Quick() {
    Result<Inventory> inventory = Read(Look::kQuick);
    EXPECT_TRUE(inventory.ok()) << inventory.error().message;
    return inventory.ok() ? *std::move(inventory) : Inventory();
  }
  // What somebody sees who knew nothing before.
  Inventory Afresh() { return *InventoryReader(files_).Read(api_, generation_, ""); }
  // The number of NVML calls that a quick look makes.
  int Cost() {
    const int before = nvml_.Calls();
    Quick();
    return nvml_.Calls() - before;
  }
  // A driver that was loaded again: new handles, and a new generation.
  void Reopen() {
    api_.init();
    ++generation_;
  }
  void TurnMigOn(unsigned gpu, std::vector<FakeNvml::Mig> migs) {
    nvml_.Edit([&](auto& gpus) {
      gpus[gpu].mig_enabled = true;
      gpus[gpu].migs = std::move(migs);
    });
  }

  FakeNvml nvml_;
  NvmlApi api_ = nvml_.Api();
  HostFiles files_{"/nonexistent"};
  InventoryReader reader_{files_};
  std::uint64_t generation_ = 1;
  NvmlSession session_ = NvmlSession::Open(api_, 1).value();
};

TEST_F(QuickLookTest, AsksFourQuestionsPerGpu) {
  EXPECT_LE(Cost(), 4 * 8 + 1);
  EXPECT_EQ(Quick(), Afresh());
}

TEST_F(QuickLookTest, AsksThreeQuestionsPerMigDevice) {
  for (unsigned gpu = 0; gpu < 8; ++gpu) TurnMigOn(gpu, {{1, 0, 0x2}, {2, 0, 0x2}});
  EXPECT_EQ(Quick(), Afresh());
  // Seven places to look in, two of which hold a device.
  EXPECT_LE(Cost(), 8 * (4 + 7 + 2 * 2) + 1);
  EXPECT_EQ(Quick(), Afresh());
}

TEST_F(QuickLookTest, SeesMigModeGoOnAndOff) {
  TurnMigOn(3, {{1, 0, 0x2}});
  Inventory inventory = Quick();
  EXPECT_TRUE(inventory.gpus[3].mig_enabled);
  EXPECT_EQ(inventory.gpus[3].max_mig_devices, 7u);
  EXPECT_EQ(inventory.gpus[3].mig_devices.size(), 1u);
  EXPECT_EQ(inventory, Afresh());
  nvml_.Edit([](auto& gpus) {
    gpus[3].mig_enabled = false;
    gpus[3].migs.clear();
  });
  inventory = Quick();
  EXPECT_EQ(inventory.gpus[3].max_mig_devices, 0u);
  EXPECT_EQ(inventory, Afresh());
}

TEST_F(QuickLookTest, SeesMigDevicesComeAndGo) {
  TurnMigOn(0, {{1, 0, 0x2}, {5, 0, 0x1}});
  Quick();
  TurnMigOn(0, {{5, 0, 0x1}, {9, 0, 0x0}});  // one moved to another index
  const Inventory inventory = Quick();
  ASSERT_EQ(inventory.gpus[0].mig_devices.size(), 2u);
  EXPECT_EQ(inventory.gpus[0].mig_devices[0].uuid, "MIG-0-5-0");
  EXPECT_EQ(inventory.gpus[0].mig_devices[0].index, 0u);
  EXPECT_EQ(inventory, Afresh());
}

// UUIDs follow from ids: an instance made anew in the place of another may have its UUID.
TEST_F(QuickLookTest, SeesAnotherMigDeviceUnderTheSameUuid) {
  TurnMigOn(0, {{5, 0, 0x1}});
  EXPECT_EQ(Quick().gpus[0].mig_devices[0].profile, "2g.10gb");
  TurnMigOn(0, {{5, 0, 0x9}});
  const Inventory inventory = Quick();
  EXPECT_EQ(inventory.gpus[0].mig_devices[0].profile, "1g.10gb");
  EXPECT_EQ(inventory, Afresh());
}

TEST_F(QuickLookTest, SeesAMigDeviceBreakAndRecover) {
  TurnMigOn(0, {{5, 0, 0x1}});
  Quick();
  nvml_.Fail("nvmlDeviceGetAttributes_v2", abi::Return::kUnknown, 0);
  Inventory inventory = Quick();
  ASSERT_EQ(inventory.gpus[0].broken_mig_devices.size(), 1u);
  EXPECT_EQ(inventory.gpus[0].broken_mig_devices[0].uuid, "MIG-0-5-0");
  EXPECT_EQ(inventory, Afresh());
  nvml_.ClearFaults();
  inventory = Quick();
  EXPECT_EQ(inventory.gpus[0].mig_devices.size(), 1u);
  EXPECT_EQ(inventory, Afresh());
}

TEST_F(QuickLookTest, SeesAnotherGpuInAPlace) {
  nvml_.Edit([](auto& gpus) {
    gpus[2].uuid = "GPU-new";
    gpus[2].name = "NVIDIA A100-PCIE-40GB";
    gpus[2].bus_id = "00000000:77:00.0";
  });
  EXPECT_EQ(Quick().gpus[2].name, "NVIDIA A100-PCIE-40GB");
  EXPECT_EQ(Quick(), Afresh());
  nvml_.Edit([](auto& gpus) { std::swap(gpus[2], gpus[5]); });
  EXPECT_EQ(Quick(), Afresh());
  nvml_.Edit([](auto& gpus) { gpus.pop_back(); });
  EXPECT_EQ(Quick().gpus.size(), 7u);
  nvml_.AddGpus(1);
  EXPECT_EQ(Quick(), Afresh());
}

TEST_F(QuickLookTest, SeesTheMemorySizeChange) {
  nvml_.Edit([](auto& gpus) { gpus[1].memory_total = 80ull << 30; });
  const Inventory inventory = Quick();
  EXPECT_EQ(inventory.gpus[1].memory_total_bytes, 80ull << 30);
  EXPECT_EQ(inventory, Afresh()) << "also the MIG profiles, whose names follow from it";
}

TEST_F(QuickLookTest, ANewSessionForgetsEverything) {
  nvml_.Edit([](auto& gpus) {
    gpus[1].name = "renamed";
    gpus[1].minor = 9;
    gpus[1].memory_reserved = 1;
  });
  EXPECT_EQ(Quick().gpus[1].minor, 1u) << "not within a session";
  Reopen();
  EXPECT_EQ(Quick().gpus[1].minor, 9u);
  EXPECT_EQ(Quick(), Afresh());
}

TEST_F(QuickLookTest, AFullLookReadsEverythingAgain) {
  nvml_.Edit([](auto& gpus) { gpus[1].name = "renamed"; });
  EXPECT_EQ(Read(Look::kFull)->gpus[1].name, "renamed");
  EXPECT_EQ(Quick().gpus[1].name, "renamed");
}

TEST_F(QuickLookTest, ALostGpuIsBrokenAndReadInFullWhenItIsBack) {
  nvml_.LoseGpu(4);
  Inventory inventory = Quick();
  EXPECT_EQ(inventory.gpus.size(), 7u);
  ASSERT_EQ(inventory.broken.size(), 1u);
  EXPECT_EQ(inventory.broken[0].index, 4u);
  nvml_.ClearFaults();
  nvml_.Edit([](auto& gpus) { gpus[4].name = "repaired"; });
  inventory = Quick();
  EXPECT_EQ(inventory.gpus[4].name, "repaired");
  EXPECT_EQ(inventory, Afresh());
}

// A GPU off the bus may still have its handle and UUID, which NVML remembers.
TEST_F(QuickLookTest, EitherQuestionThatReachesTheGpuTellsALostOne) {
  for (const char* symbol : {"nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMigMode"}) {
    nvml_.Fail(symbol, abi::Return::kGpuIsLost, 4);
    const Inventory inventory = Quick();
    ASSERT_EQ(inventory.broken.size(), 1u) << symbol;
    EXPECT_EQ(inventory.broken[0].uuid, "GPU-4");
    EXPECT_EQ(inventory.broken[0].bus_id, "0000:14:00.0");
    EXPECT_EQ(inventory.gpus.size(), 7u);
    nvml_.ClearFaults();
    EXPECT_EQ(Quick(), Afresh());
  }
}

TEST_F(QuickLookTest, ADeadDriverIsAnErrorAtEveryCall) {
  for (const char* symbol :
       {"nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID",
        "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMigMode"}) {
    EXPECT_EQ(Quick(), Afresh());
    nvml_.Fail(symbol, abi::Return::kDriverNotLoaded);
    const Result<Inventory> inventory = Read(Look::kQuick);
    ASSERT_FALSE(inventory.ok()) << symbol;
    EXPECT_TRUE(IsDriverGone(inventory.error())) << symbol;
    nvml_.ClearFaults();
  }
}

TEST_F(QuickLookTest, DisplayAdaptersAreNotAskedAgain) {
  nvml_.Edit([](auto& gpus) { gpus[0].name = "DGX Display"; });
  EXPECT_EQ(Read(Look::kFull)->gpus.size(), 7u);
  EXPECT_LE(Cost(), 4 * 7 + 2);
  EXPECT_EQ(Quick(), Afresh());
}

// Registration with the fabric takes minutes after boot; its end should not wait for a full look.
TEST_F(QuickLookTest, AFabricBeingSetUpIsWatched) {
  nvml_.Edit([](auto& gpus) {
    gpus[0].fabric = abi::FabricInfoV2{0, {0xab}, abi::Return::kSuccess, 7, 2, 0};
  });
  EXPECT_FALSE(Read(Look::kFull)->gpus[0].fabric.has_value());
  EXPECT_FALSE(Quick().gpus[0].fabric.has_value());
  nvml_.Edit([](auto& gpus) { gpus[0].fabric->state = abi::kFabricCompleted; });
  EXPECT_TRUE(Quick().gpus[0].fabric.has_value());
  EXPECT_LE(Cost(), 4 * 8 + 1);
}

}  // namespace
}  // namespace aliquot::gpu
