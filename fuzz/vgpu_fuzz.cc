// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Reads arbitrary bytes as the PCI configuration space of a virtual GPU.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "labels/vgpu.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto host = aliquot::labels::ParseVgpuHost({data, size});
  // Version and branch have ten bytes each in the record.
  if (host.ok() && host->has_value() && (*host)->driver_version.size() > 10) std::abort();
  return 0;
}
