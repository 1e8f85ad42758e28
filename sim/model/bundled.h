// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace aliquot::sim {

// A YAML file of sim/nodes or sim/products, compiled in. `name` is the file's name without ".yaml".
struct BundledFile {
  std::string_view name;
  std::string_view text;
};

// Both in the order of the file names. Defined in a source file that sim/cmake/embed.cmake writes.
std::span<const BundledFile> BundledNodes();
std::span<const BundledFile> BundledProducts();

}  // namespace aliquot::sim
