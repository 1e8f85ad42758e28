// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/containers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/executor_fake.h"

namespace aliquot::agent {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

class ContainersTest : public ::testing::Test {
 protected:
  Result<Containers::Held> Answer() {
    if (error_) return *error_;
    return held_;
  }

  FakeClock clock_;
  FakeExecutor executor_{clock_};
  Logger log_{clock_, Logger::NullSink()};
  metrics::Registry registry_;
  metrics::ClusterMetrics metrics_{registry_};
  Containers::Held held_;
  std::optional<Error> error_;
  int asked_ = 0;
  int answered_ = 0;
  Containers containers_{{executor_, clock_, log_, metrics_,
                          [this](const std::function<void(Result<Containers::Held>)>& done) {
                            ++asked_;
                            done(Answer());
                          },
                          [this] { ++answered_; }}};
};

TEST_F(ContainersTest, AsksAtOnceAndAtIntervals) {
  executor_.RunReady();
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(answered_, 1);
  executor_.Advance(seconds(60));
  EXPECT_EQ(asked_, 3);
}

TEST_F(ContainersTest, AReaderInAHurryIsServedSoonerAndAllGetTheAnswer) {
  executor_.RunReady();
  containers_.AskEvery(seconds(1));
  executor_.Advance(seconds(5));
  EXPECT_EQ(asked_, 6);
  containers_.AskEvery(seconds(0));
  executor_.Advance(seconds(61));
  EXPECT_EQ(asked_, 9) << "once more as planned, then every 30 s";
  EXPECT_EQ(answered_, asked_);
}

TEST_F(ContainersTest, AKubeletThatDoesNotAnswerIsNotPressed) {
  error_ = Error{Code::kUnavailable, "restarting"};
  executor_.RunReady();
  containers_.AskEvery(seconds(1));
  executor_.Advance(seconds(100));
  EXPECT_EQ(asked_, 11);
  EXPECT_EQ(containers_.held(), nullptr);
  EXPECT_EQ(containers_.error(), "restarting");
  error_.reset();
  executor_.Advance(seconds(12));
  EXPECT_NE(containers_.held(), nullptr);
  EXPECT_EQ(containers_.error(), "");
}

// Resources may be renamed to any domain, and others have resources of their own.
TEST_F(ContainersTest, GpusAreToldByTheirIds) {
  held_ = {{"team", "train", "main", "example.com/slice", {"GPU-a::0", "GPU-a::1"}},
           {"team", "route", "main", "example.com/nic", {"eth1"}}};
  executor_.Advance(seconds(30));
  ASSERT_EQ(containers_.held()->size(), 1u);
  EXPECT_THAT(registry_.Text(), HasSubstr("pod=\"train\""));
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("pod=\"route\"")));
}

}  // namespace
}  // namespace aliquot::agent
