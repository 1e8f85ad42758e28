// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/grant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "grants/injection.h"
#include "grants/libraries.h"
#include "grants/promise.h"

namespace aliquot::grants {
namespace {

using ::testing::HasSubstr;
using Memory = config::Isolation::Memory;

constexpr std::uint64_t kMiB = 1u << 20;

Grant Sample() {
  Grant grant;
  grant.id = "0123456789abcdef0123456789abcdef";
  grant.resource = "nvidia.com/gpu";
  grant.replica_ids = {"GPU-a::0", "GPU-a::1"};
  grant.devices = {{"GPU-a", "GPU-a", 2, 10, 1000 * kMiB, 200 * kMiB}};
  grant.memory = grant.compute = true;
  grant.created_at = WallTime(std::chrono::milliseconds(1'700'000'000'123));
  return grant;
}

TEST(GrantRecord, ReadsWhatItWrote) {
  Grant grant = Sample();
  EXPECT_EQ(*ParseRecord(ToRecord(grant)), grant);
  grant.devices[0].memory_bytes.reset();
  grant.holder = Holder{"team", "pod-0", ""};
  grant.driver_library = "/run/aliquot/driver/libcuda.so.1";
  grant.memory = false;
  EXPECT_EQ(*ParseRecord(ToRecord(grant)), grant);
}

TEST(GrantRecord, RefusesWhatIsNoRecord) {
  const std::string good = ToRecord(Sample());
  for (std::size_t length = 0; length + 1 < good.size(); ++length) {
    EXPECT_FALSE(ParseRecord(good.substr(0, length)).ok()) << length;
  }
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return ParseRecord(text);
  };
  EXPECT_THAT(with("\"version\":1", "\"version\":2").error().message, HasSubstr("version 2"));
  EXPECT_FALSE(with("0123456789abcdef0123456789abcdef", "../../etc").ok());
  EXPECT_FALSE(with("\"held\":2", "\"held\":0").ok());
  EXPECT_FALSE(with("\"held\":2", "\"held\":-2").ok());
  EXPECT_FALSE(with("\"of\":10", "\"of\":0").ok());
  EXPECT_FALSE(ParseRecord("[]").ok());
}

TEST(ShareText, SaysWhatTheInterposerReads) {
  Grant grant = Sample();
  grant.devices.push_back({"MIG-b", "GPU-b", 1, 4, 100 * kMiB, std::nullopt});
  EXPECT_THAT(ShareText(grant, false),
              HasSubstr("version=1\ngpu=GPU-a 209715200 2\ngpu=MIG-b 0 1\nmemory=share\n"
                        "compute=fair\n"));
  grant.memory = false;
  grant.driver_library = "/run/aliquot/driver/libcuda.so.1";
  grant.nvml_library = "/run/aliquot/driver/libnvidia-ml.so.1";
  EXPECT_THAT(ShareText(grant, true),
              HasSubstr("memory=none\ncompute=capped\ndriver=/run/aliquot/driver/libcuda.so.1\n"
                        "nvml=/run/aliquot/driver/libnvidia-ml.so.1\n"));
}

class PromiseTest : public ::testing::Test {
 protected:
  PromiseTest() {
    resource_.name = "nvidia.com/gpu";
    for (const char* uuid : {"GPU-a", "GPU-b"}) {
      gpu::Gpu& gpu = inventory_.gpus.emplace_back();
      gpu.uuid = uuid;
      gpu.memory_usable_bytes = 1001 * kMiB + 5;
      for (unsigned i = 0; i < 10; ++i) AddReplica(uuid, i);
    }
    isolation_.memory = Memory::kShare;
    isolation_.compute = config::Isolation::Compute::kFair;
  }
  void AddReplica(const std::string& uuid, unsigned i) {
    share::PlannedDevice& device = resource_.devices.emplace_back();
    device.id = uuid + "::" + std::to_string(i);
    device.device_uuid = device.gpu_uuid = uuid;
    device.replica = i;
    device.replicas = 10;
    device.share.compute_permille = 100;
  }
  std::vector<GrantDevice> Promise(const std::vector<std::string>& ids) {
    return PromiseFor(resource_, ids, inventory_, isolation_);
  }
  // A promise of replicas first … first + held - 1 of GPU-a.
  Grant Held(unsigned first, unsigned held, unsigned of) {
    Grant grant = Sample();
    grant.holder = Holder{"team", "old", "main"};
    grant.replica_ids.clear();
    for (unsigned i = first; i < first + held; ++i) {
      grant.replica_ids.push_back("GPU-a::" + std::to_string(i));
    }
    grant.devices = {{"GPU-a", "GPU-a", held, of, 1000 * kMiB, 1000 * kMiB * held / of}};
    return grant;
  }

