// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "metrics/registry.h"

namespace aliquot::metrics {

// What the kernel says about this process. Source: proc(5).
struct ProcessStats {
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t threads = 0;
  std::uint64_t open_descriptors = 0;
  std::uint64_t max_descriptors = 0;  // 0 if unlimited
  double cpu_seconds = 0;             // user and system
  double start_time_seconds = 0;      // since the epoch
};

// `proc` is the mount point of procfs, "/proc".
Result<ProcessStats> ReadProcessStats(const std::string& proc);

// Adds the process_* metrics under the names every Prometheus client uses; read at each scrape.
void AddProcessMetrics(Registry& registry, const std::string& proc);

}  // namespace aliquot::metrics
