// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/seats.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

namespace aliquot::sim::cuda {
namespace {

constexpr EngineKey kGpu{0, 0xFFFFFFFF, 0xFFFFFFFF};

class SeatsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto table = SeatTable::Open(
        "", 1'000'000, [this](const SeatOwner& owner) { return !dead_.contains(owner.pid); });
    ASSERT_TRUE(table.ok());
    table_ = *std::move(table);
  }
  std::unique_ptr<Seat> Take(std::uint32_t pid, const EngineKey& engine = kGpu) {
    auto seat = Seat::Take(*table_, engine, {pid, pid, pid});
    EXPECT_TRUE(seat.ok());
    return *std::move(seat);
  }

  std::set<std::uint32_t> dead_;
  std::unique_ptr<SeatTable> table_;
};

TEST_F(SeatsTest, ALoneContextGoesOnWithoutAGap) {
  const auto a = Take(1);
  const DeviceTime start = table_->clock().Now();
  auto turn = a->Acquire(start);
  ASSERT_TRUE(turn);
  EXPECT_EQ(turn->start, start);
  for (int i = 1; i <= 5; ++i) {
    turn = a->Continue(turn->end);
    ASSERT_TRUE(turn);
    EXPECT_EQ(turn->start, start + i * kTurn);
  }
}

TEST_F(SeatsTest, BackloggedContextsTakeEqualTurnsAndPayForSwitching) {
  const std::vector<std::unique_ptr<Seat>> seats = [&] {
    std::vector<std::unique_ptr<Seat>> all;
    for (std::uint32_t pid = 1; pid <= 4; ++pid) all.push_back(Take(pid));
    return all;
  }();
  const DeviceTime start = table_->clock().Now();
  auto turn = seats[0]->Acquire(start);
  ASSERT_TRUE(turn);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_FALSE(seats[i]->Acquire(start));
  for (std::size_t round = 0; round < 40; ++round) {
    const DeviceTime end = turn->end;
    seats[round % 4]->AddBusy(turn->end - turn->start);
    EXPECT_FALSE(seats[round % 4]->Continue(end));
    turn = seats[(round + 1) % 4]->Acquire(end);
    ASSERT_TRUE(turn);
    EXPECT_EQ(turn->start, end + kSwitchCost);
  }
  for (const SeatUse& use : table_->Uses()) EXPECT_EQ(use.busy, 10 * kTurn);
}

TEST_F(SeatsTest, TimeNobodyUsesGoesToWhoWaits) {
  const auto a = Take(1);
  const auto b = Take(2);
  const DeviceTime start = table_->clock().Now();
  ASSERT_TRUE(a->Acquire(start));
  EXPECT_FALSE(b->Acquire(start));
  a->Release(start + 400'000);
  const auto turn = b->Acquire(start);
  ASSERT_TRUE(turn);
  EXPECT_EQ(turn->start, start + 400'000 + kSwitchCost);
  EXPECT_EQ(turn->end, turn->start + kTurn);
}

TEST_F(SeatsTest, TheTurnOfADeadHolderPassesOn) {
  const auto a = Take(1);
  const auto b = Take(2);
  const DeviceTime long_ago = table_->clock().Now() - 10'000'000;
  ASSERT_TRUE(a->Acquire(long_ago));
  EXPECT_FALSE(b->Acquire(long_ago));
  dead_.insert(1);
  EXPECT_TRUE(b->Acquire(long_ago));
  EXPECT_EQ(table_->Uses().size(), 1u);
}

TEST_F(SeatsTest, AnOverrunningHolderLosesItsTurnAndAsksAgain) {
  const auto a = Take(1);
  const auto b = Take(2);
  const DeviceTime long_ago = table_->clock().Now() - 2 * kOverrunWall;
  ASSERT_TRUE(a->Acquire(long_ago));
  EXPECT_TRUE(b->Acquire(long_ago));
  EXPECT_FALSE(a->Continue(long_ago + kTurn));
  b->Release(long_ago + 2 * kTurn);
  EXPECT_TRUE(a->Acquire(long_ago + kTurn));
}

TEST_F(SeatsTest, EnginesDoNotDisturbEachOther) {
  const auto a = Take(1, {0, 1, 0});
  const auto b = Take(2, {0, 2, 0});
  const DeviceTime now = table_->clock().Now();
  EXPECT_TRUE(a->Acquire(now));
  EXPECT_TRUE(b->Acquire(now));
}

TEST_F(SeatsTest, SeatsOfTheDeadAreUsedAgainWhenAllAreTaken) {
  std::vector<std::unique_ptr<Seat>> seats;
  for (unsigned i = 0; i < kMaxSeats; ++i) seats.push_back(Take(i + 10));
  EXPECT_FALSE(Seat::Take(*table_, kGpu, {1, 1, 1}).ok());
  dead_.insert(17);
  EXPECT_TRUE(Seat::Take(*table_, kGpu, {1, 1, 1}).ok());
}

TEST(DeviceClock, Scales) {
  const DeviceClock slow(8'000'000);
  EXPECT_EQ(slow.FromWall(8'000), 1'000);
  EXPECT_EQ(slow.ToWall(1'000), 8'000);
  const DeviceClock fast(100'000);
  EXPECT_EQ(fast.ToWall(25), 3);  // rounded up: never too early
}

}  // namespace
}  // namespace aliquot::sim::cuda
