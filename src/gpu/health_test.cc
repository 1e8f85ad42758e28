// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/health.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/executor_fake.h"

namespace aliquot::gpu {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Outcome = HealthTracker::XidOutcome;

HealthPolicy Policy(std::string_view disable, std::string_view enable) {
  std::vector<std::string> warnings;
  const HealthPolicy policy = HealthPolicy::Parse(disable, enable, warnings);
  EXPECT_TRUE(warnings.empty());
  return policy;
}

TEST(HealthPolicyTest, FollowsTheDocumentedMeaning) {
  const struct {
    const char* disable;
    const char* enable;
    std::vector<std::uint64_t> fatal;
    std::vector<std::uint64_t> ignored;
  } cases[] = {
      {"", "", {48, 79, 95, 1}, {13, 31, 43, 45, 68, 109}},
      {" 48 , 79", "", {95}, {48, 79, 13}},
      {"all", "", {}, {48, 79, 13}},
      {"XIDs", "", {}, {48, 79, 13}},
      {"1,all", "", {}, {48, 79, 13}},
      {"all", "48", {48}, {79, 13}},
      {"48", "48", {48, 79}, {13}},
      {"", "13", {13, 48}, {31}},
      {"", "ALL", {13, 31, 48}, {}},
      {"all", "all", {13, 48}, {}},
  };
  for (const auto& c : cases) {
    const HealthPolicy policy = Policy(c.disable, c.enable);
    for (std::uint64_t xid : c.fatal) EXPECT_TRUE(policy.IsFatal(xid)) << c.disable << " " << xid;
    for (std::uint64_t xid : c.ignored) EXPECT_FALSE(policy.IsFatal(xid)) << c.disable << xid;
  }
}

TEST(HealthPolicyTest, SkipsWhatItCannotReadAndSaysSo) {
  std::vector<std::string> warnings;
  const HealthPolicy policy = HealthPolicy::Parse("48,-3,,x", "0x10", warnings);
  EXPECT_FALSE(policy.IsFatal(48));
  EXPECT_TRUE(policy.IsFatal(79));
  ASSERT_EQ(warnings.size(), 4u);
  EXPECT_EQ(warnings[0],
            "DP_DISABLE_HEALTHCHECKS: \"-3\" is skipped; expected an XID number, \"all\" or "
            "\"xids\", separated by commas");
}

MigDevice SomeMig(const std::string& uuid, unsigned gi, unsigned ci) {
  MigDevice mig;
  mig.uuid = uuid;
  mig.gi_id = gi;
  mig.ci_id = ci;
  return mig;
}

// GPU-0 without MIG, GPU-1 with instances 1/0, 1/1 and 2/0.
Inventory Node() {
  Inventory inventory;
  Gpu plain;
  plain.uuid = "GPU-0";
  Gpu mig;
  mig.index = 1;
  mig.uuid = "GPU-1";
  mig.mig_enabled = true;
  mig.mig_devices = {SomeMig("MIG-10", 1, 0), SomeMig("MIG-11", 1, 1), SomeMig("MIG-20", 2, 0)};
  inventory.gpus = {plain, mig};
  return inventory;
}

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() { tracker_.SetInventory(Node(), {}); }

  std::vector<std::string> Unhealthy() const {
    std::vector<std::string> uuids;
    for (const auto& [uuid, health] : tracker_.Snapshot().unhealthy) uuids.push_back(uuid);
    return uuids;
  }
  std::string Reason(const std::string& uuid) const {
    return tracker_.Snapshot().unhealthy.at(uuid).reason;
  }
  // Good probes every second until the device recovers; how long that took.
  seconds TimeToRecover(const std::string& gpu, const ProbeResult& probe = {"", ""}) {
    for (int i = 1; i <= 3600; ++i) {
      clock_.Advance(seconds(1));
      tracker_.OnProbe(gpu, probe);
      if (Unhealthy().empty()) return seconds(i);
    }
    return seconds::max();
  }

  FakeClock clock_;
  HealthTracker tracker_{clock_, HealthPolicy(), HealthOptions{}};
};

using Uuids = std::vector<std::string>;

