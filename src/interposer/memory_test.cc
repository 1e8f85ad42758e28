// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include "interposer/testing/fixture.h"

// Real processes on the simulated driver, against a small agent.
namespace aliquot::interposer::testing {
namespace {

using MemoryTest = InterposerTest;

class Family : public InterposerTest, public ::testing::WithParamInterface<const char*> {};

// Charged before the driver is asked, refused at the limit, given back when freed.
TEST_P(Family, IsChargedRefusedAndGivenBack) {
  StartAgent(Options(4 * kGiB));
  Child child({"fill", GetParam(), "64"}, Env());
  for (int round = 0; round < 2; ++round) {
    // 512 MiB are the context's; a pool or a graph may keep up to one step of its own.
    const int count = std::stoi(child.Hear());
    EXPECT_GE(count, 54) << GetParam();
    EXPECT_LE(count, 56) << GetParam();
    EXPECT_GE(agent_->Charged(), 512 * kMiB + static_cast<std::uint64_t>(count) * 64 * kMiB);
    child.Say("free");
    EXPECT_EQ(child.Hear(), "freed");
    EXPECT_TRUE(Eventually([&] { return agent_->Charged() <= (512 + 64) * kMiB; }));
    child.Say("again");
  }
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_LE(agent_->Peak(), 4 * kGiB);
  EXPECT_TRUE(Eventually([&] { return agent_->Charged() == 0; }));
}

INSTANTIATE_TEST_SUITE_P(Memory, Family,
                         ::testing::Values("linear", "pitched", "managed", "array", "array3d",
                                           "mipmapped", "levels", "virtual", "pooled", "from-pool"),
                         [](const auto& family) {
                           std::string name = family.param;
                           for (char& c : name) {
                             if (c == '-') c = '_';
                           }
                           return name;
                         });

TEST_F(MemoryTest, ManyProcessesNeverExceedTheLimit) {
  AgentStub::Options options = Options(4 * kGiB);
  options.credit_target = 32 * kMiB;
  StartAgent(options);
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i) children.emplace_back(Child({"mix", std::to_string(i)}, Env()));
  // Everybody has a context before anybody takes what is left.
  for (Child& child : children) EXPECT_EQ(child.Hear(), "ready");
  for (Child& child : children) child.Say("go");
  EXPECT_TRUE(Eventually([&] { return agent_->Frames(ALIQUOT_RESERVE) > 500; }));
  children.back().Kill();  // in the middle of it
  children.pop_back();
  for (Child& child : children) child.Say("stop");
  for (Child& child : children) EXPECT_EQ(child.Hear(), "freed");
  // A context each, and credit up to its target. The pools hold nothing any more: every thread has
  // waited for its frees.
  const std::uint64_t most = children.size() * (512 * kMiB + options.credit_target);
  EXPECT_TRUE(Eventually([&] { return agent_->Charged() <= most; })) << agent_->Describe();
  for (Child& child : children) child.Say("end");
  for (Child& child : children) EXPECT_EQ(child.Wait(), 0);
  EXPECT_LE(agent_->Peak(), 4 * kGiB);
  EXPECT_TRUE(Eventually([&] { return agent_->Charged() == 0; }));
}

// kill -9 at any instruction: what was held is free again.
TEST_F(MemoryTest, TheKilledHoldNothing) {
  AgentStub::Options options = Options(4 * kGiB);
  options.credit_target = 64 * kMiB;
  StartAgent(options);
  for (int i = 0; i < 25; ++i) {
    Child child({"mix", std::to_string(i)}, Env());
    EXPECT_EQ(child.Hear(), "ready");
    child.Say("go");
    const int frames = agent_->Frames(ALIQUOT_RESERVE) + i;
    ASSERT_TRUE(Eventually([&] { return agent_->Frames(ALIQUOT_RESERVE) >= frames; }));
    child.Kill();
    ASSERT_TRUE(Eventually([&] { return agent_->Charged() == 0 && agent_->Sessions() == 0; }));
  }
  EXPECT_LE(agent_->Peak(), 4 * kGiB);
}

// What is freed in stream order is given back when it came back, whatever else was waited for
// before: another stream, or the same one without the pool's giving anything up.
TEST_F(MemoryTest, WhatAPoolGaveBackIsHeldNoMore) {
  for (const char* first : {"other-stream", "query"}) {
    SCOPED_TRACE(first);
    agent_.reset();
    StartAgent(Options(4 * kGiB));
    Child child({"free-behind", first}, Env());
    EXPECT_EQ(child.Hear(), "ready");
    const std::uint64_t before = agent_->Charged();
    child.Say("go");
    EXPECT_EQ(child.Hear(), "waited");
    EXPECT_EQ(agent_->Charged(), before + 32 * kMiB) << "the pool still has its step";
    child.Say("on");
    EXPECT_EQ(child.Hear(), "synchronised");
    EXPECT_TRUE(Eventually([&] { return agent_->Charged() == before; })) << agent_->Describe();
    child.Say("end");
    EXPECT_EQ(child.Wait(), 0);
  }
}

TEST_F(MemoryTest, QueriesTellTheShare) {
  StartAgent(Options(4 * kGiB));
  Child first({"query", "1024"}, Env());
  EXPECT_EQ(first.Hear(), "4096 4096 2560");
  Child second({"query", "512"}, Env());
  EXPECT_EQ(second.Hear(), "4096 4096 1536");
  agent_->SetLimit(kGiB);  // less than is used: free is 0, nothing wraps or fails
  Child third({"query", "0"}, Env());
  EXPECT_EQ(third.Hear(), "");  // no context any more
  EXPECT_NE(third.Wait(), 0);
}

TEST_F(MemoryTest, WithoutALimitTheDeviceIsShown) {
  StartAgent(Options(0));
  Child child({"query", "1024"}, Env());
  EXPECT_EQ(child.Hear().substr(0, 4), "1431");
}

TEST_F(MemoryTest, HostMemoryIsNotCharged) {
  StartAgent(Options(kGiB));
  EXPECT_EQ(Play({"on-host"}, Env()), 0);
}

TEST_F(MemoryTest, PhysicalMemoryLivesUntilItsLastHandleAndMapping) {
  StartAgent(Options(kGiB));
  EXPECT_EQ(Play({"virtual-lifetime"}, Env()), 0);
}

TEST_F(MemoryTest, WhatIsInAContextGoesWithIt) {
  StartAgent(Options(kGiB));
  Child child({"contexts"}, Env());
  EXPECT_EQ(child.Hear(), "gone");
  EXPECT_TRUE(Eventually([&] { return agent_->Charged() == 0; }));
  EXPECT_EQ(agent_->Peak(), (512 + 64) * kMiB);
}

TEST_F(MemoryTest, GraphsAreChargedWhenLaunched) {
  for (const char* how : {"captured", "cuGraphAddMemAllocNode", "cuGraphAddNode",
                          "cuGraphAddNode_v2", "cuGraphAddNode_v3"}) {
    SCOPED_TRACE(how);
    agent_.reset();
    StartAgent(Options(4 * kGiB));
    Child child({"graphs", how}, Env());
    EXPECT_EQ(child.Hear(), "launched");
    EXPECT_GE(agent_->Charged(), (512 + 1024) * kMiB);
    child.Say("on");
    EXPECT_EQ(child.Hear(), "trimmed");
    EXPECT_TRUE(Eventually([&] { return agent_->Charged() == 512 * kMiB; }));
    EXPECT_LE(agent_->Peak(), 4 * kGiB);
    child.Say("end");
    EXPECT_EQ(child.Wait(), 0);
  }
}

TEST_F(MemoryTest, TheExporterPaysForWhatOthersImport) {
  StartAgent(Options(4 * kGiB));
  Variables variables = Env();
  variables["TEST_PROGRAM"] = ALIQUOT_SIM_PROGRAM_PATH;
  Child exporter({"ipc-export"}, variables);
  const std::string handle = exporter.Hear();
  const std::uint64_t held = agent_->Charged();
  EXPECT_EQ(Play({"ipc-import", handle}, variables), 0);
  EXPECT_EQ(agent_->Peak(), held + 512 * kMiB) << "the importer's context";
  exporter.Say("on");
  EXPECT_EQ(exporter.Hear(), "done");
  EXPECT_EQ(exporter.Wait(), 0);
  EXPECT_TRUE(Eventually([&] { return agent_->Charged() == 0; }));
}

TEST_F(MemoryTest, PhysicalMemoryIsPaidByItsCreator) {
  StartAgent(Options(4 * kGiB));
  Child exporter({"virtual-export"}, Env());
  const std::string path = exporter.Hear();
  EXPECT_EQ(agent_->Charged(), (512 + 32) * kMiB);
  EXPECT_EQ(Play({"virtual-import", path}, Env()), 0);
  EXPECT_EQ(agent_->Peak(), (512 + 32 + 512) * kMiB) << "the importer's context";
}

TEST_F(MemoryTest, AContextThatDoesNotFitIsRefused) {
  StartAgent(Options(256 * kMiB));
  Child child({"on-demand"}, Env());
  EXPECT_EQ(child.Hear(), "context 2");
  EXPECT_EQ(agent_->Charged(), 0u);
}

TEST_F(MemoryTest, SmallAllocationsNeedNoFrames) {
  AgentStub::Options options = Options(4 * kGiB);
  options.credit_target = 64 * kMiB;
  StartAgent(options);
  Child child({"on-demand"}, Env());
  EXPECT_EQ(child.Hear(), "context 0");
  for (int i = 0; i < 20; ++i) {
    child.Say("2");
    EXPECT_EQ(child.Hear(), "0");
  }
  EXPECT_LE(agent_->Frames(ALIQUOT_RESERVE), 4);
}

// Near the limit the target falls, and a process keeps none of what it had above it.
TEST_F(MemoryTest, CreditBeyondTheTargetIsGivenBack) {
  AgentStub::Options options = Options(4 * kGiB);
  options.credit_target = 64 * kMiB;
  StartAgent(options);
  Child child({"on-demand"}, Env());
  EXPECT_EQ(child.Hear(), "context 0");
  for (int i = 0; i < 2; ++i) {
    child.Say("2");
    EXPECT_EQ(child.Hear(), "0");
  }
  EXPECT_EQ(agent_->Charged(), (512 + 2 + 32) * kMiB);
  agent_->SetCreditTarget(8 * kMiB);
  child.Say("free");
  EXPECT_EQ(child.Hear(), "0");
  EXPECT_TRUE(Eventually([&] { return agent_->Charged() == (512 + 2 + 8) * kMiB; }))
      << agent_->Describe();
}

// Credit of one process is there for another, even if the first does nothing.
TEST_F(MemoryTest, CreditIsTakenBackFromAStoppedProcess) {
  AgentStub::Options options = Options(2 * kGiB);
  options.credit_target = 256 * kMiB;
  StartAgent(options);
  Child holder({"on-demand"}, Env());
  EXPECT_EQ(holder.Hear(), "context 0");
  holder.Say("2");
  EXPECT_EQ(holder.Hear(), "0");
  EXPECT_GT(agent_->Charged(), (512 + 2 + 100) * kMiB);
  holder.Signal(SIGSTOP);
  Child other({"on-demand"}, Env());
  EXPECT_EQ(other.Hear(), "context 0");
  other.Say("1020");
  EXPECT_EQ(other.Hear(), "0");
  holder.Signal(SIGCONT);
  holder.Say("64");  // 2 GiB - 2 x 512 - 2 - 1020 = 2
  EXPECT_EQ(holder.Hear(), "2");
  holder.Say("2");
  EXPECT_EQ(holder.Hear(), "0");
}

TEST_F(MemoryTest, WithoutAnAgentTheLastAllowanceHolds) {
  AgentStub::Options options = Options(4 * kGiB);
  options.offline = 100 * kMiB;
  StartAgent(options);
  Child child({"on-demand"}, Env());
  EXPECT_EQ(child.Hear(), "context 0");
  child.Say("64");
  EXPECT_EQ(child.Hear(), "0");
  agent_.reset();
  child.Say("64");
  EXPECT_EQ(child.Hear(), "0");
  child.Say("64");
  EXPECT_EQ(child.Hear(), "2");
  child.Say("free");
  EXPECT_EQ(child.Hear(), "0");
  child.Say("64");  // from what was freed
  EXPECT_EQ(child.Hear(), "0");
  // The next agent hears of everything, and the process goes on with it.
  options.offline = 0;
  StartAgent(options);
  EXPECT_TRUE(Eventually([&] { return agent_->Hellos() == 1; }));
  EXPECT_EQ(agent_->LastHeld(), (512 + 128) * kMiB);
  child.Say("64");
  EXPECT_EQ(child.Hear(), "0");
  EXPECT_EQ(agent_->Charged(), (512 + 192) * kMiB);
  child.Say("free");
  EXPECT_EQ(child.Hear(), "0");
  EXPECT_TRUE(Eventually([&] { return agent_->Charged() == (512 + 128) * kMiB; }));
}

TEST_F(MemoryTest, AnAgentThatNeverWasGivesNoContext) {
  {
    AgentStub writes_the_grant(Options(4 * kGiB));
  }
  Child child({"on-demand"}, Env());
  EXPECT_EQ(child.Hear(), "context 2");
}

TEST_F(MemoryTest, AnAgentThatComesALittleLaterIsWaitedFor) {
  {
    AgentStub writes_the_grant(Options(4 * kGiB));
  }
  Child child({"early"}, Env());
  EXPECT_EQ(child.Hear(), "starting");
  StartAgent(Options(4 * kGiB));
  EXPECT_EQ(child.Hear(), "started");
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(agent_->Peak(), (512 + 64) * kMiB);
}

// The same process with another program: it holds nothing of what the former one did.
TEST_F(MemoryTest, AProgramThatIsReplacedHoldsNothing) {
  StartAgent(Options(4 * kGiB));
  Child child({"exec"}, Env());
  EXPECT_EQ(child.Hear(), "held");
  EXPECT_EQ(agent_->Charged(), (512 + 256) * kMiB);
  child.Say("on");
  EXPECT_EQ(child.Hear(), "4096 4096 3456");
  EXPECT_TRUE(Eventually([&] { return agent_->Charged() == (512 + 128) * kMiB; }));
  EXPECT_EQ(agent_->Sessions(), 1u);
  EXPECT_EQ(agent_->Hellos(), 2);
  EXPECT_EQ(agent_->LastHeld(), 0u);
}

TEST_F(MemoryTest, AForkedChildChangesNothing) {
  StartAgent(Options(4 * kGiB));
  Child child({"fork"}, Env());
  EXPECT_EQ(child.Hear(), "forked");
  EXPECT_EQ(agent_->Sessions(), 1u);
  EXPECT_EQ(agent_->Charged(), (512 + 8) * kMiB);
  child.Say("on");
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(MemoryTest, TheControlPageCannotBeWritten) {
  StartAgent(Options(4 * kGiB));
  EXPECT_EQ(Play({"tamper"}, Env()), 0);
}

}  // namespace
}  // namespace aliquot::interposer::testing
