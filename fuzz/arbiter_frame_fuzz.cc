// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Reads arbitrary bytes as a datagram of a process in a container.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "arbiter/frames.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  aliquot::arbiter::RequestId(bytes);
  const auto frame = aliquot::arbiter::ParseFrame(bytes);
  if (!frame.ok()) return 0;
  std::visit(
      [&](const auto& f) {
        if (sizeof f != size || f.header.size != size) std::abort();
        if constexpr (requires { f.gpu; }) {
          if (f.gpu >= ALIQUOT_WIRE_GPUS) std::abort();
        }
        if constexpr (requires { f.name; }) {
          if (std::memchr(f.name, 0, sizeof f.name) == nullptr) std::abort();
        }
      },
      *frame);
  return 0;
}
