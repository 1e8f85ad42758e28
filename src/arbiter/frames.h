// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <variant>

#include "arbiter/wire.h"
#include "base/status.h"

namespace aliquot::arbiter {

// A frame a process may send, as it came: numbers in it are claims. GPU indices are only known to
// be below ALIQUOT_WIRE_GPUS.
using Frame = std::variant<aliquot_hello, aliquot_reserve, aliquot_list, aliquot_amount,
                           aliquot_doorbell, aliquot_event>;

// Reads one datagram. Error kInvalidArgument for any type, size or index that the protocol does not
// allow from a process; kFailedPrecondition for a HELLO of another version, whose layout is unknown
// beyond `version` itself. Pure.
Result<Frame> ParseFrame(std::span<const std::byte> bytes);

// The number of the request in a frame that ParseFrame refused; 0 if there is none.
std::uint32_t RequestId(std::span<const std::byte> bytes);

}  // namespace aliquot::arbiter
