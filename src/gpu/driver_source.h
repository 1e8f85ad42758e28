// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "gpu/dynamic_library.h"
#include "gpu/nvml_api.h"

namespace aliquot::gpu {

// An NVML that can be called. Owns the library behind the table, if there is one; outlives every
// session opened on it. Confined to the driver thread.
class Driver {
 public:
  Driver(NvmlApi api, std::string path, std::string simulated_node,
         std::optional<DynamicLibrary> library = std::nullopt)
      : library_(std::move(library)),
        api_(std::move(api)),
        path_(std::move(path)),
        simulated_node_(std::move(simulated_node)) {}

  const NvmlApi& api() const { return api_; }
  // What was opened, for messages.
  const std::string& path() const { return path_; }
  // Name of the simulated node if this is the simulated library, else empty.
  const std::string& simulated_node() const { return simulated_node_; }

 private:
  std::optional<DynamicLibrary> library_;  // before api_: destroyed after the functions
  NvmlApi api_;
  std::string path_;
  std::string simulated_node_;
};

// Where drivers come from. The real one opens the file again on every Load, so that a driver
// that was replaced on disk is picked up.
class DriverSource {
 public:
  virtual ~DriverSource() = default;
  // The previous driver must have been destroyed: two copies of NVML must not be loaded at once.
  virtual Result<std::unique_ptr<Driver>> Load() = 0;
};

// Opens libnvidia-ml.so.1. With a driver root other than "" and "/" its usual library folders
// are searched first, symlinks resolved inside the root (order of the NVIDIA k8s-device-plugin);
// else, or if nothing is there, the dynamic loader looks for the bare name.
class NvmlDriverSource final : public DriverSource {
 public:
  explicit NvmlDriverSource(std::string driver_root) : driver_root_(std::move(driver_root)) {}
  // kNotFound names what was tried and what to do; kFailedPrecondition names a missing symbol.
  Result<std::unique_ptr<Driver>> Load() override;

 private:
  std::string driver_root_;
};

// Opens one library file, wherever it is: the simulated NVML, or a test's.
class FileDriverSource final : public DriverSource {
 public:
  explicit FileDriverSource(std::string path) : path_(std::move(path)) {}
  Result<std::unique_ptr<Driver>> Load() override;

 private:
  std::string path_;
};

// The library file below `driver_root`, with every symlink on the way resolved as if the root were
// "/"; empty if there is none.
std::string FindNvmlUnder(const std::string& driver_root);

// Fills the table. kFailedPrecondition if a required symbol is missing.
Result<NvmlApi> LoadNvml(const DynamicLibrary& library);

}  // namespace aliquot::gpu
