// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_flow.h"

#include <gtest/gtest.h>

namespace aliquot::agent {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Clients = MigOrders::Clients;

const Error kBroken{Code::kFailedPrecondition, "the driver says no"};

// Drives a flow by hand: what it orders is checked, what became of it is told.
class MigFlowTest : public testing::Test {
 protected:
  void Make(MigPolicy policy = {}, std::string rebooted_for = "", bool stopped = false) {
    flow_.emplace(policy, std::move(rebooted_for), stopped);
  }
  void Want(const std::string& label) {
    inputs_.label = label;
    Observe();
  }
  void Observe() { flow_->Observe(inputs_, now_); }
  void Pass(Clock::Duration time) {
    now_ += time;
    Observe();
  }
  MigJob job() const { return flow_->orders().job; }
  MigState state() const { return flow_->orders().state.value_or(MigState::kNone); }
  const MigOrders& orders() const { return flow_->orders(); }

  static MigLook Change(std::set<std::string> staying = {}) {
    MigLook look;
    look.changes = true;
    look.plan = "GPU 0: off -> on";
    look.affected["GPU-0"] = std::move(staying);
    return look;
  }
  static MigLook Blocked() {
    MigLook look = Change();
    look.blocked = "GPU 0: device 1g.5gb is in use by pod ml/a";
    return look;
  }
  static MigLook NotPlanned() {
    MigLook look;
    look.planned = Error{Code::kNotFound, "there is no MIG configuration \"x\""};
    return look;
  }
  void Look(const MigLook& look) {
    ASSERT_EQ(job(), MigJob::kLook);
    flow_->OnLook(look, now_);
  }
  // The kubelet was told, and nobody is left.
  void Clear() {
    inputs_.withdrawn = true;
    inputs_.clients_left = "";
    Observe();
    Pass(seconds(1));
  }
  // From the label to the job that applies it.
  void GoOn(const MigLook& look = Change()) {
    Look(look);
    Clear();
    Look(look);
    ASSERT_EQ(job(), MigJob::kStopClients);
    flow_->OnClientsStopped({}, now_);
    ASSERT_EQ(job(), MigJob::kApply);
  }
  void Finish(const MigApplied& applied) {
    flow_->OnApplied(applied, now_);
    if (job() == MigJob::kStartClients) flow_->OnClientsStarted({}, now_);
  }

