// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "labels/text.h"

#include <algorithm>

namespace aliquot::labels {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

std::string LabelValue(std::string_view text, std::size_t longest) {
  std::string value;
  bool gap = false;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      gap = !value.empty();
    } else if (IsAlphanumeric(c) || c == '-' || c == '_' || c == '.') {
      if (gap) value.push_back('-');
      gap = false;
      value.push_back(c);
    }
  }
  const auto first = std::find_if(value.begin(), value.end(), IsAlphanumeric);
  value.erase(value.begin(), first);
  if (value.size() > longest) value.resize(longest);
  while (!value.empty() && !IsAlphanumeric(value.back())) value.pop_back();
  return value;
}

std::string ProductValue(std::string_view model, std::string_view suffix) {
  const std::size_t room =
      suffix.size() < kMaxValueLength ? kMaxValueLength - suffix.size() : std::size_t{0};
  return LabelValue(LabelValue(model, room) + std::string(suffix));
}

std::string_view FamilyOf(int compute_major, int compute_minor) {
  switch (compute_major) {
    case 1:
      return "tesla";
    case 2:
      return "fermi";
    case 3:
      return "kepler";
    case 5:
      return "maxwell";
    case 6:
      return "pascal";
    case 7:
      return compute_minor < 5 ? "volta" : "turing";
    case 8:
      return compute_minor < 9 ? "ampere" : "ada-lovelace";
    case 9:
      return "hopper";
    case 10:
    case 12:
      return "blackwell";
    case 13:
      return "rubin";
    default:
      return "undefined";
  }
}

}  // namespace aliquot::labels
