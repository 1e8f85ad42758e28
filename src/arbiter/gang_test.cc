// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/gang.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>
#include <vector>

namespace aliquot::arbiter {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Two GPUs on which every process always wants more and completes what it is let do at once.
class Node {
 public:
  Node(std::initializer_list<std::uint64_t> first, std::initializer_list<std::uint64_t> second) {
    Add(0, first);
    Add(1, second);
  }

  void StepFor(Nanos span, const std::function<void()>& look) {
    for (const Nanos end = now_ + span; now_ < end; now_ += microseconds(100)) {
      for (int round = 0; round < 3; ++round) {
        for (std::size_t g = 0; g < 2; ++g) {
          for (auto& [process, done] : done_[g]) {
            const bool open = gpus_[g].GateOf(process).open;
            if (round == 0 && open) done += microseconds(100);
            gpus_[g].Observe(process, {open, true, microseconds(50), done});
          }
          gpus_[g].Step(now_);
        }
        bool again = false;
        for (const std::uint64_t tenant : {1, 2}) {
          std::vector<Scheduler*> both;
          for (std::size_t g = 0; g < 2; ++g) {
            if (done_[g].contains(tenant)) both.push_back(&gpus_[g]);
          }
          if (both.size() == 2) again |= AlignTurns(tenant, both);
        }
        if (!again) break;
      }
      look();
    }
  }

  const Scheduler& gpu(std::size_t index) const { return gpus_[index]; }

 private:
  void Add(std::size_t gpu, std::initializer_list<std::uint64_t> tenants) {
    for (const std::uint64_t tenant : tenants) {
      gpus_[gpu].SetTenant(tenant, {});
      gpus_[gpu].AddProcess(tenant, tenant);
      done_[gpu][tenant] = Nanos(0);
    }
  }

  std::array<Scheduler, 2> gpus_;
  std::array<std::map<std::uint64_t, Nanos>, 2> done_;
  Nanos now_{0};
};

TEST(GangTest, TwoGangsHaveTheirTurnsOnBothGpusTogether) {
  Node node({1, 2}, {1, 2});
  node.StepFor(milliseconds(200), [] {});
  int together = 0, apart = 0, first = 0;
  node.StepFor(seconds(1), [&] {
    const auto a = node.gpu(0).turn(), b = node.gpu(1).turn();
    if (!a || !b) return;
    ++(a == b ? together : apart);
    first += a == 1u ? 1 : 0;
  });
  EXPECT_GT(together, 9000);
  EXPECT_LT(apart, together / 50);
  EXPECT_NEAR(first, together / 2, together / 20);
}

TEST(GangTest, AGangMeetsOthersOnEachGpu) {
  // Tenant 1 holds both; 3 and 4 have one each.
  Node node({1, 3}, {1, 4});
  node.StepFor(milliseconds(200), [] {});
  int together = 0, alone = 0;
  node.StepFor(seconds(1), [&] {
    const bool a = node.gpu(0).turn() == 1u, b = node.gpu(1).turn() == 1u;
    together += a && b ? 1 : 0;
    alone += a != b ? 1 : 0;
  });
  EXPECT_NEAR(together, 5000, 300);  // of 10,000 steps: half of both GPUs
  EXPECT_LT(alone, 200);
}

TEST(GangTest, AGangAloneOnOneOfItsGpusIsLeftInPeaceThere) {
  Node node({1}, {1, 4});
  node.StepFor(milliseconds(200), [] {});
  int open = 0, turn = 0;
  node.StepFor(seconds(1), [&] {
    open += node.gpu(0).GateOf(1).open ? 1 : 0;
    turn += node.gpu(1).turn() == 1u ? 1 : 0;
  });
  EXPECT_EQ(open, 10'000);
  EXPECT_NEAR(turn, 5000, 300);
}

}  // namespace
}  // namespace aliquot::arbiter
