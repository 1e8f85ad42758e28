// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/apply.h"

#include <gtest/gtest.h>

#include "base/executor_fake.h"
#include "mig/testing/driver_fake.h"
#include "mig/testing/layouts.h"
#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {

using testing::FakeJournalStore;
using testing::FakeMigDriver;
using testing::MakeGpu;

DesiredGpu Desired(const std::vector<std::pair<std::string, unsigned>>& devices) {
  DesiredGpu desired{true, {}};
  for (const auto& [text, count] : devices) desired.devices[*ParseProfileName(text)] += count;
  return desired;
}

// A node of some GPUs and the applier on it.
class ApplierTest : public ::testing::Test {
 protected:
  std::string AddGpu(const std::string& product,
                     const std::vector<std::pair<std::string, unsigned>>& devices = {},
                     bool mode_on = true) {
    const GpuMigState gpu = MakeGpu(product, next_index_++);
    driver_.Add(gpu);
    if (mode_on) {
      testing::Establish(driver_, gpu.uuid, PlanGpu(gpu, Desired(devices))->after);
    }
    return gpu.uuid;
  }
  Result<ApplyReport> Apply(const std::vector<std::optional<DesiredGpu>>& desired,
                            ApplyOptions options = {}) {
    const auto plan = PlanNode(*driver_.ReadAll(), desired);
    EXPECT_TRUE(plan.ok()) << plan.error().message;
    driver_.Restart();
    return Applier(driver_, journal_, log_, options).Apply(*plan);
  }
  Result<ApplyReport> Recover(ApplyOptions options = {}) {
    return Applier(driver_, journal_, log_, options).Recover();
  }
  std::string Now(const std::string& gpu) {
    return Describe(driver_.Look(gpu), LayoutOf(driver_.Look(gpu)));
  }

  FakeClock clock_;
  Logger log_{clock_, Logger::NullSink()};
  FakeMigDriver driver_;
  FakeJournalStore journal_{driver_.lifeline()};
  unsigned next_index_ = 0;
};

TEST_F(ApplierTest, TouchesOnlyTheGpuThatDiffers) {
  const std::string first = AddGpu("a100-40gb", {{"3g.20gb", 2}});
  const std::string second = AddGpu("a100-40gb", {{"3g.20gb", 2}});
  const auto before = driver_.Serials(first);
  const auto report = Apply({Desired({{"3g.20gb", 2}}), Desired({{"7g.40gb", 1}})});
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->done());
  EXPECT_EQ(report->gpus[0].outcome, GpuOutcome::kUnchanged);
  EXPECT_EQ(report->gpus[1].outcome, GpuOutcome::kDone);
  EXPECT_EQ(driver_.Serials(first), before);
  EXPECT_EQ(Now(second), "on: 7g.40gb at 0");
  EXPECT_FALSE(journal_.text());
}

TEST_F(ApplierTest, OneBadGpuDoesNotStopTheOthers) {
  const std::string first = AddGpu("a100-40gb", {{"3g.20gb", 2}});
  const std::string second = AddGpu("h200", {{"3g.71gb", 2}});
  driver_.RefuseProfile(0x1);  // 2g
  const auto report = Apply({Desired({{"2g.10gb", 3}}), Desired({{"7g.141gb", 1}})});
  ASSERT_TRUE(report.ok());
  EXPECT_FALSE(report->done());
  EXPECT_EQ(report->gpus[0].outcome, GpuOutcome::kRolledBack);
  EXPECT_EQ(report->gpus[0].reason, "create GPU instance 2g.10gb at 0: Insufficient Resources");
  EXPECT_EQ(Now(first), "on: 3g.20gb at 0, 3g.20gb at 4");
  EXPECT_EQ(Now(second), "on: 7g.141gb at 0");
  EXPECT_FALSE(journal_.text());
}

TEST_F(ApplierTest, TouchesNothingWhileSomethingInUseIsInTheWay) {
  const std::string gpu = AddGpu("a100-40gb", {{"3g.20gb", 2}});
  driver_.Hold(driver_.Look(gpu).instances[0].compute[0].uuid, {12, "python", "a/b"});
  const auto report = Apply({Desired({{"7g.40gb", 1}})});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, Code::kFailedPrecondition);
  EXPECT_NE(report.error().message.find("in use by pod a/b (pid 12 python)"), std::string::npos);
  EXPECT_EQ(driver_.destroyed(), 0u);
}

