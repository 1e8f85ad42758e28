// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// The file that describes a simulated node, read by the library inside other people's programs.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "sim/model/node.h"
#include "sim/state/machine.h"
#include "sim/state/mig.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace sim = aliquot::sim;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const aliquot::Result<sim::NodeSpec> node = sim::ParseNode("fuzz", text);
  if (!node.ok()) return 0;
  const aliquot::Result<sim::NodeState> state = sim::InitialState(*node);
  if (!state.ok()) return 0;
  // A node that was accepted must be usable.
  if (node->gpus.size() > sim::kMaxGpus) std::abort();
  for (unsigned i = 0; i < node->gpus.size(); ++i) {
    for (const sim::NvLinkEnd& end : sim::NvLinks(*node, i)) {
      if (end.gpu && *end.gpu >= node->gpus.size()) std::abort();
    }
    if (node->gpus[i].mig.size() > sim::MigDevices(state->gpus[i]).size() + sim::kMaxGpuInstances) {
      std::abort();
    }
  }
  return 0;
}
