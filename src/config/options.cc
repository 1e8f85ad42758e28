// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "config/names.h"

namespace aliquot::config {
namespace {

Error Expected(std::string_view text, std::string_view what) {
  return {Code::kInvalidArgument, fmt::format("\"{}\" is not {}", text, what)};
}

// The pieces of all comma lists, trimmed.
std::vector<std::string> Pieces(std::span<const std::string> texts) {
  std::vector<std::string> pieces;
  for (const std::string& text : texts) {
    for (const std::string& piece : Split(text, ',')) pieces.emplace_back(Trim(piece));
  }
  return pieces;
}

template <typename T>
std::optional<T> ParseWhole(std::string_view text) {
  T value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

Result<OptionValue> ParseIntegers(std::span<const std::string> texts) {
  std::vector<std::int64_t> values;
  for (const std::string& piece : Pieces(texts)) {
    if (piece.empty() && texts.size() == 1 && texts[0].empty()) break;
    const auto value = ParseWhole<std::int64_t>(piece);
    if (!value) return Expected(piece, "a whole number");
    values.push_back(*value);
  }
  return OptionValue(std::move(values));
}

}  // namespace

const Option* FindOptionByFlag(std::string_view flag) {
  for (const Option& option : AllOptions()) {
    if (std::find(option.flags.begin(), option.flags.end(), flag) != option.flags.end()) {
      return &option;
    }
  }
  return nullptr;
}

const Option* FindOptionByKey(std::string_view key) {
  for (const Option& option : AllOptions()) {
    if (!key.empty() && option.key == key) return &option;
  }
  return nullptr;
}

Result<OptionValue> ParseOptionText(const Option& option, std::span<const std::string> texts) {
  // A flag that is given several times counts as its last occurrence, unless it is a list.
  const std::string text = texts.empty() ? "" : texts.back();
  switch (option.type) {
    case OptionType::kBool: {
      const auto value = ParseBool(text);
      if (!value) return Expected(text, "a boolean, expected true or false");
      return OptionValue(*value);
    }
    case OptionType::kString:
    case OptionType::kWord:
      return OptionValue(text);
    case OptionType::kWords:
      return OptionValue(Pieces(texts));
    case OptionType::kList: {
      std::vector<std::string> pieces = Pieces(texts);
      std::erase(pieces, "");
      return OptionValue(std::move(pieces));
    }
    case OptionType::kIntegers:
      return ParseIntegers(texts);
    case OptionType::kDuration: {
      const auto value = ParseDuration(text);
      if (!value.ok()) return value.error();
      return OptionValue(*value);
    }
    case OptionType::kNumber: {
      const auto value = ParseWhole<double>(text);
      if (!value || !std::isfinite(*value) || *value < 0)
        return Expected(text, "a number of at least 0");
      return OptionValue(*value);
    }
    case OptionType::kCount: {
      const auto value = ParseWhole<std::uint32_t>(text);
      if (!value) return Expected(text, "a whole number of at least 0");
      return OptionValue(static_cast<std::int64_t>(*value));
    }
  }
  return Error{Code::kInternal, "unknown type of option"};
}

Result<std::optional<OptionValue>> ParseOptionVariable(const Option& option,
                                                       const std::string& text) {
  if (text.empty()) {
    if (option.type == OptionType::kBool) return std::optional(OptionValue(false));
    const bool unset = option.type == OptionType::kDuration || option.type == OptionType::kNumber ||
                       option.type == OptionType::kCount;
    if (unset) return std::optional<OptionValue>();
  }
  auto value = ParseOptionText(option, std::span(&text, 1));
  if (!value.ok()) return value.error();
  return std::optional(*std::move(value));
}

Status ValidateOptionValue(const Option& option, const OptionValue& value) {
  std::vector<std::string> chosen;
  if (option.type == OptionType::kWord) chosen = {std::get<std::string>(value)};
  if (option.type == OptionType::kWords) chosen = std::get<std::vector<std::string>>(value);
  for (const std::string& word : chosen) {
    if (std::find(option.words.begin(), option.words.end(), word) == option.words.end()) {
      const auto nearest = NearestOf(word, option.words);
      return Error{Code::kInvalidArgument,
                   fmt::format("\"{}\" is not known, expected {}{}", word, EitherOf(option.words),
                               nearest ? fmt::format("; did you mean \"{}\"?", *nearest) : "")};
    }
  }
  if (option.type == OptionType::kIntegers) {
    const auto& ids = std::get<std::vector<std::int64_t>>(value);
    if (!ids.empty() && ids != std::vector<std::int64_t>{0}) {
      return Error{Code::kInvalidArgument,
                   fmt::format("channelIDs must be [] or [0], found [{}]", fmt::join(ids, ", "))};
    }
  }
  return {};
}

}  // namespace aliquot::config
