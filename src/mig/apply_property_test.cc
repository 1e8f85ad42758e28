// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Whatever is there, whatever is wanted and whatever fails: a GPU has its new layout or its old
// one.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/executor_fake.h"
#include "base/text.h"
#include "mig/apply.h"
#include "mig/testing/driver_fake.h"
#include "mig/testing/layouts.h"
#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {

using testing::FakeJournalStore;
using testing::FakeMigDriver;

struct Scenario {
  FakeMigDriver driver;
  std::string gpu;
  DesiredGpu desired;
  bool ignores_places = false;
};

unsigned Below(unsigned limit) { return *rc::gen::inRange(0u, limit); }

// Some instances anywhere, with some devices in them, some in use.
void AddInstances(FakeMigDriver& driver, const std::string& gpu) {
  const std::vector<InstanceProfile> profiles = driver.Look(gpu).profiles;
  const unsigned attempts = Below(10);
  for (unsigned i = 0; i < attempts; ++i) {
    const InstanceProfile& profile = profiles[Below(static_cast<unsigned>(profiles.size()))];
    const auto place = profile.placements[Below(static_cast<unsigned>(profile.placements.size()))];
    const auto id = driver.CreateGpuInstance(gpu, profile.index, place);
    const unsigned devices = Below(4);
    for (unsigned j = 0; id.ok() && j < devices; ++j) {
      const auto& compute = profile.compute[Below(static_cast<unsigned>(profile.compute.size()))];
      const auto at = compute.placements[Below(static_cast<unsigned>(compute.placements.size()))];
      static_cast<void>(driver.CreateComputeInstance(gpu, *id, compute.index, at));
    }
  }
}

void HoldSome(FakeMigDriver& driver, const std::string& gpu) {
  for (const auto& [uuid, serial] : driver.Serials(gpu)) {
    if (Below(5) == 0) driver.Hold(uuid, {100, "python", ""});
  }
}

DesiredGpu SomeDesired(const GpuMigState& gpu) {
  DesiredGpu desired{Below(8) != 0, {}};
  const unsigned kinds = desired.mig_enabled ? Below(4) : 0;
  for (unsigned i = 0; i < kinds; ++i) {
    const InstanceProfile& profile =
        gpu.profiles[Below(static_cast<unsigned>(gpu.profiles.size()))];
    ProfileName name = profile.name;
    name.compute_slices =
        profile.compute[Below(static_cast<unsigned>(profile.compute.size()))].slices;
    desired.devices[name] += 1 + Below(2);
  }
  return desired;
}

Scenario SomeScenario() {
  Scenario scenario;
  const GpuMigState gpu = testing::MakeGpu(*rc::gen::elementOf(testing::ProductNames()));
  scenario.gpu = gpu.uuid;
  scenario.driver.Add(gpu);
  if (Below(6) != 0) {
    static_cast<void>(scenario.driver.SetMode(gpu.uuid, true));
    AddInstances(scenario.driver, gpu.uuid);
    HoldSome(scenario.driver, gpu.uuid);
  }
  scenario.ignores_places = Below(4) == 0;
  if (scenario.ignores_places) scenario.driver.IgnoreComputePlacement();
  scenario.desired = SomeDesired(gpu);
  scenario.driver.Restart();
  return scenario;
}

// The devices that both layouts keep.
std::map<std::string, std::uint64_t> KeptBy(const GpuPlan& plan, const FakeMigDriver& before) {
  auto kept = before.Serials(plan.gpu.uuid);
  for (const Step& step : plan.steps) {
    if (step.kind != Step::Kind::kDestroyComputeInstance) continue;
    for (const GpuInstance& instance : plan.gpu.instances) {
      for (const ComputeInstance& compute : instance.compute) {
        if (instance.id == step.gpu_instance_id && compute.id == step.compute_instance_id) {
          kept.erase(compute.uuid);
        }
      }
    }
  }
  return kept;
}

bool Includes(const std::map<std::string, std::uint64_t>& all,
              const std::map<std::string, std::uint64_t>& part) {
  return std::includes(all.begin(), all.end(), part.begin(), part.end());
}

bool Satisfies(const GpuMigState& gpu, const DesiredGpu& desired) {
  return gpu.mode_on == desired.mig_enabled && gpu.pending_mode_on == gpu.mode_on &&
         testing::DevicesOf(gpu, LayoutOf(gpu)) == desired.devices &&
         StepsBetween(gpu, LayoutOf(gpu)).empty();
}

const Logger& NoLog() {
  static const FakeClock clock;
  static const Logger log(clock, Logger::NullSink());
  return log;
}

// What must hold of a GPU after an apply that was or was not disturbed.
void CheckAllOrNothing(const Scenario& start, const GpuPlan& plan, const FakeMigDriver& driver,
                       const GpuReport& report) {
  const GpuMigState& now = driver.Look(start.gpu);
  RC_LOG() << Join(Explain(plan), "\n") << "\n"
           << ToString(report.outcome) << ": " << report.reason;
  RC_ASSERT(report.layout.has_value());
  RC_ASSERT(SameLayout(*report.layout, LayoutOf(now)));
  const bool done = report.outcome == GpuOutcome::kDone || report.outcome == GpuOutcome::kUnchanged;
  if (done) {
    RC_ASSERT(Satisfies(now, start.desired));
  } else {
    RC_ASSERT(report.outcome == GpuOutcome::kRolledBack || report.outcome == GpuOutcome::kRefused);
    RC_ASSERT(SameLayout(LayoutOf(now), LayoutOf(plan.gpu)));
    RC_ASSERT(now.pending_mode_on == plan.gpu.pending_mode_on);
  }
  RC_ASSERT(Includes(driver.Serials(start.gpu), KeptBy(plan, start.driver)));
}

