// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aliquot {

// Splits at every `separator`; an empty text gives one empty piece.
std::vector<std::string> Split(std::string_view text, char separator);
// Joins with `separator` between pieces.
std::string Join(std::span<const std::string> pieces, std::string_view separator);
// Without leading and trailing ASCII blanks, tabs, carriage returns and newlines.
std::string_view Trim(std::string_view text);
// ASCII only.
std::string ToLower(std::string_view text);
// A whole decimal number without sign, blanks or trailing characters; nothing on overflow.
std::optional<unsigned long long> ParseUnsigned(std::string_view text);
// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
std::size_t EditDistance(std::string_view a, std::string_view b);
// The candidate nearest to `text` (ignoring case), if near enough that a slip of the keyboard
// explains it.
std::optional<std::string> NearestOf(std::string_view text,
                                     std::span<const std::string_view> candidates);

}  // namespace aliquot
