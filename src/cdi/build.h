// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cdi/hooks.h"
#include "cdi/host_devices.h"
#include "cdi/spec.h"
#include "config/config.h"
#include "gpu/inventory.h"

namespace aliquot::cdi {

struct SpecSet {
  std::vector<Spec> specs;  // none is empty
  std::vector<std::string> warnings;

  PublishedDevices Devices() const;
};

// True if a configured device list strategy hands out CDI names, so that specs have to exist.
bool UsesCdi(const config::Flags& flags);

// Every spec the node should have, from what is on the disk now: looks for driver files and the
// hook program, then builds. No specs at all unless UsesCdi. kNotFound if a real node has GPUs but
// no driver files where the configuration says; keep the files in place then. A simulated
// node has files only if `aliquot sim tree` wrote them below the driver root. Blocks on the file
// system only; call it when inventory or configuration changed.
Result<SpecSet> BuildSpecs(const config::Config& config, const gpu::Inventory& inventory,
                           const HostDevices& host, const Roots& roots, const Options& options);

}  // namespace aliquot::cdi
