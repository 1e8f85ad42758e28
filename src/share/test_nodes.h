// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "config/config.h"
#include "gpu/inventory.h"

// Inventories and configurations for tests.
namespace aliquot::share {

inline constexpr std::uint64_t kTestMiB = 1u << 20;

inline std::string GpuUuid(unsigned index) {
  return fmt::format("GPU-{:08x}-0000-4000-8000-000000000000", index);
}
inline std::string MigUuid(unsigned gpu, unsigned mig) {
  return fmt::format("MIG-{:08x}-{:04x}-5000-8000-000000000000", gpu, mig);
}

inline gpu::Gpu TestGpu(unsigned index) {
  gpu::Gpu gpu;
  gpu.index = index;
  gpu.minor = index;
  gpu.uuid = GpuUuid(index);
  gpu.name = "NVIDIA A100-SXM4-40GB";
  gpu.bus_id = fmt::format("0000:{:02x}:00.0", index + 1);
  gpu.compute_major = 8;
  gpu.compute_minor = 0;
  gpu.memory_total_bytes = 40960 * kTestMiB;
  gpu.memory_usable_bytes = 40339 * kTestMiB;
  gpu.numa_node = static_cast<int>(index / 4);
  gpu.mig_capable = true;
  return gpu;
}

inline gpu::MigDevice TestMig(unsigned gpu, unsigned index, std::string profile) {
  gpu::MigDevice mig;
  mig.uuid = MigUuid(gpu, index);
  mig.index = index;
  mig.gi_id = 7 + index;
  mig.ci_id = 0;
  mig.profile = std::move(profile);
  mig.memory_total_bytes = 4864 * kTestMiB;
  mig.memory_usable_bytes = 4800 * kTestMiB;
  mig.multiprocessors = 14;
  mig.gi_slices = 1;
  mig.ci_slices = 1;
  mig.engines.copy = 1;
  return mig;
}

inline gpu::Gpu TestMigGpu(unsigned index, const std::vector<std::string>& profiles) {
  gpu::Gpu gpu = TestGpu(index);
  gpu.mig_enabled = true;
  for (unsigned i = 0; i < profiles.size(); ++i) {
    gpu.mig_devices.push_back(TestMig(index, i, profiles[i]));
  }
  return gpu;
}

// `gpus` equal GPUs, or the given ones.
inline gpu::Inventory TestNode(std::vector<gpu::Gpu> gpus) {
  gpu::Inventory inventory;
  inventory.driver_version = "580.159.04";
  inventory.cuda_version = 13000;
  inventory.topology = gpu::Topology(gpus.size());
  inventory.gpus = std::move(gpus);
  return inventory;
}
inline gpu::Inventory TestNode(unsigned gpus) {
  std::vector<gpu::Gpu> list;
  for (unsigned i = 0; i < gpus; ++i) list.push_back(TestGpu(i));
  return TestNode(std::move(list));
}

inline config::Config WithMig(config::MigStrategy strategy) {
  config::Config config;
  config.flags.mig_strategy = strategy;
  return config;
}
inline config::Config Sharing(std::vector<config::ReplicatedResource> resources,
                              bool extended = false) {
  config::Config config;
  config.sharing.strategy = config::SharingStrategy::kTimeSlicing;
  config.sharing.extended = extended;
  config.sharing.resources = std::move(resources);
  return config;
}
inline config::ReplicatedResource Entry(unsigned replicas,
                                        config::DeviceSelection devices = config::AllDevices{},
                                        std::string rename = {}) {
  return {"nvidia.com/gpu", std::move(rename), std::move(devices), replicas};
}

}  // namespace aliquot::share
