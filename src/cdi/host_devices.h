// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace aliquot::cdi {

// One character device of the host.
struct HostNode {
  unsigned mode = 0666;  // permission bits
  unsigned gid = 0;      // owning group
  // Found at the plain path although the dev root is elsewhere; its path on the host has no dev
  // root in front.
  bool outside_dev_root = false;

  friend bool operator==(const HostNode&, const HostNode&) = default;
};

// Which of the device files that containers may need exist. A plain value: the rest of cdi/ and
// Allocate never look at /dev themselves.
struct HostDevices {
  std::map<std::string, HostNode> nodes;     // by path in a container, "/dev/nvidiactl"
  std::map<std::string, std::string> links;  // "/dev/dri/by-path/pci-...-card" -> its link text

  bool Has(const std::string& path) const { return nodes.contains(path); }
  // Paths that begin with `prefix`, sorted.
  std::vector<std::string> WithPrefix(std::string_view prefix) const;

  friend bool operator==(const HostDevices&, const HostDevices&) = default;
};

// Where driver and device files are: as this process sees them, and as the host does.
struct Roots {
  std::string driver;       // prefix of driver files here, "/driver-root"; empty = /
  std::string dev;          // prefix of device files here; empty = /
  std::string driver_host;  // the same on the host; empty = /
  std::string dev_host;

  // Path on the host of a path below the driver root ("/usr/bin/nvidia-smi").
  std::string DriverOnHost(std::string_view path) const { return driver_host + std::string(path); }
  // Path on the host of a device file ("/dev/nvidia0").
  std::string DevOnHost(const std::string& path, const HostDevices& host) const;
};

// From the configuration. Touches the disk once: the dev root here is the driver root if that has
// a dev directory, else /; so has the reference plugin.
Roots ResolveRoots(const config::Flags& flags);

// Reads the device files below `dev_root` (empty = /). IMEX channels are looked for at the plain
// path too. Directories that cannot be read count as empty: on most hosts most are missing.
HostDevices ReadHostDevices(const std::string& dev_root);

}  // namespace aliquot::cdi
