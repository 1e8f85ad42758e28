// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/gpu_observer.h"

#include <gtest/gtest.h>

#include "gpu/nvml_fake.h"

namespace aliquot::gpu {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RecordingListener final : public GpuMonitorListener {
 public:
  void OnInventory(std::shared_ptr<const Inventory> value) override {
    inventory = std::move(value);
    ++inventories;
  }
  void OnDriverUnavailable(const Error& error) override { unavailable.push_back(error); }
  void OnDriverAvailable() override { ++available; }
  void OnHealth(std::shared_ptr<const HealthSnapshot> value) override {
    health = std::move(value);
    ++healths;
  }
  void OnHang(const HangReport&) override {}
  void OnProcesses(std::shared_ptr<const ProcessSnapshot> value) override {
    processes = std::move(value);
    ++looks;
  }

  std::shared_ptr<const Inventory> inventory;
  std::shared_ptr<const ProcessSnapshot> processes;
  int looks = 0;
  std::shared_ptr<const HealthSnapshot> health;
  std::vector<Error> unavailable;
  int inventories = 0;
  int healths = 0;
  int available = 0;
};

class ObserverTest : public ::testing::Test {
 protected:
  ObserverTest() { nvml_.AddGpus(4); }

  // Steps until `time` has passed on the fake clock.
  void Run(Clock::Duration time) {
    const Clock::TimePoint end = clock_.Now() + time;
    do {
      const Clock::Duration idle = observer_.Step(milliseconds(200));
      clock_.Advance(idle);
    } while (clock_.Now() < end);
  }
  std::vector<std::string> Unhealthy() const {
    std::vector<std::string> uuids;
    for (const auto& [uuid, health] : listener_.health->unhealthy) uuids.push_back(uuid);
    return uuids;
  }

