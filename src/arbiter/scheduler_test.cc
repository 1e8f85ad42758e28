// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/scheduler.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "arbiter/testing/gpu_model.h"
#include "arbiter/testing/loads.h"

namespace aliquot::arbiter {
namespace {

using arbiter::testing::Async;
using arbiter::testing::GpuModel;
using arbiter::testing::Joined;
using arbiter::testing::Load;
using arbiter::testing::Many;
using arbiter::testing::Measure;
using arbiter::testing::MeasureSolo;
using arbiter::testing::Seconds;
using arbiter::testing::ShareError;
using arbiter::testing::Slow;
using arbiter::testing::Sync;
using arbiter::testing::Weight;
using arbiter::testing::Weights;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Mix {
  std::string name;
  std::vector<Load> loads;
  std::vector<std::uint32_t> weights;
  std::vector<double> expected;  // fraction of its solo rate each tenant reaches at least
};

void PrintTo(const Mix& mix, std::ostream* out) { *out << mix.name; }

class MixTest : public ::testing::TestWithParam<Mix> {};

TEST_P(MixTest, EachTenantReachesItsPartOfItsSoloRate) {
  const Mix& mix = GetParam();
  std::vector<ComputeSpec> specs;
  for (const std::uint32_t weight : mix.weights) specs.push_back(Weight(weight));
  const std::vector<double> busy = Measure(mix.loads, specs, milliseconds(500), seconds(2));
  const std::vector<double> solo =
      MeasureSolo(mix.loads, specs.size(), milliseconds(500), seconds(2));
  for (std::size_t i = 0; i < specs.size(); ++i) {
    EXPECT_GE(busy[i] / solo[i], mix.expected[i] - 0.03) << "tenant " << i;
  }
}

// The expectations are those of an independent model of the algorithm with the same constants.
INSTANTIATE_TEST_SUITE_P(
    Table, MixTest,
    ::testing::Values(Mix{"backlogged 1 v 8 processes",
                          Joined({Async(0)}, Many(8, Async(1))),
                          {1, 1},
                          {.49, .54}},
                      Mix{"backlogged 3:1", {Async(0), Async(1)}, {3, 1}, {.75, .25}},
                      Mix{"light 0.1/0.1 x2",
                          {Sync(0, microseconds(100), microseconds(100)),
                           Sync(1, microseconds(100), microseconds(100))},
                          {1, 1},
                          {.78, .78}},
                      Mix{"light 1/1 x2",
                          {Sync(0, milliseconds(1), milliseconds(1)),
                           Sync(1, milliseconds(1), milliseconds(1))},
                          {1, 1},
                          {.95, .95}},
                      Mix{"light 0.3/0.7 x3",
                          {Sync(0, microseconds(300), microseconds(700)),
                           Sync(1, microseconds(300), microseconds(700)),
                           Sync(2, microseconds(300), microseconds(700))},
                          {1, 1, 1},
                          {.98, .98, .98}},
                      Mix{"hosts that launch too slowly x2",
                          {Slow(0, microseconds(4), microseconds(12)),
                           Slow(1, microseconds(4), microseconds(12))},
                          {1, 1},
                          {.95, .95}},
                      Mix{"the same, one with half of the GPU",
                          {Slow(0, microseconds(4), microseconds(20)),
                           Slow(1, microseconds(10), microseconds(20))},
                          {1, 1},
                          {.95, .9}},
                      Mix{"inference passes x2",
                          {Slow(0, microseconds(3), microseconds(28), 120),
                           Slow(1, microseconds(3), microseconds(28), 120)},
                          {1, 1},
                          {.96, .96}},
                      Mix{"slow launches v light 0.3/0.7",
                          {Slow(0, microseconds(4), microseconds(12)),
                           Sync(1, microseconds(300), microseconds(700))},
                          {1, 1},
                          {.98, .95}},
                      Mix{"slow launches v launch and wait",
                          {Slow(0, microseconds(10), microseconds(20)),
                           Sync(1, microseconds(200), microseconds(10), 8)},
                          {1, 1},
                          {.75, .48}},
                      Mix{"light 0.1/0.1 v backlogged",
                          {Sync(0, microseconds(100), microseconds(100)), Async(1)},
                          {1, 1},
                          {.52, .48}},
                      Mix{"light 1/1 v backlogged",
                          {Sync(0, milliseconds(1), milliseconds(1)), Async(1)},
                          {1, 1},
                          {.92, .47}},
                      Mix{"light 0.3/1 v backlogged",
                          {Sync(0, microseconds(300), milliseconds(1)), Async(1)},
                          {1, 1},
                          {.78, .66}},
                      Mix{"light 0.3/1 v 3 backlogged processes",
                          Joined({Sync(0, microseconds(300), milliseconds(1))}, Many(3, Async(1))),
                          {1, 1},
                          {.78, .66}},
                      Mix{"5/2 v backlogged",
                          {Sync(0, milliseconds(5), milliseconds(2)), Async(1)},
                          {1, 1},
                          {.65, .46}},
                      Mix{"0.1/0.1 + 1/1 + backlogged",
                          {Sync(0, microseconds(100), microseconds(100)),
                           Sync(1, milliseconds(1), milliseconds(1)), Async(2)},
                          {1, 1, 1},
                          {.32, .64, .32}},
                      Mix{"1/1 weight 3 v 4 backlogged processes",
                          Joined({Sync(0, milliseconds(1), milliseconds(1))}, Many(4, Async(1))),
                          {3, 1},
                          {.85, .47}},
                      Mix{"1/1 + 2 backlogged",
                          {Sync(0, milliseconds(1), milliseconds(1)), Async(1), Async(2)},
                          {1, 1, 1},
                          {.63, .32, .32}}));

// The model's GPU alone shows what was measured on hardware: equal slices per process.
TEST(GpuModelTest, SharesPerProcessWithoutUs) {
  std::vector<Load> loads = Joined({Async(0)}, Many(3, Async(1)));
  GpuModel model(loads, nullptr);
  model.RunUntil(seconds(2));
  EXPECT_NEAR(Seconds(model.Busy(0)) / 2, 0.229, 0.01);
  EXPECT_NEAR(Seconds(model.Busy(1)) / 2, 0.687, 0.01);
}

class BackloggedTest : public ::testing::TestWithParam<bool> {
 protected:
  // Launching without end, or eight kernels and a wait.
  Load Busy(std::uint64_t tenant) const {
    return GetParam() ? Sync(tenant, microseconds(200), microseconds(10), 8) : Async(tenant);
  }
};

TEST_P(BackloggedTest, ShareErrorIsBelowOnePoint) {
  struct Case {
    std::vector<int> processes;
    std::vector<ComputeSpec> specs;
  };
  for (const Case& c : {Case{{1, 1}, Weights({1, 1})}, Case{{1, 3}, Weights({1, 1})},
                        Case{{1, 8}, Weights({1, 1})}, Case{{4, 4}, Weights({1, 9})},
                        Case{{1, 1}, Weights({3, 1})}, Case{{1, 1, 1}, Weights({7, 2, 1})}}) {
    std::vector<Load> loads;
    for (std::size_t i = 0; i < c.processes.size(); ++i) {
      loads = Joined(loads, Many(c.processes[i], Busy(i)));
    }
    const std::vector<double> busy = Measure(loads, c.specs, milliseconds(500), milliseconds(2500));
    EXPECT_LE(ShareError(busy, c.specs), 1.0) << c.processes.back() << " processes";
    double sum = 0;
    for (const double b : busy) sum += b;
    EXPECT_GE(sum / 2, 0.96) << "GPU time lost";  // native slicing: 0.91
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BackloggedTest, ::testing::Bool());

TEST(SchedulerTest, ShortKernelsKeepUpWithLongOnes) {
  const std::vector<Load> loads = {Sync(0, microseconds(50), microseconds(10), 8),
                                   Sync(1, milliseconds(5), microseconds(10), 8)};
  const std::vector<double> busy = Measure(loads, Weights({1, 1}), seconds(1), seconds(4));
  EXPECT_GE(busy[0] / 3, 0.45);
  EXPECT_GE(busy[1] / 3, 0.45);
}

// A tenant that never wanted its share has no claim on the time it did not want.
TEST(SchedulerTest, WhatNobodyWantedIsNotOwed) {
  std::vector<Load> loads = {Slow(0, microseconds(2), microseconds(20)), Async(1), Async(0)};
  loads[2].start = seconds(4);
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  GpuModel model(loads, &scheduler);
  model.RunUntil(seconds(4));
  EXPECT_GE(Seconds(model.Busy(1)) / 4, 0.5);
  const Nanos before = model.Busy(1);
  model.RunUntil(seconds(4) + milliseconds(200));
  EXPECT_GE(Seconds(model.Busy(1) - before) / 0.2, 0.3);
}

TEST(SchedulerTest, KernelsFarLongerThanATurnStillShare) {
  const std::vector<Load> loads = {Sync(0, microseconds(50), microseconds(10), 8),
                                   Sync(1, milliseconds(100), microseconds(10))};
  const std::vector<double> busy = Measure(loads, Weights({3, 1}), seconds(2), seconds(8));
  EXPECT_LE(ShareError(busy, Weights({3, 1})), 4);
}

TEST(SchedulerTest, WrongPredictionsDoNotSkewTurns) {
  std::vector<Load> loads = {Async(0), Async(1)};
  loads[0].estimate_factor = 0.3;
  loads[1].estimate_factor = 3;
  const std::vector<double> busy = Measure(loads, Weights({1, 1}), seconds(1), seconds(3));
  EXPECT_LE(ShareError(busy, Weights({1, 1})), 2);
}

// A neighbour that works for 100 ms and rests for 100 ms.
struct Stops {
  std::string name;
  std::vector<Load> neighbour;
  Load other = Async(0);
};

void PrintTo(const Stops& stops, std::ostream* out) { *out << stops.name; }

class StopTest : public ::testing::TestWithParam<Stops> {
 protected:
  // Looks at its full cap in naps, and takes its own work for half as long again as it is: as a
  // process on hardware may, which then finds a tight cap full with one kernel in flight.
  static arbiter::testing::GpuConstants Hardware() {
    arbiter::testing::GpuConstants constants;
    constants.slice = microseconds(2090);
    constants.switch_busy = microseconds(180);
    constants.nap = microseconds(130);
    return constants;
  }
};

TEST_P(StopTest, TheOtherHasItsFullSpeedWithinMilliseconds) {
  std::vector<Load> loads = Joined({GetParam().other}, GetParam().neighbour);
  loads[0].estimate_factor = 1.5;
  for (std::size_t i = 1; i < loads.size(); ++i) loads[i].on = loads[i].off = milliseconds(100);
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  GpuModel model(loads, &scheduler, Hardware());
  for (int i = 0; i < 10; ++i) {
    const Nanos stop = milliseconds(100 + 200 * i);
    model.RunUntil(stop + milliseconds(10));
    const Nanos before = model.Busy(0);
    model.RunUntil(stop + milliseconds(99));
    EXPECT_GE(Seconds(model.Busy(0) - before), 0.95 * 0.089) << "stop " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Neighbours, StopTest,
    ::testing::Values(Stops{"launches without end", {Async(1)}},
                      Stops{"three processes", {Async(1), Async(1), Async(1)}},
                      Stops{"waits for results", {Sync(1, microseconds(200), microseconds(10), 8)}},
                      Stops{"leaves gaps", {Sync(1, microseconds(300), microseconds(700))}},
                      Stops{"long kernels beside", {Async(1)}, Async(0, milliseconds(1))},
                      Stops{"graphs beside", {Async(1)}, Async(0, microseconds(3500))}));

// How much a tenant may have in flight next to another one that is about.
class CapTest : public ::testing::Test {
 protected:
  void Run(const Load& neighbour, Nanos until) {
    scheduler_.SetTenant(0, Weight(1));
    scheduler_.SetTenant(1, Weight(1));
    model_.emplace(std::vector<Load>{Async(0), neighbour}, &scheduler_);
    model_->RunUntil(until);
  }
  Nanos CapAt(Nanos time) {
    model_->RunUntil(time);
    return scheduler_.GateOf(0).cap;
  }

  Scheduler scheduler_;
  std::optional<GpuModel> model_;
};

TEST_F(CapTest, ABackloggedNeighbourThatStopsIsNotTakenForALightOne) {
  Load neighbour = Async(1);
  neighbour.stop = milliseconds(200);
  Run(neighbour, milliseconds(200));
  for (int us = 0; us < 7000; us += 100) {
    ASSERT_EQ(CapAt(milliseconds(200) + microseconds(us)), milliseconds(1)) << us;
  }
  EXPECT_EQ(CapAt(milliseconds(210)), milliseconds(4));
}

TEST_F(CapTest, RestsThatANeighbourIsUsedToKeepTheRoomForIt) {
  Load neighbour = Sync(1, milliseconds(1), milliseconds(7));
  neighbour.stop = milliseconds(400);
  Run(neighbour, milliseconds(200));
  for (int us = 0; us < 200'000; us += 100) {
    ASSERT_EQ(CapAt(milliseconds(200) + microseconds(us)), microseconds(400)) << us;
  }
  EXPECT_EQ(CapAt(milliseconds(418)), microseconds(400));
  EXPECT_EQ(CapAt(milliseconds(440)), milliseconds(4));
}

// An absence says nothing about how it rests while it works.
TEST_F(CapTest, AbsencesAreNoHabit) {
  Load neighbour = Async(1);
  neighbour.on = neighbour.off = milliseconds(100);
  Run(neighbour, milliseconds(300));
  EXPECT_EQ(CapAt(milliseconds(310)), milliseconds(4));
}

TEST_F(CapTest, AProcessThatIsGoneNeedsNoRoom) {
  Run(Async(1), milliseconds(200));
  model_->Kill(1);
  EXPECT_EQ(CapAt(milliseconds(200) + microseconds(300)), Nanos(0));
}

// What a tenant does alone on the GPU is not told, and its figures say so.
TEST(SchedulerTest, TimeIsCountedWhileOthersAreAbout) {
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  GpuModel model({Async(0), Async(1)}, &scheduler);
  model.RunUntil(milliseconds(500));
  EXPECT_GE(scheduler.UseOf(0).counted, milliseconds(490));
  model.Kill(1);
  model.RunUntil(seconds(2));
  EXPECT_LE(scheduler.UseOf(0).counted, milliseconds(501));
}

TEST(SchedulerTest, ALoneTenantIsNotHeldBack) {
  const std::vector<Load> loads = Many(3, Async(0));
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  GpuModel model(loads, &scheduler);
  model.RunUntil(seconds(1));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(scheduler.GateOf(i).open);
    EXPECT_EQ(scheduler.GateOf(i).cap, Nanos(0));
  }
  EXPECT_LE(model.steps(), 110u);
}

TEST(SchedulerTest, SleepsWhenNobodyWorks) {
  std::vector<Load> loads = {Async(0), Async(1)};
  for (Load& load : loads) load.stop = milliseconds(100);
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  GpuModel model(loads, &scheduler);
  model.RunUntil(seconds(1));
  EXPECT_FALSE(scheduler.next_step().has_value());
  EXPECT_TRUE(scheduler.GateOf(0).ring);
  const std::uint64_t steps = model.steps();
  model.RunUntil(seconds(9));
  EXPECT_EQ(model.steps(), steps);
}

TEST(SchedulerTest, SleepDoesNotSaveUpCredit) {
  std::vector<Load> loads = {Async(0), Async(1)};
  loads[1].start = seconds(2);
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  GpuModel model(loads, &scheduler);
  model.RunUntil(seconds(2));
  const Nanos before = model.Busy(0);
  model.RunUntil(seconds(2) + milliseconds(100));
  EXPECT_GE(Seconds(model.Busy(0) - before), 0.040);
}

TEST(SchedulerTest, DeathOfTheHolderPassesItsTurnOnAtOnce) {
  std::vector<Load> loads = {Async(0), Async(0), Async(1), Async(1)};
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  GpuModel model(loads, &scheduler);
  model.RunUntil(milliseconds(502));
  ASSERT_TRUE(scheduler.turn().has_value());
  const std::uint64_t holder = *scheduler.turn();
  const std::size_t first = scheduler.GateOf(2 * holder).open ? 2 * holder : 2 * holder + 1;
  model.Kill(first);
  const Nanos before = model.Busy(0) + model.Busy(1);
  model.RunUntil(milliseconds(512));
  EXPECT_GE(Seconds(model.Busy(0) + model.Busy(1) - before), 0.0095);
  model.Kill(first == 2 * holder ? 2 * holder + 1 : 2 * holder);
  scheduler.RemoveTenant(holder);
  const Nanos other = model.Busy(1 - holder);
  model.RunUntil(milliseconds(712));
  EXPECT_GE(Seconds(model.Busy(1 - holder) - other), 0.175);  // two processes: hardware slices
}

// What is left of a tenant's work, when all of its processes stop, is soon done with.
TEST(SchedulerTest, ASiblingGoesOnWhereTheHolderStops) {
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  scheduler.AddProcess(0, 0);
  scheduler.AddProcess(1, 1);
  scheduler.AddProcess(2, 1);
  Nanos now{0};
  const auto step = [&](Nanos span, std::optional<std::uint64_t> stopped) {
    for (std::uint64_t id = 0; id < 3; ++id) {
      ProcessSample sample;
      sample.want = id != stopped;
      sample.in_flight = sample.want && scheduler.GateOf(id).open;
      scheduler.Observe(id, sample);
    }
    scheduler.Step(now += span);
  };
  const auto turn = [&] { return scheduler.turn().value_or(0); };
  while (now < milliseconds(100) || turn() != 0) step(microseconds(100), std::nullopt);
  while (turn() == 0) step(microseconds(100), std::nullopt);
  const std::uint64_t holder = scheduler.GateOf(1).open ? 1 : 2;
  ASSERT_TRUE(scheduler.GateOf(holder).open);
  step(microseconds(10), holder);
  step(microseconds(40), holder);
  EXPECT_FALSE(scheduler.GateOf(3 - holder).open);
  step(microseconds(20), holder);
  EXPECT_TRUE(scheduler.GateOf(3 - holder).open);
}

TEST(SchedulerTest, WeightsChangeWhileRunning) {
  const std::vector<Load> loads = {Async(0), Async(1)};
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  GpuModel model(loads, &scheduler);
  model.RunUntil(seconds(1));
  scheduler.SetTenant(0, Weight(4));
  model.RunUntil(seconds(1) + milliseconds(200));
  const Nanos before[] = {model.Busy(0), model.Busy(1)};
  model.RunUntil(seconds(3));
  const std::vector<double> busy = {Seconds(model.Busy(0) - before[0]),
                                    Seconds(model.Busy(1) - before[1])};
  EXPECT_LE(ShareError(busy, Weights({4, 1})), 1.5);
}

// A page that claims work for ever holds nobody up for longer than a drain, and then not again.
TEST(SchedulerTest, EndlessWorkIsDrainedOnlyOnce) {
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  scheduler.AddProcess(10, 0);
  scheduler.AddProcess(11, 1);
  Nanos now{0}, done{0}, at_two{0};
  for (; now < seconds(4); now += microseconds(100)) {
    if (scheduler.GateOf(11).open) done += microseconds(100);
    if (now < seconds(2)) at_two = done;
    scheduler.Observe(10, {true, true, seconds(3600), Nanos(0)});
    scheduler.Observe(11, {scheduler.GateOf(11).open, true, microseconds(200), done});
    scheduler.Step(now);
  }
  EXPECT_GE(Seconds(done - at_two), 0.9);  // of 2 s
}

TEST(SchedulerTest, ClaimsOfProgressCannotRunBackwards) {
  Scheduler scheduler;
  scheduler.SetTenant(0, Weight(1));
  scheduler.SetTenant(1, Weight(1));
  scheduler.AddProcess(1, 0);
  scheduler.AddProcess(2, 1);
  const Nanos huge = Nanos::max();
  for (int i = 0; i < 100; ++i) {
    scheduler.Observe(
        1, {true, true, i % 2 == 0 ? huge : Nanos::min(), i % 3 == 0 ? huge / 2 : -huge});
    scheduler.Observe(2, {true, true, microseconds(200), microseconds(100 * i)});
    scheduler.Step(microseconds(100 * i));
  }
  const Nanos sum = scheduler.UseOf(0).used + scheduler.UseOf(1).used;
  EXPECT_LE(sum, microseconds(9900));
  EXPECT_GE(scheduler.UseOf(1).used, Nanos(0));
}

}  // namespace
}  // namespace aliquot::arbiter