TEST_F(HealthTest, AnXidHitsTheDevicesItNames) {
  const struct {
    XidEvent event;
    Uuids hit;
  } cases[] = {
      {{"GPU-0", 48, {}, {}}, {"GPU-0"}},
      {{"GPU-0", 48, 3, 0}, {"GPU-0"}},  // some drivers send ids although MIG is off
      {{"GPU-1", 48, 1, 1}, {"MIG-11"}},
      {{"GPU-1", 48, 1, {}}, {"MIG-10", "MIG-11"}},
      {{"GPU-1", 48, {}, {}}, {"GPU-1", "MIG-10", "MIG-11", "MIG-20"}},
      {{"GPU-1", 48, {}, 1}, {"GPU-1", "MIG-10", "MIG-11", "MIG-20"}},
  };
  for (const auto& c : cases) {
    HealthTracker tracker(clock_, HealthPolicy(), HealthOptions{});
    tracker.SetInventory(Node(), {});
    EXPECT_EQ(tracker.OnXid(c.event), Outcome::kMarked);
    Uuids hit;
    for (const auto& [uuid, health] : tracker.Snapshot().unhealthy) hit.push_back(uuid);
    EXPECT_EQ(hit, c.hit);
  }
}

TEST_F(HealthTest, EventsThatHitNothing) {
  EXPECT_EQ(tracker_.OnXid({"GPU-0", 31, {}, {}}), Outcome::kIgnored);
  EXPECT_EQ(tracker_.OnXid({"GPU-9", 48, {}, {}}), Outcome::kUnknownDevice);
  EXPECT_EQ(tracker_.OnXid({"GPU-1", 48, 9, 0}), Outcome::kUnknownDevice);
  EXPECT_TRUE(Unhealthy().empty());
}

TEST_F(HealthTest, CountsEventsAndSaysWhy) {
  tracker_.CountXid({"GPU-0", 31, {}, {}});
  tracker_.CountXid({"GPU-0", 31, {}, {}});
  EXPECT_EQ((tracker_.Snapshot().xid_events.at({"GPU-0", 31})), 2u);
  tracker_.OnXid({"GPU-1", 94, 1, 1});
  EXPECT_EQ(Reason("MIG-11"), "XID 94 in GPU instance 1, compute instance 1");
}

TEST_F(HealthTest, RecoversAfterTheSettleTimeOfGoodProbes) {
  tracker_.OnXid({"GPU-1", 94, 1, 1});
  EXPECT_EQ(tracker_.GpusToProbe(), Uuids{"GPU-1"});
  EXPECT_EQ(TimeToRecover("GPU-1"), seconds(30));
  EXPECT_TRUE(tracker_.GpusToProbe().empty());
}

TEST_F(HealthTest, AFailedProbeOrAnotherXidStartsTheSettleTimeAgain) {
  tracker_.OnXid({"GPU-0", 94, {}, {}});
  clock_.Advance(seconds(29));
  tracker_.OnProbe("GPU-0", {"nvmlDeviceGetMemoryInfo: GPU is lost (NVML error 15)", {}});
  EXPECT_EQ(Reason("GPU-0"),
            "XID 94; not recovered: nvmlDeviceGetMemoryInfo: GPU is lost (NVML error 15)");
  clock_.Advance(seconds(29));
  tracker_.OnXid({"GPU-0", 95, {}, {}});
  EXPECT_EQ(TimeToRecover("GPU-0"), seconds(30));
}

TEST_F(HealthTest, ADriverThatAsksForAResetIsBelieved) {
  tracker_.OnXid({"GPU-0", 94, {}, {}});
  clock_.Advance(minutes(60));
  tracker_.OnProbe("GPU-0", {"", "a reset of the GPU"});
  EXPECT_EQ(Reason("GPU-0"), "XID 94; not recovered: the driver asks for a reset of the GPU");
  EXPECT_EQ(TimeToRecover("GPU-0"), seconds(30));
}

TEST_F(HealthTest, WithoutTheDriversWordAResetXidWaitsLonger) {
  const ProbeResult silent{"", std::nullopt};
  tracker_.OnXid({"GPU-0", 79, {}, {}});
  EXPECT_EQ(TimeToRecover("GPU-0", silent), minutes(10));
  clock_.Advance(minutes(20));
  tracker_.OnXid({"GPU-0", 94, {}, {}});
  EXPECT_EQ(TimeToRecover("GPU-0", silent), seconds(30));
}

