// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// What dies, fails, reboots or gets lost on the way from a label to MIG devices.
#include <gmock/gmock.h>

#include "agent/mig_node_test.h"

namespace aliquot::agent {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;

class MigNodeRecoveryTest : public MigNodeTest {};

// gpu-operator#2833 and its relatives: whenever the agent dies, its successor leaves nobody paused.
TEST_F(MigNodeRecoveryTest, KilledAtAnyMomentTheSuccessorFinishes) {
  for (int steps = 0; steps < 12; ++steps) {
    SCOPED_TRACE(steps);
    Simulate(kOneA100);
    PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
    Start();
    for (int i = 0; i < steps; ++i) {
      executor_.Advance(std::chrono::milliseconds(250));
      RunJob();
    }
    Kill();
    Start();
    Pass(seconds(10));
    EXPECT_EQ(State(), "success");
    EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
    EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
    EXPECT_FALSE(host_.stopped_);
    Kill();
    sim_.reset();
  }
}

// The same within the change itself, before and after each of its steps. The mode changes, too.
TEST_F(MigNodeRecoveryTest, KilledAtAnyStepOfAChangeTheSuccessorFinishes) {
  bool died = true;
  for (unsigned change = 0; died; ++change) {
    for (const bool after : {false, true}) {
      SCOPED_TRACE(testing::Message() << (after ? "after " : "before ") << change);
      Simulate(kOneA100);
      host_.trace_.clear();
      boot_id_ = "boot-1";
      PutNode({{kMigConfigLabel, "all-balanced"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
      Start();
      while (!host_.stopped_) {
        executor_.Advance(std::chrono::milliseconds(250));
        if (!host_.stopped_) RunJob();
      }
      executor_.RunReady();
      ASSERT_EQ(jobs_.size(), 1u);
      died = DieInJob(change, after);
      Kill();
      EXPECT_EQ(State(), "pending");
      EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), kPausedForMig);
      LoadDriver();
      Start();
      Pass(seconds(10));
      EXPECT_EQ(State(), "success") << node_->status().reason;
      EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
      EXPECT_EQ(Layout(), "on: 2g.10gb at 0, 1g.5gb at 2, 1g.5gb at 3, 3g.20gb at 4");
      EXPECT_FALSE(host_.stopped_);
      EXPECT_TRUE(withheld_.empty());
      Kill();
      sim_.reset();
    }
  }
}

// And while the host stops its services, or starts them.
TEST_F(MigNodeRecoveryTest, KilledWhileTheHostIsBusyTheSuccessorFinishes) {
  for (const char* call : {"stop", "start"}) {
    SCOPED_TRACE(call);
    Simulate(kOneA100);
    PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
    host_.hanging_ = call;
    Start();
    Pass(seconds(10));
    EXPECT_EQ(State(), "pending");
    EXPECT_TRUE(host_.stopped_);
    Kill();
    host_.hanging_.clear();
    LoadDriver();
    Start();
    Pass(seconds(10));
    EXPECT_EQ(State(), "success") << node_->status().reason;
    EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
    EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
    EXPECT_FALSE(host_.stopped_);
    Kill();
    sim_.reset();
  }
}

TEST_F(MigNodeRecoveryTest, AnApiThatFailsIsTriedAgain) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  client_.FailNext("patch", "nodes", {Code::kUnavailable, "no"}, 3);
  client_.FailNext("list", "pods", {Code::kUnavailable, "no"}, 2);
  client_.FailNext("create", "events", {Code::kUnavailable, "no"}, 1);
  Start();
  Pass(minutes(1));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
}

TEST_F(MigNodeRecoveryTest, ARebootContinuesWhereItBegan) {
  Simulate(
      "name: vm\ndriver: \"580.159.04\"\ncuda: \"13.0\"\ngpuReset: false\n"
      "gpus:\n- product: A100-SXM4-40GB\n");
  wish_.allow_reboot = true;
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  Start();
  Pass(seconds(5));
  EXPECT_EQ(State(), "rebooting");
  EXPECT_EQ(host_.trace_.back(), "reboot");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), kPausedForMig);
  EXPECT_THAT(Events(), Contains(HasSubstr("MigConfigRebooting")));
  Kill();
  // The node is back, and the driver goes on.
  ASSERT_TRUE(sim_->control().ResetGpu(0).ok());
  boot_id_ = "boot-2";
  LoadDriver();
  EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
  Start();
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
  EXPECT_EQ(std::count(host_.trace_.begin(), host_.trace_.end(), "reboot"), 1);
}

