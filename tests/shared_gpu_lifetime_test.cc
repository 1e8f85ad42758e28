// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Loads and agents that come and go on a shared GPU, also under sanitizers: nothing here depends on
// how fast they are.
#include <algorithm>
#include <random>

#include "tests/shared_gpu_fixture.h"

namespace aliquot::tests {
namespace {

// A thousand processes, killed while they start, allocate by all families, wait at gates, run
// kernels: no session and no byte of them stays.
TEST_F(SharedGpuTest, KilledProcessesLeaveNothingBehind) {
  AddTenant("a", 1, 8 * kGib);
  AddTenant("b", 1);
  std::mt19937 random(7);
  // Somebody to share with, so that processes also die at gates.
  Start("b", Now() + 3600, {"--warm-seconds", "3600"});
  std::size_t most = 0;
  for (int round = 0; round < 125; ++round) {
    std::vector<Spin*> victims;
    for (int i = 0; i < 4; ++i) {
      victims.push_back(&Start("a", Now(), {"--seconds", "3600"}));
      victims.push_back(
          &Run("a", ALIQUOT_MEMORY_LOAD_PATH, {"mix", std::to_string(round), "alone"}));
    }
    for (Spin* victim : victims) {
      ::usleep(static_cast<unsigned>(random() % 30'000));
      most = std::max(most, Processes("a"));
      victim->Kill();
    }
    ASSERT_TRUE(Eventually([&] {
      server_->SetDeviceMemory({kGpu, 0, UINT64_MAX, {}, arbiter::MonotonicNow()});
      return Processes("a") == 0 && Usage("a").charged == 0;
    })) << "round "
        << round;
  }
  EXPECT_GE(most, 2u) << "they were at work";
}

TEST_F(SharedGpuTest, ARestartOfTheAgentDisturbsNobody) {
  AddTenant("a", 1);
  AddTenant("b", 1);
  for (const char* tenant : {"a", "b"}) Start(tenant, Now(), {"--seconds", "3600"});
  const auto connected = [&] { return Processes("a") == 1 && Processes("b") == 1; };
  const auto at_work = [&] {
    return Usage("a").compute.used > arbiter::Nanos(0) &&
           Usage("b").compute.used > arbiter::Nanos(0);
  };
  ASSERT_TRUE(Eventually([&] { return connected() && at_work(); }));
  const std::uint64_t held = Usage("a").charged;
  EXPECT_GT(held, 0u);
  for (int i = 0; i < 3; ++i) {
    Restart();
    ASSERT_TRUE(Eventually(connected));
    EXPECT_EQ(Usage("a").charged, held);
    ASSERT_TRUE(Eventually(at_work)) << "counted from anew";
  }
}

}  // namespace
}  // namespace aliquot::tests
