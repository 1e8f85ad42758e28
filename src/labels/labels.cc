// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "labels/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/text.h"
#include "labels/resource_labels.h"
#include "labels/text.h"

namespace aliquot::labels {
namespace {

void AddVgpuLabels(const HostFacts& facts, Labels& labels) {
  labels["nvidia.com/vgpu.present"] = facts.vgpu ? "true" : "false";
  if (!facts.vgpu_host.has_value()) return;
  labels["nvidia.com/vgpu.host-driver-version"] = LabelValue(facts.vgpu_host->driver_version);
  labels["nvidia.com/vgpu.host-driver-branch"] = LabelValue(facts.vgpu_host->driver_branch);
}

void AddVersionLabels(const gpu::Inventory& inventory, Labels& labels) {
  const std::vector<std::string> parts = Split(inventory.driver_version, '.');
  if (parts.size() == 2 || parts.size() == 3) {
    const std::string revision = LabelValue(parts.size() == 3 ? parts[2] : "");
    labels["nvidia.com/cuda.driver.major"] = LabelValue(parts[0]);
    labels["nvidia.com/cuda.driver.minor"] = LabelValue(parts[1]);
    labels["nvidia.com/cuda.driver.rev"] = revision;
    labels["nvidia.com/cuda.driver-version.major"] = LabelValue(parts[0]);
    labels["nvidia.com/cuda.driver-version.minor"] = LabelValue(parts[1]);
    labels["nvidia.com/cuda.driver-version.revision"] = revision;
    labels["nvidia.com/cuda.driver-version.full"] = LabelValue(inventory.driver_version);
  }
  if (inventory.cuda_version <= 0) return;
  const std::string major = fmt::to_string(inventory.cuda_version / 1000);
  const std::string minor = fmt::to_string(inventory.cuda_version % 1000 / 10);
  labels["nvidia.com/cuda.runtime.major"] = major;
  labels["nvidia.com/cuda.runtime.minor"] = minor;
  labels["nvidia.com/cuda.runtime-version.major"] = major;
  labels["nvidia.com/cuda.runtime-version.minor"] = minor;
  labels["nvidia.com/cuda.runtime-version.full"] = major + "." + minor;
}

// PCI class codes: 0x0300 VGA controller, 0x0302 3D controller.
std::string ModeOf(const gpu::Inventory& inventory, const HostFacts& facts) {
  std::set<std::uint32_t> classes;
  for (const gpu::Gpu& gpu : inventory.gpus) {
    const auto found = facts.pci_classes.find(gpu.bus_id);
    if (found == facts.pci_classes.end()) return "unknown";
    classes.insert(found->second);
  }
  if (classes == std::set<std::uint32_t>{0x030000}) return "graphics";
  if (classes == std::set<std::uint32_t>{0x030200}) return "compute";
  return "unknown";
}

void AddClique(const gpu::Inventory& inventory, Labels& labels) {
  std::set<std::pair<std::string, unsigned>> cliques;
  for (const gpu::Gpu& gpu : inventory.gpus) {
    if (gpu.fabric.has_value()) cliques.emplace(gpu.fabric->cluster_uuid, gpu.fabric->clique_id);
  }
  if (cliques.size() != 1) return;
  labels["nvidia.com/gpu.clique"] =
      LabelValue(fmt::format("{}.{}", cliques.begin()->first, cliques.begin()->second));
}

}  // namespace

Labels NodeLabels(const gpu::Inventory& inventory, const config::Config& config,
                  const share::Plan& plan, const HostFacts& facts) {
  Labels labels;
  if (facts.timestamp.has_value() && !config.flags.gfd_no_timestamp) {
    labels["nvidia.com/gfd.timestamp"] = fmt::to_string(*facts.timestamp);
  }
  if (inventory.simulated()) labels["aliquot.dev/simulated"] = "true";
  AddVgpuLabels(facts, labels);
  if (inventory.gpus.empty()) return labels;

  const std::string machine = LabelValue(facts.machine_type.value_or(""));
  labels["nvidia.com/gpu.machine"] = machine.empty() ? "unknown" : machine;
  AddVersionLabels(inventory, labels);
  const bool mig_capable = std::any_of(inventory.gpus.begin(), inventory.gpus.end(),
                                       [](const gpu::Gpu& gpu) { return gpu.mig_capable; });
  labels["nvidia.com/mig.capable"] = mig_capable ? "true" : "false";
  if (config.flags.mig_strategy != config::MigStrategy::kNone) {
    const bool single = config.flags.mig_strategy == config::MigStrategy::kSingle;
    labels["nvidia.com/mig.strategy"] = single ? "single" : "mixed";
  }
  const bool mps = config.sharing.strategy == config::SharingStrategy::kMps;
  labels["nvidia.com/mps.capable"] = mps ? "true" : "false";
  labels["nvidia.com/gpu.mode"] = ModeOf(inventory, facts);
  AddClique(inventory, labels);
  AddResourceLabels(inventory, config, plan, labels);
  return labels;
}

}  // namespace aliquot::labels
