// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/process_reader.h"

#include <gtest/gtest.h>

#include "gpu/nvml_fake.h"

namespace aliquot::gpu {
namespace {

class ProcessReaderTest : public ::testing::Test {
 protected:
  ProcessReaderTest() {
    nvml_.AddGpus(2);
    api_ = nvml_.Api();
    EXPECT_EQ(api_.init(), abi::Return::kSuccess);
    inventory_.gpus.resize(2);
    inventory_.gpus[0].uuid = "GPU-0";
    inventory_.gpus[1].uuid = "GPU-1";
  }
  void Run(unsigned gpu, std::uint32_t pid, std::uint64_t bytes, unsigned gi = abi::kNoInstanceId,
           unsigned ci = abi::kNoInstanceId) {
    nvml_.Edit([&](std::vector<FakeNvml::Gpu>& gpus) {
      gpus[gpu].processes.push_back({pid, bytes, gi, ci});
    });
  }
  ProcessSnapshot Read() {
    const auto snapshot = ReadProcesses(api_, inventory_, {});
    EXPECT_TRUE(snapshot.ok());
    return snapshot.ok() ? *snapshot : ProcessSnapshot();
  }

  FakeNvml nvml_;
  NvmlApi api_;
  Inventory inventory_;
};

TEST_F(ProcessReaderTest, ListsProcessesByDevice) {
  Run(1, 20, 2 << 20);
  Run(1, 10, 1 << 20);
  Run(0, 20, ~0ull);
  const ProcessSnapshot snapshot = Read();
  const std::vector<GpuProcess> expected = {
      {20, "GPU-0", std::nullopt}, {10, "GPU-1", 1 << 20}, {20, "GPU-1", 2 << 20}};
  EXPECT_EQ(snapshot.processes, expected);
  EXPECT_TRUE(snapshot.unread_gpus.empty());
  EXPECT_EQ(snapshot.memory.size(), 2u);
  EXPECT_EQ(snapshot.memory.at("GPU-1").total_bytes, 40960ull << 20);
}

TEST_F(ProcessReaderTest, TellsHowBusyProcessesWereSinceTheFormerLook) {
  const auto sample = [&](std::uint32_t pid, std::uint64_t time_us, std::uint32_t percent) {
    nvml_.Edit([&](std::vector<FakeNvml::Gpu>& gpus) {
      gpus[0].utilization.push_back({pid, time_us, percent, 0, 0, 0});
    });
  };
  SampleMarks marks;
  const auto look = [&] { return ReadProcesses(api_, inventory_, {}, &marks)->busy_percent; };
  sample(7, 1000, 90);
  EXPECT_TRUE(look().empty()) << "of any time before";
  sample(7, 2000, 30);
  sample(7, 3000, 40);
  sample(8, 2500, 120);
  const std::map<std::uint32_t, unsigned> expected = {{7, 40}, {8, 100}};
  EXPECT_EQ(look().at("GPU-0"), expected);
  EXPECT_TRUE(look().at("GPU-0").empty());
  EXPECT_TRUE(look().at("GPU-1").empty()) << "nobody was busy there";
  nvml_.Fail("nvmlDeviceGetProcessUtilization", abi::Return::kNotSupported, 0);
  EXPECT_FALSE(look().contains("GPU-0")) << "not known";
  EXPECT_TRUE(Read().busy_percent.empty()) << "not asked";
}

TEST_F(ProcessReaderTest, NamesTheMigDevice) {
  inventory_.gpus[0].mig_devices.resize(2);
  inventory_.gpus[0].mig_devices[0].uuid = "MIG-a";
  inventory_.gpus[0].mig_devices[0].gi_id = 1;
  inventory_.gpus[0].mig_devices[1].uuid = "MIG-b";
  inventory_.gpus[0].mig_devices[1].gi_id = 2;
  Run(0, 7, 5, 2, 0);
  EXPECT_EQ(Read().processes, (std::vector<GpuProcess>{{7, "MIG-b", 5}}));
}

TEST_F(ProcessReaderTest, MoreProcessesThanTheFirstGuess) {
  for (std::uint32_t pid = 1; pid <= 500; ++pid) Run(0, pid, pid);
  EXPECT_EQ(Read().processes.size(), 500u);
}

// A GPU that does not answer must not look like a GPU that nobody uses.
TEST_F(ProcessReaderTest, AGpuThatDoesNotAnswerIsUnread) {
  Run(0, 1, 1);
  Run(1, 2, 1);
  nvml_.Fail("nvmlDeviceGetComputeRunningProcesses_v3", abi::Return::kUnknown, 0);
  const ProcessSnapshot snapshot = Read();
  EXPECT_EQ(snapshot.unread_gpus, std::vector<std::string>{"GPU-0"});
  EXPECT_EQ(snapshot.processes, (std::vector<GpuProcess>{{2, "GPU-1", 1}}));
  nvml_.SetDriver(abi::Return::kUninitialized);
  EXPECT_FALSE(ReadProcesses(api_, inventory_, {}).ok());
}

}  // namespace
}  // namespace aliquot::gpu
