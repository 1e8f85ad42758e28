// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <sstream>

#include "interposer/testing/fixture.h"

// The client's half of sharing a GPU's time: what a process does with the gate that an agent sets.
namespace aliquot::interposer::testing {
namespace {

std::uint64_t InFlight(const aliquot_status_gpu& gpu) {
  std::uint64_t sum = __atomic_load_n(&gpu.unmarked_ns, __ATOMIC_RELAXED);
  for (int j = 0; j < ALIQUOT_WIRE_MARKERS; ++j) {
    const std::uint64_t issued = __atomic_load_n(&gpu.issued[j], __ATOMIC_ACQUIRE);
    if (issued != __atomic_load_n(&gpu.done[j], __ATOMIC_ACQUIRE)) sum += gpu.cost_ns[j];
  }
  return sum;
}

class GateTest : public InterposerTest {
 protected:
  // A program at work in real time, alone at first.
  void Begin(std::uint64_t limit = 8 * kGiB) { Begin(Options(limit)); }
  void Begin(const AgentStub::Options& options) {
    StartAgent(options);
    Variables variables = Env();
    variables["ALIQUOT_SIM_TIME_SCALE"] = "1";
    child_ = std::make_unique<Child>(std::vector<std::string>{"work"}, variables);
    ASSERT_EQ(child_->Hear(), "ready");
    status_ = agent_->Status();
    ASSERT_NE(status_, nullptr);
  }
  void TearDown() override {
    child_.reset();
    InterposerTest::TearDown();
  }
  const aliquot_status_gpu& Gpu() const { return status_->gpu[0]; }
  void Do(const std::string& line) {
    child_->Say(line);
    EXPECT_EQ(child_->Hear(), line.substr(0, line.find(' ')));
  }
  template <typename T>
  static T Read(const T& word) {
    return __atomic_load_n(&word, __ATOMIC_RELAXED);
  }
  // The GPU comes to what follows on the stream when it is let go, however long we take meanwhile.
  void Hold() { Do("hold"); }
  void LetGo() { child_->Signal(SIGUSR1); }
  // Until the process knows how long such a kernel is. It is measured behind a hold, where the
  // pace of the process makes no difference.
  void Learn(const std::string& microseconds) {
    agent_->SetGate(ALIQUOT_GATE_SHARED, 0, ALIQUOT_GATE_LEARN);
    ASSERT_TRUE(Eventually([&] {
      Hold();
      Do("launch 1 " + microseconds);
      LetGo();
      Do("sync");
      return Read(Gpu().learnt_ns) != 0;
    }));
  }
  // The process goes by the new pages once it says there what it uses.
  void AwaitHandOver() {
    ASSERT_TRUE(Eventually([&] {
      status_ = agent_->Status();
      return status_ != nullptr && Read(Gpu().used) != 0;
    }));
  }
  bool Waiting() {
    return Eventually([&] { return Read(Gpu().waiting) == 1; });
  }

  std::unique_ptr<Child> child_;
  const aliquot_status* status_ = nullptr;
};

TEST_F(GateTest, ALoneTenantIsNotCounted) {
  Begin();
  Do("launch 10 10");
  Do("sync");
  EXPECT_EQ(Read(Gpu().launches), 0u);
}

TEST_F(GateTest, AClosedGateHoldsUntilItOpens) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  child_->Say("launch 1 10");
  ASSERT_TRUE(Waiting());
  EXPECT_TRUE(Eventually([&] { return agent_->Frames(ALIQUOT_WANT) == 1; }));
  agent_->SetGate(0);
  EXPECT_EQ(child_->Hear(), "launch");
  EXPECT_EQ(Read(Gpu().waiting), 0u);
  EXPECT_GT(Read(Gpu().waited_ns), 0u);
  EXPECT_EQ(Read(status_->gate_time_outs) + Read(status_->stale_passes), 0u);
}

TEST_F(GateTest, MemoryNeedNotBeLimited) {
  Begin(0);
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  child_->Say("launch 1 10");
  ASSERT_TRUE(Waiting());
  agent_->SetGate(0);
  EXPECT_EQ(child_->Hear(), "launch");
}

TEST_F(GateTest, SynchronisingCapturingAndSmallCopiesPassAClosedGate) {
  Begin();
  Do("launch 1 20000");
  agent_->SetGate(ALIQUOT_GATE_CLOSED | ALIQUOT_GATE_SHARED);
  Do("sync");
  Do("capture 5");
  Do("copy 0");
  child_->Say("graph");
  EXPECT_TRUE(Waiting());
  agent_->SetGate(0);
  EXPECT_EQ(child_->Hear(), "graph");
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  child_->Say("copy 2");
  EXPECT_TRUE(Waiting());
  agent_->SetGate(0);
  EXPECT_EQ(child_->Hear(), "copy");
}

TEST_F(GateTest, AQueryOfWorkThatIsNotDoneIsTold) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_SHARED);
  Hold();
  Do("launch 1 10");
  std::uint64_t before = 0;
  EXPECT_EQ(Read(Gpu().polled_ns), before);
  for (const char* query : {"query 0", "query 1"}) {
    Do(query);
    EXPECT_GT(Read(Gpu().polled_ns), before);
    before = Read(Gpu().polled_ns);
  }
  LetGo();
  Do("sync");
}

