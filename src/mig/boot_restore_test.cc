// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/boot_restore.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "mig/sim_node_test.h"

namespace aliquot::mig {
namespace {

class BootRestore : public ::testing::Test {
 protected:
  Status Restore(const std::string& boot, const ApplyReport& recovered = {}) {
    FileJournalStore journal(sim_.directory() + "/journal");
    return RestoreLayout(sim_.driver(), journal, sim_.directory(), boot, recovered, NoLog());
  }
  std::vector<GpuMigState> All() {
    auto gpus = sim_.driver().ReadAll();
    return gpus.ok() ? *gpus : std::vector<GpuMigState>();
  }

  SimNode sim_{"a100-40gb-x8-mig"};
};

TEST_F(BootRestore, OnceInEveryBoot) {
  ASSERT_TRUE(RememberLayout(sim_.directory(), "a", All()).ok());
  EXPECT_FALSE(RestoreIsDue(sim_.directory(), "a"));
  EXPECT_TRUE(RestoreIsDue(sim_.directory(), "b"));
  const Layout before = LayoutOf(sim_.Look(3));
  ASSERT_TRUE(sim_.control().ResetGpu(3).ok());
  ASSERT_TRUE(Restore("b").ok());
  EXPECT_TRUE(SameLayout(LayoutOf(sim_.Look(3)), before));
  EXPECT_FALSE(RestoreIsDue(sim_.directory(), "b"));
  ASSERT_TRUE(sim_.control().ResetGpu(3).ok());
  ASSERT_TRUE(Restore("b").ok());
  EXPECT_TRUE(sim_.Look(3).instances.empty());
  ASSERT_TRUE(ForgetLayout(sim_.directory()).ok());
  ASSERT_TRUE(ForgetLayout(sim_.directory()).ok());
  EXPECT_FALSE(RestoreIsDue(sim_.directory(), "c"));
}

TEST_F(BootRestore, WhatTheJournalSawToIsLeftAlone) {
  ASSERT_TRUE(RememberLayout(sim_.directory(), "a", All()).ok());
  ASSERT_TRUE(sim_.control().ResetGpu(3).ok());
  ApplyReport recovered;
  recovered.gpus.push_back({sim_.Look(3).uuid, GpuOutcome::kDone, "", {}});
  ASSERT_TRUE(Restore("b", recovered).ok());
  EXPECT_TRUE(sim_.Look(3).instances.empty());
}

TEST_F(BootRestore, OneGpuThatIsGoneDoesNotStopTheOthers) {
  ASSERT_TRUE(RememberLayout(sim_.directory(), "a", All()).ok());
  ASSERT_TRUE(sim_.control().ResetGpu(3).ok());
  ASSERT_TRUE(sim_.control().Lose(0).ok());
  ASSERT_TRUE(Restore("b").ok());
  auto gpus = sim_.driver().ReadAll();
  ASSERT_TRUE(gpus.ok());
  for (const GpuMigState& gpu : *gpus) {
    if (gpu.index == 3) {
      EXPECT_EQ(gpu.instances.size(), 4u);
    }
  }
}

// Writing the same again would cost a write to the disk at every look.
TEST_F(BootRestore, WritesOnlyWhatIsNew) {
  ASSERT_TRUE(RememberLayout(sim_.directory(), "a", All()).ok());
  struct stat first{}, second{};
  ASSERT_EQ(::stat(LayoutPath(sim_.directory()).c_str(), &first), 0);
  ASSERT_TRUE(RememberLayout(sim_.directory(), "a", All()).ok());
  ASSERT_EQ(::stat(LayoutPath(sim_.directory()).c_str(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino);
}

TEST_F(BootRestore, ABrokenFileIsReported) {
  ASSERT_TRUE(WriteFileAtomically(LayoutPath(sim_.directory()), "{}").ok());
  EXPECT_TRUE(RestoreIsDue(sim_.directory(), "a"));
  const Status restored = Restore("a");
  ASSERT_FALSE(restored.ok());
  EXPECT_NE(restored.error().message.find("mig-layout.json"), std::string::npos);
}

}  // namespace
}  // namespace aliquot::mig