TEST_F(ApplierTest, RefusesAStalePlan) {
  const std::string gpu = AddGpu("a100-40gb", {{"3g.20gb", 2}});
  const auto plan = PlanNode(*driver_.ReadAll(), {Desired({{"7g.40gb", 1}})});
  driver_.Hold(driver_.Look(gpu).instances[0].compute[0].uuid, {12, "python", ""});
  Applier applier(driver_, journal_, log_, {});
  auto report = applier.Apply(*plan);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->gpus[0].outcome, GpuOutcome::kRefused);
  driver_.Release(driver_.Look(gpu).instances[0].compute[0].uuid);
  ASSERT_TRUE(driver_.DestroyComputeInstance(gpu, 1, 0).ok());
  report = applier.Apply(*plan);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->gpus[0].outcome, GpuOutcome::kRefused);
  EXPECT_NE(report->gpus[0].reason.find("plan again"), std::string::npos);
  EXPECT_FALSE(journal_.text());
}

TEST_F(ApplierTest, DoesNothingIfTheJournalCannotBeSaved) {
  AddGpu("a100-40gb", {{"3g.20gb", 2}});
  journal_.FailSave(0);
  const auto report = Apply({Desired({{"7g.40gb", 1}})});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().message, "cannot begin the MIG change: No space left on device");
  EXPECT_EQ(driver_.destroyed(), 0u);
}

TEST_F(ApplierTest, NamesWhoHoldsTheGpuIfTheModeCannotChange) {
  const std::string gpu = AddGpu("a100-40gb", {}, false);
  const auto plan = PlanNode(*driver_.ReadAll(), {Desired({{"7g.40gb", 1}})});
  ASSERT_TRUE(plan.ok());
  driver_.Hold(gpu, {7, "dcgm", ""});
  const auto report = Applier(driver_, journal_, log_, {}).Apply(*plan);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->gpus[0].reason, "the GPU is in use by pid 7 dcgm");
  EXPECT_FALSE(driver_.Look(gpu).pending_mode_on);
}

TEST_F(ApplierTest, ResetsTheGpuOnlyIfAllowed) {
  const std::string gpu = AddGpu("a100-40gb", {}, false);
  driver_.SetSwitching(FakeMigDriver::Switching::kNeedsReset);
  auto report = Apply({Desired({{"7g.40gb", 1}})}, {.allow_reset = false});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->gpus[0].outcome, GpuOutcome::kRolledBack);
  EXPECT_NE(report->gpus[0].reason.find("which is not allowed"), std::string::npos);
  report = Apply({Desired({{"7g.40gb", 1}})});
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->done()) << report->gpus[0].reason;
  EXPECT_EQ(Now(gpu), "on: 7g.40gb at 0");
}

TEST_F(ApplierTest, TakesTheModeBackIfARebootIsNotAllowed) {
  const std::string gpu = AddGpu("a100-40gb", {}, false);
  driver_.SetSwitching(FakeMigDriver::Switching::kNeedsReboot);
  const auto report = Apply({Desired({{"7g.40gb", 1}})});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->gpus[0].outcome, GpuOutcome::kRolledBack);
  EXPECT_NE(report->gpus[0].reason.find("WITH_REBOOT=true"), std::string::npos);
  EXPECT_FALSE(driver_.Look(gpu).pending_mode_on);
  EXPECT_FALSE(journal_.text());
}

TEST_F(ApplierTest, FinishesAfterTheReboot) {
  const std::string gpu = AddGpu("a100-40gb", {}, false);
  driver_.SetSwitching(FakeMigDriver::Switching::kNeedsReboot);
  const auto report = Apply({Desired({{"7g.40gb", 1}})}, {.allow_reboot = true});
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->needs_reboot());
  ASSERT_TRUE(journal_.text());
  driver_.Reboot();
  const auto after = Recover({.allow_reboot = true});
  ASSERT_TRUE(after.ok());
  EXPECT_TRUE(after->done()) << after->gpus[0].reason;
  EXPECT_EQ(Now(gpu), "on: 7g.40gb at 0");
  EXPECT_FALSE(journal_.text());
}