TEST_F(GateTest, SmallCopiesAreToldOf) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_SHARED);
  Do("copy 0");
  EXPECT_EQ(Read(Gpu().launches), 1u);
  EXPECT_TRUE(Eventually([&] { return agent_->Frames(ALIQUOT_WORK) == 1; }));
}

// Copies that are small one by one are large work all the same.
TEST_F(GateTest, BatchesOfCopiesGoByTheGateTogether) {
  Begin();
  for (const std::string way : {"0", "1", "2", "3"}) {
    agent_->SetGate(ALIQUOT_GATE_CLOSED | ALIQUOT_GATE_SHARED);
    child_->Say("batch " + way + " 3");
    EXPECT_TRUE(Waiting()) << way;
    agent_->SetGate(0);
    EXPECT_EQ(child_->Hear(), "batch");
    EXPECT_TRUE(Eventually([&] { return Read(Gpu().waiting) == 0; }));
  }
}

// Whatever gives the GPU work is held back, in all its variants; whatever others may wait for is
// not.
TEST_F(GateTest, EveryWayToSubmitWorkGoesByTheGate) {
  Begin();
  child_->Say("calls");
  std::istringstream calls(child_->Hear());
  int held = 0, free = 0;
  std::uint64_t waited = 0;
  std::string name, kind;
  for (int index = 0; std::getline(calls >> name >> std::ws, kind, ';'); ++index) {
    SCOPED_TRACE(name);
    agent_->SetGate(ALIQUOT_GATE_CLOSED | ALIQUOT_GATE_SHARED);
    child_->Say("call " + std::to_string(index));
    if (kind == "held") {
      ++held;
      EXPECT_TRUE(Waiting());
      agent_->SetGate(0);
    } else {
      ++free;
    }
    ASSERT_EQ(child_->Hear(), "call");
    EXPECT_TRUE(kind == "held" || Read(Gpu().waited_ns) == waited);
    waited = Read(Gpu().waited_ns);
    agent_->SetGate(0);
    EXPECT_TRUE(Eventually([&] { return Read(Gpu().waiting) == 0; }));
  }
  EXPECT_EQ(held, 4 + 2 * 48);
  EXPECT_EQ(free, 2 * 14);
}

TEST_F(GateTest, CallbacksPassAClosedGate) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_CLOSED | ALIQUOT_GATE_SHARED);
  Do("callback 1");
  Do("callback 2");
  EXPECT_EQ(Read(status_->gate_time_outs), 0u);
  EXPECT_EQ(Read(Gpu().waited_ns), 0u);
}

TEST_F(GateTest, ARecaptureIsACapture) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_CLOSED | ALIQUOT_GATE_SHARED);
  Do("capture 5");
  Do("again 5");
  EXPECT_EQ(Read(status_->capturing), 0u);
  EXPECT_EQ(Read(Gpu().launches), 0u);
}

// What is recorded for a graphics API to run is no work yet, and nothing of ours comes in between;
// cuStreamIsCapturing does not tell.
TEST_F(GateTest, CapturesToCommandBuffersPassAClosedGate) {
  Begin();
  Do("graphics");
  agent_->SetGate(ALIQUOT_GATE_CLOSED | ALIQUOT_GATE_SHARED);
  for (const char* end : {"submit", "drop"}) {
    Do("buffer 5");
    EXPECT_EQ(Read(status_->capturing), 1u);
    EXPECT_EQ(Read(Gpu().launches), 0u);
    Do(end);
    EXPECT_EQ(Read(status_->capturing), 0u);
  }
  child_->Say("launch 1 10");
  ASSERT_TRUE(Waiting());
  agent_->SetGate(0);
  EXPECT_EQ(child_->Hear(), "launch");
}

