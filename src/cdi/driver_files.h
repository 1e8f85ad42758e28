// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace aliquot::cdi {

// A file of the driver. Paths are below the driver root ("/usr/bin/nvidia-smi").
struct DriverFile {
  std::string path;    // where programs look for it; a container gets it here
  std::string target;  // the real file behind any symbolic links

  friend bool operator==(const DriverFile&, const DriverFile&) = default;
};

// A symbolic link beside a library that leads to it, "libcuda.so.1" or "libcuda.so".
struct LibraryLink {
  std::string path;  // of the link, below the driver root
  std::string text;  // what the link says, "libcuda.so.580.159.04"

  friend bool operator==(const LibraryLink&, const LibraryLink&) = default;
};

struct Library {
  std::string path;                // of the real file, below the driver root
  std::vector<LibraryLink> links;  // sorted by path

  friend bool operator==(const Library&, const Library&) = default;
};

// The user-space part of a driver that a container needs. Everything is sorted.
struct DriverFiles {
  std::string version;
  std::vector<Library> libraries;
  std::vector<DriverFile> binaries;
  std::vector<DriverFile> firmware;
  std::vector<DriverFile> sockets;            // of the driver's daemons, and the MPS pipe directory
  std::vector<std::string> cuda_directories;  // those that hold libcuda.so.<version>

  friend bool operator==(const DriverFiles&, const DriverFiles&) = default;
};

struct DriverFileOptions {
  bool explicit_libraries = false;  // also the GL, EGL and OpenCL loaders, which have own versions
  bool sockets = true;
  std::string kernel_release;  // for firmware directories of one kernel; empty = not searched
};

// Follows symbolic links in `path` as if `root` were /, so that an absolute link inside a driver
// container's file system stays inside it. Returns the path below the root; kNotFound if there is
// no such file, kFailedPrecondition after 40 links.
Result<std::string> ResolveInRoot(const std::string& root, std::string_view path);

// Finds the files of driver `version` below `root` (empty = /): libraries named *.so.<version> in
// the usual library directories and those of <root>/etc/ld.so.conf.d, programs, GSP firmware,
// sockets. kNotFound if there is not even libcuda, naming the root that was searched.
Result<DriverFiles> FindDriverFiles(const std::string& root, const std::string& version,
                                    const DriverFileOptions& options);

}  // namespace aliquot::cdi
