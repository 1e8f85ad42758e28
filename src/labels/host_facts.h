// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "labels/vgpu.h"

namespace aliquot::labels {

// What labels need to know about the host beside its GPUs. A plain value.
struct HostFacts {
  std::optional<std::string> machine_type;  // of the firmware; absent if it could not be read
  std::optional<std::int64_t> timestamp;    // seconds since 1970 when the labels were made
  // Class code (base << 16 | sub << 8 | interface) by bus id ("0000:1a:00.0"), of NVIDIA's devices.
  std::map<std::string, std::uint32_t> pci_classes;
  bool vgpu = false;                  // some GPU is a virtual one
  std::optional<VgpuHost> vgpu_host;  // of the first virtual GPU that tells

  friend bool operator==(const HostFacts&, const HostFacts&) = default;
};

struct HostFactsReading {
  HostFacts facts;
  std::vector<std::string> problems;  // for the log: what could not be found out, and why
};

// Reads <root>/sys/bus/pci/devices and <root><machine_type_file>. `root` is "" for the host's own
// tree, a directory of the test otherwise. Blocks on files of sysfs only. timestamp stays absent.
// A device that cannot be read is a problem, not a failure; no PCI bus at all is neither.
HostFactsReading ReadHostFacts(const std::string& root, const std::string& machine_type_file);

}  // namespace aliquot::labels