TEST_F(MigNodeRecoveryTest, AModeThatDoesNotChangeDoesNotRebootTwice) {
  Simulate(
      "name: vm\ndriver: \"580.159.04\"\ncuda: \"13.0\"\ngpuReset: false\n"
      "gpus:\n- product: A100-SXM4-40GB\n");
  wish_.allow_reboot = true;
  PutNode({{kMigConfigLabel, "all-3g.20gb"}});
  Start();
  Pass(seconds(5));
  Kill();
  boot_id_ = "boot-2";  // and the mode is what it was
  Start();
  Pass(minutes(10));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("though the node was rebooted"));
  EXPECT_EQ(std::count(host_.trace_.begin(), host_.trace_.end(), "reboot"), 1);
}

TEST_F(MigNodeRecoveryTest, WithoutLeaveAModeIsTakenBack) {
  Simulate(
      "name: vm\ndriver: \"580.159.04\"\ncuda: \"13.0\"\ngpuReset: false\n"
      "gpus:\n- product: A100-SXM4-40GB\n");
  PutNode({{kMigConfigLabel, "all-3g.20gb"}});
  Start();
  Pass(seconds(5));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("allow reboots (WITH_REBOOT=true)"));
  EXPECT_FALSE(sim_->Look().pending_mode_on);
  EXPECT_EQ(std::count(host_.trace_.begin(), host_.trace_.end(), "reboot"), 0);
  wish_.allow_reboot = true;
  node_->SetWish(wish_);
  Pass(seconds(5));
  EXPECT_EQ(State(), "rebooting") << "the cause of the failure is gone";
}

// gpu-operator#2600: devices are there again before anybody is offered any.
TEST_F(MigNodeRecoveryTest, AfterARebootTheLayoutIsThereBeforeTheDriverIsSeen) {
  Simulate("a100-40gb-x8-mig");
  PutNode({{kMigConfigLabel, "all-3g.20gb"}});
  Start();
  Pass(seconds(5));
  ASSERT_EQ(State(), "success");
  Kill();
  const auto load = [&](const std::string& boot) {
    boot_id_ = boot;
    LoadDriver();
  };
  for (unsigned gpu = 0; gpu < 8; ++gpu) ASSERT_TRUE(sim_->control().ResetGpu(gpu).ok());
  load("boot-1");
  EXPECT_EQ(Layout(5), "on: empty") << "in the same boot it was somebody's wish";
  ASSERT_TRUE(sim_->driver().SetMode(sim_->Look(5).uuid, false).ok());  // as Hopper would
  ASSERT_TRUE(sim_->driver().CreateGpuInstance(sim_->Look(6).uuid, 0, {0, 1}).ok());
  load("");
  EXPECT_EQ(Layout(5), "off") << "it is not known that there was a reboot";
  load("boot-2");
  EXPECT_EQ(Layout(0), "on: 3g.20gb at 0, 3g.20gb at 4");
  EXPECT_EQ(Layout(5), "on: 3g.20gb at 0, 3g.20gb at 4");
  EXPECT_EQ(Layout(6), "on: 1g.5gb at 0 with no compute instance")
      << "somebody was faster; the label sees to it";
  // Without a label nothing is wanted of the next boot.
  Want(nullptr);
  Start();
  EXPECT_FALSE(mig::RestoreIsDue(options_.state_dir, "boot-3"));
}

// Whatever call fails, once: the flow gets there, and leaves nobody paused. Here with a few of the
// calls; mig/ has them all.
TEST_F(MigNodeRecoveryTest, AnErrorOfAnyCallIsGotOver) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  Start();
  for (unsigned call = 0;; call += 19) {
    SCOPED_TRACE(call);
    Want("all-7g.40gb");
    Pass(seconds(5));
    sim_->faults() = {};
    sim_->faults().fail_at = call;
    Want("all-3g.20gb");
    Pass(seconds(5));
    const bool failed = sim_->faults().calls > call;
    sim_->faults() = {};
    if (State() != "success") Pass(minutes(1));
    EXPECT_EQ(State(), "success") << node_->status().reason;
    EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
    EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
    if (!failed) break;
  }
}

// The former driver thread is gone with its job; the next one does it.
TEST_F(MigNodeRecoveryTest, AJobLostWithItsThreadIsDoneAgain) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-3g.20gb"}});
  Start();
  Want("all-7g.40gb");
  executor_.RunReady();
  ASSERT_EQ(jobs_.size(), 1u);
  const gpu::DriverJob lost = std::move(jobs_.front());
  jobs_.clear();
  node_->OnDriverThread(true);
  node_->OnGpusChanged();
  lost.done();  // late, and of no interest to anybody
  Pass(minutes(1));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "on: 7g.40gb at 0");
}

}  // namespace
}  // namespace aliquot::agent
