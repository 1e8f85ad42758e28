// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace aliquot::kube {

// metav1.Time: "2026-11-22T14:03:05Z", always UTC.
std::string FormatTime(std::chrono::system_clock::time_point time);
// metav1.MicroTime: "2026-11-22T14:03:05.000123Z".
std::string FormatMicroTime(std::chrono::system_clock::time_point time);
// Either of them; nothing if it is neither.
std::optional<std::chrono::system_clock::time_point> ParseTime(std::string_view text);

}  // namespace aliquot::kube
