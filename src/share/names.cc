// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/names.h"

#include <algorithm>

namespace aliquot::share {

bool MatchesPattern(std::string_view pattern, std::string_view text) {
  // On a mismatch, go back to the last '*' and let it swallow one character more.
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string MigResourceName(std::string_view profile) {
  std::string name = "nvidia.com/mig-" + std::string(profile);
  std::replace(name.begin(), name.end(), '+', '.');
  return name;
}

bool FillsGpuInstance(std::string_view profile) {
  const std::size_t digits = std::min(profile.find_first_not_of("0123456789"), profile.size());
  return !(digits > 0 && profile.substr(digits, 2) == "c.");
}

}  // namespace aliquot::share
