// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cdi/driver_files.h"
#include "cdi/hooks.h"
#include "cdi/host_devices.h"
#include "cdi/spec.h"
#include "config/config.h"
#include "gpu/inventory.h"

namespace aliquot::cdi {

// Everything a spec is made from. References must outlive the call they are passed to.
struct SpecInput {
  const config::Config& config;
  const gpu::Inventory& inventory;
  const HostDevices& host;
  const Roots& roots;
  const DriverFiles& files;
  const Hooks& hooks;
  const Options& options;
  bool with_files = true;  // false: of the simulated node no file is on the host
};

struct BuiltSpec {
  Spec spec;  // no devices = nothing to publish
  std::vector<std::string> warnings;
};

// The name of a device in class gpu: its UUID, or its index with deviceIDStrategy index.
std::string GpuDeviceName(const gpu::Gpu& gpu, config::DeviceIdStrategy strategy);
std::string MigDeviceName(const gpu::Gpu& gpu, const gpu::MigDevice& mig,
                          config::DeviceIdStrategy strategy);

// The spec of class gpu: one device per GPU without MIG and per MIG device; what they share
// (control nodes, driver files, hooks) once. Device files that the host does not have are not
// listed; a device whose own files are missing is left out, with a warning.
// On a simulated node every device sets ALIQUOT_SIMULATED_NODE. Without files that is all: a
// container starts, and nothing in it looks like a GPU, even if the host has real ones.
BuiltSpec BuildGpuSpec(const SpecInput& input);

// Mount options of driver files, and of the driver's sockets.
std::vector<std::string> FileMountOptions();
std::vector<std::string> SocketMountOptions();

// Adds `path` to `edits` with its path on the host, and the group that may open it if not everyone
// may (unless switched off by a feature flag).
void AddNode(const std::string& path, const HostDevices& host, const Roots& roots,
             const Options& options, ContainerEdits& edits);

}  // namespace aliquot::cdi
