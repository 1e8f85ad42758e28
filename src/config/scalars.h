// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace aliquot::config {

// A length of time, or nothing for "infinite".
using Duration = std::optional<std::chrono::nanoseconds>;

// A Go duration ("90s", "1h30m", "1.5h", "-2ms", "0") or the word "infinite".
Result<Duration> ParseDuration(std::string_view text);
// As Go prints it: "1m0s", "1.5s", "250ms"; "infinite" for none.
std::string FormatDuration(Duration duration);
// 1 t T TRUE true True 0 f F FALSE false False, the words Go's strconv.ParseBool takes.
std::optional<bool> ParseBool(std::string_view text);
// A Kubernetes quantity of bytes: "4Gi", "512Mi", "2G", "1.5Gi", "1073741824".
Result<std::uint64_t> ParseBytes(std::string_view text);

}  // namespace aliquot::config
