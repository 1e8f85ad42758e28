// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>
#include <random>

#include "sim/cuda/node.h"
#include "sim/cuda/testing/child.h"
#include "sim/state/machine.h"

// Several processes on the GPUs of one node. Shares are asserted in simulated time, which does not
// depend on how busy the machine is.
namespace aliquot::sim::cuda::testing {
namespace {

// A context on an H200, and what one that loaded the test's kernels takes: a block for the global.
constexpr std::uint64_t kContextMiB = 528;
constexpr std::uint64_t kWorkerMiB = kContextMiB + 2;

class Sharing : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/aliquot-cuda-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Variables Env(const std::string& scale = "0.1", const std::string& node = "h200-x1") const {
    return {{"ALIQUOT_SIM_NODE", node},
            {"ALIQUOT_SIM_STATE", directory_},
            {"ALIQUOT_SIM_TIME_SCALE", scale}};
  }
  // The node as an outsider sees it, for example the simulated NVML.
  std::unique_ptr<Node> Look(const std::string& scale = "0.1",
                             const std::string& node = "h200-x1") const {
    Environment environment;
    environment.node = node;
    environment.state_directory = directory_;
    environment.time_scale_ppm = static_cast<std::uint64_t>(std::stod(scale) * 1e6);
    Result<std::unique_ptr<Node>> opened = Node::Open(environment);
    if (!opened.ok()) ADD_FAILURE() << opened.error().message;
    return *std::move(opened);
  }
  std::uint64_t UsedMiB(Node& node) const {
    const Node::Memory memory = node.MemoryOf(node.devices().front());
    return (memory.total - memory.free) >> 20;
  }
  // Waits (the processes run in real time) until `done` says so.
  template <typename Done>
  static bool Eventually(const Done& done) {
    for (int i = 0; i < 3000; ++i) {
      if (done()) return true;
      ::usleep(5'000);
    }
    return false;
  }
  // Busy time by process, since the contexts were made.
  static std::map<pid_t, double> Busy(Node& node) {
    std::map<pid_t, double> busy;
    for (const SeatUse& use : node.seats().Uses()) {
      busy[static_cast<pid_t>(use.owner.pid)] += static_cast<double>(use.busy) / 1e6;
    }
    return busy;
  }
  // Lets all go at once and measures how they share so many milliseconds of GPU time.
  static std::map<pid_t, double> Shares(Node& node, std::vector<Child>& children, double total_ms) {
    for (Child& child : children) EXPECT_EQ(child.Hear(), "ready");
    for (Child& child : children) child.Say("go");
    // From when everybody has had some turns.
    EXPECT_TRUE(Eventually([&] {
      std::size_t started = 0;
      for (const SeatUse& use : node.seats().Uses()) started += use.turns >= 2 ? 1 : 0;
      return started == children.size();
    }));
    const std::map<pid_t, double> before = Busy(node);
    std::map<pid_t, double> shares;
    EXPECT_TRUE(Eventually([&] {
      double sum = 0;
      shares = Busy(node);
      for (auto& [pid, busy] : shares) sum += busy -= before.at(pid);
      for (auto& [pid, busy] : shares) busy /= sum;
      return sum >= total_ms;
    }));
    return shares;
  }

  std::string directory_;
};

TEST_F(Sharing, MemoryIsOnePoolForAllProcesses) {
  const auto node = Look();
  std::optional<Child> first(std::in_place, std::vector<std::string>{"hold", "60000"}, Env());
  EXPECT_EQ(first->Hear(), "0");
  Child second({"hold", "60000"}, Env());
  EXPECT_EQ(second.Hear(), "0");
  EXPECT_EQ(UsedMiB(*node), 2 * (60000 + kContextMiB));
  Child third({"hold", "60000"}, Env());
  EXPECT_EQ(third.Hear(), "2");
  third.Say("end");
  EXPECT_EQ(third.Wait(), 0);
  first->Kill();
  EXPECT_EQ(UsedMiB(*node), 60000 + kContextMiB);
  Child fourth({"hold", "60000"}, Env());
  EXPECT_EQ(fourth.Hear(), "0");
  fourth.Say("end");
  EXPECT_EQ(fourth.Wait(), 0);
}

TEST_F(Sharing, NvmlSeesWhoUsesWhat) {
  Child child({"hold", "1000"}, Env());
  EXPECT_EQ(child.Hear(), "0");
  const auto node = LoadNode("h200-x1");
  const auto initial = InitialState(*node);
  const auto state = SharedState::Open(directory_, node->text, *initial);
  ASSERT_TRUE(state.ok());
  int seen = 0;
  (*state)->Read([&](const NodeState& now) {
    for (const ProcessState& process : now.processes) {
      if (process.used == 0) continue;
      ++seen;
      EXPECT_EQ(process.pid, static_cast<std::uint32_t>(child.pid()));
      EXPECT_EQ(process.memory_bytes >> 20, 1000 + kContextMiB);
      EXPECT_NE(std::string(process.name).find("sim_cuda_program"), std::string::npos);
    }
  });
  EXPECT_EQ(seen, 1);
}

// The entry must not live on in a child that inherited its lock.
TEST_F(Sharing, AForkedChildDoesNotKeepMemory) {
  const auto node = Look();
  Child child({"hold-with-child", "5000"}, Env());
  EXPECT_NE(child.Hear(), "");
  EXPECT_EQ(UsedMiB(*node), 5000 + kContextMiB);
  child.Kill();
  // It lets go of the lock as soon as it runs for the first time, which may be after the kill.
  EXPECT_TRUE(Eventually([&] { return UsedMiB(*node) == 0; }));
}

TEST_F(Sharing, IpcMemory) {
  Child exporter({"ipc-export"}, Env());
  const std::string handle = exporter.Hear();
  EXPECT_EQ(Play({"ipc-import", handle}, Env()), 0);
  exporter.Say("look");
  EXPECT_EQ(exporter.Hear(), "done");
  EXPECT_EQ(exporter.Wait(), 0);
  EXPECT_EQ(Play({"ipc-import", handle, "gone"}, Env()), 0);
}

// What the hardware does, and the reason for Aliquot: shares go by processes.
TEST_F(Sharing, OneAgainstThreeProcesses) {
  const auto node = Look("1");
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i) {
    children.emplace_back(std::vector<std::string>{"spin", "200", "async"}, Env("1"));
  }
  for (const auto& [pid, share] : Shares(*node, children, 400)) EXPECT_NEAR(share, 0.25, 0.03);
}

TEST_F(Sharing, TwoProcessesShareEqually) {
  const auto node = Look("1");
  std::vector<Child> children;
  for (int i = 0; i < 2; ++i) {
    children.emplace_back(std::vector<std::string>{"spin", "5000", "async"}, Env("1"));
  }
  for (const auto& [pid, share] : Shares(*node, children, 300)) EXPECT_NEAR(share, 0.5, 0.03);
}

// On an H200: 0.149 of wall time for the one with short kernels, of 0.165 that both kept the GPU
// in their turns. Slowed down, so that the time the host takes between bursts hardly counts.
TEST_F(Sharing, ShortKernelsWithSynchronisationLoseToLongOnes) {
  const auto node = Look("8");
  std::vector<Child> children;
  children.emplace_back(std::vector<std::string>{"spin", "50", "sync"}, Env("8"));
  children.emplace_back(std::vector<std::string>{"spin", "5000", "sync"}, Env("8"));
  const pid_t brief = children.front().pid();
  EXPECT_NEAR(Shares(*node, children, 150).at(brief), 0.155, 0.045);
}

TEST_F(Sharing, AloneAgainWhenTheOtherIsKilled) {
  const auto node = Look("1");
  std::vector<Child> children;
  for (int i = 0; i < 3; ++i) {
    children.emplace_back(std::vector<std::string>{"spin", "5000", "async"}, Env("1"));
  }
  const pid_t survivor = children[1].pid();
  Shares(*node, children, 50);
  children[0].Kill();
  children[2].Kill();
  EXPECT_EQ(UsedMiB(*node), kWorkerMiB);
  const double before = Busy(*node).at(survivor);
  EXPECT_TRUE(Eventually([&] { return Busy(*node).at(survivor) > before + 100; }));
}

// A process that is stopped while it has the GPU loses its turn, not everybody's.
TEST_F(Sharing, AStoppedProcessDoesNotHoldTheGpu) {
  std::vector<Child> children;
  const auto node = Look("1");
  for (int i = 0; i < 2; ++i) {
    children.emplace_back(std::vector<std::string>{"spin", "5000", "async"}, Env("1"));
  }
  Shares(*node, children, 20);
  const pid_t running = children[1].pid();
  // One stopped just while it holds the mutex of the seats holds up everybody; then try again.
  bool going = false;
  for (int attempt = 0; attempt < 10 && !going; ++attempt) {
    children[0].Signal(SIGCONT);
    ::usleep(20'000);
    children[0].Signal(SIGSTOP);
    const double busy = Busy(*node).at(running);
    going = Eventually([&] { return Busy(*node).at(running) > busy + 100; });
  }
  ASSERT_TRUE(going);
  EXPECT_EQ(Play({"one-kernel", "20000"}, Env("1")), 0);
  children[0].Signal(SIGCONT);
  const pid_t stopped = children[0].pid();
  const double before = Busy(*node).at(stopped);
  EXPECT_TRUE(Eventually([&] { return Busy(*node).at(stopped) > before + 20; }));
}

// Killed at random points of allocation, launch, context creation: all of it comes back, and a
// neighbour goes on.
TEST_F(Sharing, KilledAnywhereNothingIsLost) {
  const auto node = Look();
  std::vector<Child> neighbour;
  neighbour.emplace_back(std::vector<std::string>{"spin", "200", "sync"}, Env());
  EXPECT_EQ(neighbour[0].Hear(), "ready");
  neighbour[0].Say("go");
  std::mt19937 random(1);
  for (int round = 0; round < 12; ++round) {
    std::vector<Child> children;
    for (int i = 0; i < 3; ++i) {
      children.emplace_back(std::vector<std::string>{"churn"}, Env());
    }
    for (Child& child : children) EXPECT_EQ(child.Hear(), "ready");
    for (Child& child : children) {
      ::usleep(static_cast<useconds_t>(random() % 30'000));
      child.Signal(SIGKILL);
      EXPECT_EQ(child.Wait(), -SIGKILL);
    }
    EXPECT_EQ(UsedMiB(*node), kWorkerMiB) << "round " << round;
    const double before = Busy(*node).at(neighbour[0].pid());
    EXPECT_TRUE(Eventually([&] { return Busy(*node).at(neighbour[0].pid()) > before; }));
  }
}

TEST_F(Sharing, MigDevicesHaveTheirOwnMemoryAndTime) {
  const auto spec = LoadNode("a30-x2-mig");
  ASSERT_TRUE(spec.ok());
  const auto node = Look("0.1", "a30-x2-mig");
  ASSERT_EQ(node->devices().size(), 1u);
  const DeviceInfo& mig = node->devices().front();
  ASSERT_EQ(mig.uuid_text.substr(0, 4), "MIG-");
  Variables variables = Env("0.1", "a30-x2-mig");
  variables["CUDA_VISIBLE_DEVICES"] = mig.uuid_text;
  EXPECT_EQ(Play({"visible", mig.name}, variables), 0);
  Child holder({"hold", "1000"}, variables);
  EXPECT_EQ(holder.Hear(), "0");
  const std::uint64_t overhead = mig.multiprocessors * 4ull;
  EXPECT_EQ(UsedMiB(*node), 1000 + overhead);
  Child greedy({"hold", "12000"}, variables);  // the GPU has it, the instance does not
  EXPECT_EQ(greedy.Hear(), "2");
}

}  // namespace
}  // namespace aliquot::sim::cuda::testing
