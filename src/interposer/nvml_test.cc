// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/testing/fixture.h"

// NVML as programs in the container see it.
namespace aliquot::interposer::testing {
namespace {

class NvmlTest : public InterposerTest {
 protected:
  void Begin(std::uint64_t limit) {
    AgentStub::Options options = Options(limit);
    options.nvml = ALIQUOT_SIM_NVML_PATH;
    StartAgent(options);
  }
  static std::vector<std::string> Nvml(const std::string& mib = "") {
    std::vector<std::string> arguments = {"nvml", ALIQUOT_INTERPOSER_NVML_PATH};
    if (!mib.empty()) arguments.push_back(mib);
    return arguments;
  }
};

TEST_F(NvmlTest, TellsTheShareAndTheContainersProcesses) {
  Begin(4 * kGiB);
  Child worker({"query", "1024"}, Env());
  EXPECT_EQ(worker.Hear(), "4096 4096 2560");
  Child looker(Nvml(), Env());
  EXPECT_EQ(looker.Hear(), "4096 2560 " + std::to_string(worker.pid()) + ":1536");
  looker.Say("end");
  EXPECT_EQ(looker.Wait(), 0);
}

TEST_F(NvmlTest, ShowsHowBusyTheContainersProcessesAre) {
  Begin(4 * kGiB);
  Variables own = Env();
  own["TEST_PROGRAM"] = ALIQUOT_SIM_PROGRAM_PATH;
  own["ALIQUOT_SIM_TIME_SCALE"] = "1";
  Variables foreign = own;
  foreign["TEST_CUDA_LIBRARY"] = ALIQUOT_SIM_CUDA_PATH;
  Child worker({"spin", "1000", "async"}, own);
  Child other({"spin", "1000", "async"}, foreign);
  for (Child* child : {&worker, &other}) {
    EXPECT_EQ(child->Hear(), "ready");
    child->Say("go");
  }
  EXPECT_EQ(Play({"nvml-busy", ALIQUOT_INTERPOSER_NVML_PATH, std::to_string(worker.pid())}, Env()),
            0);
}

TEST_F(NvmlTest, AgreesWithCudaInTheSameProcess) {
  Begin(4 * kGiB);
  Variables variables = Env();
  variables["LD_PRELOAD"] = ALIQUOT_INTERPOSER_PATH;
  variables["TEST_CUDA_LIBRARY"] = "libcuda.so.1";
  Child child(Nvml("1000"), variables);
  EXPECT_EQ(child.Hear(), "4096 " + std::to_string(4096 - 512 - 1000) + " " +
                              std::to_string(child.pid()) + ":1512");
  child.Say("end");
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(NvmlTest, UsedUpIsZeroAndNoError) {
  Begin(2 * kGiB);
  Child worker({"query", "1024"}, Env());
  EXPECT_EQ(worker.Hear(), "2048 2048 512");
  agent_->SetLimit(kGiB);
  Child looker(Nvml(), Env());
  EXPECT_EQ(looker.Hear().substr(0, 7), "1024 0 ");
}

TEST_F(NvmlTest, WithoutAnAgentTheGrantsLimitIsTold) {
  Begin(4 * kGiB);
  agent_.reset();
  Child looker(Nvml(), Env());
  EXPECT_EQ(looker.Hear(), "4096 4096");
}

TEST_F(NvmlTest, WithoutALimitTheDeviceIsShown) {
  Begin(0);
  Child looker(Nvml(), Env());
  EXPECT_EQ(looker.Hear().substr(0, 4), "1437");
}

}  // namespace
}  // namespace aliquot::interposer::testing
