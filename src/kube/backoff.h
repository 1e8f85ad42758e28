// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <utility>

namespace aliquot::kube {

// Uniform in [0, 1). Injected, so that tests know what comes.
using Random = std::function<double()>;

// Seeded from the system; not for secrets. Not thread-safe.
inline Random SystemRandom() {
  return [engine = std::minstd_rand(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<double>(0, 1)(engine);
  };
}

// Waiting times that double from `least` to `most`, each cut by up to a half at random so that many
// clients do not come back together. Not thread-safe.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds least, std::chrono::milliseconds most)
      : least_(least), most_(most), next_(least) {}

  std::chrono::milliseconds Next(const Random& random) {
    const auto full = next_;
    next_ = std::min(most_, next_ * 2);
    return std::chrono::milliseconds(
        static_cast<std::int64_t>(static_cast<double>(full.count()) * (1 - random() / 2)));
  }
  void Reset() { next_ = least_; }

 private:
  std::chrono::milliseconds least_;
  std::chrono::milliseconds most_;
  std::chrono::milliseconds next_;
};

}  // namespace aliquot::kube
