// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/ledger.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>

namespace aliquot::arbiter {
namespace {

using Outcome = Reservation::Outcome;
using std::chrono::seconds;

constexpr std::uint64_t kMib = std::uint64_t{1} << 20;
constexpr std::uint64_t kLimit = 1024 * kMib;

Ledger::Settings NoCredit() {
  Ledger::Settings settings;
  settings.most_credit = 0;
  return settings;
}

TEST(LedgerTest, GrantsUpToTheLimitAndNotOneByteMore) {
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 0);
  ledger.AddProcess(2, 101, 0);
  EXPECT_EQ(ledger.Reserve(1, 600 * kMib, 0, false).outcome, Outcome::kGranted);
  EXPECT_EQ(ledger.Reserve(2, 424 * kMib + 1, 0, false).outcome, Outcome::kDenied);
  EXPECT_EQ(ledger.Reserve(2, 424 * kMib, 0, false).outcome, Outcome::kGranted);
  EXPECT_EQ(ledger.charged(), kLimit);
  EXPECT_TRUE(ledger.Release(1, 600 * kMib));
  EXPECT_EQ(ledger.charged(), 424 * kMib);
  EXPECT_EQ(ledger.peak(), kLimit);
}

TEST(LedgerTest, SumsFromOutsideDoNotWrap) {
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 0);
  ASSERT_EQ(ledger.Reserve(1, kMib, 0, false).outcome, Outcome::kGranted);
  EXPECT_EQ(ledger.Reserve(1, UINT64_MAX, 0, false).outcome, Outcome::kDenied);
  EXPECT_EQ(ledger.Reserve(1, UINT64_MAX - kMib + 1, 0, false).outcome, Outcome::kDenied);
  ledger.Charge(1, UINT64_MAX);
  ledger.Charge(1, UINT64_MAX);
  EXPECT_GE(ledger.charged(), kLimit);
  EXPECT_FALSE(ledger.Release(1, UINT64_MAX));
  EXPECT_EQ(ledger.charged(), 0u);
}

TEST(LedgerTest, CreditIsTakenBackBeforeAnyoneIsRefused) {
  Ledger ledger(kLimit);
  ledger.AddProcess(1, 100, 0);
  ledger.AddProcess(2, 101, 0);
  EXPECT_EQ(ledger.Reserve(1, kMib, 64 * kMib, false).credit, 16 * kMib);
  const Reservation answer = ledger.Reserve(2, kLimit - 2 * kMib, 0, false);
  EXPECT_EQ(answer.outcome, Outcome::kRevoke);
  EXPECT_EQ(answer.shortfall, 15 * kMib);
  EXPECT_EQ(ledger.Reserve(1, kLimit - 2 * kMib, 0, false).outcome, Outcome::kRevoke) << "its own";
  ledger.SetCredit(1, 0);
  ASSERT_TRUE(ledger.Release(1, 16 * kMib));
  EXPECT_EQ(ledger.Reserve(2, kLimit - 2 * kMib, 0, false).outcome, Outcome::kGranted);
  EXPECT_EQ(ledger.credit_target(), 0u);
  EXPECT_EQ(ledger.outside(1), kLimit - 2 * kMib);
}

TEST(LedgerTest, MemoryOfTheDeadIsWaitedForNotDenied) {
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 0);
  ledger.AddProcess(2, 101, 0);
  ASSERT_EQ(ledger.Reserve(1, 1000 * kMib, 0, false).outcome, Outcome::kGranted);
  ledger.RemoveProcess(1, seconds(10));
  EXPECT_EQ(ledger.charged(), 1000 * kMib);
  EXPECT_EQ(ledger.Reserve(2, 500 * kMib, 0, false).outcome, Outcome::kWait);
  // A sample from before the death proves nothing; one that still lists the pid neither.
  ledger.Reconcile({}, seconds(9));
  EXPECT_EQ(ledger.charged(), 1000 * kMib);
  ledger.Reconcile({{100, 400 * kMib}}, seconds(11));
  EXPECT_EQ(ledger.charged(), 400 * kMib);
  ledger.Reconcile({}, seconds(12));
  EXPECT_EQ(ledger.charged(), 0u);
  EXPECT_EQ(ledger.Reserve(2, 500 * kMib, 0, false).outcome, Outcome::kGranted);
}

