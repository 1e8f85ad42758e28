// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/aligned.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <optional>
#include <set>

namespace aliquot::share {
namespace {

using ::testing::ElementsAre;
using Set = std::vector<std::size_t>;

Set Range(std::size_t n) {
  Set all(n);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

unsigned ScoreOf(const PairScores& scores, const Set& set) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < set.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) sum += scores.At(set[i], set[j]);
  }
  return sum;
}

bool HoldsAll(const Set& set, const Set& required) {
  return std::includes(set.begin(), set.end(), required.begin(), required.end());
}

// The rule as written: every division, in order.
class BruteForce {
 public:
  BruteForce(const PairScores& scores, Set required, std::size_t size)
      : scores_(scores), required_(std::move(required)), size_(size) {}

  Set Run(const Set& available) {
    Divide(available, available.size() % size_ != 0);
    Set best;
    std::optional<unsigned> best_score;
    for (const Set& set : best_division_) {
      if (set.size() != size_ || !HoldsAll(set, required_)) continue;
      if (best_score.has_value() && ScoreOf(scores_, set) <= *best_score) continue;
      best = set;
      best_score = ScoreOf(scores_, set);
    }
    return best;
  }

 private:
  void Divide(const Set& remaining, bool rest_open) {
    if (remaining.empty()) {
      Weigh();
      return;
    }
    Set set = {remaining.front()};
    Choose(remaining, 1, set, rest_open);
  }
  void Choose(const Set& remaining, std::size_t next, Set& set, bool rest_open) {
    if (set.size() == size_) {
      Recurse(remaining, set, rest_open);
      return;
    }
    for (std::size_t i = next; i < remaining.size(); ++i) {
      set.push_back(remaining[i]);
      Choose(remaining, i + 1, set, rest_open);
      set.pop_back();
    }
    const std::size_t rest = remaining.size() % size_;
    if (rest_open && set.size() == rest) Recurse(remaining, set, false);
  }
  void Recurse(const Set& remaining, const Set& set, bool rest_open) {
    Set others;
    std::set_difference(remaining.begin(), remaining.end(), set.begin(), set.end(),
                        std::back_inserter(others));
    division_.push_back(set);
    Divide(others, rest_open);
    division_.pop_back();
  }
  void Weigh() {
    bool serves = false;
    unsigned total = 0;
    for (const Set& set : division_) {
      serves = serves || (set.size() == size_ && HoldsAll(set, required_));
      total += ScoreOf(scores_, set);
    }
    if (!serves || (best_total_.has_value() && total <= *best_total_)) return;
    best_total_ = total;
    best_division_ = division_;
  }

  const PairScores& scores_;
  Set required_;
  std::size_t size_;
  std::vector<Set> division_;
  std::vector<Set> best_division_;
  std::optional<unsigned> best_total_;
};

TEST(LinkScore, AddsPathAndLinks) {
  EXPECT_EQ(LinkScore({gpu::P2pLevel::kUnknown, 0}), 0u);
  EXPECT_EQ(LinkScore({gpu::P2pLevel::kSystem, 0}), 10u);
  EXPECT_EQ(LinkScore({gpu::P2pLevel::kInternal, 0}), 60u);
  EXPECT_EQ(LinkScore({gpu::P2pLevel::kNode, 4}), 420u);
}

TEST(Aligned, FindsTheOnlyGoodPairOf16) {  // the reference returns 0 and 1
  PairScores scores(16);
  for (std::size_t a = 0; a < 16; ++a) {
    for (std::size_t b = 0; b < a; ++b) scores.Set(a, b, 10);
  }
  scores.Set(12, 15, 1810);
  EXPECT_THAT(BestAlignedSet(scores, Range(16), {}, 2), ElementsAre(12, 15));
}

