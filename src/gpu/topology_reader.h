// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "gpu/inventory.h"
#include "gpu/nvml_api.h"

namespace aliquot::gpu {

// Reads how the GPUs of a node reach each other, once per set of GPUs and driver session: the
// answer is wiring, and asking takes a call per pair and per link. Only on the driver thread.
class TopologyReader {
 public:
  // `handles` belong to `gpus`, in the same order. What a GPU cannot tell is kUnknown and 0 links;
  // the two ends of a link disagreeing gives the smaller count. Fails only if the driver is gone.
  Result<Topology> Read(const NvmlApi& api, std::uint64_t generation, const std::vector<Gpu>& gpus,
                        const std::vector<abi::Device>& handles);

 private:
  std::uint64_t generation_ = 0;
  std::vector<std::string> uuids_;
  Topology cached_;
  bool valid_ = false;
};

}  // namespace aliquot::gpu
