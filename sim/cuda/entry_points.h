// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace aliquot::sim::cuda {

// One line of the table that cuGetProcAddress looks in: from CUDA `version` on, `base` means
// `function`, for callers with the default stream of the kind.
struct EntryPoint {
  const char* base;
  int version;  // 1000 * major + 10 * minor
  bool legacy;
  bool per_thread;
  void (*function)();
};

// All of them, by base name and version. Generated from entry_points.txt.
std::span<const EntryPoint> EntryPoints();

}  // namespace aliquot::sim::cuda
