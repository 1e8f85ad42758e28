// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <utility>

#include "interposer/block_table.h"
#include "interposer/cost_table.h"
#include "interposer/meter.h"
#include "interposer/share_file.h"

// The parts that need neither driver nor agent.
namespace aliquot::interposer {
namespace {

constexpr char kGpu[] = "gpu=GPU-3a0f5c2e-9b1d-4e77-8c55-0d1f2a3b4c5d 1048576 3\n";

TEST(ShareFile, IsRead) {
  auto share = std::make_unique<Share>();
  ASSERT_TRUE(ParseShare((std::string("# a comment\nversion=1\nunknown=1\n") + kGpu +
                          "gpu=MIG-00000000-0000-0000-0000-0000000000ff 0 1\ncompute=none\n"
                          "driver=/real/libcuda.so")
                             .c_str(),
                         share.get()));
  EXPECT_EQ(share->gpu_count, 2u);
  EXPECT_EQ(share->gpu[0].uuid[0], 0x3a);
  EXPECT_EQ(share->gpu[0].limit, 1048576u);
  EXPECT_EQ(share->gpu[1].uuid[15], 0xff);
  EXPECT_TRUE(share->memory);
  EXPECT_FALSE(share->compute);
  EXPECT_STREQ(share->driver, "/real/libcuda.so");
  EXPECT_EQ(ShareIndex(*share, share->gpu[1].uuid), 1);
}

TEST(ShareFile, OfAnotherVersionOrBrokenIsNone) {
  auto share = std::make_unique<Share>();
  for (const std::string& text :
       {std::string(), std::string(kGpu), std::string("version=2\n") + kGpu,
        std::string("version=11\n"), std::string("version=1\ngpu=GPU-3a0f 1 1\n"),
        std::string("version=1\ngpu=GPU-3a0f5c2e-9b1d-4e77-8c55-0d1f2a3b4c5d\n"),
        std::string(
            "version=1\ngpu=GPU-3a0f5c2e-9b1d-4e77-8c55-0d1f2a3b4c5d 99999999999999999999 1"),
        std::string("version=1\ndriver=") + std::string(5000, 'x')}) {
    EXPECT_FALSE(ParseShare(text.c_str(), share.get())) << text;
  }
  std::string many = "version=1\n";
  for (int i = 0; i < 17; ++i) many += kGpu;
  EXPECT_FALSE(ParseShare(many.c_str(), share.get()));
}

TEST(BlockTable, KeepsWhatAMapKeeps) {
  auto table = std::make_unique<BlockTable>();
  std::map<std::uint64_t, std::uint64_t> model;
  std::mt19937_64 random(7);
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t key = (1 + random() % 5000) * 512;
    Block block = {};
    if (random() % 2 == 0) {
      const bool replaced = table->Put({key, random(), 0, 0, 0}, &block);
      EXPECT_EQ(replaced, model.count(key) == 1);
      ASSERT_TRUE(table->Find(key, &block));
      model[key] = block.bytes;
    } else {
      const bool taken = table->Take(key, &block);
      ASSERT_EQ(taken, model.count(key) == 1);
      EXPECT_TRUE(!taken || block.bytes == model[key]);
      model.erase(key);
    }
  }
  Block block = {};
  for (const auto& [key, bytes] : model) ASSERT_TRUE(table->Take(key, &block));
  EXPECT_FALSE(table->TakeOwned(0, &block));
}

TEST(BlockTable, GivesUpWhatAnOwnerHad) {
  auto table = std::make_unique<BlockTable>();
  Block block = {};
  for (std::uint64_t key = 1; key <= 3000; ++key) table->Put({key, 1, key % 3, 0, 0}, &block);
  int taken = 0;
  while (table->TakeOwned(1, &block)) ++taken;
  EXPECT_EQ(taken, 1000);
  EXPECT_TRUE(table->Find(3, &block));
  EXPECT_FALSE(table->Find(4, &block));
}

TEST(CostTable, LearnsAndForgets) {
  auto costs = std::make_unique<CostTable>();
  bool measured = true;
  EXPECT_EQ(costs->Estimate(5, 100, &measured), 100u);
  EXPECT_FALSE(measured);
  for (int i = 0; i < 50; ++i) costs->Learn(5, 2000, 10'000, true);
  EXPECT_NEAR(static_cast<double>(costs->Estimate(5, 100, &measured)), 2000, 20);
  EXPECT_TRUE(measured);
  EXPECT_GT(costs->Estimate(6, 100, &measured), 1000u);  // the mean of all, not the guess
  EXPECT_EQ(costs->Estimate(0, 100, &measured), 100u);
  costs->Forget(5);
  costs->Estimate(5, 100, &measured);
  EXPECT_FALSE(measured);
}

// A context that was switched out in the middle of a measurement makes it longer by milliseconds.
TEST(CostTable, WhatOthersHadAPartInDoesNotCount) {
  for (const bool alone : {true, false}) {
    auto costs = std::make_unique<CostTable>();
    bool measured = false;
    for (std::uint64_t i = 0; i < 200; ++i) {
      costs->Learn(5, i % 3 == 0 ? 2'000'000 + i : 3000 + i % 7 * 100, 10'000, alone);
      if (i < 8) continue;
      EXPECT_GE(costs->Estimate(5, 100, &measured), 3000u) << i;
      EXPECT_LE(costs->Estimate(5, 100, &measured), 4500u) << i;
    }
    EXPECT_LE(costs->Estimate(6, 100, &measured), 4500u) << "what was never measured";
  }
}

TEST(CostTable, WorkThatBecomesLongerIsSeen) {
  for (const bool alone : {true, false}) {
    auto costs = std::make_unique<CostTable>();
    bool measured = false;
    for (int i = 0; i < 20; ++i) costs->Learn(5, 1000, 10'000, alone);
    for (int i = 0; i < 24; ++i) costs->Learn(5, 8000, 10'000, alone);
    EXPECT_GE(costs->Estimate(5, 100, &measured), 7900u);
    for (int i = 0; i < 24; ++i) costs->Learn(5, 1000, 10'000, alone);
    EXPECT_LE(costs->Estimate(5, 100, &measured), 1500u);
  }
}

// The first launch of a kernel loads it. What it seems to take must be gone by the next samples:
// with an estimate that is too high, less may be in flight.
TEST(CostTable, TheFirstSampleIsForgottenSoon) {
  for (const std::uint64_t first : {290'000, 390'000, 5'000'000}) {
    auto costs = std::make_unique<CostTable>();
    bool measured = false;
    costs->Learn(5, first, 10'000, true);
    for (int i = 0; i < 3; ++i) costs->Learn(5, 200'000, 10'000, true);
    EXPECT_LE(costs->Estimate(5, 100, &measured), 225'000u) << first;
  }
}

// A measurement costs some calls of the driver.
TEST(CostTable, SamplesThatDoNotCountAreNotTakenOfEachLaunch) {
  auto costs = std::make_unique<CostTable>();
  int samples = 0;
  for (std::uint64_t i = 0; i < 6400; ++i) {
    if (!costs->WantsSample(5, i * 20'000)) continue;
    costs->Learn(5, samples % 8 == 0 ? 1000 : 10'000, 10'000, false);
    ++samples;
  }
  EXPECT_GE(samples, 100);
  EXPECT_LE(samples, 200);
}

TEST(CostTable, WhatIsWellKnownIsMeasuredTenTimesASecond) {
  constexpr std::uint64_t kLaunchNs = 20'000;
  auto costs = std::make_unique<CostTable>();
  std::uint64_t now = 0;
  const auto samples_in_two_seconds = [&](std::uint64_t nanoseconds) {
    int samples = 0;
    for (int i = 0; i < 100'000; ++i) {
      now += kLaunchNs;
      if (!costs->WantsSample(5, now)) continue;
      costs->Learn(5, nanoseconds + nanoseconds / 3 * (samples % 2), 10'000, false);
      ++samples;
    }
    return samples;
  };
  EXPECT_GE(samples_in_two_seconds(1000), 32 + 10);
  const int known = samples_in_two_seconds(1000);
  EXPECT_GE(known, 15);
  EXPECT_LE(known, 21);
  // Once it may be another duration that is found out as soon as ever.
  EXPECT_GE(samples_in_two_seconds(3000), 32 + 8);
  bool measured = false;
  EXPECT_NEAR(static_cast<double>(costs->Estimate(5, 100, &measured)), 3500, 300);
}

// Durations that differ by themselves have their mean, as far as it is near the least.
TEST(CostTable, AMeanOfWhatIsAlike) {
  auto costs = std::make_unique<CostTable>();
  bool measured = false;
  for (int i = 0; i < 100; ++i) costs->Learn(5, i % 2 == 0 ? 1000 : 1400, 10'000, true);
  EXPECT_NEAR(static_cast<double>(costs->Estimate(5, 100, &measured)), 1200, 100);
}

// The events around a kernel are some calls apart; a process that is off the CPU in between would
// take it for a long one.
TEST(CostTable, DoesNotLearnFromInterruptedSubmissions) {
  constexpr std::uint64_t kMs = 1'000'000;
  auto costs = std::make_unique<CostTable>();
  bool measured = true;
  const auto estimate = [&](std::uint64_t key) { return costs->Estimate(key, 20'000, &measured); };
  costs->Learn(5, 100 * kMs, 100 * kMs, true);
  EXPECT_EQ(estimate(5), 20'000u);
  EXPECT_FALSE(measured);
  EXPECT_TRUE(costs->WantsSample(5, 0));
  costs->Learn(5, kMs, 10'000, true);
  costs->Learn(5, 100 * kMs, 99 * kMs, true);
  EXPECT_EQ(estimate(5), kMs);
  costs->Learn(6, 1000 * kMs, 100 * kMs, true);  // too long for it to matter
  EXPECT_EQ(estimate(6), 1000 * kMs);
  // Where it always takes that long, it is not an interruption.
  for (int i = 0; i < 20; ++i) costs->Learn(7, kMs, kMs / 2, true);
  EXPECT_EQ(estimate(7), kMs);
  EXPECT_TRUE(measured);
}

TEST(CostTable, KeysTellGridsApart) {
  const int function = 0;
  EXPECT_EQ(KernelKey(&function, 1000, 256), KernelKey(&function, 1020, 256));
  EXPECT_NE(KernelKey(&function, 1000, 256), KernelKey(&function, 2000, 256));
  EXPECT_NE(KernelKey(&function, 1000, 256), KernelKey(&function, 1000, 128));
}

// Two allocations at once both see the other's growth; together they are charged once.
TEST(Meter, TellsConcurrentGrowthApart) {
  Meter meter;
  meter.Begin(64);
  meter.Begin(64);
  const auto reads = [](std::uint64_t now) { return [now] { return now; }; };
  Meter::Outcome first = meter.Finish(64, reads(128));
  EXPECT_EQ(first.release, 0u);
  EXPECT_EQ(first.excess, 0u);
  Meter::Outcome second = meter.Finish(64, reads(128));
  EXPECT_EQ(second.release, 0u);
  EXPECT_EQ(second.excess, 0u);
  EXPECT_EQ(meter.charged(), 128u);
  meter.Begin(64);
  EXPECT_EQ(meter.Finish(64, reads(128)).release, 64u);  // served from what was there
  meter.Begin(0);
  EXPECT_EQ(meter.Finish(0, reads(160)).excess, 32u);
  EXPECT_EQ(meter.Settle(reads(32)).release, 128u);
  EXPECT_EQ(meter.charged(), 32u);
}

// While one thread reads the counter another frees, and a third allocates. What the first one read
// before is out of date, whichever of them began first, and must count neither as growth that is
// never given back nor against what was just allocated.
TEST(Meter, ReadsAgainWhatAnotherReadingOvertook) {
  std::uint64_t counter = 64;
  Meter meter;
  const auto now = [&] { return counter; };
  // Reads the counter, after which somebody else does what `meanwhile` says, once.
  const auto overtaken = [&](auto meanwhile) {
    return [&counter, meanwhile, done = false]() mutable {
      const std::uint64_t read = counter;
      if (!std::exchange(done, true)) meanwhile();
      return read;
    };
  };
  meter.Begin(64);
  meter.Finish(64, now);
  meter.Settle(overtaken([&] {
    counter = 0;
    EXPECT_EQ(meter.Settle(now).release, 64u);
  }));
  EXPECT_EQ(meter.charged(), 0u);
  meter.Settle(overtaken([&] {
    counter = 32;
    meter.Begin(32);
    EXPECT_EQ(meter.Finish(32, now).release, 0u);
  }));
  EXPECT_EQ(meter.charged(), 32u);
  meter.Begin(32);
  counter = 64;
  const Meter::Outcome late = meter.Finish(32, overtaken([&] {
                                             counter = 32;
                                             meter.Settle(now);
                                           }));
  EXPECT_EQ(late.release, 32u);
  EXPECT_EQ(late.excess, 0u);
  EXPECT_EQ(meter.charged(), 32u);
}

}  // namespace
}  // namespace aliquot::interposer
