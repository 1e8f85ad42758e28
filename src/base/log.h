// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace aliquot {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// One line per event: time, level, a constant message, then key=value fields. Values with blanks,
// quotes or control characters are quoted, so one event is always one line. Thread-safe: each line
// is one write.
//
//   log.Warning("device unhealthy", {{"gpu", uuid}, {"xid", fmt::to_string(xid)}});
class Logger {
 public:
  using Field = std::pair<std::string_view, std::string>;
  using Fields = std::initializer_list<Field>;
  // Receives finished lines, newline included. Must be thread-safe.
  using Sink = std::function<void(std::string_view line)>;

  Logger(const Clock& clock, Sink sink, LogLevel least = LogLevel::kInfo)
      : clock_(clock), sink_(std::move(sink)), least_(least) {}
  // Writes lines to `file` descriptor 2.
  static Sink StderrSink();
  // For tests and one-shot commands.
  static Sink NullSink() {
    return [](std::string_view) {};
  }

  void Debug(std::string_view message, Fields fields = {}) const {
    Write(LogLevel::kDebug, message, fields);
  }
  void Info(std::string_view message, Fields fields = {}) const {
    Write(LogLevel::kInfo, message, fields);
  }
  void Warning(std::string_view message, Fields fields = {}) const {
    Write(LogLevel::kWarning, message, fields);
  }
  void Error(std::string_view message, Fields fields = {}) const {
    Write(LogLevel::kError, message, fields);
  }

 private:
  void Write(LogLevel level, std::string_view message, Fields fields) const;

  const Clock& clock_;
  Sink sink_;
  LogLevel least_;
};

}  // namespace aliquot
