// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace aliquot::agent {

// The newest warnings and errors of the log, for the status page. Shared between the threads that
// log and the one that answers HTTP, hence the mutex.
class RecentLog {
 public:
  explicit RecentLog(std::size_t lines) : lines_(lines) {}

  // Keeps `line` if its level is WARN or ERROR.
  void Observe(std::string_view line) {
    if (line.find(" WARN ") == std::string_view::npos &&
        line.find(" ERROR ") == std::string_view::npos) {
      return;
    }
    if (line.ends_with('\n')) line.remove_suffix(1);
    std::lock_guard lock(mutex_);
    newest_.emplace_back(line);
    if (newest_.size() > lines_) newest_.pop_front();
  }

  // Oldest first.
  std::vector<std::string> Lines() const {
    std::lock_guard lock(mutex_);
    return {newest_.begin(), newest_.end()};
  }

 private:
  const std::size_t lines_;
  mutable std::mutex mutex_;
  std::deque<std::string> newest_;
};

}  // namespace aliquot::agent
