// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/status.h"

namespace aliquot::labels {

// The hypervisor's driver, as a virtual GPU tells its guest.
struct VgpuHost {
  std::string driver_version;  // "535.161.05"
  std::string driver_branch;   // "r535_00"

  friend bool operator==(const VgpuHost&, const VgpuHost&) = default;
};

// Reads the PCI configuration space of an NVIDIA device, as many bytes of it as there are. Nothing
// if the device is not a virtual GPU. Safe on any bytes.
//
// Layout (capability list: PCI Local Bus Specification 3.0, §6.7; record: NVIDIA gpu-feature-
// discovery):
//   0x06  status, bit 4: there is a capability list; 0x34: offset of its first element
//   capability: id (0x09 vendor specific), offset of the next, length, then for a virtual GPU
//   'V' 'F', then records of: id, length including these two bytes, data. Record 0 holds the
//   version and then the branch, 10 bytes each, padded with zeros.
//
// kDataLoss if it is a virtual GPU's capability but the record is missing or malformed, or the list
// is; kFailedPrecondition if the list lies beyond what was read, as it does for the first 64 bytes
// that the kernel shows to processes without CAP_SYS_ADMIN.
Result<std::optional<VgpuHost>> ParseVgpuHost(std::span<const std::uint8_t> config_space);

}  // namespace aliquot::labels