TEST_F(GateTest, ACaptureEndsWithItsStream) {
  Begin();
  Do("begin");
  EXPECT_EQ(Read(status_->capturing), 1u);
  Do("drop");
  EXPECT_EQ(Read(status_->capturing), 0u);
  Do("capture 5");
  EXPECT_EQ(Read(status_->capturing), 0u);
}

TEST_F(GateTest, AnAgentWithoutHeartbeatIsPassed) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  child_->Say("launch 1 10");
  ASSERT_TRUE(Waiting());
  agent_->StopHeartbeat();
  EXPECT_EQ(child_->Hear(), "launch");
  EXPECT_EQ(Read(status_->stale_passes), 1u);
  Do("launch 20 10");  // at once: the agent stays dead until its heart beats again
}

// A tenth of each 10 ms, if that is the policy: kernels of 1 ms begin in one of them each.
TEST_F(GateTest, WithoutAnAgentAProcessMayPaceItself) {
  AgentStub::Options options = Options(8 * kGiB);
  options.duty_permille = 100;
  Begin(options);
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  agent_->StopHeartbeat();
  Do("launch 1 10");
  EXPECT_EQ(Read(status_->stale_passes), 1u);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    Do("launch 1 1000");
    Do("sync");
  }
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(90));
}

TEST_F(GateTest, AKilledAgentIsPassedAndTheNextOneObeyed) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  child_->Say("launch 1 10");
  ASSERT_TRUE(Waiting());
  agent_.reset();
  EXPECT_EQ(child_->Hear(), "launch");
  StartAgent(Options(8 * kGiB));
  AwaitHandOver();
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  child_->Say("launch 1 10");
  ASSERT_TRUE(Waiting());
  agent_->SetGate(0);
  EXPECT_EQ(child_->Hear(), "launch");
}

// Agents count their beats from the same number: that the former one died at this very number says
// nothing of the next one.
TEST_F(GateTest, TheNextAgentGetsTimeToBeat) {
  AgentStub::Options options = Options(8 * kGiB);
  options.beats = false;
  Begin(options);
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  Do("launch 1 10");
  EXPECT_EQ(Read(status_->stale_passes), 1u);
  agent_.reset();
  StartAgent(options);
  AwaitHandOver();
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  Do("launch 1 10");
  EXPECT_EQ(Read(status_->stale_passes), 1u);
  EXPECT_GE(Read(Gpu().waited_ns), ALIQUOT_STALE_MS * 1'000'000u);
}

TEST_F(GateTest, NoLaunchIsHeldBackForEver) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_CLOSED);
  // Where the machine keeps our agent from beating for a quarter of a second, a launch passes for
  // that reason before the two seconds are over.
  EXPECT_TRUE(Eventually([&] {
    Do("launch 1 10");
    return Read(status_->gate_time_outs) == 1;
  }));
  EXPECT_TRUE(Eventually([&] { return agent_->Frames(ALIQUOT_EVENT) > 0; }));
}