  FakeClock clock_;
  FakeNvml nvml_{&clock_};
  FakeDriverSource source_{nvml_};
  Logger log_{clock_, Logger::NullSink()};
  CallTracker tracker_{clock_, seconds(10)};
  RecordingListener listener_;
  GpuObserver observer_{source_, {}, clock_, log_, tracker_, listener_};
};

using Uuids = std::vector<std::string>;

TEST_F(ObserverTest, PublishesOnceAndThenOnlyChanges) {
  Run(seconds(60));
  ASSERT_NE(listener_.inventory, nullptr);
  EXPECT_EQ(listener_.inventory->gpus.size(), 4u);
  EXPECT_EQ(listener_.inventories, 1);
  EXPECT_EQ(listener_.healths, 1);
  EXPECT_EQ(listener_.available, 1);
  EXPECT_EQ(source_.loads(), 1);
  EXPECT_EQ(nvml_.Calls("nvmlDeviceGetCount_v2"), 12);  // every 5 s
  EXPECT_FALSE(tracker_.Current().has_value());
}

// A poll that asks everything costs an eight-GPU node more than half a percent of a core.
TEST_F(ObserverTest, AnHourOfPollsAsksEverythingOnceAMinute) {
  Run(seconds(1));
  const int names = nvml_.Calls("nvmlDeviceGetName");
  const int before = nvml_.Calls() - nvml_.Calls("nvmlEventSetWait_v2");
  Run(std::chrono::hours(1));
  EXPECT_NEAR(nvml_.Calls("nvmlDeviceGetName") - names, 60 * 4, 4);
  const int calls = nvml_.Calls() - nvml_.Calls("nvmlEventSetWait_v2") - before;
  EXPECT_LT(calls / 720.0 / 4, 8);  // per poll and GPU, full looks included
}

TEST_F(ObserverTest, WhatAQuickLookCannotSeeIsSeenWithinAMinute) {
  Run(seconds(1));
  nvml_.Edit([](auto& gpus) { gpus[1].memory_reserved = 1; });
  Run(seconds(61));
  EXPECT_EQ(listener_.inventory->gpus[1].memory_usable_bytes, (40960ull << 20) - 1);
  nvml_.Edit([](auto& gpus) { gpus[1].memory_reserved = 2; });
  observer_.RequestRefresh();
  Run(seconds(1));
  EXPECT_EQ(listener_.inventory->gpus[1].memory_usable_bytes, (40960ull << 20) - 2);
}

TEST_F(ObserverTest, WaitsForADriverWithBackOff) {
  source_.SetError(Error{Code::kNotFound, "no library"});
  Run(seconds(20));
  EXPECT_EQ(listener_.unavailable.size(), 1u);
  EXPECT_EQ(listener_.inventories, 0);
  EXPECT_GT(source_.loads(), 5);
  EXPECT_LT(source_.loads(), 12);
  source_.SetError(std::nullopt);
  Run(seconds(5));
  EXPECT_EQ(listener_.inventories, 1);
  EXPECT_TRUE(Unhealthy().empty());
}

TEST_F(ObserverTest, AnXidMarksTheGpuAtOnceAndItRecovers) {
  Run(seconds(1));
  nvml_.PostEvent(2, abi::kEventXidCritical, 79);
  observer_.Step(milliseconds(200));
  EXPECT_EQ(Unhealthy(), Uuids{"GPU-2"});
  EXPECT_EQ((listener_.health->xid_events.at({"GPU-2", 79})), 1u);
  Run(seconds(25));
  EXPECT_EQ(Unhealthy(), Uuids{"GPU-2"});
  Run(seconds(15));
  EXPECT_TRUE(Unhealthy().empty());
  EXPECT_EQ(listener_.inventories, 1);
}

TEST_F(ObserverTest, ALostGpuStaysListedUnhealthyAndComesBack) {
  Run(seconds(1));
  nvml_.LoseGpu(1);
  Run(seconds(6));
  EXPECT_EQ(listener_.inventory->gpus.size(), 4u);
  EXPECT_TRUE(listener_.inventory->broken.empty());
  EXPECT_EQ(Unhealthy(), Uuids{"GPU-1"});
  EXPECT_EQ(listener_.inventories, 1);
  nvml_.PostEvent(1, abi::kEventXidCritical, 79);  // XIDs of it are still understood
  Run(seconds(6));
  nvml_.ClearFaults();
  Run(seconds(45));
  EXPECT_TRUE(Unhealthy().empty());
  nvml_.PostEvent(1, abi::kEventXidCritical, 48);  // and it is watched again
  Run(seconds(1));
  EXPECT_EQ(Unhealthy(), Uuids{"GPU-1"});
}

TEST_F(ObserverTest, ReopensTheDriverAfterAReloadWithoutADip) {
  Run(seconds(1));
  nvml_.Fail("nvmlDeviceGetCount_v2", abi::Return::kLibRmVersionMismatch);
  const int loads = source_.loads();
  Run(seconds(6));
  EXPECT_GT(source_.loads(), loads);
  EXPECT_EQ(listener_.unavailable.size(), 1u);
  EXPECT_EQ(Unhealthy().size(), 4u);
  EXPECT_EQ(nvml_.open_sessions(), 0);
  nvml_.ClearFaults();
  Run(seconds(40));
  EXPECT_EQ(listener_.available, 2);
  EXPECT_TRUE(Unhealthy().empty());
  EXPECT_EQ(nvml_.open_sessions(), 1);
}

// A driver that was reloaded between two looks answers UNINITIALIZED once: nothing happened.
TEST_F(ObserverTest, AQuickReloadIsNotSeenOutside) {
  Run(seconds(1));
  const NvmlApi api = nvml_.Api();
  api.shutdown();  // the session is gone under the observer
  Run(seconds(6));
  EXPECT_EQ(source_.loads(), 2);
  EXPECT_TRUE(listener_.unavailable.empty());
  EXPECT_EQ(listener_.inventories, 1);
  EXPECT_TRUE(Unhealthy().empty());
  nvml_.PostEvent(0, abi::kEventXidCritical, 48);
  Run(seconds(1));
  EXPECT_EQ(Unhealthy(), Uuids{"GPU-0"});
}

TEST_F(ObserverTest, EventErrorsMarkNothingAndDoNotSpin) {
  Run(seconds(1));
  nvml_.Fail("nvmlEventSetWait_v2", abi::Return::kUnknown);
  const int before = nvml_.Calls("nvmlEventSetWait_v2");
  Run(seconds(60));
  EXPECT_TRUE(Unhealthy().empty());
  EXPECT_LT(nvml_.Calls("nvmlEventSetWait_v2") - before, 15);
  EXPECT_EQ(source_.loads(), 1);
  nvml_.ClearFaults();
  Run(seconds(11));
  nvml_.PostEvent(3, abi::kEventXidCritical, 48);
  Run(seconds(1));
  EXPECT_EQ(Unhealthy(), Uuids{"GPU-3"});
}

TEST_F(ObserverTest, AnEventOfAnUnknownGpuMarksNothing) {
  Run(seconds(1));
  nvml_.PostEvent(77, abi::kEventXidCritical, 48);
  Run(seconds(1));
  EXPECT_TRUE(Unhealthy().empty());
  EXPECT_TRUE(listener_.health->xid_events.empty());
}

TEST_F(ObserverTest, WithoutEventsGpusAreStillPolled) {
  nvml_.RemoveSymbol("nvmlEventSetWait_v2");
  nvml_.Edit([](auto& gpus) { gpus[0].supported_events = 0; });
  Run(seconds(1));
  EXPECT_TRUE(Unhealthy().empty());
  nvml_.LoseGpu(2);
  Run(seconds(6));
  EXPECT_EQ(Unhealthy(), Uuids{"GPU-2"});
}

TEST_F(ObserverTest, AMigChangeIsSeenAtOnce) {
  Run(seconds(1));
  nvml_.Edit([](auto& gpus) {
    gpus[0].mig_enabled = true;
    gpus[0].migs = {{1, 0, 0x2}, {2, 0, 0x2}};
  });
  nvml_.PostEvent(0, abi::kEventMigConfigChange, 0);
  observer_.Step(milliseconds(200));
  observer_.Step(milliseconds(200));
  EXPECT_EQ(listener_.inventory->gpus[0].mig_devices.size(), 2u);
  nvml_.PostEvent(0, abi::kEventXidCritical, 94, 2, 0);
  Run(seconds(1));
  EXPECT_EQ(Unhealthy(), Uuids{"MIG-0-2-0"});
}

TEST_F(ObserverTest, AnXidOfAnInstanceNotSeenYetFindsIt) {
  Run(seconds(1));
  nvml_.Edit([](auto& gpus) {
    gpus[0].mig_enabled = true;
    gpus[0].migs = {{1, 0, 0x2}};
  });
  observer_.RequestRefresh();
  Run(seconds(1));
  nvml_.Edit([](auto& gpus) { gpus[0].migs.push_back({2, 0, 0x2}); });
  nvml_.PostEvent(0, abi::kEventXidCritical, 94, 2, 0);
  Run(milliseconds(200));
  EXPECT_EQ(Unhealthy(), Uuids{"MIG-0-2-0"});
}

TEST_F(ObserverTest, AResetXidStaysUntilTheDriverIsContent) {
  Run(seconds(1));
  nvml_.Edit([](auto& gpus) { gpus[0].recovery_action = 1; });
  nvml_.PostEvent(0, abi::kEventXidCritical, 94);
  Run(seconds(120));
  EXPECT_EQ(listener_.health->unhealthy.at("GPU-0").reason,
            "XID 94; not recovered: the driver asks for a reset of the GPU");
  nvml_.Edit([](auto& gpus) { gpus[0].recovery_action = 0; });
  Run(seconds(40));
  EXPECT_TRUE(Unhealthy().empty());
}

// The driver unloads in the middle of anything: no crash, no leaked session, and back to work
// after.
TEST_F(ObserverTest, SurvivesTheDriverGoingAtEveryCall) {
  NvmlApi api = nvml_.Api();
  std::vector<std::string> symbols;
  VisitNvml(api, [&](const char* symbol, auto&, bool) { symbols.push_back(symbol); });
  Run(seconds(1));
  for (const std::string& symbol : symbols) {
    for (const abi::Return result : {abi::Return::kDriverNotLoaded, abi::Return::kUnknown}) {
      nvml_.Fail(symbol, result);
      nvml_.PostEvent(0, abi::kEventXidCritical, 94);
      Run(seconds(12));
      nvml_.ClearFaults();
      Run(seconds(12));
      EXPECT_LE(nvml_.open_sessions(), 1) << symbol;
      EXPECT_EQ(listener_.inventory->gpus.size(), 4u) << symbol;
    }
  }
  Run(std::chrono::minutes(20));
  EXPECT_TRUE(Unhealthy().empty());
}

TEST_F(ObserverTest, LooksAtProcessesOnlyWhileAskedTo) {
  Run(seconds(3));
  EXPECT_EQ(nvml_.Calls("nvmlDeviceGetComputeRunningProcesses_v3"), 0);
  observer_.WatchProcesses(seconds(1));
  Run(seconds(10));
  EXPECT_GE(listener_.looks, 9);
  EXPECT_LE(listener_.looks, 11);
  nvml_.Edit([](std::vector<FakeNvml::Gpu>& gpus) {
    gpus[0].processes.push_back({42, 1 << 20, abi::kNoInstanceId, abi::kNoInstanceId});
  });
  Run(seconds(2));
  ASSERT_EQ(listener_.processes->processes.size(), 1u);
  EXPECT_EQ(listener_.processes->processes[0].pid, 42u);
  observer_.WatchProcesses({});
  const int looks = listener_.looks;
  Run(seconds(10));
  EXPECT_EQ(listener_.looks, looks);
}

}  // namespace
}  // namespace aliquot::gpu