TEST(LedgerTest, DebtsEndAtTheBound) {
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 0);
  ASSERT_EQ(ledger.Reserve(1, kMib, 0, false).outcome, Outcome::kGranted);
  ledger.RemoveProcess(1, seconds(10));
  ASSERT_TRUE(ledger.next_expiry().has_value());
  ledger.Expire(*ledger.next_expiry() - Nanos(1));
  EXPECT_EQ(ledger.debts(), kMib);
  ledger.Expire(seconds(15));
  EXPECT_EQ(ledger.debts(), 0u);
  EXPECT_FALSE(ledger.next_expiry().has_value());
}

TEST(LedgerTest, OverheadRisesAtOnceAndFallsWithTheSecondSample) {
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 0);
  ASSERT_EQ(ledger.Reserve(1, 100 * kMib, 0, false).outcome, Outcome::kGranted);
  ledger.Reconcile({{100, 300 * kMib}}, seconds(1));
  EXPECT_EQ(ledger.charged(), 300 * kMib);
  ledger.Reconcile({{100, 150 * kMib}}, seconds(3));
  EXPECT_EQ(ledger.charged(), 300 * kMib);
  ledger.Reconcile({{100, 150 * kMib}}, seconds(4));
  EXPECT_EQ(ledger.charged(), 150 * kMib);
}

// A sample that was taken before memory was freed must not count that memory twice.
TEST(LedgerTest, AStaleSampleDoesNotInventOverhead) {
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 0);
  ASSERT_EQ(ledger.Reserve(1, 900 * kMib, 0, false).outcome, Outcome::kGranted);
  ledger.Reconcile({{100, 900 * kMib}}, seconds(1));
  ASSERT_TRUE(ledger.Release(1, 800 * kMib));
  ledger.Reconcile({{100, 900 * kMib}}, seconds(2));
  EXPECT_EQ(ledger.charged(), 100 * kMib);
}

TEST(LedgerTest, ContextsSettleToTheirTrueSize) {
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 0);
  ASSERT_EQ(ledger.Reserve(1, 500 * kMib, 0, true).outcome, Outcome::kGranted);
  for (int i = 1; i <= 4; ++i) ledger.Reconcile({{100, 320 * kMib}}, seconds(i));
  EXPECT_EQ(ledger.charged(), 320 * kMib);
  EXPECT_FALSE(ledger.TakeContextSizes().empty());
  // Other memory that NVML does not show stays charged: it may be about to be touched.
  ASSERT_EQ(ledger.Reserve(1, 100 * kMib, 0, false).outcome, Outcome::kGranted);
  ASSERT_TRUE(ledger.Release(1, 100 * kMib));
  for (int i = 5; i <= 8; ++i) ledger.Reconcile({}, seconds(i));
  EXPECT_EQ(ledger.charged(), 0u);
}

// NVML shows a context step by step while the driver makes it: what is not there yet is not free.
TEST(LedgerTest, AContextOnItsWayIsChargedInFull) {
  using std::chrono::milliseconds;
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 0);
  ASSERT_EQ(ledger.Reserve(1, 500 * kMib, 0, true).outcome, Outcome::kGranted);
  for (int i = 1; i <= 40; ++i) {
    ledger.Reconcile({{100, 14 * kMib}}, milliseconds(50 * i));
    ASSERT_EQ(ledger.charged(), 500 * kMib);
  }
  EXPECT_TRUE(ledger.TakeContextSizes().empty());
  for (int i = 0; i <= 80; ++i) ledger.Reconcile({{100, 490 * kMib}}, milliseconds(2050 + 50 * i));
  EXPECT_EQ(ledger.charged(), 490 * kMib);
  EXPECT_EQ(ledger.TakeContextSizes(), std::vector<std::uint64_t>{490 * kMib});
}

