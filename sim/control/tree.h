// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "sim/model/node.h"
#include "sim/state/layout.h"

namespace aliquot::sim {

struct TreeOptions {
  // Where the simulated libnvidia-ml.so.1 and libcuda.so.1 are. They are copied; what is missing
  // becomes an empty file. Empty: all libraries are empty files.
  std::string library_directory;
  // Makes device nodes with the driver's numbers instead of empty files; needs CAP_MKNOD.
  bool device_nodes = false;
};

// The whole of /proc/driver/nvidia-caps/mig-minors.
std::string MigMinorsFile();

// Writes below `root` (created if missing) the files by which a host shows its driver and its
// GPUs: /proc/driver/nvidia*, /proc/devices, /sys/bus/pci/devices, /dev, and the driver's
// libraries and programs; and /usr/share/aliquot/simulated-node, the node's name, which tells these
// from the files of real GPUs. Existing files are replaced, others are left alone.
Status WriteTree(const NodeSpec& node, const NodeState& state, const std::string& root,
                 const TreeOptions& options);

}  // namespace aliquot::sim