  std::optional<MigFlow> flow_;
  MigInputs inputs_;
  Clock::TimePoint now_{std::chrono::hours(1)};
};

TEST_F(MigFlowTest, FromTheLabelToSuccess) {
  Make();
  Observe();
  EXPECT_EQ(state(), MigState::kNone);
  EXPECT_EQ(job(), MigJob::kNone);
  Want("all-1g.5gb");
  EXPECT_FALSE(orders().withheld.contains("GPU-0")) << "a look disturbs nobody";
  Look(Change({"MIG-a"}));
  EXPECT_EQ(state(), MigState::kPending);
  EXPECT_EQ(orders().withheld, (WithheldGpus{{"GPU-0", {"MIG-a"}}}));
  EXPECT_EQ(orders().clients, Clients::kPaused);
  EXPECT_EQ(job(), MigJob::kNone);
  Clear();
  Look(Change({"MIG-a"}));
  EXPECT_EQ(job(), MigJob::kStopClients);
  flow_->OnClientsStopped({}, now_);
  EXPECT_EQ(job(), MigJob::kApply);
  EXPECT_EQ(orders().clients, Clients::kPaused);
  flow_->OnApplied({}, now_);
  EXPECT_EQ(state(), MigState::kPending) << "not before the host has its services back";
  EXPECT_FALSE(orders().withheld.empty());
  flow_->OnClientsStarted({}, now_);
  EXPECT_EQ(state(), MigState::kSuccess);
  EXPECT_TRUE(orders().withheld.empty());
  EXPECT_EQ(orders().clients, Clients::kRunning);
  EXPECT_EQ(orders().reason, "the GPUs have the MIG configuration \"all-1g.5gb\"");
  EXPECT_EQ(job(), MigJob::kNone);
}

TEST_F(MigFlowTest, WhatIsThereAlreadyDisturbsNobody) {
  Make();
  Want("all-disabled");
  Look({});
  EXPECT_EQ(state(), MigState::kSuccess);
  EXPECT_TRUE(orders().withheld.empty());
  EXPECT_EQ(orders().clients, Clients::kRunning);
  EXPECT_EQ(orders().wake, std::nullopt) << "nothing is polled";
}

// gpu-operator#2833: a time-out must end in failed, with the clients restored.
TEST_F(MigFlowTest, ClientsThatDoNotLeaveAreATimelyFailure) {
  Make();
  Want("x");
  Look(Change());
  inputs_.withdrawn = true;
  inputs_.clients_left = "gpu-operator/nvidia-dcgm-x";
  Pass(minutes(4));
  EXPECT_EQ(state(), MigState::kPending);
  ASSERT_TRUE(orders().wake);
  now_ = *orders().wake;
  Observe();
  EXPECT_EQ(state(), MigState::kFailed);
  EXPECT_NE(orders().reason.find("gpu-operator/nvidia-dcgm-x"), std::string::npos);
  EXPECT_EQ(orders().clients, Clients::kRunning);
  EXPECT_TRUE(orders().withheld.empty());
}

TEST_F(MigFlowTest, NothingGoesBeforeTheKubeletKnows) {
  Make();
  Want("x");
  Look(Change());
  inputs_.clients_left = "";
  Pass(seconds(30));
  EXPECT_EQ(job(), MigJob::kNone);
  inputs_.withdrawn = true;
  Observe();
  EXPECT_EQ(job(), MigJob::kNone) << "an allocation may be under way";
  Pass(seconds(1));
  EXPECT_EQ(job(), MigJob::kLook);
}

// Between the first look and the withdrawal somebody was given a device.
TEST_F(MigFlowTest, TheSecondLookCounts) {
  Make();
  Want("x");
  Look(Change());
  Clear();
  Look(Blocked());
  EXPECT_EQ(state(), MigState::kFailed);
  EXPECT_TRUE(orders().withheld.empty()) << "the rest of the GPU goes on serving";
  EXPECT_EQ(orders().clients, Clients::kRunning);
}

TEST_F(MigFlowTest, MoreThanWasWithheldIsWithheldFirst) {
  Make();
  Want("x");
  Look(Change({"MIG-a", "MIG-b"}));
  Clear();
  Look(Change({"MIG-a"}));
  EXPECT_EQ(job(), MigJob::kNone);
  EXPECT_EQ(orders().withheld, (WithheldGpus{{"GPU-0", {"MIG-a"}}}));
  inputs_.withdrawn = false;
  Pass(seconds(5));
  EXPECT_EQ(job(), MigJob::kNone) << "what was withdrawn before does not count";
  Clear();
  Look(Change({"MIG-a"}));
  EXPECT_EQ(job(), MigJob::kStopClients);
}

// A failed value is not retried by the reference; here it is, once its cause is gone.
TEST_F(MigFlowTest, HoldersAreWaitedFor) {
  Make();
  Want("x");
  Look(Blocked());
  EXPECT_EQ(state(), MigState::kFailed);
  EXPECT_EQ(orders().reason, Blocked().blocked);
  Pass(seconds(9));
  EXPECT_EQ(job(), MigJob::kNone);
  for (int i = 0; i < 100; ++i) {
    Pass(seconds(10));
    Look(Blocked());
    EXPECT_EQ(state(), MigState::kFailed);
  }
  Pass(seconds(10));
  GoOn();
  Finish({});
  EXPECT_EQ(state(), MigState::kSuccess);
}

// Better no change than one under the feet of services that were to be stopped.
TEST_F(MigFlowTest, NothingIsBegunBeforeTheHostsClientsAreKnown) {
  Make();
  inputs_.host_clients_problem = "configmap gpu/clients does not exist";
  Want("x");
  Look(Change());
  EXPECT_EQ(state(), MigState::kFailed);
  EXPECT_EQ(orders().reason, "configmap gpu/clients does not exist");
  EXPECT_TRUE(orders().withheld.empty());
  inputs_.host_clients_problem.clear();
  ++inputs_.layouts;
  Observe();
  GoOn();
  // What is as wanted needs none of them stopped.
  inputs_.host_clients_problem = "configmap gpu/clients does not exist";
  Finish({});
  Want("y");
  Look({});
  EXPECT_EQ(state(), MigState::kSuccess);
}

TEST_F(MigFlowTest, AnotherConfigurationOrDriverIsTriedAtOnce) {
  Make();
  Want("x");
  Look(NotPlanned());
  EXPECT_EQ(state(), MigState::kFailed);
  Observe();
  EXPECT_EQ(job(), MigJob::kNone);
  ++inputs_.layouts;
  Observe();
  Look(NotPlanned());
  ++inputs_.gpus;
  Observe();
  Look(NotPlanned());
  EXPECT_EQ(state(), MigState::kFailed);
}

TEST_F(MigFlowTest, WhatFailsIsTriedAgainEverMoreSlowly) {
  Make();
  Want("x");
  Clock::Duration last{};
  for (int i = 0; i < 10; ++i) {
    GoOn();
    Finish({kBroken});
    EXPECT_EQ(state(), MigState::kFailed);
    EXPECT_EQ(orders().reason, kBroken.message);
    EXPECT_EQ(orders().clients, Clients::kRunning);
    ++inputs_.gpus;  // rolling back shows other devices; that is no reason to try again
    Observe();
    EXPECT_EQ(job(), MigJob::kNone);
    ASSERT_TRUE(orders().wake);
    const Clock::Duration wait = *orders().wake - now_;
    EXPECT_GE(wait, last);
    last = wait;
    Pass(wait);
  }
  EXPECT_EQ(last, minutes(10));
}

TEST_F(MigFlowTest, ANewLabelForgetsTheBackOff) {
  Make();
  Want("x");
  for (int i = 0; i < 5; ++i) {
    GoOn();
    Finish({kBroken});
    Pass(minutes(10));
  }
  Look(NotPlanned());
  Want("y");
  Look(NotPlanned());
  EXPECT_EQ(*orders().wake - now_, seconds(30));
}

// GPUs that are not as planned for are looked at again at once, but not for ever.
TEST_F(MigFlowTest, AStalePlanIsMadeAgainOnce) {
  Make();
  Want("x");
  GoOn();
  flow_->OnApplied({Error{Code::kAborted, "changed"}}, now_);
  EXPECT_EQ(job(), MigJob::kLook);
  GoOn();
  Finish({Error{Code::kAborted, "changed"}});
  EXPECT_EQ(state(), MigState::kFailed);
}

TEST_F(MigFlowTest, TheNewestLabelWins) {
  Make();
  Want("a");
  for (const char* label : {"b", "c", "d"}) Want(label);
  Look(Change());
  EXPECT_EQ(job(), MigJob::kLook) << "what was looked for is not wanted any more";
  EXPECT_TRUE(orders().withheld.empty());
  Look(Change());
  Want("e");
  EXPECT_EQ(job(), MigJob::kLook);
  GoOn();
  const std::uint64_t applying = orders().job_number;
  for (const char* label : {"f", "g", "h"}) {
    Want(label);
    EXPECT_EQ(orders().job_number, applying) << "never two at once";
  }
  flow_->OnApplied({}, now_);
  EXPECT_EQ(job(), MigJob::kLook);
  EXPECT_EQ(state(), MigState::kPending) << "\"e\" was never what is wanted when it was done";
  EXPECT_FALSE(orders().withheld.empty()) << "the devices do not flicker between two changes";
  Look({});
  flow_->OnClientsStarted({}, now_);
  EXPECT_EQ(state(), MigState::kSuccess);
  EXPECT_NE(orders().reason.find("\"h\""), std::string::npos);
}

TEST_F(MigFlowTest, ALabelTakenAwayEndsTheAttempt) {
  Make();
  Want("x");
  Look(Change());
  inputs_.label.reset();
  Observe();
  EXPECT_EQ(state(), MigState::kNone);
  EXPECT_TRUE(orders().withheld.empty());
  EXPECT_EQ(orders().clients, Clients::kRunning);
  EXPECT_EQ(job(), MigJob::kNone);
}

// gpu.deploy.mig-manager is not "true": during a change of the driver, for instance.
TEST_F(MigFlowTest, WhatIsHeldStaysAsItIs) {
  Make();
  inputs_.held = true;
  Want("x");
  EXPECT_EQ(job(), MigJob::kNone);
  EXPECT_EQ(orders().state, std::nullopt);
  EXPECT_EQ(orders().clients, Clients::kRunning);
  inputs_.held = false;
  Observe();
  Look(Change());
  inputs_.held = true;
  Observe();
  EXPECT_TRUE(orders().withheld.empty());
  EXPECT_EQ(job(), MigJob::kNone);
  EXPECT_EQ(state(), MigState::kPending) << "it will go on";
  inputs_.held = false;
  Observe();
  GoOn();
  inputs_.held = true;
  Observe();
  EXPECT_EQ(job(), MigJob::kApply) << "what was begun is finished";
  Finish({});
  EXPECT_EQ(state(), MigState::kSuccess);
}

TEST_F(MigFlowTest, ARebootIsOrderedOnceAndContinues) {
  inputs_.allow_reboot = true;
  Make();
  Want("x");
  GoOn();
  EXPECT_TRUE(orders().may_reboot);
  flow_->OnApplied({{}, true}, now_);
  EXPECT_EQ(state(), MigState::kRebooting);
  EXPECT_EQ(job(), MigJob::kReboot);
  EXPECT_EQ(orders().clients, Clients::kPaused);
  flow_->OnRebootOrdered({}, now_);
  EXPECT_EQ(state(), MigState::kRebooting);
  Pass(minutes(9));
  EXPECT_EQ(state(), MigState::kRebooting);
  Pass(minutes(1));
  flow_->OnClientsStarted({}, now_);
  EXPECT_EQ(state(), MigState::kFailed);

  Make({}, "x");  // it did reboot, and the mode changed
  Want("x");
  Look({});
  EXPECT_EQ(state(), MigState::kSuccess);
  EXPECT_EQ(orders().clients, Clients::kRunning) << "paused by the agent before the reboot";

  Make({}, "x");  // it did reboot, and the mode did not
  Want("x");
  GoOn();
  EXPECT_FALSE(orders().may_reboot);
  Finish({kBroken});
  EXPECT_EQ(state(), MigState::kFailed);
  EXPECT_NE(orders().reason.find("though the node was rebooted"), std::string::npos);
}

TEST_F(MigFlowTest, WithoutLeaveThereIsNoReboot) {
  Make();
  Want("x");
  GoOn();
  EXPECT_FALSE(orders().may_reboot);
}

TEST_F(MigFlowTest, ARebootThatCannotBeIsSaid) {
  inputs_.allow_reboot = true;
  Make();
  Want("x");
  GoOn();
  flow_->OnApplied({{}, true}, now_);
  flow_->OnRebootOrdered(kBroken, now_);
  flow_->OnClientsStarted({}, now_);
  EXPECT_EQ(state(), MigState::kFailed);
  EXPECT_EQ(orders().reason, "cannot reboot the node: the driver says no");
}

// A crash between pause and restore: the next start sees to it, whatever is wanted then.
TEST_F(MigFlowTest, WhatACrashLeftStoppedIsStarted) {
  Make({}, "", true);
  Observe();
  EXPECT_EQ(orders().clients, Clients::kRunning);
  EXPECT_EQ(job(), MigJob::kStartClients);
  flow_->OnClientsStarted(kBroken, now_);
  Observe();
  EXPECT_EQ(job(), MigJob::kNone) << "not at once again";
  Pass(seconds(30));
  EXPECT_EQ(job(), MigJob::kStartClients);
  flow_->OnClientsStarted({}, now_);
  Pass(minutes(60));
  EXPECT_EQ(job(), MigJob::kNone);

  Make({}, "", true);
  Want("x");
  EXPECT_EQ(orders().clients, Clients::kAsTheyAre);
  Look({});
  EXPECT_EQ(job(), MigJob::kStartClients);
  flow_->OnClientsStarted({}, now_);
  EXPECT_EQ(state(), MigState::kSuccess);
  EXPECT_EQ(orders().clients, Clients::kRunning);
}

TEST_F(MigFlowTest, ClientsThatDoNotStopOrStartAreNamed) {
  Make();
  Want("x");
  Look(Change());
  Clear();
  Look(Change());
  flow_->OnClientsStopped(Error{Code::kUnavailable, "systemctl ended with 1"}, now_);
  EXPECT_EQ(job(), MigJob::kStartClients) << "some may have stopped";
  flow_->OnClientsStarted({}, now_);
  EXPECT_EQ(state(), MigState::kFailed);
  EXPECT_EQ(orders().reason, "systemctl ended with 1");
  Pass(seconds(30));
  GoOn();
  flow_->OnApplied({}, now_);
  flow_->OnClientsStarted(Error{Code::kUnavailable, "dcgm is still stopped"}, now_);
  EXPECT_EQ(state(), MigState::kSuccess);
  EXPECT_NE(orders().reason.find("; dcgm is still stopped"), std::string::npos);
  Pass(seconds(30));
  Look({});
  flow_->OnClientsStarted({}, now_);
  EXPECT_EQ(orders().reason, "the GPUs have the MIG configuration \"x\"");
}

// Nobody waits for ever for a driver that does not return.
TEST_F(MigFlowTest, AHangingChangeIsShownAsFailedUntilItReturns) {
  Make();
  Want("x");
  GoOn();
  const std::uint64_t number = orders().job_number;
  Pass(minutes(10));
  EXPECT_EQ(state(), MigState::kFailed);
  EXPECT_FALSE(orders().withheld.empty()) << "it may still change the GPU";
  EXPECT_EQ(orders().job_number, number);
  Finish({});
  EXPECT_EQ(state(), MigState::kSuccess);
}

// A drift is mended: the label is what is wanted, not what was wanted once.
TEST_F(MigFlowTest, WhatSomebodyChangedIsChangedBack) {
  Make();
  Want("x");
  Look({});
  ++inputs_.gpus;
  Observe();
  GoOn();
  Finish({});
  EXPECT_EQ(state(), MigState::kSuccess);
}

}  // namespace
}  // namespace aliquot::agent
