// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "config/yaml_document.h"

namespace aliquot::config {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

template <std::size_t N>
bool OneOf(std::string_view text, const std::array<std::string_view, N>& words) {
  for (const std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

constexpr std::array<std::string_view, 11> kTrue = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                                    "True", "TRUE", "on",  "On",  "ON"};
constexpr std::array<std::string_view, 11> kFalse = {"n",     "N",     "no",  "No",  "NO", "false",
                                                     "False", "FALSE", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 5> kNull = {"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 3> kNan = {".nan", ".NaN", ".NAN"};
constexpr std::array<std::string_view, 6> kInfinite = {".inf",  ".Inf",  ".INF",
                                                       "+.inf", "+.Inf", "+.INF"};
constexpr std::array<std::string_view, 3> kMinusInfinite = {"-.inf", "-.Inf", "-.INF"};

struct Integer {
  bool fits = false;  // in 64 bits with sign
  std::int64_t value = 0;
  double approximate = 0;
};

// Optional sign, then 0x, 0o, 0b, a leading 0 (octal) or decimal digits. Nothing if it is not an
// integer at all.
std::optional<Integer> ParseInteger(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  unsigned base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
  }
  if (text.empty()) return {};
  Integer result{.fits = true};
  std::uint64_t magnitude = 0;
  for (const char c : text) {
    const char lower = static_cast<char>(c | 0x20);
    const unsigned digit = IsDigit(c)                     ? static_cast<unsigned>(c - '0')
                           : lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10
                                                          : 99;
    if (digit >= base) return {};
    result.approximate = result.approximate * base + digit;
    if (magnitude > (std::numeric_limits<std::uint64_t>::max() - digit) / base) {
      result.fits = false;
    } else {
      magnitude = magnitude * base + digit;
    }
  }
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (magnitude > kMax + (negative ? 1u : 0u)) result.fits = false;
  if (result.fits) result.value = static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
  if (negative) result.approximate = -result.approximate;
  return result;
}

// [-+] digits with at most one dot, then an optional exponent; at least one digit.
bool LooksLikeFloat(std::string_view text) {
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t start = i;
    while (i < text.size() && IsDigit(text[i])) ++i;
    return i - start;
  };
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  const std::size_t whole = digits();
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (digits() == 0 && whole == 0) return false;
  } else if (whole == 0) {
    return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size();
}

void SetFloat(Node& node, double value) {
  node.kind = Node::Kind::kFloat;
  node.number = value;
  // Go prints such a float without a fraction, so its JSON reader takes it for an integer.
  if (std::abs(value) < 9.2e18 && value == std::trunc(value)) {
    node.kind = Node::Kind::kInteger;
    node.integer = static_cast<std::int64_t>(value);
  }
}

}  // namespace

void ResolvePlainScalar(Node& node) {
  const std::string_view text = node.text;
  node.kind = Node::Kind::kString;
  if (OneOf(text, kNull)) {
    node.kind = Node::Kind::kNull;
  } else if (OneOf(text, kTrue) || OneOf(text, kFalse)) {
    node.kind = Node::Kind::kBool;
    node.boolean = OneOf(text, kTrue);
  } else if (OneOf(text, kNan)) {
    SetFloat(node, std::numeric_limits<double>::quiet_NaN());
  } else if (OneOf(text, kInfinite)) {
    SetFloat(node, std::numeric_limits<double>::infinity());
  } else if (OneOf(text, kMinusInfinite)) {
    SetFloat(node, -std::numeric_limits<double>::infinity());
  } else if (IsDigit(text[0]) || text[0] == '-' || text[0] == '+' || text[0] == '.') {
    std::string plain;
    for (const char c : text) {
      if (c != '_') plain += c;
    }
    if (text[0] != '.') {
      if (const auto integer = ParseInteger(plain)) {
        node.kind = integer->fits ? Node::Kind::kInteger : Node::Kind::kFloat;
        node.integer = integer->value;
        node.number = integer->approximate;
        return;
      }
    }
    if (!LooksLikeFloat(plain)) return;
    const std::string_view digits = std::string_view(plain).substr(plain[0] == '+' ? 1 : 0);
    double value = 0;
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (failure == std::errc() && end == digits.data() + digits.size()) SetFloat(node, value);
  }
}

}  // namespace aliquot::config
