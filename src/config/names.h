// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "config/config.h"

namespace aliquot::config {

// The words of the file, the flags and the variables for one enumeration, in the order in which
// documentation lists them.
template <typename E>
using Words = std::span<const std::pair<std::string_view, E>>;

// WordsOf(E()) is the table for E.
Words<MigStrategy> WordsOf(MigStrategy);
Words<DeviceListStrategy> WordsOf(DeviceListStrategy);
Words<DeviceIdStrategy> WordsOf(DeviceIdStrategy);
Words<DiscoveryStrategy> WordsOf(DiscoveryStrategy);
Words<AllocationPolicy> WordsOf(AllocationPolicy);
Words<SharingStrategy> WordsOf(SharingStrategy);
Words<Isolation::Compute> WordsOf(Isolation::Compute);
Words<Isolation::OnViolation> WordsOf(Isolation::OnViolation);
Words<Isolation::TenantClass> WordsOf(Isolation::TenantClass);

// The word for a value; every value of an enumeration has one.
template <typename E>
std::string ToWord(E value) {
  for (const auto& [word, meaning] : WordsOf(E())) {
    if (meaning == value) return std::string(word);
  }
  return {};
}

// The value of a word; nothing for any other word.
template <typename E>
std::optional<E> FromWord(std::string_view text) {
  for (const auto& [word, meaning] : WordsOf(E())) {
    if (word == text) return meaning;
  }
  return {};
}

template <typename E>
std::vector<std::string_view> AllWords() {
  std::vector<std::string_view> words;
  for (const auto& [word, meaning] : WordsOf(E())) words.push_back(word);
  return words;
}

// "none, single or mixed"
std::string EitherOf(std::span<const std::string_view> words);

// A resource name with the prefix nvidia.com/, which is added unless present. Refused: more than 63
// characters in all, or a part after the prefix that is not a lower-case DNS-1123 subdomain.
Result<std::string> CompleteResourceName(std::string_view name);

// Whether `text` can be a namespace: a lower-case DNS-1123 label of at most 63 characters.
bool IsNamespace(std::string_view text);

// Whether `text` names a device of a devices: list: GPU index "0", MIG index "0:1", "GPU-<uuid>",
// "MIG-<uuid>" or "MIG-GPU-<uuid>/<gi>/<ci>".
bool IsDeviceRef(std::string_view text);

}  // namespace aliquot::config
