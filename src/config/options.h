// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"
#include "config/diagnostic.h"
#include "config/scalars.h"

namespace aliquot::config {

// Everything that options set, before the sharing and resources sections are laid over it.
struct OptionTargets {
  Config config;
  AgentSettings agent;
};

enum class OptionType {
  kBool,      // bool
  kString,    // std::string
  kWord,      // std::string, one of Option::words
  kWords,     // std::vector<std::string>, each one of Option::words
  kList,      // std::vector<std::string>
  kIntegers,  // std::vector<std::int64_t>
  kDuration,  // Duration
  kNumber,    // double
  kCount,     // std::int64_t, not negative
};

using OptionValue = std::variant<bool, std::string, std::vector<std::string>,
                                 std::vector<std::int64_t>, Duration, double, std::int64_t>;

// One setting and every way to give it. Command line > environment > file > default.
struct Option {
  std::string_view key = {};  // path in the file; empty = none
  std::vector<std::string_view> flags =
      {};  // without dashes, the preferred one first; empty = none
  std::vector<std::string_view> variables = {};  // the first one that is set wins
  OptionType type = OptionType::kString;
  std::string_view default_text = {};        // for help and documentation
  std::string_view help = {};                // one line, lower-case, no full stop
  std::vector<std::string_view> words = {};  // what kWord and kWords accept
  // Puts a value of the type named by `type`, already validated, where it belongs.
  void (*store)(const OptionValue& value, OptionTargets& targets) = nullptr;

  // What messages, overrides and documentation call it: its key, first flag or first variable.
  std::string_view name() const {
    return !flags.empty() ? flags.front() : !key.empty() ? key : variables.front();
  }
};

// Every option, in the order in which help shows them. The table is built once and never changes.
std::span<const Option> AllOptions();
// By any of its flags, without dashes; null for unknown names.
const Option* FindOptionByFlag(std::string_view flag);
// By its path in the file; null for unknown keys.
const Option* FindOptionByKey(std::string_view key);

// Parses what a flag (`texts` are its occurrences, each possibly a comma list) or a variable (one
// text) says. Errors quote the text and say what was expected; they do not name the flag.
Result<OptionValue> ParseOptionText(const Option& option, std::span<const std::string> texts);
// As above, for a variable: an empty text means false for a boolean and "not set" for numbers and
// durations, as in the reference. Nothing is returned for "not set".
Result<std::optional<OptionValue>> ParseOptionVariable(const Option& option,
                                                       const std::string& text);
// Whether every word of `value` is one that the option accepts, and channel ids are [] or [0].
Status ValidateOptionValue(const Option& option, const OptionValue& value);

}  // namespace aliquot::config
