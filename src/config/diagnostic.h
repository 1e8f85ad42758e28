// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aliquot::config {

// A place in a configuration file, counted from 1; columns count characters (code points).
// Line 0 means "not in the file".
struct Position {
  int line = 0;
  int column = 0;

  friend bool operator==(const Position&, const Position&) = default;
};

enum class Severity { kError, kWarning };

// One problem of a configuration.
struct Diagnostic {
  Severity severity = Severity::kError;
  Position position;
  // What the problem is about: "sharing.timeSlicing.resources[0].replicas", or, for problems
  // outside the file, the flag ("--mig-strategy") or the environment variable ("MIG_STRATEGY").
  std::string path;
  std::string message;  // lower-case, no full stop, quotes the value, says what was expected
  std::string hint;     // what to do about it; may be empty
  bool strict = false;  // a warning that --strict-config turns into an error

  friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

// "file:line:col: error: path: message (hint)", or "path: error: message (hint)" outside the file.
std::string Format(const Diagnostic& diagnostic, std::string_view file);
bool HasErrors(const std::vector<Diagnostic>& diagnostics);

// Collects problems while a configuration is read. Not thread-safe.
//
// A hostile file could have a problem per byte: beyond kMostProblems they are only counted, and
// very long texts are cut. Whether there is any error is always known.
class Problems {
 public:
  static constexpr std::size_t kMostProblems = 1000;

  void Error(Position position, std::string path, std::string message, std::string hint = {});
  void Warn(Position position, std::string path, std::string message, std::string hint = {});
  // A warning that becomes an error in strict mode.
  void WarnOrRefuse(Position position, std::string path, std::string message,
                    std::string hint = {});

  // Everything found, in the order of the file; problems outside the file last.
  std::vector<Diagnostic> Take() &&;

 private:
  void Add(Diagnostic diagnostic);

  std::vector<Diagnostic> all_;
  std::size_t dropped_ = 0;
  bool dropped_error_ = false;
};

}  // namespace aliquot::config
