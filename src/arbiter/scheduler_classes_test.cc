// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "arbiter/scheduler.h"
#include "arbiter/testing/loads.h"

// Tenants that are not treated as all others: classes, and modes of computing.
namespace aliquot::arbiter {
namespace {

using arbiter::testing::Async;
using arbiter::testing::GpuModel;
using arbiter::testing::Joined;
using arbiter::testing::Load;
using arbiter::testing::Many;
using arbiter::testing::Measure;
using arbiter::testing::MeasureSolo;
using arbiter::testing::Percentile;
using arbiter::testing::Requests;
using arbiter::testing::Seconds;
using arbiter::testing::ShareError;
using arbiter::testing::Slow;
using arbiter::testing::Sync;
using arbiter::testing::Weight;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(SchedulerClassesTest, LatencyClassGoesAheadOfOthers) {
  const std::vector<Load> alone = {Requests(0, microseconds(50), 100, 30)};
  GpuModel solo(alone, nullptr);
  solo.RunUntil(seconds(15));
  const double solo_p99 = Percentile(solo.Latencies(0), 0.99);
  for (const Nanos kernel : {Nanos(microseconds(200)), Nanos(milliseconds(2))}) {
    const std::vector<Load> loads = Joined(alone, Many(3, Async(1, kernel)));
    Scheduler scheduler;
    ComputeSpec latency = Weight(1);
    latency.tenant_class = TenantClass::kLatency;
    scheduler.SetTenant(0, latency);
    scheduler.SetTenant(1, Weight(1));
    GpuModel model(loads, &scheduler);
    model.RunUntil(seconds(15));
    EXPECT_LE(Percentile(model.Latencies(0), 0.99), 1.3 * solo_p99)
        << kernel.count() << " ns kernels";
    EXPECT_GE(Seconds(model.Busy(1)) / 15, 0.75) << kernel.count() << " ns kernels";
  }
}

// A request whose host needs longer for each launch than the GPU for the kernel.
TEST(SchedulerClassesTest, NobodyGetsInBetweenTheLaunchesOfARequest) {
  Load request = Requests(0, microseconds(20), 40, 30);
  request.launch = microseconds(100);
  GpuModel solo({request}, nullptr);
  solo.RunUntil(seconds(10));
  for (const Load& neighbour : {Async(1), Slow(1, microseconds(20), microseconds(25))}) {
    Scheduler scheduler;
    ComputeSpec latency = Weight(1);
    latency.tenant_class = TenantClass::kLatency;
    scheduler.SetTenant(0, latency);
    scheduler.SetTenant(1, Weight(1));
    GpuModel model(Joined({request}, Many(3, neighbour)), &scheduler);
    model.RunUntil(seconds(10));
    EXPECT_LE(Percentile(model.Latencies(0), 0.5), 1.02 * Percentile(solo.Latencies(0), 0.5));
    EXPECT_LE(Percentile(model.Latencies(0), 0.99), 1.1 * Percentile(solo.Latencies(0), 0.99));
  }
}

// The first launch of a request rings; what it launched is done before anybody looks, as are all
// the others that its host launches one by one.
TEST(SchedulerClassesTest, ARequestIsSeenByItsLaunchesAlone) {
  Scheduler scheduler;
  ComputeSpec latency = Weight(1);
  latency.tenant_class = TenantClass::kLatency;
  scheduler.SetTenant(0, latency);
  scheduler.SetTenant(1, Weight(1));
  scheduler.AddProcess(0, 0);
  scheduler.AddProcess(1, 1);
  ProcessSample busy{.in_flight = true, .in_flight_estimate = microseconds(400)};
  ProcessSample request;
  Nanos now{0};
  const auto step = [&](bool launched) {
    now += microseconds(100);
    busy.completed += microseconds(100);
    request.launches += launched ? 1 : 0;
    scheduler.Observe(0, request);
    scheduler.Observe(1, busy);
    scheduler.Step(now);
  };
  for (int i = 0; i < 1000; ++i) step(false);
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(scheduler.GateOf(0).ring);
    EXPECT_TRUE(scheduler.GateOf(1).open);
    EXPECT_FALSE(scheduler.GateOf(1).ring);
    for (int i = 0; i < 20; ++i) {
      step(i % 2 == 0);
      EXPECT_FALSE(scheduler.GateOf(1).open) << "round " << round << ", step " << i;
      EXPECT_FALSE(scheduler.GateOf(0).ring);
      EXPECT_TRUE(scheduler.Active(0));
    }
    for (int i = 0; i < 5; ++i) step(false);
  }
}

TEST(SchedulerClassesTest, LatencyClassIsHeldToItsShareToo) {
  ComputeSpec latency = Weight(1);
  latency.tenant_class = TenantClass::kLatency;
  const std::vector<ComputeSpec> specs = {latency, Weight(1)};
  EXPECT_LE(ShareError(Measure({Async(0), Async(1)}, specs, seconds(1), seconds(4)), specs), 2);
}

TEST(SchedulerClassesTest, BestEffortTakesOnlyWhatIsLeft) {
  ComputeSpec least = Weight(1);
  least.tenant_class = TenantClass::kBestEffort;
  const std::vector<Load> busy_loads = {Async(0), Async(1)};
  const auto busy = Measure(busy_loads, {Weight(1), least}, seconds(1), seconds(2));
  EXPECT_GE(busy[0], 0.98);
  const std::vector<Load> gaps = {Sync(0, milliseconds(5), milliseconds(5)), Async(1)};
  const auto shared = Measure(gaps, {Weight(1), least}, seconds(1), seconds(3));
  const auto solo = MeasureSolo(gaps, 1, seconds(1), seconds(3));
  EXPECT_GE(shared[0], 0.9 * solo[0]);
  EXPECT_GE(shared[1], 0.7);  // of 1 s left over
}

TEST(SchedulerClassesTest, CappedNeverExceedsItsShare) {
  ComputeSpec capped = Weight(3);
  capped.whole = 10;
  capped.mode = ComputeMode::kCapped;
  const auto alone = Measure({Async(0)}, {capped}, seconds(1), seconds(4));
  EXPECT_NEAR(alone[0] / 3, 0.3, 0.01);
  const auto two = Measure({Async(0), Async(1)}, {capped, capped}, seconds(1), seconds(4));
  EXPECT_NEAR(two[0] / 3, 0.3, 0.01);
  EXPECT_NEAR(two[1] / 3, 0.3, 0.01);
  const auto longer = Measure({Async(0, milliseconds(10))}, {capped}, seconds(1), seconds(6));
  EXPECT_NEAR(longer[0] / 5, 0.3, 0.02);
  const auto processes = Measure(Many(4, Async(0)), {capped}, seconds(1), seconds(4));
  EXPECT_NEAR(processes[0] / 3, 0.3, 0.01);
}

TEST(SchedulerClassesTest, OffIsNeverHeldBack) {
  ComputeSpec off = Weight(1);
  off.mode = ComputeMode::kOff;
  Scheduler scheduler;
  scheduler.SetTenant(0, off);
  scheduler.SetTenant(1, Weight(1));
  const std::vector<Load> loads = {Async(0), Async(1)};
  GpuModel model(loads, &scheduler);
  for (int i = 0; i < 100; ++i) {
    model.RunUntil(milliseconds(10 * i));
    ASSERT_TRUE(scheduler.GateOf(0).open);
  }
}

}  // namespace
}  // namespace aliquot::arbiter
