// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aliquot::sim {

using Uuid = std::array<std::uint8_t, 16>;

// The name-based UUID, version 5 (RFC 4122 section 4.3): the same input gives the same UUID on
// every machine.
Uuid UuidV5(const Uuid& space, std::string_view name);
// 8-4-4-4-12 lower-case hexadecimal digits.
std::string FormatUuid(const Uuid& uuid);
// The inverse; upper case is accepted, anything else is not.
std::optional<Uuid> ParseUuid(std::string_view text);

}  // namespace aliquot::sim
