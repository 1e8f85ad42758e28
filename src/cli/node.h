// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "config/config.h"
#include "gpu/driver_source.h"
#include "gpu/inventory.h"

namespace CLI {
class App;
}

namespace aliquot::cli {

// Which node a command looks at: this machine, or a simulated one.
struct NodeChoice {
  std::string node;         // bundled name or path of a node file; empty = this machine
  std::string driver_root;  // as NVIDIA_DRIVER_ROOT; this machine only

  bool simulated() const { return !node.empty(); }
};

// Adds --node.
void AddNodeOption(CLI::App& command, NodeChoice& choice);

// The simulated NVML that belongs to this program: $ALIQUOT_SIM_LIBRARY, or
// ../sim/libnvidia-ml.so.1 seen from the program. kNotFound names the places.
Result<std::string> FindSimulatedNvml();

// The choice as the rest of the program takes it. For a simulated node this also sets the
// environment variable ALIQUOT_SIM_NODE, which the simulated library reads; call it before any
// thread is started. Fails if there is no such simulated node; whether there is a driver is seen
// only when the source is used.
Result<std::unique_ptr<gpu::DriverSource>> OpenNode(const NodeChoice& choice);

// One look at the node; blocks.
Result<gpu::Inventory> ReadNode(const NodeChoice& choice);

// "simulated node t4-x1" or "this machine", then driver and CUDA version: the first line of what
// commands print for people.
std::string DescribeNode(const gpu::Inventory& inventory);

}  // namespace aliquot::cli
