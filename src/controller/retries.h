// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"

namespace aliquot::controller {

// When writes that failed may be tried again. Not thread-safe.
class Retries {
 public:
  // As the operator backs off, but with a longer end: what fails for a minute fails for an hour.
  static constexpr std::chrono::milliseconds kFirst{100};
  static constexpr std::chrono::milliseconds kLongest{30'000};
  // From so many failures in a row on, a failure is worth a condition.
  static constexpr int kPersistent = 3;

  bool May(const std::string& what, Clock::TimePoint now) const {
    const auto found = failures_.find(what);
    return found == failures_.end() || found->second.not_before <= now;
  }
  void Failed(const std::string& what, const std::string& error, Clock::TimePoint now) {
    Failure& failure = failures_[what];
    ++failure.times;
    failure.error = error;
    failure.not_before =
        now + std::min<Clock::Duration>(kFirst * (1 << std::min(failure.times - 1, 16)), kLongest);
  }
  void Succeeded(const std::string& what) { failures_.erase(what); }

  // Forgets what nobody wants to write any more; whether there was such a thing.
  bool KeepOnly(const std::set<std::string>& wanted) {
    return std::erase_if(failures_,
                         [&](const auto& item) { return !wanted.contains(item.first); }) > 0;
  }

  // When the next one that has to wait may be tried; nothing if none has to.
  std::optional<Clock::TimePoint> Next(Clock::TimePoint now) const {
    std::optional<Clock::TimePoint> next;
    for (const auto& [what, failure] : failures_) {
      if (failure.not_before > now && (!next || failure.not_before < *next)) {
        next = failure.not_before;
      }
    }
    return next;
  }
  std::map<std::string, std::string> Persistent() const {
    std::map<std::string, std::string> errors;
    for (const auto& [what, failure] : failures_) {
      if (failure.times >= kPersistent) errors[what] = failure.error;
    }
    return errors;
  }

 private:
  struct Failure {
    int times = 0;
    std::string error;
    Clock::TimePoint not_before;
  };
  std::map<std::string, Failure> failures_;
};

}  // namespace aliquot::controller
