// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/inventory_json.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace aliquot::cli {
namespace {

namespace json = boost::json;

json::object EnginesToJson(const gpu::EngineCounts& engines) {
  return {{"copy", engines.copy},
          {"decoder", engines.decoder},
          {"encoder", engines.encoder},
          {"jpeg", engines.jpeg},
          {"ofa", engines.ofa}};
}

json::object MemoryToJson(std::uint64_t total, std::uint64_t usable) {
  return {{"totalBytes", total}, {"usableBytes", usable}};
}

json::object MigToJson(const gpu::MigDevice& mig) {
  return {{"uuid", mig.uuid},
          {"index", mig.index},
          {"gpuInstance", mig.gi_id},
          {"computeInstance", mig.ci_id},
          {"profile", mig.profile},
          {"placement", {{"start", mig.placement_start}, {"size", mig.placement_size}}},
          {"memory", MemoryToJson(mig.memory_total_bytes, mig.memory_usable_bytes)},
          {"multiprocessors", mig.multiprocessors},
          {"slices", {{"gpu", mig.gi_slices}, {"compute", mig.ci_slices}}},
          {"engines", EnginesToJson(mig.engines)},
          {"capabilityNodes", json::array{mig.gi_cap_path, mig.ci_cap_path}}};
}

json::object GpuToJson(const gpu::Gpu& gpu) {
  json::array migs;
  for (const gpu::MigDevice& mig : gpu.mig_devices) migs.push_back(MigToJson(mig));
  json::value fabric = nullptr;
  if (gpu.fabric) {
    fabric = {{"clusterUuid", gpu.fabric->cluster_uuid}, {"cliqueId", gpu.fabric->clique_id}};
  }
  return {{"index", gpu.index},
          {"minor", gpu.minor},
          {"uuid", gpu.uuid},
          {"name", gpu.name},
          {"busId", gpu.bus_id},
          {"pciDeviceId", fmt::format("0x{:08X}", gpu.pci_device_id)},
          {"pciSubsystemId", fmt::format("0x{:08X}", gpu.pci_subsystem_id)},
          {"computeCapability", fmt::format("{}.{}", gpu.compute_major, gpu.compute_minor)},
          {"multiprocessors", gpu.multiprocessors},
          {"memory", MemoryToJson(gpu.memory_total_bytes, gpu.memory_usable_bytes)},
          {"numaNode", gpu.numa_node ? json::value(*gpu.numa_node) : json::value(nullptr)},
          {"mig",
           {{"capable", gpu.mig_capable},
            {"enabled", gpu.mig_enabled},
            {"maxDevices", gpu.max_mig_devices},
            {"profiles", json::value_from(gpu.mig_profiles)},
            {"devices", std::move(migs)}}},
          {"deviceNode", gpu.device_path},
          {"drmNodes", json::value_from(gpu.drm_paths)},
          {"fabric", std::move(fabric)}};
}

}  // namespace

const char* ToString(gpu::P2pLevel level) {
  switch (level) {
    case gpu::P2pLevel::kUnknown:
      break;
    case gpu::P2pLevel::kSystem:
      return "system";
    case gpu::P2pLevel::kNode:
      return "node";
    case gpu::P2pLevel::kHostBridge:
      return "hostbridge";
    case gpu::P2pLevel::kMultiple:
      return "multiple";
    case gpu::P2pLevel::kSingle:
      return "single";
    case gpu::P2pLevel::kInternal:
      return "internal";
  }
  return "unknown";
}

json::value ToJson(const gpu::Inventory& inventory) {
  json::array gpus;
  for (const gpu::Gpu& gpu : inventory.gpus) gpus.push_back(GpuToJson(gpu));
  json::array broken;
  for (const gpu::BrokenGpu& gpu : inventory.broken) {
    broken.push_back(
        {{"index", gpu.index}, {"uuid", gpu.uuid}, {"busId", gpu.bus_id}, {"reason", gpu.reason}});
  }
  json::array links;
  for (std::size_t a = 0; a < inventory.topology.size(); ++a) {
    for (std::size_t b = a + 1; b < inventory.topology.size(); ++b) {
      const gpu::Link& link = inventory.topology.At(a, b);
      links.push_back({{"a", inventory.gpus[a].index},
                       {"b", inventory.gpus[b].index},
                       {"p2p", ToString(link.p2p)},
                       {"nvlinks", link.nvlinks}});
    }
  }
  json::value node = nullptr;
  if (inventory.simulated()) node = inventory.simulated_node;
  const int cuda = inventory.cuda_version;
  return {{"node", std::move(node)},
          {"simulated", inventory.simulated()},
          {"driverVersion", inventory.driver_version},
          {"nvmlVersion", inventory.nvml_version},
          {"cudaVersion", fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10)},
          {"gpus", std::move(gpus)},
          {"broken", std::move(broken)},
          {"links", std::move(links)}};
}

}  // namespace aliquot::cli
