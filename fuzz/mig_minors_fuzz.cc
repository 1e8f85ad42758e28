// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Reads arbitrary bytes as the driver's list of MIG capability minors, and a bus id.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "gpu/host_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto minors = aliquot::gpu::MigMinors::Parse(text);
  (void)minors.GpuInstance(0, 0);
  (void)minors.ComputeInstance(0, 7, 0);
  if (aliquot::gpu::SysfsBusId(text).size() > size) std::abort();
  return 0;
}
