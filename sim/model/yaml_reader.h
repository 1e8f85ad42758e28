// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace aliquot::sim {

// One thing wrong with a file. Lines and columns count from 1; 0 means the file as a whole.
struct Problem {
  int line = 0;
  int column = 0;
  std::string message;

  friend bool operator==(const Problem&, const Problem&) = default;
};

// Reads one YAML document into values and collects everything wrong with it, so that a person
// mends a file in one go. Getters answer nothing both for an absent key and for a bad value; a bad
// value has been reported by then. Never throws. Not thread-safe.
class YamlReader {
 public:
  // Parses `text`; a syntax error becomes the only problem and the root is then empty.
  explicit YamlReader(const std::string& text);

  // The document, a map unless ok() is false.
  const YAML::Node& root() const { return root_; }
  bool ok() const { return problems_.empty(); }
  const std::vector<Problem>& problems() const { return problems_; }

  void Report(const YAML::Node& at, std::string message);
  // Reports keys outside `allowed` (with the nearest allowed one), keys that are not text and keys
  // given twice. False if `map` is not a map at all, which is reported too.
  bool CheckMap(const YAML::Node& map, std::string_view what,
                std::initializer_list<std::string_view> allowed);

  // The value of `key`, an undefined node if absent.
  YAML::Node Get(const YAML::Node& map, std::string_view key) const;
  // As Get, and reports an absent key.
  YAML::Node Require(const YAML::Node& map, std::string_view key);
  std::optional<std::string> Text(const YAML::Node& map, std::string_view key);
  // Decimal, or hexadecimal with 0x.
  std::optional<std::int64_t> Integer(const YAML::Node& map, std::string_view key,
                                      std::int64_t least, std::int64_t most);
  std::optional<bool> Boolean(const YAML::Node& map, std::string_view key);
  // The entries of the list `key`; empty if absent or not a list. More than `most` are refused.
  std::vector<YAML::Node> List(const YAML::Node& map, std::string_view key, std::size_t most);
  std::optional<std::string> ScalarText(const YAML::Node& node, std::string_view what);
  std::optional<std::int64_t> ScalarInteger(const YAML::Node& node, std::string_view what,
                                            std::int64_t least, std::int64_t most);

 private:
  YAML::Node root_;
  std::vector<Problem> problems_;
};

// "file:line:column: message" lines, one per problem.
std::string FormatProblems(std::string_view file, const std::vector<Problem>& problems);

}  // namespace aliquot::sim
