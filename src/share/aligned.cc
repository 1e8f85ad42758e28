// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/aligned.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace aliquot::share {
namespace {

using Mask = std::uint32_t;

// Finds the best division of up to 16 GPUs by dynamic programming over the sets of GPUs that remain
// to be divided. A division is built set by set, each holding the lowest remaining GPU, so a state
// is just the remaining GPUs; sets are tried in the order of the tie rule and only a better one
// replaces an earlier one. An upper bound on what remains cuts the search: where all pairs tie the
// first division meets it and nothing else is tried.
class DivisionSearch {
 public:
  // `gpus` are positions in `scores`; bit i of a mask is gpus[i].
  DivisionSearch(const PairScores& scores, std::span<const std::size_t> gpus, Mask required,
                 std::size_t size)
      : count_(gpus.size()),
        size_(size),
        rest_(gpus.size() % size),
        all_((Mask{1} << gpus.size()) - 1),
        required_(required),
        states_(std::size_t{1} << gpus.size()) {
    FillRowSums(scores, gpus);
    FillBounds(scores, gpus);
  }

  // The chosen set of the best division.
  Mask Run() {
    Solve(all_);
    Mask best = 0;
    std::int32_t best_score = -1;
    for (Mask remaining = all_; remaining != 0;) {
      const Mask set = states_[remaining].first_set;
      const bool full = static_cast<std::size_t>(std::popcount(set)) == size_;
      if (full && (set & required_) == required_ && Score(set) > best_score) {
        best = set;
        best_score = Score(set);
      }
      remaining &= ~set;
    }
    return best;
  }

 private:
  static constexpr std::int32_t kUnknown = -1;
  static constexpr std::int32_t kImpossible = -2;  // the required GPUs would be left over
  struct State {
    std::int32_t score = kUnknown;  // of the best division of the remaining GPUs
    Mask first_set = 0;             // its set with the lowest remaining GPU
  };
  // Sums over the GPUs of a mask, looked up byte by byte.
  struct ByteSums {
    std::array<std::int32_t, 256> low{};
    std::array<std::int32_t, 256> high{};

    std::int32_t Of(Mask mask) const { return low[mask & 0xff] + high[mask >> 8]; }
    void Fill(std::span<const std::int32_t> values) {
      for (unsigned byte = 1; byte < 256; ++byte) {
        const auto lowest = static_cast<std::size_t>(std::countr_zero(byte));
        const unsigned others = byte & (byte - 1);
        low[byte] = low[others] + (lowest < values.size() ? values[lowest] : 0);
        high[byte] = high[others] + (lowest + 8 < values.size() ? values[lowest + 8] : 0);
      }
    }
  };

  void FillRowSums(const PairScores& scores, std::span<const std::size_t> gpus) {
    row_sums_.resize(count_);
    for (std::size_t a = 0; a < count_; ++a) {
      std::array<std::int32_t, kMaxExactGpus> row{};
      for (std::size_t b = 0; b < count_; ++b) {
        if (a != b) row[b] = static_cast<std::int32_t>(scores.At(gpus[a], gpus[b]));
      }
      row_sums_[a].Fill(row);
    }
  }

  // No GPU adds more than half its size - 1 best pairs to a division, and each of the left-over
  // ones loses at least `least_loss_` of that.
  void FillBounds(const PairScores& scores, std::span<const std::size_t> gpus) {
    std::array<std::int32_t, kMaxExactGpus> best{};
    for (std::size_t a = 0; a < count_; ++a) {
      std::vector<std::int32_t> row;
      for (std::size_t b = 0; b < count_; ++b) {
        if (a != b) row.push_back(static_cast<std::int32_t>(scores.At(gpus[a], gpus[b])));
      }
      std::sort(row.rbegin(), row.rend());
      std::int32_t loss = 0;
      for (std::size_t i = 0; i + 1 < size_; ++i) {
        best[a] += row[i];
        if (i + 1 >= std::max<std::size_t>(rest_, 1)) loss += row[i];
      }
      if (a == 0 || loss < least_loss_) least_loss_ = loss;
    }
    best_pairs_.Fill(best);
  }

  bool RestIsOpen(Mask remaining) const {
    return rest_ != 0 && static_cast<std::size_t>(std::popcount(remaining)) % size_ == rest_;
  }

  // At least the score of the best division of `remaining`.
  std::int32_t Bound(Mask remaining) const {
    std::int32_t twice = best_pairs_.Of(remaining);
    if (RestIsOpen(remaining)) twice -= static_cast<std::int32_t>(rest_) * least_loss_;
    return twice / 2;
  }

  std::int32_t Score(Mask set) const {
    std::int32_t twice = 0;
    for (Mask left = set; left != 0; left &= left - 1) {
      twice += row_sums_[static_cast<std::size_t>(std::countr_zero(left))].Of(set);
    }
    return twice / 2;
  }

  std::int32_t Solve(Mask remaining) {
    if (remaining == 0) return 0;
    State& state = states_[remaining];
    if (state.score != kUnknown) return state.score;
    state.score = kImpossible;
    const Mask lowest = remaining & ~(remaining - 1);
    Extend({remaining, Bound(remaining), RestIsOpen(remaining)}, state, lowest, 1,
           remaining & ~lowest, 0);
    return state.score;
  }

  struct Step {
    Mask remaining = 0;
    std::int32_t bound = 0;
    bool rest_open = false;
  };

