// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>

namespace aliquot::arbiter {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The agent's view of a status page that the test writes as a process would.
class PagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Pages::Descriptors files;
    auto pages = Pages::Create(1, 1, 1, ALIQUOT_POLICY_OPEN, files);
    ASSERT_TRUE(pages.ok()) << pages.error().message;
    pages_ = *std::move(pages);
    void* map = ::mmap(nullptr, sizeof(aliquot_status), PROT_READ | PROT_WRITE, MAP_SHARED,
                       files.status.get(), 0);
    ASSERT_NE(map, MAP_FAILED);
    status_ = static_cast<aliquot_status*>(map);
    Greet(Nanos(0));
  }
  void TearDown() override {
    if (status_ != nullptr) ::munmap(status_, sizeof(aliquot_status));
  }

  // The process has a clock of its own, and its hello took so long.
  void Greet(Nanos took) { pages_->SetClock(Theirs(now_) - took, now_); }
  Nanos Theirs(Nanos ours) const { return ours + seconds(1000); }

  void Launch(Nanos cost) {
    aliquot_status_gpu& gpu = status_->gpu[0];
    const auto ns = static_cast<std::uint64_t>(cost.count());
    const auto now = static_cast<std::uint64_t>(Theirs(now_).count());
    gpu.service_ns += ns;
    gpu.unmarked_ns = ns;
    gpu.last_submit_ns = now;
    gpu.busy_until_ns = now + ns;
  }
  ProcessSample Look() {
    pages_->FollowClock(pages_->LastSubmit(0), now_);
    return pages_->Sample(0, now_);
  }

  std::unique_ptr<Pages> pages_;
  aliquot_status* status_ = nullptr;
  Nanos now_ = seconds(5);
};

// A host that needs 12 us for each launch of 4 us has work in flight for a third of the time.
TEST_F(PagesTest, SlowLaunchesAreNotInFlightInBetween) {
  Greet(milliseconds(3));
  int looks = 0, in_flight = 0;
  for (int i = 0; i < 3000; ++i, now_ += microseconds(1)) {
    if (i % 12 == 0) Launch(microseconds(4));
    if (i < 100) {
      Look();  // learns the clock
      continue;
    }
    ++looks;
    in_flight += Look().in_flight ? 1 : 0;
  }
  EXPECT_NEAR(in_flight / static_cast<double>(looks), 1. / 3, .02);
}

TEST_F(PagesTest, WhatSomebodyWaitsForIsInFlight) {
  Launch(microseconds(4));
  now_ += microseconds(100);
  EXPECT_FALSE(Look().in_flight);
  EXPECT_FALSE(Look().blocked);
  status_->gpu[0].synchronising = 1;
  EXPECT_TRUE(Look().in_flight);
  EXPECT_TRUE(Look().blocked);
  now_ += milliseconds(1);  // not for ever: a page may claim what it likes
  EXPECT_FALSE(Look().in_flight);
}

TEST_F(PagesTest, WhoAsksAgainAndAgainWaits) {
  Launch(microseconds(4));
  now_ += microseconds(100);
  status_->gpu[0].polled_ns = static_cast<std::uint64_t>(Theirs(now_).count());
  now_ += microseconds(20);
  EXPECT_TRUE(Look().in_flight);
  EXPECT_TRUE(Look().blocked);
  now_ += microseconds(80);
  EXPECT_FALSE(Look().in_flight);
  EXPECT_FALSE(Look().blocked);
}

// As interposers do that came before the field.
TEST_F(PagesTest, WithoutAReckoningUnmarkedWorkLastsAWhile) {
  Launch(microseconds(4));
  status_->gpu[0].busy_until_ns = 0;
  now_ += microseconds(100);
  EXPECT_TRUE(Look().in_flight);
  now_ += microseconds(200);
  EXPECT_FALSE(Look().in_flight);
}

TEST_F(PagesTest, AMarkerSaysWhenWorkIsDone) {
  aliquot_status_gpu& gpu = status_->gpu[0];
  gpu.service_ns = gpu.cost_ns[3] = 1'000'000;
  gpu.issued[3] = 7;
  now_ += seconds(1);
  EXPECT_TRUE(Look().in_flight);
  EXPECT_EQ(Look().in_flight_estimate, milliseconds(1));
  EXPECT_EQ(Look().completed, Nanos(0));
  gpu.done[3] = 7;
  EXPECT_FALSE(Look().in_flight);
  EXPECT_EQ(Look().completed, milliseconds(1));
}

// The rest of a batch that was submitted long ago, behind work that has just ended.
TEST_F(PagesTest, UnmarkedWorkFollowsWhatWasMarked) {
  aliquot_status_gpu& gpu = status_->gpu[0];
  Launch(microseconds(200));
  gpu.cost_ns[0] = 1'000'000;
  gpu.issued[0] = 1;
  gpu.synchronising = 1;
  now_ += milliseconds(1);
  EXPECT_TRUE(Look().in_flight);
  gpu.done[0] = 1;
  now_ += microseconds(190);
  EXPECT_TRUE(Look().in_flight);
  now_ += milliseconds(1);
  EXPECT_FALSE(Look().in_flight);
}

// A clock that is claimed to be far ahead would make all work look done.
TEST_F(PagesTest, AClockIsOnlyBelievedSoFar) {
  Launch(milliseconds(500));
  status_->gpu[0].last_submit_ns += 3'600'000'000'000;
  Look();
  now_ += milliseconds(100);
  status_->gpu[0].last_submit_ns = static_cast<std::uint64_t>(Theirs(now_).count());
  status_->gpu[0].busy_until_ns = status_->gpu[0].last_submit_ns + 2'000'000'000;
  EXPECT_TRUE(Look().in_flight);
}

}  // namespace
}  // namespace aliquot::arbiter
