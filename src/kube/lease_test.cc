// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/executor_fake.h"
#include "kube/client_fake.h"

namespace aliquot::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
namespace json = boost::json;

const Ref kLease{kLeases, "ns", "leader", ""};

// One process that competes.
struct Candidate {
  Candidate(FakeCluster& cluster, FakeExecutor& on, FakeClock& clock, const std::string& name)
      : client(cluster, name) {
    LeaseOptions options;
    options.ns = "ns";
    options.name = "leader";
    options.identity = name;
    election = *LeaderElection::Create(
        client, on, clock, options,
        {[this] { told.push_back("started"); }, [this] { told.push_back("stopped"); },
         [this](const std::string& holder) { told.push_back("sees " + holder); }},
        [] { return 0.5; });
  }
  bool leading() const { return election->leading(); }

  FakeClient client;
  std::vector<std::string> told;
  std::unique_ptr<LeaderElection> election;
};

class LeaseTest : public testing::Test {
 protected:
  json::value Spec(const char* key) const {
    const auto lease = cluster_.Get(kLease);
    return lease.ok() ? lease->at("spec").at(key) : json::value();
  }

  FakeClock clock_;
  FakeExecutor executor_{clock_};
  FakeCluster cluster_{clock_};
  Candidate a_{cluster_, executor_, clock_, "a"};
  Candidate b_{cluster_, executor_, clock_, "b"};
};

TEST_F(LeaseTest, TheFirstLeadsAndTheOtherWaits) {
  a_.election->Start();
  executor_.RunReady();
  b_.election->Start();
  executor_.Advance(seconds(60));
  EXPECT_THAT(a_.told, ElementsAre("started"));
  EXPECT_THAT(b_.told, ElementsAre("sees a"));
  EXPECT_EQ(Spec("holderIdentity"), json::value("a"));
  EXPECT_EQ(Spec("leaseDurationSeconds"), json::value(15));
  EXPECT_EQ(Spec("leaseTransitions"), json::value(0));
  // Renewing is one request each 2 s, and nothing else.
  EXPECT_EQ(a_.client.Count("update", "leases"), 30u);
  EXPECT_EQ(a_.client.Count("get", "leases"), 1u);
}

TEST_F(LeaseTest, ADeadLeaderIsSucceededAfterTheDuration) {
  a_.election->Start();
  executor_.RunReady();
  b_.election->Start();
  executor_.Advance(seconds(30));
  a_.election.reset();  // dies without a word
  executor_.Advance(seconds(13));
  EXPECT_FALSE(b_.leading());
  executor_.Advance(seconds(8));
  EXPECT_TRUE(b_.leading());
  EXPECT_EQ(Spec("leaseTransitions"), json::value(1));
}

TEST_F(LeaseTest, ALeaderThatStopsHandsOver) {
  a_.election->Start();
  executor_.RunReady();
  b_.election->Start();
  executor_.Advance(seconds(10));
  bool done = false;
  a_.election->Stop([&] { done = true; });
  EXPECT_THAT(a_.told, ElementsAre("started", "stopped"));
  executor_.Advance(milliseconds(3201));
  EXPECT_TRUE(done);
  EXPECT_TRUE(b_.leading());
  executor_.Advance(seconds(60));
  EXPECT_THAT(a_.told, ElementsAre("started", "stopped"));
}

// The network of the leader fails: it must have stopped before another begins.
TEST_F(LeaseTest, NeverTwoLeaders) {
  a_.election->Start();
  executor_.RunReady();
  b_.election->Start();
  executor_.Advance(seconds(30));
  a_.client.SetUnavailable();
  for (int i = 0; i < 400; ++i) {
    executor_.Advance(milliseconds(100));
    ASSERT_FALSE(a_.leading() && b_.leading()) << i;
  }
  EXPECT_THAT(a_.told, ElementsAre("started", "stopped"));
  EXPECT_TRUE(b_.leading());
  a_.client.SetAvailable();
  executor_.Advance(seconds(10));
  EXPECT_THAT(a_.told, ElementsAre("started", "stopped", "sees b"));
}

TEST_F(LeaseTest, AShortOutageCostsNothing) {
  a_.election->Start();
  executor_.Advance(seconds(10));
  a_.client.SetUnavailable();
  executor_.Advance(seconds(7));
  a_.client.SetAvailable();
  executor_.Advance(seconds(60));
  EXPECT_THAT(a_.told, ElementsAre("started"));
}

TEST_F(LeaseTest, AClockThatIsWrongElsewhereDoesNotMatter) {
  const Object lease = {{"apiVersion", "coordination.k8s.io/v1"},
                        {"kind", "Lease"},
                        {"metadata", Object{{"name", "leader"}}},
                        {"spec", Object{{"holderIdentity", "other"},
                                        {"leaseDurationSeconds", 20},
                                        {"renewTime", "1999-01-01T00:00:00.000000Z"}}}};
  ASSERT_TRUE(cluster_.Create(kLeases, "ns", lease).ok());
  a_.election->Start();
  executor_.Advance(seconds(19));
  EXPECT_FALSE(a_.leading());
  executor_.Advance(seconds(5));
  EXPECT_TRUE(a_.leading());
}

TEST_F(LeaseTest, TakesItsOwnLeaseUpAgain) {
  a_.election->Start();
  executor_.RunReady();
  a_.election.reset();
  Candidate again(cluster_, executor_, clock_, "a");
  again.election->Start();
  executor_.RunReady();
  EXPECT_TRUE(again.leading());
  EXPECT_EQ(Spec("leaseTransitions"), json::value(0));
}

TEST_F(LeaseTest, ALeaseThatWasWrittenByAnotherIsLost) {
  a_.election->Start();
  executor_.RunReady();
  ASSERT_TRUE(
      cluster_
          .Patch(kLease, PatchType::kMerge, json::parse(R"({"spec": {"holderIdentity": "thief"}})"))
          .ok());
  executor_.Advance(seconds(2));
  EXPECT_THAT(a_.told, ElementsAre("started", "stopped", "sees thief"));
}

// The answer to a renewal got lost on the way: the lease is not what we know, but it is ours.
TEST_F(LeaseTest, ARenewalThatWentThroughUnheardIsNoLoss) {
  a_.election->Start();
  executor_.RunReady();
  ASSERT_TRUE(cluster_
                  .Patch(kLease, PatchType::kMerge,
                         json::parse(R"({"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}})"))
                  .ok());
  executor_.Advance(seconds(60));
  EXPECT_THAT(a_.told, ElementsAre("started"));
}

TEST_F(LeaseTest, ReleasesEvenWhenARenewalCrossesIt) {
  a_.election->Start();
  executor_.RunReady();
  ASSERT_TRUE(cluster_
                  .Patch(kLease, PatchType::kMerge,
                         json::parse(R"({"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}})"))
                  .ok());
  bool done = false;
  a_.election->Stop([&] { done = true; });
  executor_.RunReady();
  EXPECT_TRUE(done);
  EXPECT_EQ(Spec("holderIdentity"), json::value(""));
}

TEST_F(LeaseTest, RefusesTimesThatCannotWork) {
  LeaseOptions options;
  options.ns = options.name = options.identity = "x";
  options.renew_deadline = options.duration;
  EXPECT_EQ(LeaderElection::Create(a_.client, executor_, clock_, options, {}).error().code,
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace aliquot::kube
