// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/scalars.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/text.h"

namespace aliquot::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t size;
};

// Nanoseconds. Longer names first, so that "ms" is not read as "m" and "s".
constexpr Unit kTimeUnits[] = {
    {"ns", 1},         {"us", 1'000},        {"\xc2\xb5s", 1'000},  {"\xce\xbcs", 1'000},
    {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};
constexpr Unit kByteUnits[] = {
    {"Ki", 1ull << 10}, {"Mi", 1ull << 20},  {"Gi", 1ull << 30},      {"Ti", 1ull << 40},
    {"k", 1'000ull},    {"M", 1'000'000ull}, {"G", 1'000'000'000ull}, {"T", 1'000'000'000'000ull}};

// A decimal number taken from the front of a text: whole + fraction / scale.
struct Decimal {
  std::uint64_t whole = 0;
  std::uint64_t fraction = 0;
  std::uint64_t scale = 1;
};

// Nothing if there is no digit or the whole part overflows. Digits of the fraction beyond the 18th
// are read and dropped.
std::optional<Decimal> TakeDecimal(std::string_view& text) {
  Decimal decimal;
  bool any = false;
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  const auto is_digit = [&] { return !text.empty() && text[0] >= '0' && text[0] <= '9'; };
  for (; is_digit(); text.remove_prefix(1), any = true) {
    const auto digit = static_cast<std::uint64_t>(text[0] - '0');
    if (decimal.whole > (kMax - digit) / 10) return {};
    decimal.whole = decimal.whole * 10 + digit;
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    for (; is_digit(); text.remove_prefix(1), any = true) {
      if (decimal.scale >= 1'000'000'000'000'000'000) continue;
      decimal.fraction = decimal.fraction * 10 + static_cast<std::uint64_t>(text[0] - '0');
      decimal.scale *= 10;
    }
  }
  if (!any) return {};
  return decimal;
}

// decimal * unit; nothing above the largest signed 64-bit number.
std::optional<std::uint64_t> Scale(const Decimal& decimal, std::uint64_t unit) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (decimal.whole > kMax / unit) return {};
  const std::uint64_t whole = decimal.whole * unit;
  const auto part = static_cast<std::uint64_t>(
      static_cast<long double>(decimal.fraction) *
      (static_cast<long double>(unit) / static_cast<long double>(decimal.scale)));
  if (part > kMax - whole) return {};
  return whole + part;
}

Error BadDuration(std::string_view text, std::string_view why) {
  return {Code::kInvalidArgument,
          fmt::format("\"{}\" is not a duration: {}; expected a number with a unit, such as 90s or "
                      "1h30m, or infinite",
                      text, why)};
}

}  // namespace

Result<Duration> ParseDuration(std::string_view text) {
  if (text == "infinite") return Duration();
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return Duration(std::chrono::nanoseconds(0));
  if (rest.empty()) return BadDuration(text, "it is empty");
  std::uint64_t total = 0;
  while (!rest.empty()) {
    const std::string_view before = rest;
    const auto decimal = TakeDecimal(rest);
    if (!decimal && !(before[0] >= '0' && before[0] <= '9')) {
      return BadDuration(text, "a number is missing");
    }
    if (!decimal) return BadDuration(text, "it is too long");
    const Unit* unit = nullptr;
    for (const Unit& candidate : kTimeUnits) {
      if (unit == nullptr && rest.starts_with(candidate.name)) unit = &candidate;
    }
    if (unit == nullptr) {
      const auto name = rest.substr(0, rest.find_first_of(".0123456789"));
      return BadDuration(
          text, name.empty() ? "the unit is missing" : fmt::format("unknown unit \"{}\"", name));
    }
    rest.remove_prefix(unit->name.size());
    if (!rest.empty() && rest[0] != '.' && (rest[0] < '0' || rest[0] > '9')) {
      return BadDuration(text, fmt::format("unknown unit \"{}{}\"", unit->name,
                                           rest.substr(0, rest.find_first_of(".0123456789"))));
    }
    const auto part = Scale(*decimal, unit->size);
    if (!part || *part > std::numeric_limits<std::int64_t>::max() - total) {
      return BadDuration(text, "it is too long");
    }
    total += *part;
  }
  const auto count = static_cast<std::int64_t>(total);
  return Duration(std::chrono::nanoseconds(negative ? -count : count));
}

std::string FormatDuration(Duration duration) {
  if (!duration) return "infinite";
  const std::int64_t count = duration->count();
  if (count == 0) return "0s";
  std::uint64_t left =
      count < 0 ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
  const auto decimal = [](std::uint64_t value, std::uint64_t unit) {
    std::string text = fmt::to_string(value / unit);
    if (value % unit == 0) return text;
    std::string fraction = fmt::to_string(unit + value % unit).substr(1);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    return text + "." + fraction;
  };
  std::string text = count < 0 ? "-" : "";
  if (left < 1'000) return text + fmt::to_string(left) + "ns";
  if (left < 1'000'000) return text + decimal(left, 1'000) + "us";
  if (left < 1'000'000'000) return text + decimal(left, 1'000'000) + "ms";
  constexpr std::uint64_t kMinute = 60'000'000'000;
  const std::uint64_t hours = left / (60 * kMinute);
  if (hours > 0) text += fmt::format("{}h", hours);
  left %= 60 * kMinute;
  if (hours > 0 || left >= kMinute) text += fmt::format("{}m", left / kMinute);
  return text + decimal(left % kMinute, 1'000'000'000) + "s";
}

std::optional<bool> ParseBool(std::string_view text) {
  for (const std::string_view word : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == word) return false;
  }
  return {};
}

Result<std::uint64_t> ParseBytes(std::string_view text) {
  const Error bad{
      Code::kInvalidArgument,
      fmt::format("\"{}\" is not an amount of memory, expected a number of bytes with an "
                  "optional unit, such as 4Gi or 512Mi",
                  text)};
  std::string_view rest = text;
  const auto decimal = TakeDecimal(rest);
  if (!decimal) return bad;
  std::optional<std::uint64_t> size;
  if (rest.empty()) size = 1;
  for (const Unit& unit : kByteUnits) {
    if (rest == unit.name) size = unit.size;
  }
  if (!size) return bad;
  const auto bytes = Scale(*decimal, *size);
  if (!bytes) return bad;
  return *bytes;
}

}  // namespace aliquot::config
