// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "gpu/inventory.h"

namespace aliquot::share {

// Worth of a link for programs that use both GPUs: 10 (across CPUs) to 60 (one board) for the PCIe
// path, plus 100 for each direct NVLink. Links through a switch count 0, so on HGX boards all pairs
// tie. Source: the table of the reference device plugin's best-effort policy.
unsigned LinkScore(const gpu::Link& link);

// Scores of all pairs of n GPUs, computed once per topology. Symmetric.
class PairScores {
 public:
  explicit PairScores(std::size_t gpus) : gpus_(gpus), scores_(gpus * gpus) {}

  std::size_t size() const { return gpus_; }
  unsigned At(std::size_t a, std::size_t b) const { return scores_[a * gpus_ + b]; }
  void Set(std::size_t a, std::size_t b, unsigned score) {
    scores_[a * gpus_ + b] = score;
    scores_[b * gpus_ + a] = score;
  }

 private:
  std::size_t gpus_;
  std::vector<unsigned> scores_;
};

// Up to this many available GPUs BestAlignedSet is exact.
inline constexpr std::size_t kMaxExactGpus = 16;

// Which `size` of the `available` GPUs a container should get, `required` among them, in ascending
// order. All numbers are positions in `scores`; `available` and `required` are ascending without
// repetition, `required` is part of `available`, and required.size() <= size <= available.size().
//
// The rule (that of the reference device plugin) keeps good groups together for later containers
// instead of taking the best set now: divide the available GPUs into sets of `size`, with a smaller
// set of what is left over if they do not divide evenly, so that one full set holds all required
// GPUs and the sum of the pair scores inside all sets is highest. Of that division's full sets with
// all required GPUs, take the one with the highest score. For size 1 this is the required or the
// first available GPU.
// Ties go to the division that comes first when each set is written in ascending order, the set
// with the lowest GPU first, left-over places last; then to the first set.
//
// With more than kMaxExactGpus available, where the number of divisions explodes, it is the set
// with the highest score itself, as far as growing one from each GPU and then exchanging single
// GPUs finds it. Time is bounded by the order of (available * size)^2 additions.
std::vector<std::size_t> BestAlignedSet(const PairScores& scores,
                                        std::span<const std::size_t> available,
                                        std::span<const std::size_t> required, std::size_t size);

}  // namespace aliquot::share
