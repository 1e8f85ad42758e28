// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace aliquot::bench {

// The lines of one run: what was measured, the figure, its limit if it has one, ok or over.
class Report {
 public:
  void Section(const std::string& title) {
    fmt::print("\n{}\n", title);
    std::fflush(stdout);
  }
  // A figure without a limit.
  void Line(const std::string& what, const std::string& figure) { Print(what, figure, "", ""); }
  // A figure that must not be above `limit`; both in `unit`.
  void Line(const std::string& what, double figure, double limit, const std::string& unit,
            const std::string& note = "") {
    over_ = over_ || figure > limit;
    Print(what, fmt::format("{:.4g} {}{}", figure, unit, note),
          fmt::format("{:.4g} {}", limit, unit), figure > limit ? "OVER" : "ok");
  }
  // Some limit was broken.
  bool over() const { return over_; }

 private:
  static void Print(const std::string& what, const std::string& figure, const std::string& limit,
                    const std::string& verdict) {
    fmt::print("{:<52} {:<44} {:<9} {}\n", what, figure, limit, verdict);
    std::fflush(stdout);
  }

  bool over_ = false;
};

// Durations in ms.
struct Samples {
  std::vector<double> sorted;

  explicit Samples(std::vector<double> values) : sorted(std::move(values)) {
    std::sort(sorted.begin(), sorted.end());
  }
  double At(double quantile) const {
    const double index = quantile * static_cast<double>(sorted.size());
    return sorted[std::min(static_cast<std::size_t>(index), sorted.size() - 1)];
  }
  std::string Text() const {
    return fmt::format("p50 {:.3g} ms, p99 {:.3g} ms, n={}", At(0.5), At(0.99), sorted.size());
  }
};

}  // namespace aliquot::bench