TEST_F(HealthTest, ADeviceThatFlapsWaitsTwiceAsLongUpToTheCap) {
  for (const seconds expected : {seconds(30), seconds(60), seconds(120), seconds(240), seconds(480),
                                 seconds(600), seconds(600)}) {
    tracker_.OnXid({"GPU-0", 94, {}, {}});
    EXPECT_EQ(TimeToRecover("GPU-0"), expected);
    clock_.Advance(seconds(60));
  }
  clock_.Advance(minutes(10));
  tracker_.OnXid({"GPU-0", 94, {}, {}});
  EXPECT_EQ(TimeToRecover("GPU-0"), seconds(30));
}

TEST_F(HealthTest, ALostGpuIsNotProbedUntilItIsBack) {
  const std::vector<LostDevice> lost = {{"GPU-0", "GPU is lost"}};
  tracker_.SetInventory(Node(), lost);
  EXPECT_EQ(Unhealthy(), Uuids{"GPU-0"});
  EXPECT_TRUE(tracker_.GpusToProbe().empty());
  clock_.Advance(minutes(60));
  tracker_.SetInventory(Node(), lost);
  tracker_.SetInventory(Node(), {});
  EXPECT_EQ(tracker_.GpusToProbe(), Uuids{"GPU-0"});
  EXPECT_EQ(TimeToRecover("GPU-0"), seconds(30));
}

TEST_F(HealthTest, WithoutADriverEverythingIsUnhealthyAndRecovers) {
  tracker_.SetDriverUnavailable("driver not loaded");
  EXPECT_EQ(Unhealthy().size(), 5u);
  tracker_.SetInventory(Node(), {});
  clock_.Advance(seconds(30));
  tracker_.OnProbe("GPU-0", {"", ""});
  tracker_.OnProbe("GPU-1", {"", ""});
  EXPECT_TRUE(Unhealthy().empty());
}

TEST_F(HealthTest, SinceIsWhenItBeganAndSnapshotsOfNoChangeAreEqual) {
  tracker_.OnXid({"GPU-0", 94, {}, {}});
  const HealthSnapshot before = tracker_.Snapshot();
  clock_.Advance(seconds(5));
  tracker_.OnXid({"GPU-0", 94, {}, {}});
  tracker_.OnProbe("GPU-0", {"", ""});
  EXPECT_EQ(tracker_.Snapshot(), before);
}

// Whatever happens: only devices that some fatal cause named are unhealthy, nothing is unhealthy
// that is not in the inventory, and half an hour of good probes heals all that is not lost.
TEST(HealthProperty, OnlyCausesMarkAndGoodProbesHeal) {
  EXPECT_TRUE(rc::check([] {
    FakeClock clock;
    HealthTracker tracker(clock, HealthPolicy(), HealthOptions{});
    tracker.SetInventory(Node(), {});
    std::set<std::string> named;
    for (const int step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 6))) {
      clock.Advance(seconds(*rc::gen::inRange(0, 300)));
      const std::string gpu = *rc::gen::element<std::string>("GPU-0", "GPU-1", "GPU-7");
      if (step <= 1) {
        const auto gi = *rc::gen::inRange(0u, 4u);
        XidEvent event{gpu, *rc::gen::element<std::uint64_t>(13, 48, 79, 94), {}, {}};
        if (gi != 0) event.gi_id = gi;
        if (*rc::gen::arbitrary<bool>()) event.ci_id = *rc::gen::inRange(0u, 2u);
        if (tracker.OnXid(event) == Outcome::kMarked) named.insert(gpu);
      } else if (step == 2) {
        tracker.SetInventory(Node(), std::vector<LostDevice>{{gpu, "lost"}});
        if (gpu != "GPU-7") named.insert(gpu);
      } else {
        const bool good = *rc::gen::arbitrary<bool>();
        tracker.OnProbe(gpu, {good ? "" : "no answer", {}});
      }
      for (const auto& [uuid, health] : tracker.Snapshot().unhealthy) {
        RC_ASSERT(named.contains(uuid == "GPU-0" ? "GPU-0" : "GPU-1"));
        RC_ASSERT(!health.reason.empty());
      }
    }
    tracker.SetInventory(Node(), {});
    clock.Advance(minutes(10));
    for (const std::string& gpu : tracker.GpusToProbe()) tracker.OnProbe(gpu, {"", {}});
    RC_ASSERT(tracker.Snapshot().unhealthy.empty());
  }));
}

}  // namespace
}  // namespace aliquot::gpu