TEST_F(ApplierTest, ANewWishReplacesOneThatWaitsForAReboot) {
  const std::string gpu = AddGpu("a100-40gb", {}, false);
  driver_.SetSwitching(FakeMigDriver::Switching::kNeedsReboot);
  ASSERT_TRUE(Apply({Desired({{"7g.40gb", 1}})}, {.allow_reboot = true})->needs_reboot());
  const auto report = Apply({DesiredGpu{}}, {.allow_reboot = true});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_TRUE(report->done());
  EXPECT_FALSE(driver_.Look(gpu).pending_mode_on);
  EXPECT_FALSE(journal_.text());
}

TEST_F(ApplierTest, PlansTheDevicesOnceTheDriverListsProfiles) {
  const std::string gpu = AddGpu("h100-80gb", {}, false);
  driver_.HideProfilesWithoutMode();
  auto report = Apply({Desired({{"3g.40gb", 2}})});
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->done()) << report->gpus[0].reason;
  EXPECT_EQ(Now(gpu), "on: 3g.40gb at 0, 3g.40gb at 4");
  ASSERT_TRUE(Apply({DesiredGpu{}})->done());
  EXPECT_EQ(Now(gpu), "off");
  // What does not fit is found only then, and taken back.
  report = Apply({Desired({{"3g.40gb", 3}})});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->gpus[0].outcome, GpuOutcome::kRolledBack);
  EXPECT_EQ(Now(gpu), "off");
}

TEST_F(ApplierTest, ReportsAGpuItCouldNotBringBack) {
  const std::string gpu = AddGpu("a100-40gb", {{"2g.10gb", 3}});
  driver_.RefuseProfile(0x4);  // 7g does not work, and then ...
  const auto plan = PlanNode(*driver_.ReadAll(), {Desired({{"7g.40gb", 1}})});
  driver_.Restart();
  // ... neither does the call that begins the way back: after the journal, 1 + 6 * 2 + 1 calls.
  unsigned failing = 0;
  {
    FakeMigDriver trial = driver_;
    FakeJournalStore journal(trial.lifeline());
    static_cast<void>(Applier(trial, journal, log_, {}).Apply(*plan));
    failing = trial.calls() - 2;
  }
  driver_.FailCall(failing - 2, {Code::kUnavailable, "GPU is lost"});
  driver_.FailCall(failing - 1, {Code::kUnavailable, "GPU is lost"});
  const auto report = Applier(driver_, journal_, log_, {}).Apply(*plan);
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->unfinished());
  EXPECT_TRUE(journal_.text());
  EXPECT_NE(report->gpus[0].reason.find("rolling back failed"), std::string::npos)
      << report->gpus[0].reason;
  // Nothing new is begun before that is settled.
  EXPECT_FALSE(Apply({Desired({{"7g.40gb", 1}})}).ok());
  driver_.Restart();
  const auto recovered = Recover();
  ASSERT_TRUE(recovered.ok());
  EXPECT_FALSE(recovered->unfinished());
  EXPECT_EQ(Now(gpu), "on: 2g.10gb at 0, 2g.10gb at 2, 2g.10gb at 4");
}

TEST_F(ApplierTest, ABrokenJournalIsReportedAndNothingTouched) {
  AddGpu("a100-40gb", {{"3g.20gb", 2}});
  journal_.Set("{\"version\":\"v1\",\"gpus\":[{}]}");
  const auto report = Recover();
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().message,
            "the journal of MIG changes cannot be read: gpus[0].before is not an object");
  EXPECT_EQ(driver_.calls(), 0u);
}

TEST_F(ApplierTest, RecoverWithoutAJournalDoesNothing) {
  const auto report = Recover();
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->gpus.empty());
  EXPECT_EQ(driver_.calls(), 0u);
}

}  // namespace
}  // namespace aliquot::mig
