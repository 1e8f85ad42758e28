// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace aliquot::labels {

// Longest label value. Source: Kubernetes documentation, "Labels and Selectors".
inline constexpr std::size_t kMaxValueLength = 63;

// `text` as a label value: characters other than letters, digits, '-', '_', '.' and blanks are
// dropped, words joined with '-', cut to `longest` characters, and anything but letters and digits
// taken off both ends. May be empty, which is a valid value.
std::string LabelValue(std::string_view text, std::size_t longest = kMaxValueLength);

// LabelValue of `model` followed by `suffix` ("-MIG-1g.5gb-SHARED"), shortening the model so that
// the suffix is kept.
std::string ProductValue(std::string_view model, std::string_view suffix);

// Name of the architecture generation of a compute capability; "undefined" if unknown.
// Source: NVIDIA gpu-feature-discovery and the CUDA C++ Programming Guide.
std::string_view FamilyOf(int compute_major, int compute_minor);

}  // namespace aliquot::labels
