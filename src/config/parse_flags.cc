// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <chrono>

#include "config/parse_sections.h"

namespace aliquot::config {
namespace {

std::optional<OptionValue> ReadWords(const Place& place, Problems& problems) {
  std::vector<std::string> words;
  if (place.node->kind == Node::Kind::kString) return OptionValue(std::vector{place.node->text});
  if (place.node->kind != Node::Kind::kSequence) {
    problems.Error(
        place.position(), place.path,
        fmt::format("expected a string or a list of strings, found {}", Describe(*place.node)));
    return {};
  }
  bool good = true;
  for (std::size_t i = 0; i < place.node->items.size(); ++i) {
    const auto word = ReadString(ItemOf(place, i), problems);
    good = good && word.has_value();
    if (word) words.push_back(*word);
  }
  if (!good) return {};
  if (words.empty()) {
    problems.Warn(place.position(), place.path,
                  "the list is empty, so containers would get no devices at all",
                  "remove the key to get the default");
  }
  return OptionValue(std::move(words));
}

std::optional<OptionValue> ReadIntegers(const Place& place, Problems& problems) {
  if (!ExpectList(place, "whole numbers", problems)) return {};
  std::vector<std::int64_t> values;
  bool good = true;
  for (std::size_t i = 0; i < place.node->items.size(); ++i) {
    const auto value = ReadInteger(ItemOf(place, i), problems);
    good = good && value.has_value();
    if (value) values.push_back(*value);
  }
  if (!good) return {};
  return OptionValue(std::move(values));
}

std::optional<OptionValue> ReadDuration(const Place& place, Problems& problems) {
  const Node& node = *place.node;
  if (node.kind == Node::Kind::kInteger || node.kind == Node::Kind::kFloat) {
    constexpr double kMost = 9.2e18;  // what 64 bits hold
    if (!(node.number > -kMost && node.number < kMost)) {
      problems.Error(place.position(), place.path,
                     fmt::format("{} nanoseconds are too many", node.text));
      return {};
    }
    problems.Warn(
        place.position(), place.path,
        fmt::format(
            "a number without a unit counts nanoseconds: {} is {}", node.text,
            FormatDuration(std::chrono::nanoseconds(static_cast<std::int64_t>(node.number)))),
        fmt::format("for seconds, write {}s", node.text));
    return OptionValue(Duration(std::chrono::nanoseconds(static_cast<std::int64_t>(node.number))));
  }
  const auto text = ReadString(place, problems);
  if (!text) return {};
  const auto duration = ParseDuration(*text);
  if (!duration.ok()) {
    problems.Error(place.position(), place.path, duration.error().message);
    return {};
  }
  if (*duration && **duration < std::chrono::seconds(1)) {
    problems.Warn(place.position(), place.path,
                  fmt::format("\"{}\" keeps a processor busy, expected at least 1s", *text));
  }
  return OptionValue(*duration);
}

// Reads every option whose key is `prefix` and one more word, from a map that also has `maps`.
MapReader ParseOptions(const Place& place, std::string_view prefix,
                       std::vector<std::string_view> keys, ConfigFile& file, Problems& problems) {
  std::vector<const Option*> options;
  for (const Option& option : AllOptions()) {
    if (!option.key.starts_with(prefix)) continue;
    const std::string_view word = option.key.substr(prefix.size());
    if (word.find('.') != std::string_view::npos) continue;
    options.push_back(&option);
    keys.push_back(word);
  }
  MapReader map(place, keys, KeyCase::kIgnored, problems);
  for (const Option* option : options) {
    const auto value = map.Get(option->key.substr(prefix.size()));
    if (value) ParseOption(*value, *option, file, problems);
  }
  return map;
}

}  // namespace

void ParseOption(const Place& place, const Option& option, ConfigFile& file, Problems& problems) {
  std::optional<OptionValue> value;
  switch (option.type) {
    case OptionType::kBool:
      if (const auto boolean = ReadBool(place, problems)) value = *boolean;
      break;
    case OptionType::kString:
    case OptionType::kWord:
      if (auto text = ReadLooseString(place, problems)) value = *std::move(text);
      break;
    case OptionType::kWords:
      value = ReadWords(place, problems);
      break;
    case OptionType::kIntegers:
      value = ReadIntegers(place, problems);
      break;
    case OptionType::kDuration:
      value = ReadDuration(place, problems);
      break;
    case OptionType::kList:
    case OptionType::kNumber:
    case OptionType::kCount:
      break;  // no such option has a key
  }
  if (value) file.options.push_back({&option, *std::move(value), place.position()});
}

void ParseFlags(const Place& place, ConfigFile& file, Problems& problems) {
  const MapReader flags = ParseOptions(place, "flags.", {"plugin", "gfd"}, file, problems);
  for (const std::string_view section : {"plugin", "gfd"}) {
    if (const auto map = flags.Get(section)) {
      ParseOptions(*map, fmt::format("flags.{}.", section), {}, file, problems);
    }
  }
}

void ParseImex(const Place& place, ConfigFile& file, Problems& problems) {
  ParseOptions(place, "imex.", {}, file, problems);
}

}  // namespace aliquot::config