  share::PlannedResource resource_;
  gpu::Inventory inventory_;
  config::Isolation isolation_;
};

TEST_F(PromiseTest, ThreeOfTenGiveThreeTenthsOfTheUsableMemory) {
  const auto promised = Promise({"GPU-a::7", "GPU-a::0", "GPU-a::3"});
  ASSERT_EQ(promised.size(), 1u);
  EXPECT_EQ(promised[0].uuid, "GPU-a");
  EXPECT_EQ(promised[0].held, 3u);
  EXPECT_EQ(promised[0].of, 10u);
  EXPECT_EQ(promised[0].memory_bytes, 300 * kMiB) << "rounded down once, for the sum";
  std::vector<std::string> all;
  for (int i = 0; i < 10; ++i) all.push_back("GPU-a::" + std::to_string(i));
  EXPECT_EQ(Promise(all)[0].memory_bytes, 1001 * kMiB);
}

TEST_F(PromiseTest, ReplicasOfTwoDevicesAreTwoPromisesInOneGrant) {
  const auto promised = Promise({"GPU-b::1", "GPU-a::0", "GPU-b::2"});
  ASSERT_EQ(promised.size(), 2u);
  EXPECT_EQ(promised[0].uuid, "GPU-b");
  EXPECT_EQ(promised[0].held, 2u);
  EXPECT_EQ(promised[1].held, 1u);
}

TEST_F(PromiseTest, AQuantityCountsForEachReplicaAndEndsAtTheDevice) {
  isolation_.memory = Memory::kBytes;
  isolation_.memory_bytes_per_replica = 400 * kMiB;
  EXPECT_EQ(Promise({"GPU-a::0", "GPU-a::1"})[0].memory_bytes, 800 * kMiB);
  EXPECT_EQ(Promise({"GPU-a::0", "GPU-a::1", "GPU-a::2"})[0].memory_bytes, 1001 * kMiB);
  isolation_.memory = Memory::kNone;
  EXPECT_EQ(Promise({"GPU-a::0"})[0].memory_bytes, std::nullopt);
}

TEST_F(PromiseTest, WhatCarriesNoShareNeedsNoGrant) {
  for (share::PlannedDevice& device : resource_.devices) device.share = {};
  EXPECT_TRUE(Promise({"GPU-a::0", "GPU-z"}).empty());
}

TEST_F(PromiseTest, ARunningContainerIsNeverGivenLess) {
  const GrantDevice promised = Promise({"GPU-a::0", "GPU-a::1", "GPU-a::2"})[0];
  EXPECT_EQ(LimitNow(promised, isolation_), 300 * kMiB);
  isolation_.memory = Memory::kBytes;
  isolation_.memory_bytes_per_replica = 50 * kMiB;
  EXPECT_EQ(LimitNow(promised, isolation_), 300 * kMiB) << "lowered: stays";
  isolation_.memory_bytes_per_replica = 200 * kMiB;
  EXPECT_EQ(LimitNow(promised, isolation_), 600 * kMiB) << "raised: at once";
  isolation_.memory = Memory::kNone;
  EXPECT_EQ(LimitNow(promised, isolation_), std::nullopt) << "switched off: lifted";
  EXPECT_EQ(LimitNow(promised, std::nullopt), std::nullopt);
  GrantDevice without = promised;
  without.memory_bytes.reset();
  isolation_.memory = Memory::kShare;
  EXPECT_EQ(LimitNow(without, isolation_), std::nullopt) << "its interposer charges nothing";
}

TEST_F(PromiseTest, FullUseOfADeviceHasRoom) {
  const Grant a = Held(0, 3, 10), b = Held(3, 6, 10);
  EXPECT_TRUE(CheckRoom(Held(9, 1, 10), {&a, &b}, isolation_).ok());
}

TEST_F(PromiseTest, OldAndNewFractionsMustFitTogether) {
  const Grant old = Held(7, 3, 10);
  EXPECT_TRUE(CheckRoom(Held(0, 2, 4), {&old}, isolation_).ok());
  const Status refused = CheckRoom(Held(0, 3, 4), {&old}, isolation_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_THAT(refused.error().message, HasSubstr("GPU-a has no room for 3 of 4"));
  EXPECT_THAT(refused.error().message, HasSubstr("team/old (3 of 10 replicas)"));
  isolation_.memory = Memory::kBytes;
  EXPECT_TRUE(CheckRoom(Held(0, 3, 4), {&old}, isolation_).ok()) << "may promise too much";
}

// The kubelet gives an init container's devices on to the containers after it.
TEST_F(PromiseTest, ReplicasHeldInTurnCountOnce) {
  const Grant init = Held(0, 3, 10), app = Held(0, 5, 10);
  EXPECT_TRUE(CheckRoom(Held(5, 5, 10), {&init, &app}, isolation_).ok());
  EXPECT_TRUE(CheckRoom(Held(0, 10, 10), {&init, &app}, isolation_).ok());
}

TEST(Libraries, AreInstalledOnceAndReplacedWhenTheyChange) {
  const std::string dir = ::testing::TempDir() + "/grants_libraries_test";
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir + "/source");
  EXPECT_EQ(InstallLibraries(dir + "/source", dir + "/lib").error().code, Code::kNotFound);
  for (const char* name : {kCudaLibrary, kNvmlLibrary}) {
    ASSERT_TRUE(WriteFileAtomically(dir + "/source/" + name, "one").ok());
  }
  ASSERT_TRUE(InstallLibraries(dir + "/source", dir + "/lib").ok());
  EXPECT_EQ(*ReadFile(dir + "/lib/" + kPreloadFile),
            "/run/aliquot/lib/libaliquot-cuda.so\n/run/aliquot/lib/libaliquot-nvml.so\n");
  const auto written = std::filesystem::last_write_time(dir + "/lib/" + kNvmlLibrary);
  ASSERT_TRUE(WriteFileAtomically(dir + "/source/" + kCudaLibrary, "two").ok());
  ASSERT_TRUE(InstallLibraries(dir + "/source", dir + "/lib").ok());
  EXPECT_EQ(*ReadFile(dir + "/lib/" + kCudaLibrary), "two");
  EXPECT_EQ(std::filesystem::last_write_time(dir + "/lib/" + kNvmlLibrary), written);
  const auto mode = std::filesystem::status(dir + "/lib/" + kCudaLibrary).permissions();
  EXPECT_EQ(static_cast<unsigned>(mode), 0755u);
  std::filesystem::remove_all(dir);
}

TEST(Injection, MountsTheGrantTheLibrariesAndThePreloadFile) {
  const std::vector<Mount> expected = {
      {"/run/aliquot/grants/x", "/run/aliquot/grant"},
      {"/var/lib/aliquot/lib/libaliquot-cuda.so", "/run/aliquot/lib/libaliquot-cuda.so"},
      {"/var/lib/aliquot/lib/libaliquot-nvml.so", "/run/aliquot/lib/libaliquot-nvml.so"},
      {"/var/lib/aliquot/lib/ld.so.preload", "/etc/ld.so.preload"}};
  EXPECT_EQ(Inject("/run/aliquot/grants/x", "/var/lib/aliquot/lib").mounts, expected);
}

}  // namespace
}  // namespace aliquot::grants