TEST(LedgerTest, ALowerLimitRefusesWhatComesAndTakesNothing) {
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 0);
  ASSERT_EQ(ledger.Reserve(1, 800 * kMib, 0, false).outcome, Outcome::kGranted);
  ledger.SetLimit(500 * kMib);
  EXPECT_EQ(ledger.charged(), 800 * kMib);
  EXPECT_EQ(ledger.Reserve(1, 1, 0, false).outcome, Outcome::kDenied);
  EXPECT_EQ(ledger.offline(), 0u);
  ledger.SetLimit(0);
  EXPECT_EQ(ledger.Reserve(1, 100 * kLimit, 0, false).outcome, Outcome::kGranted);
}

TEST(LedgerTest, WhatWasHeldBeforeARestartIsAFact) {
  Ledger ledger(kLimit, NoCredit());
  ledger.AddProcess(1, 100, 2 * kLimit);
  EXPECT_EQ(ledger.charged(), 2 * kLimit);
  EXPECT_EQ(ledger.Reserve(1, 1, 0, false).outcome, Outcome::kDenied);
  EXPECT_TRUE(ledger.Release(1, 2 * kLimit));
  EXPECT_EQ(ledger.Reserve(1, kLimit, 0, false).outcome, Outcome::kGranted);
}

// Any sequence of what processes and NVML may do.
TEST(LedgerTest, NeverGrantsBeyondTheLimitAndNeverRefusesBelowIt) {
  EXPECT_TRUE(rc::check([] {
    const std::uint64_t limit = *rc::gen::inRange<std::uint64_t>(64, 4096) * kMib;
    Ledger ledger(limit);
    Nanos now = seconds(1);
    std::map<std::uint64_t, std::uint64_t> held;
    const int actions = *rc::gen::inRange(1, 150);
    for (int i = 0; i < actions; ++i) {
      const auto process = *rc::gen::inRange<std::uint64_t>(1, 9);
      const std::uint64_t bytes = *rc::gen::inRange<std::uint64_t>(0, limit / 2);
      now += std::chrono::milliseconds(100);
      switch (*rc::gen::inRange(0, 7)) {
        case 0:
          if (held.contains(process)) break;
          ledger.AddProcess(process, static_cast<std::uint32_t>(process), 0);
          held[process] = 0;
          break;
        case 1: {
          ledger.RemoveProcess(process, now);
          held.erase(process);
          break;
        }
        case 2:
          if (!held.contains(process)) break;
          ledger.Release(process, std::min(bytes, held[process]));
          held[process] -= std::min(bytes, held[process]);
          break;
        case 3:
          ledger.SetCredit(process, std::min(bytes, ledger.held(process)));
          break;
        case 4: {
          std::map<std::uint32_t, std::uint64_t> used;
          for (const auto& [id, h] : held) used[static_cast<std::uint32_t>(id)] = h;
          ledger.Reconcile(used, now);
          break;
        }
        default: {
          const std::uint64_t before = ledger.charged();
          std::uint64_t used = ledger.debts();
          for (const auto& [id, h] : held) used += ledger.used(id);
          const Reservation answer = ledger.Reserve(process, bytes, kMib, false);
          if (answer.outcome == Outcome::kGranted) {
            held[process] += answer.bytes + answer.credit;
            RC_ASSERT(ledger.charged() <= limit);
          } else if (held.contains(process)) {
            RC_ASSERT(before + bytes > limit);
            // Credit is nobody's: it never stands in the way for good.
            if (answer.outcome == Outcome::kDenied) RC_ASSERT(used + bytes > limit);
          }
          break;
        }
      }
      std::uint64_t sum = 0;
      for (const auto& [id, h] : held) sum += h;
      RC_ASSERT(ledger.charged() >= sum);
    }
    // Whoever dies whenever: in the end nothing is left.
    for (std::uint64_t process = 1; process < 9; ++process) ledger.RemoveProcess(process, now);
    ledger.Reconcile({}, now + seconds(1));
    RC_ASSERT(ledger.charged() == 0u);
  }));
}

}  // namespace
}  // namespace aliquot::arbiter
