// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/repeated_write.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/executor_fake.h"

namespace aliquot::agent {
namespace {

using std::chrono::seconds;

class RepeatedWriteTest : public testing::Test {
 protected:
  RepeatedWriteTest()
      : write_({executor_, clock_, [this] { return needed_; },
                [this](std::function<void(Status)> done) {
                  at_.push_back(clock_.Now() - start_);
                  if (answer_) {
                    executor_.Post([this, done] { done(*answer_); });
                  } else {
                    pending_ = done;
                  }
                }}) {}

  FakeClock clock_;
  FakeExecutor executor_{clock_};
  const Clock::TimePoint start_ = clock_.Now();
  bool needed_ = false;
  std::optional<Status> answer_ = Status();
  std::function<void(Status)> pending_;
  std::vector<Clock::Duration> at_;
  RepeatedWrite write_;
};

TEST_F(RepeatedWriteTest, WritesOnlyWhatIsNeeded) {
  write_.Check();
  executor_.Advance(seconds(10));
  EXPECT_TRUE(at_.empty());
  needed_ = true;
  write_.Check();
  needed_ = false;
  executor_.Advance(seconds(1000));
  EXPECT_EQ(at_.size(), 1u);
}

TEST_F(RepeatedWriteTest, IsEverSlowerAgainstSomebodyWhoChangesItBack) {
  needed_ = true;
  write_.Check();
  executor_.Advance(seconds(100));
  std::vector<Clock::Duration> wanted;
  for (const int at : {0, 1, 3, 7, 15, 31, 63}) wanted.push_back(seconds(at));
  EXPECT_EQ(at_, wanted);
  EXPECT_EQ(write_.in_vain(), 6u);
  executor_.Advance(seconds(10'000));
  EXPECT_EQ(at_.back() - at_[at_.size() - 2], RepeatedWrite::kLongestDelay);
}

TEST_F(RepeatedWriteTest, AnotherWishDoesNotWaitForTheFightOverTheFormer) {
  needed_ = true;
  write_.Check();
  executor_.Advance(seconds(40));  // the next would be at 63 s
  at_.clear();
  write_.Changed();
  executor_.RunReady();
  EXPECT_EQ(at_, std::vector<Clock::Duration>{seconds(40)});
}

TEST_F(RepeatedWriteTest, FailuresAreToldAndRepeatedSlowlyWhateverChanges) {
  answer_ = Status(Error{Code::kUnavailable, "no"});
  needed_ = true;
  write_.Check();
  executor_.Advance(seconds(2));
  EXPECT_EQ(write_.error(), "no");
  EXPECT_EQ(write_.failures(), 2u);
  write_.Changed();
  executor_.RunReady();
  EXPECT_EQ(at_.size(), 2u);
  answer_ = Status();
  executor_.Advance(seconds(2));
  EXPECT_EQ(write_.error(), "");
}

TEST_F(RepeatedWriteTest, OneAtATime) {
  answer_.reset();
  needed_ = true;
  write_.Check();
  write_.Check();
  executor_.Advance(seconds(100));
  EXPECT_EQ(at_.size(), 1u);
  needed_ = false;
  pending_({});
  EXPECT_EQ(write_.writes(), 1u);
}

}  // namespace
}  // namespace aliquot::agent
