// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace aliquot::cli {

// Where a daemon serves its status pages.
struct ListenAddress {
  std::string address;  // empty = nowhere
  std::uint16_t port = 0;
};

// Reads --listen (ALIQUOT_LISTEN): "ADDRESS:PORT", "[V6]:PORT", ":PORT" for all addresses, or ""
// for none.
Result<ListenAddress> ParseListenAddress(const std::string& text);

}  // namespace aliquot::cli