  // Tries every set that adds some of `candidates` to `set` (of `members` GPUs).
  void Extend(const Step& step, State& state, Mask set, std::size_t members, Mask candidates,
              std::int32_t score) {
    if (members == size_) {
      const Mask held = set & required_;
      if (held == 0 || held == required_) Close(step, state, set, score);
      return;
    }
    for (Mask left = candidates; left != 0; left &= left - 1) {
      if (state.score == step.bound) return;
      const auto next = static_cast<std::size_t>(std::countr_zero(left));
      Extend(step, state, set | Mask{1} << next, members + 1, left & (left - 1),
             score + row_sums_[next].Of(set));
    }
    const bool may_be_rest = step.rest_open && members == rest_ && (set & required_) == 0;
    if (may_be_rest && state.score != step.bound) Close(step, state, set, score);
  }

  // Weighs the division that starts with `set`.
  void Close(const Step& step, State& state, Mask set, std::int32_t score) {
    const Mask others = step.remaining & ~set;
    if (score + Bound(others) <= state.score) return;
    const std::int32_t rest = Solve(others);
    if (rest == kImpossible || score + rest <= state.score) return;
    state.score = score + rest;
    state.first_set = set;
  }

  std::size_t count_;
  std::size_t size_;
  std::size_t rest_;  // GPUs left over
  Mask all_;
  Mask required_;
  std::vector<ByteSums> row_sums_;  // [a]: sums of a's pair scores
  ByteSums best_pairs_;
  std::int32_t least_loss_ = 0;
  std::vector<State> states_;  // by remaining GPUs
};

// The fallback for big nodes.
class SetGrower {
 public:
  SetGrower(const PairScores& scores, std::span<const std::size_t> available,
            std::span<const std::size_t> required, std::size_t size)
      : scores_(scores), available_(available), required_(required), size_(size) {}

  std::vector<std::size_t> Run() {
    std::vector<std::size_t> best;
    unsigned best_score = 0;
    const std::size_t starts = required_.empty() ? available_.size() : 1;
    for (std::size_t start = 0; start < starts; ++start) {
      Grow(start);
      Exchange();
      std::sort(set_.begin(), set_.end());
      const unsigned score = Score();
      if (best.empty() || score > best_score || (score == best_score && set_ < best)) {
        best = set_;
        best_score = score;
      }
    }
    return best;
  }

 private:
  bool Held(std::size_t gpu) const {
    return std::find(set_.begin(), set_.end(), gpu) != set_.end();
  }
  // Sum of the pair scores of `gpu` with the set.
  unsigned Gain(std::size_t gpu) const {
    unsigned gain = 0;
    for (const std::size_t other : set_) {
      if (other != gpu) gain += scores_.At(gpu, other);
    }
    return gain;
  }
  unsigned Score() const {
    unsigned twice = 0;
    for (const std::size_t gpu : set_) twice += Gain(gpu);
    return twice / 2;
  }

  void Grow(std::size_t start) {
    set_.assign(required_.begin(), required_.end());
    if (set_.empty()) set_.push_back(available_[start]);
    while (set_.size() < size_) {
      std::size_t best = 0;
      unsigned best_gain = 0;
      bool found = false;
      for (const std::size_t gpu : available_) {
        if (Held(gpu)) continue;
        const unsigned gain = Gain(gpu);
        if (!found || gain > best_gain) {
          best = gpu;
          best_gain = gain;
          found = true;
        }
      }
      set_.push_back(best);
    }
  }

  // Swaps single GPUs while that helps, within bounded rounds.
  void Exchange() {
    constexpr int kRounds = 8;
    bool improved = true;
    for (int round = 0; improved && round < kRounds; ++round) {
      improved = false;
      for (std::size_t i = required_.size(); i < set_.size(); ++i) {
        for (const std::size_t gpu : available_) {
          if (Held(gpu)) continue;
          const unsigned with_old = Gain(set_[i]);
          const unsigned with_new = Gain(gpu) - scores_.At(gpu, set_[i]);
          if (with_new <= with_old) continue;
          set_[i] = gpu;
          improved = true;
        }
      }
    }
  }

  const PairScores& scores_;
  std::span<const std::size_t> available_;
  std::span<const std::size_t> required_;
  std::size_t size_;
  std::vector<std::size_t> set_;  // the required ones first until sorted
};

}  // namespace

unsigned LinkScore(const gpu::Link& link) {
  return static_cast<unsigned>(link.p2p) * 10 + link.nvlinks * 100;
}

std::vector<std::size_t> BestAlignedSet(const PairScores& scores,
                                        std::span<const std::size_t> available,
                                        std::span<const std::size_t> required, std::size_t size) {
  if (size == 0) return {};
  if (required.size() == size) return {required.begin(), required.end()};
  if (size == available.size()) return {available.begin(), available.end()};
  if (size == 1) return {available.front()};
  if (available.size() > kMaxExactGpus) {
    return SetGrower(scores, available, required, size).Run();
  }
  Mask required_mask = 0;
  for (std::size_t i = 0; i < available.size(); ++i) {
    if (std::binary_search(required.begin(), required.end(), available[i])) {
      required_mask |= Mask{1} << i;
    }
  }
  const Mask set = DivisionSearch(scores, available, required_mask, size).Run();
  std::vector<std::size_t> chosen;
  for (Mask left = set; left != 0; left &= left - 1) {
    chosen.push_back(available[static_cast<std::size_t>(std::countr_zero(left))]);
  }
  return chosen;
}

}  // namespace aliquot::share
