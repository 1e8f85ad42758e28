// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"

namespace aliquot::grants {

inline constexpr char kCudaLibrary[] = "libaliquot-cuda.so";
inline constexpr char kNvmlLibrary[] = "libaliquot-nvml.so";
// Names both libraries by their paths in a container; mounted at /etc/ld.so.preload.
inline constexpr char kPreloadFile[] = "ld.so.preload";
// Where a container has the libraries.
inline constexpr char kContainerLibraries[] = "/run/aliquot/lib";

// Puts the libraries that containers load into `target`, a directory of the host at the same path
// here, and the preload file beside them. A file that is equal stays; another one is replaced in
// one step, and containers that have the old one mounted keep it. Names do not carry a version: the
// kubelet mounts the same paths again when it restarts a container, after an upgrade too.
//
// kNotFound if `source` lacks a library. kFailedPrecondition if `target` is on a file system
// mounted noexec, from where no container could load them.
Status InstallLibraries(const std::string& source, const std::string& target);

}  // namespace aliquot::grants
