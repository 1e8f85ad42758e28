// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/text.h"

namespace aliquot::mig {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes "<number><unit>" off the front of `text`.
std::optional<unsigned> TakeNumber(std::string_view& text, std::string_view unit) {
  std::size_t digits = 0;
  while (digits < text.size() && IsDigit(text[digits])) ++digits;
  const auto value = ParseUnsigned(text.substr(0, digits));
  if (!value || *value > std::numeric_limits<unsigned>::max()) return {};
  if (text.substr(digits, unit.size()) != unit) return {};
  text.remove_prefix(digits + unit.size());
  return static_cast<unsigned>(*value);
}

bool IsAttribute(std::string_view text) {
  if (text.empty() || !IsLetter(text.front()) || text.back() == '.') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsLetter(c) || IsDigit(c) || c == '.'; });
}

Error BadProfile(std::string_view text, std::string_view why) {
  return {Code::kInvalidArgument,
          fmt::format("MIG profile \"{}\" is not valid: {}; expected a form like 1g.5gb, "
                      "1c.3g.20gb, 1g.5gb+me or 1g.24gb-me",
                      text, why)};
}

void AppendAttributes(std::string& to, char sign, const std::vector<std::string>& attributes) {
  if (!attributes.empty()) to += sign + Join(attributes, ",");
}

}  // namespace

std::string ProfileName::ToString() const {
  std::string text;
  if (compute_slices != gpu_slices) text = fmt::format("{}c.", compute_slices);
  text += fmt::format("{}g.{}gb", gpu_slices, gigabytes);
  AppendAttributes(text, '+', with);
  AppendAttributes(text, '-', without);
  return text;
}

ProfileName ProfileName::OfGpuInstance() const {
  ProfileName whole = *this;
  whole.compute_slices = gpu_slices;
  return whole;
}

Result<ProfileName> ParseProfileName(std::string_view text) {
  std::string_view rest = text;
  const std::size_t attributes_at = text.find_first_of("+-");
  rest = text.substr(0, attributes_at);
  ProfileName name;
  const auto compute = TakeNumber(rest, "c.");
  const auto slices = TakeNumber(rest, "g.");
  if (!slices) return BadProfile(text, "no number of slices before \"g.\"");
  const auto gigabytes = TakeNumber(rest, "gb");
  if (!gigabytes) return BadProfile(text, "no memory size before \"gb\"");
  if (!rest.empty()) return BadProfile(text, fmt::format("\"{}\" follows the memory size", rest));
  name.gpu_slices = *slices;
  name.compute_slices = compute.value_or(*slices);
  name.gigabytes = *gigabytes;
  if (attributes_at == std::string_view::npos) return name;

  std::vector<std::string> attributes = Split(text.substr(attributes_at + 1), ',');
  for (const std::string& attribute : attributes) {
    if (!IsAttribute(attribute)) {
      return BadProfile(text, fmt::format("\"{}\" is not an attribute", attribute));
    }
  }
  std::sort(attributes.begin(), attributes.end());
  const auto repeated = std::adjacent_find(attributes.begin(), attributes.end());
  if (repeated != attributes.end()) {
    return BadProfile(text, fmt::format("attribute \"{}\" is there twice", *repeated));
  }
  (text[attributes_at] == '+' ? name.with : name.without) = std::move(attributes);
  return name;
}

unsigned ProfileGigabytes(std::uint64_t memory_mib, std::uint64_t total_bytes) {
  if (total_bytes == 0) return 0;
  constexpr std::uint64_t kGib = 1u << 30;
  const std::uint64_t memory = memory_mib << 20;
  const std::uint64_t eighths = (8 * memory + total_bytes - 1) / total_bytes;
  const std::uint64_t total_gib = (total_bytes + kGib - 1) / kGib;
  return static_cast<unsigned>((eighths * total_gib + 4) / 8);
}

std::string LabelForm(const ProfileName& name) {
  std::string label = name.ToString();
  std::replace(label.begin(), label.end(), '+', '.');
  std::replace(label.begin(), label.end(), ',', '.');
  return label;
}

}  // namespace aliquot::mig
