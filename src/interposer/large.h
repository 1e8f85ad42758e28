// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/gate.h"

// Copies and memsets of a MiB and more go by the gate as kernels do; smaller ones pass and
// are told of.
namespace aliquot::interposer {

// What the bytes go through, in bytes each microsecond. Guesses: over PCIe, and in device memory.
enum Path : uint64_t { kHost = 25'000, kDevice = 1'000'000, kAny = 50'000 };

template <typename Submit>
CUresult Large(uint64_t bytes, Path path, CUstream stream, Submit submit) {
  constexpr uint64_t kLeast = 1u << 20;
  if (GatesFree()) return submit();
  const Synchronising synchronising;  // or it may do so: some of these wait for what is in flight
  if (bytes < kLeast) {
    Announce(stream);
    return submit();
  }
  return Gated({stream, 0, bytes * 1000 / path}, submit);
}

}  // namespace aliquot::interposer