MigPlan PlanOf(const Scenario& scenario) {
  const auto plan = PlanGpu(scenario.driver.Look(scenario.gpu), scenario.desired);
  RC_PRE(plan.ok());
  RC_PRE(plan->blockers.empty());
  return {{*plan}};
}

RC_GTEST_PROP(ApplyProperty, ReachesTheGoalAndKeepsWhatThePlanKeeps, ()) {
  const Scenario start = SomeScenario();
  Scenario run = start;
  const auto plan = PlanGpu(run.driver.Look(run.gpu), run.desired);
  if (!plan.ok()) {
    RC_ASSERT(plan.error().code == Code::kResourceExhausted);
    RC_DISCARD("does not fit");
  }
  FakeJournalStore journal(run.driver.lifeline());
  const auto report = Applier(run.driver, journal, NoLog(), {}).Apply({{*plan}});
  if (!plan->blockers.empty()) {
    RC_ASSERT(!report.ok());
    RC_ASSERT(run.driver.Look(run.gpu) == start.driver.Look(run.gpu));
    return;
  }
  RC_ASSERT(report.ok());
  // A driver that chooses places itself may run out of room where there was some.
  RC_ASSERT(report->done() || run.ignores_places);
  CheckAllOrNothing(start, *plan, run.driver, report->gpus[0]);
  RC_ASSERT(!journal.text());
  // Doing it again does nothing.
  // In brackets, because the macro evaluates both sides of a bare "||".
  RC_ASSERT((!report->done() || !PlanGpu(run.driver.Look(run.gpu), run.desired)->changes()));
}

unsigned CallsNeeded(Scenario trial, const MigPlan& plan) {
  FakeJournalStore journal(trial.driver.lifeline());
  static_cast<void>(Applier(trial.driver, journal, NoLog(), {}).Apply(plan));
  return trial.driver.calls();
}

RC_GTEST_PROP(ApplyProperty, AnErrorOfAnyCallLeavesTheOldLayoutOrTheNew, ()) {
  const Scenario start = SomeScenario();
  const MigPlan plan = PlanOf(start);
  const unsigned calls = CallsNeeded(start, plan);
  for (unsigned call = 0; call < calls; ++call) {
    Scenario run = start;
    run.driver.FailCall(call, {Code::kUnknown, "Unknown Error"});
    FakeJournalStore journal(run.driver.lifeline());
    const auto report = Applier(run.driver, journal, NoLog(), {}).Apply(plan);
    RC_ASSERT(report.ok());
    if (call == 0) {  // the GPU could not be read, so nothing is claimed of it
      RC_ASSERT(report->gpus[0].outcome == GpuOutcome::kRefused);
      continue;
    }
    CheckAllOrNothing(start, plan.gpus[0], run.driver, report->gpus[0]);
    RC_ASSERT(!journal.text());
  }
}

RC_GTEST_PROP(ApplyProperty, AnInterruptedApplyIsCompletedOrUndoneByTheNextStart, ()) {
  const Scenario start = SomeScenario();
  const MigPlan plan = PlanOf(start);
  const unsigned calls = CallsNeeded(start, plan);
  for (unsigned call = 0; call < calls; ++call) {
    for (const bool after_work : {false, true}) {
      Scenario run = start;
      run.driver.DieAtCall(call, after_work);
      FakeJournalStore journal(run.driver.lifeline());
      static_cast<void>(Applier(run.driver, journal, NoLog(), {}).Apply(plan));
      // The next start dies, too; the one after that does not.
      run.driver.Restart();
      run.driver.DieAtCall(Below(calls), after_work);
      static_cast<void>(Applier(run.driver, journal, NoLog(), {}).Recover());
      run.driver.Restart();
      const auto report = Applier(run.driver, journal, NoLog(), {}).Recover();
      RC_ASSERT(report.ok());
      RC_ASSERT(!report->unfinished());
      RC_ASSERT(!journal.text());
      const GpuMigState& now = run.driver.Look(run.gpu);
      const bool undone = SameLayout(LayoutOf(now), LayoutOf(plan.gpus[0].gpu));
      RC_ASSERT(undone || Satisfies(now, start.desired));
      RC_ASSERT(Includes(run.driver.Serials(run.gpu), KeptBy(plan.gpus[0], start.driver)));
    }
  }
}

// Each of an A100's 19 layouts from each other, through the driver.
TEST(ApplyAllPairs, EveryA100LayoutFromEveryOther) {
  const GpuMigState gpu = testing::MakeGpu("a100-40gb");
  const std::vector<Layout> layouts = testing::MaximalLayouts(gpu);
  ASSERT_EQ(layouts.size(), 19u);
  for (const Layout& from : layouts) {
    FakeMigDriver start;
    start.Add(gpu);
    testing::Establish(start, gpu.uuid, from);
    for (const Layout& to : layouts) {
      FakeMigDriver driver = start;
      const DesiredGpu desired = testing::DesiredOf(gpu, to);
      const auto plan = PlanGpu(driver.Look(gpu.uuid), desired);
      ASSERT_TRUE(plan.ok());
      FakeJournalStore journal(driver.lifeline());
      const auto report = Applier(driver, journal, NoLog(), {}).Apply({{*plan}});
      ASSERT_TRUE(report.ok() && report->done());
      EXPECT_TRUE(Satisfies(driver.Look(gpu.uuid), desired));
      EXPECT_TRUE(Includes(driver.Serials(gpu.uuid), KeptBy(*plan, start)));
    }
  }
}

}  // namespace
}  // namespace aliquot::mig
