// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/topology_reader.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "gpu/host_files.h"

namespace aliquot::gpu {
namespace {

P2pLevel LevelOf(abi::TopologyLevel level) {
  switch (level) {
    case abi::TopologyLevel::kInternal:
      return P2pLevel::kInternal;
    case abi::TopologyLevel::kSingle:
      return P2pLevel::kSingle;
    case abi::TopologyLevel::kMultiple:
      return P2pLevel::kMultiple;
    case abi::TopologyLevel::kHostBridge:
      return P2pLevel::kHostBridge;
    case abi::TopologyLevel::kNode:
      return P2pLevel::kNode;
    case abi::TopologyLevel::kSystem:
      return P2pLevel::kSystem;
  }
  return P2pLevel::kUnknown;
}

// Active links of one GPU by the bus id at their other end, switches included.
Result<std::map<std::string, unsigned>> CountLinks(const NvmlApi& api, abi::Device device) {
  std::map<std::string, unsigned> links;
  for (unsigned link = 0; link < abi::kMaxNvLinks; ++link) {
    int active = 0;
    Status s = CallNvml("nvmlDeviceGetNvLinkState", api.device_nvlink_state, device, link, &active);
    abi::PciInfo remote{};
    if (s.ok() && active != 0) {
      s = CallNvml("nvmlDeviceGetNvLinkRemotePciInfo_v2", api.device_nvlink_remote_pci, device,
                   link, &remote);
      if (s.ok()) {
        const std::size_t length = ::strnlen(remote.bus_id, sizeof remote.bus_id);
        ++links[SysfsBusId({remote.bus_id, length})];
      }
    }
    if (s.ok()) continue;
    if (IsDriverGone(s.error())) return s.error();
    // The GPU has no NVLink at all: do not ask for the other seventeen.
    if (link == 0 && s.error().code == Code::kUnimplemented) break;
  }
  return links;
}

}  // namespace

Result<Topology> TopologyReader::Read(const NvmlApi& api, std::uint64_t generation,
                                      const std::vector<Gpu>& gpus,
                                      const std::vector<abi::Device>& handles) {
  std::vector<std::string> uuids;
  for (const Gpu& gpu : gpus) uuids.push_back(gpu.uuid);
  if (valid_ && generation == generation_ && uuids == uuids_) return cached_;

  std::vector<std::map<std::string, unsigned>> links(gpus.size());
  for (std::size_t i = 0; gpus.size() > 1 && i < gpus.size(); ++i) {
    Result<std::map<std::string, unsigned>> counted = CountLinks(api, handles[i]);
    if (!counted.ok()) return counted.error();
    links[i] = *std::move(counted);
  }
  const auto count = [&](std::size_t from, std::size_t to) {
    const auto found = links[from].find(gpus[to].bus_id);
    return found == links[from].end() ? 0u : found->second;
  };
  Topology topology(gpus.size());
  for (std::size_t a = 0; a < gpus.size(); ++a) {
    for (std::size_t b = a + 1; b < gpus.size(); ++b) {
      Link link;
      abi::TopologyLevel level{};
      const Status s = CallNvml("nvmlDeviceGetTopologyCommonAncestor", api.device_common_ancestor,
                                handles[a], handles[b], &level);
      if (!s.ok() && IsDriverGone(s.error())) return s.error();
      if (s.ok()) link.p2p = LevelOf(level);
      link.nvlinks = std::min(count(a, b), count(b, a));
      topology.Set(a, b, link);
    }
  }
  generation_ = generation;
  uuids_ = std::move(uuids);
  cached_ = topology;
  valid_ = true;
  return topology;
}

}  // namespace aliquot::gpu
