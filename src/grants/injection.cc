// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/injection.h"

#include <fmt/format.h>

#include "grants/libraries.h"

namespace aliquot::grants {

Injection Inject(const std::string& live_directory, const std::string& libraries) {
  Injection injection;
  injection.mounts.push_back({live_directory, kContainerGrant});
  for (const char* name : {kCudaLibrary, kNvmlLibrary}) {
    injection.mounts.push_back(
        {fmt::format("{}/{}", libraries, name), fmt::format("{}/{}", kContainerLibraries, name)});
  }
  injection.mounts.push_back({fmt::format("{}/{}", libraries, kPreloadFile), "/etc/ld.so.preload"});
  return injection;
}

}  // namespace aliquot::grants