TEST_F(GateTest, MarkersTellTheAgentWhatIsDone) {
  Begin();
  Learn("500");
  Hold();
  Do("launch 10 500");
  EXPECT_EQ(Read(status_->markers), ALIQUOT_MARKERS_DIRECT);
  EXPECT_NEAR(static_cast<double>(InFlight(Gpu())), 5'000'000, 1'000'000);
  LetGo();
  EXPECT_TRUE(Eventually([&] { return InFlight(Gpu()) < 500'000u; }));  // nobody woke the process
}

TEST_F(GateTest, CostsAreLearntAndCapKeepsWorkInFlightLow) {
  Begin();
  Learn("300");
  const std::uint64_t before = Read(Gpu().service_ns);
  Hold();
  Do("launch 10 300");
  LetGo();
  Do("sync");
  const auto each = static_cast<double>(Read(Gpu().service_ns) - before) / 10;
  EXPECT_NEAR(each, 300'000, 60'000);
  agent_->SetGate(ALIQUOT_GATE_SHARED, 1000);
  Hold();
  child_->Say("launch 100 300");
  ASSERT_TRUE(Waiting());
  // The cap is met to the nearest piece.
  EXPECT_NEAR(static_cast<double>(InFlight(Gpu())), 1'000'000, each / 2);
  LetGo();
  EXPECT_EQ(child_->Hear(), "launch");
  EXPECT_EQ(Read(status_->gate_time_outs), 0u);
}

TEST_F(GateTest, ThereIsRoomForTwoOfALittleMoreThanTheCap) {
  Begin();
  Learn("300");
  for (const auto& [cap, pieces] : {std::pair{280u, 2}, std::pair{150u, 1}}) {
    agent_->SetGate(ALIQUOT_GATE_SHARED, cap);
    Hold();
    child_->Say("launch 10 300");
    ASSERT_TRUE(Waiting());
    EXPECT_NEAR(static_cast<double>(InFlight(Gpu())), pieces * 300'000, 130'000) << cap;
    LetGo();
    EXPECT_EQ(child_->Hear(), "launch");
    Do("sync");
  }
  EXPECT_EQ(Read(status_->gate_time_outs), 0u);
}

TEST_F(GateTest, WhatIsLargerThanTheCapGoesAlone) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_SHARED, 0, ALIQUOT_GATE_LEARN);
  Do("launch 4 5000");
  Do("sync");
  agent_->SetGate(ALIQUOT_GATE_SHARED, 300);
  Do("launch 4 5000");
  Do("sync");
  EXPECT_EQ(Read(status_->gate_time_outs), 0u);
}

// What is in flight waits for something that comes after the launches, so nothing is gained by
// holding them. Once it gets on they are held as ever.
TEST_F(GateTest, WorkBehindItsOwnHostIsNotHeldForTheCap) {
  AgentStub::Options options = Options(8 * kGiB);
  options.stall_ms = 20;
  Begin(options);
  Learn("300");
  agent_->SetGate(ALIQUOT_GATE_SHARED, 1000);
  Hold();
  Do("launch 100 300");
  EXPECT_NEAR(static_cast<double>(InFlight(Gpu())), 30'000'000, 6'000'000);
  const std::uint64_t waited = Read(Gpu().waited_ns);
  EXPECT_GE(waited, 20'000'000u);
  LetGo();
  Do("sync");
  Do("launch 100 300");
  EXPECT_GT(Read(Gpu().waited_ns), waited);
  EXPECT_LE(InFlight(Gpu()), 1'200'000u);
  Do("sync");
  EXPECT_EQ(Read(status_->gate_time_outs), 0u);
}

// It may be what takes so long itself.
TEST_F(GateTest, OfWorkThatWasNeverMeasuredOneLaunchPassesInAWhile) {
  AgentStub::Options options = Options(8 * kGiB);
  options.stall_ms = 20;
  Begin(options);
  agent_->SetGate(ALIQUOT_GATE_SHARED, 1000);
  Hold();
  Do("launch 15 300");
  EXPECT_GE(Read(Gpu().waited_ns), 100'000'000u);
  LetGo();
  Do("sync");
  EXPECT_EQ(Read(status_->gate_time_outs), 0u);
}

TEST_F(GateTest, TheDoorbellsRingOnceForEachValueOfTheGate) {
  Begin();
  agent_->SetGate(ALIQUOT_GATE_SHARED);
  for (int i = 0; i < 3; ++i) {
    Do("launch 1 100");
    Do("sync");
  }
  EXPECT_TRUE(Eventually([&] { return agent_->Frames(ALIQUOT_IDLE) == 1; }));
  EXPECT_TRUE(Eventually([&] { return agent_->Frames(ALIQUOT_WORK) == 1; }));
  EXPECT_NE(Read(Gpu().idle_since_ns), 0u);
  agent_->SetGate(ALIQUOT_GATE_SHARED);
  Do("launch 1 100");
  EXPECT_TRUE(Eventually([&] { return agent_->Frames(ALIQUOT_WORK) == 2; }));
  // Nobody waited for that launch, so nobody knows that it is done.
  agent_->SetGate(ALIQUOT_GATE_SHARED);
  Do("launch 1 100");
  EXPECT_TRUE(Eventually([&] { return agent_->Frames(ALIQUOT_WORK) == 3; }));
  EXPECT_EQ(agent_->Frames(ALIQUOT_IDLE), 1);
}

}  // namespace
}  // namespace aliquot::interposer::testing