TEST(Aligned, KeepsGoodGroupsForLater) {
  // 0-1 is the best pair, but with it 2-3 has nothing; 0-2 and 1-3 are worth more together.
  PairScores scores(4);
  scores.Set(0, 1, 100);
  scores.Set(0, 2, 90);
  scores.Set(1, 3, 80);
  EXPECT_THAT(BestAlignedSet(scores, Range(4), {}, 2), ElementsAre(0, 2));
}

TEST(Aligned, TiesGoToTheLowestGpus) {
  PairScores scores(16);
  for (std::size_t a = 0; a < 16; ++a) {
    for (std::size_t b = 0; b < a; ++b) scores.Set(a, b, 20);
  }
  for (std::size_t size = 1; size <= 16; ++size) {
    EXPECT_EQ(BestAlignedSet(scores, Range(16), {}, size), Range(size));
  }
  EXPECT_THAT(BestAlignedSet(scores, Range(16), Set{3}, 2), ElementsAre(2, 3));
}

TEST(Aligned, SizeOneIsTheRequiredOrTheFirst) {
  const PairScores scores(4);
  EXPECT_THAT(BestAlignedSet(scores, Set{1, 3}, {}, 1), ElementsAre(1));
  EXPECT_THAT(BestAlignedSet(scores, Set{1, 3}, Set{3}, 1), ElementsAre(3));
}

TEST(Aligned, BigNodesGetAGoodSet) {
  PairScores scores(24);
  for (const std::size_t a : {5, 11, 17, 23}) {
    for (const std::size_t b : {5, 11, 17, 23}) {
      if (a != b) scores.Set(a, b, 100);
    }
  }
  scores.Set(0, 1, 50);
  EXPECT_THAT(BestAlignedSet(scores, Range(24), {}, 4), ElementsAre(5, 11, 17, 23));
  EXPECT_THAT(BestAlignedSet(scores, Range(24), Set{0}, 2), ElementsAre(0, 1));
  EXPECT_EQ(BestAlignedSet(scores, Range(24), {}, 20).size(), 20u);
}

// A number of [least, end), evenly spread however small RapidCheck wants its cases.
std::size_t Any(std::size_t least, std::size_t end) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(least, end));
}

// Random topologies with many ties, part of the GPUs available, some required.
RC_GTEST_PROP(Aligned, EqualsTheRuleByBruteForce, ()) {
  for (int round = 0; round < 20; ++round) {
    const std::size_t n = Any(1, 10);
    const std::size_t levels = Any(1, 5);
    PairScores scores(n);
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        scores.Set(a, b, static_cast<unsigned>(10 * Any(0, levels)));
      }
    }
    Set available;
    for (std::size_t i = 0; i < n; ++i) {
      if (Any(0, 4) != 0) available.push_back(i);
    }
    if (available.empty()) available = Range(n);
    const std::size_t size = Any(1, available.size() + 1);
    Set required;
    for (const std::size_t gpu : available) {
      if (required.size() < size && Any(0, 4) == 0) required.push_back(gpu);
    }
    RC_ASSERT(BestAlignedSet(scores, available, required, size) ==
              BruteForce(scores, required, size).Run(available));
  }
}

RC_GTEST_PROP(Aligned, BigNodesGetAValidSet, ()) {
  const std::size_t n = Any(kMaxExactGpus + 1, 40);
  PairScores scores(n);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < a; ++b) scores.Set(a, b, static_cast<unsigned>(Any(0, 4)));
  }
  const std::size_t size = Any(1, n + 1);
  Set required;
  for (std::size_t i = 0; i < n; ++i) {
    if (required.size() < size && Any(0, 8) == 0) required.push_back(i);
  }
  const Set chosen = BestAlignedSet(scores, Range(n), required, size);
  RC_ASSERT(chosen.size() == size);
  RC_ASSERT(std::set<std::size_t>(chosen.begin(), chosen.end()).size() == size);
  RC_ASSERT(HoldsAll(chosen, required));  // also says that it is ascending
  RC_ASSERT(chosen.back() < n);
}

}  // namespace
}  // namespace aliquot::share
