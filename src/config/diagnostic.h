// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

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
class Problems {
 public:
  void Error(Position position, std::string path, std::string message, std::string hint = {});
  void Warn(Position position, std::string path, std::string message, std::string hint = {});
  // A warning that becomes an error in strict mode.
  void WarnOrRefuse(Position position, std::string path, std::string message,
                    std::string hint = {});

  const std::vector<Diagnostic>& all() const { return all_; }
  // Everything found, in the order of the file; problems outside the file last.
  std::vector<Diagnostic> Take() &&;

 private:
  std::vector<Diagnostic> all_;
};

}  // namespace aliquot::config
