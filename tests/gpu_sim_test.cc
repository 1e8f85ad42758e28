// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Our reader against our simulated driver, for every bundled node: what the node's file and the
// product tables say comes out at the other end of NVML.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <map>
#include <set>

#include "gpu/inventory_reader.h"
#include "sim/model/node.h"

namespace aliquot::tests {
namespace {

gpu::Inventory Read(const std::string& node) {
  ::unsetenv("ALIQUOT_SIM_STATE");
  ::setenv("ALIQUOT_SIM_NODE", node.c_str(), 1);
  gpu::FileDriverSource source(ALIQUOT_SIM_NVML);
  auto inventory = gpu::ReadInventoryOnce(source, gpu::HostFiles());
  EXPECT_TRUE(inventory.ok()) << inventory.error().message;
  return inventory.ok() ? *std::move(inventory) : gpu::Inventory();
}

class GpuSimTest : public testing::TestWithParam<std::string> {
 protected:
  GpuSimTest() : spec_(*sim::LoadNode(GetParam())), inventory_(Read(GetParam())) {}

  const sim::NodeSpec spec_;
  const gpu::Inventory inventory_;
};

TEST_P(GpuSimTest, TheNodeIsTheOneOfTheFile) {
  EXPECT_EQ(inventory_.simulated_node, GetParam());
  EXPECT_EQ(inventory_.driver_version, spec_.driver);
  EXPECT_EQ(inventory_.nvml_version, spec_.nvml);
  EXPECT_EQ(inventory_.cuda_version, spec_.cuda_version);
  EXPECT_EQ(inventory_.gpus.size(), spec_.gpus.size());
  EXPECT_TRUE(inventory_.broken.empty());
}

TEST_P(GpuSimTest, EveryGpuIsWhatItsProductSays) {
  ASSERT_EQ(inventory_.gpus.size(), spec_.gpus.size());
  for (std::size_t i = 0; i < spec_.gpus.size(); ++i) {
    const gpu::Gpu& gpu = inventory_.gpus[i];
    const sim::GpuSpec& wanted = spec_.gpus[i];
    const sim::Product& product = *wanted.product;
    EXPECT_EQ(gpu.index, i);
    EXPECT_EQ(gpu.minor, wanted.minor);
    EXPECT_EQ(gpu.uuid, wanted.uuid);
    EXPECT_EQ(gpu.name, product.name);
    EXPECT_EQ(gpu.bus_id, gpu::SysfsBusId(sim::BusId(wanted)));
    EXPECT_EQ(gpu.pci_device_id, product.pci_device_id);
    EXPECT_EQ(gpu.pci_subsystem_id, product.pci_subsystem_id);
    EXPECT_EQ(gpu.compute_major, static_cast<int>(product.compute_major));
    EXPECT_EQ(gpu.compute_minor, static_cast<int>(product.compute_minor));
    EXPECT_EQ(gpu.memory_total_bytes, product.memory_total_bytes());
    EXPECT_EQ(gpu.memory_usable_bytes,
              product.memory_total_bytes() - (product.memory_reserved_kib << 10));
    EXPECT_EQ(gpu.numa_node, wanted.numa_node);
    EXPECT_EQ(gpu.device_path, fmt::format("/dev/nvidia{}", wanted.minor));
    EXPECT_EQ(gpu.mig_capable, product.mig.has_value());
    EXPECT_EQ(gpu.mig_enabled, wanted.mig_enabled);
    // NVML counts no cores of a GPU that is sliced.
    EXPECT_EQ(gpu.multiprocessors, wanted.mig_enabled ? 0 : product.multiprocessors);
    EXPECT_TRUE(gpu.broken_mig_devices.empty());
    std::set<std::string> profiles;
    if (product.mig) {
      for (const sim::MigProfile& profile : product.mig->profiles) profiles.insert(profile.name);
    }
    // As on hardware: none while MIG is off.
    EXPECT_EQ(gpu.max_mig_devices, wanted.mig_enabled ? product.mig->slices : 0);
    EXPECT_EQ(gpu.mig_profiles, std::vector<std::string>(profiles.begin(), profiles.end()));
  }
}

TEST_P(GpuSimTest, EveryMigDeviceIsWhatItsProfileSays) {
  ASSERT_EQ(inventory_.gpus.size(), spec_.gpus.size());
  for (std::size_t i = 0; i < spec_.gpus.size(); ++i) {
    const gpu::Gpu& gpu = inventory_.gpus[i];
    const sim::GpuSpec& wanted = spec_.gpus[i];
    std::multiset<std::string> profiles;
    for (const sim::MigInstanceSpec& instance : wanted.mig) profiles.insert(instance.profile->name);
    std::multiset<std::string> found;
    unsigned slices = 0;
    for (std::size_t m = 0; m < gpu.mig_devices.size(); ++m) {
      const gpu::MigDevice& mig = gpu.mig_devices[m];
      found.insert(mig.profile);
      const sim::MigProfile* profile = wanted.product->ProfileByName(mig.profile);
      ASSERT_NE(profile, nullptr) << mig.profile;
      EXPECT_EQ(mig.index, m);
      EXPECT_EQ(mig.uuid, sim::MigUuid(wanted, mig.gi_id, mig.ci_id));
      EXPECT_EQ(mig.memory_total_bytes, profile->memory_mib << 20);
      EXPECT_LT(mig.memory_usable_bytes, mig.memory_total_bytes);
      EXPECT_EQ(mig.multiprocessors, profile->multiprocessors);
      EXPECT_EQ(mig.gi_slices, profile->slices);
      EXPECT_EQ(mig.ci_slices, profile->slices);
      EXPECT_EQ(mig.placement_size, profile->size);
      EXPECT_EQ(std::count(profile->starts.begin(), profile->starts.end(), mig.placement_start), 1);
      EXPECT_EQ(mig.engines.copy, profile->engines.copy);
      EXPECT_EQ(mig.engines.decoder, profile->engines.decoder);
      const unsigned minor = 3 + 135 * gpu.minor + 9 * mig.gi_id;
      EXPECT_EQ(mig.gi_cap_path, fmt::format("/dev/nvidia-caps/nvidia-cap{}", minor));
      EXPECT_EQ(mig.ci_cap_path,
                fmt::format("/dev/nvidia-caps/nvidia-cap{}", minor + 1 + mig.ci_id));
      slices += mig.gi_slices;
    }
    EXPECT_EQ(found, profiles);
    EXPECT_LE(slices, wanted.product->mig ? wanted.product->mig->slices : 0);
  }
}

TEST_P(GpuSimTest, EveryLinkIsThatOfTheNode) {
  const std::map<unsigned, gpu::P2pLevel> levels = {
      {0, gpu::P2pLevel::kInternal},  {10, gpu::P2pLevel::kSingle},
      {20, gpu::P2pLevel::kMultiple}, {30, gpu::P2pLevel::kHostBridge},
      {40, gpu::P2pLevel::kNode},     {50, gpu::P2pLevel::kSystem}};
  ASSERT_EQ(inventory_.topology.size(), spec_.gpus.size());
  for (unsigned a = 0; a < spec_.gpus.size(); ++a) {
    for (unsigned b = 0; b < spec_.gpus.size(); ++b) {
      if (a == b) continue;
      unsigned links = 0;
      for (const sim::NvLinkEnd& end : sim::NvLinks(spec_, a)) {
        if (end.active && end.gpu == b) ++links;
      }
      const gpu::Link& link = inventory_.topology.At(a, b);
      EXPECT_EQ(link.nvlinks, links) << a << " " << b;
      EXPECT_EQ(link.p2p, levels.at(sim::TopologyLevel(spec_, a, b))) << a << " " << b;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BundledNodes, GpuSimTest, testing::ValuesIn(sim::BundledNodeNames()),
                         [](const testing::TestParamInfo<std::string>& each) {
                           std::string name = each.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Figures of public data sheets, so that a slip in a product's file does not pass as its own proof.
TEST(GpuSimFiguresTest, KnownModels) {
  const struct {
    const char* node;
    const char* name;
    unsigned multiprocessors;
    std::uint64_t memory_mib;
    const char* smallest_profile;  // null: no MIG
  } kModels[] = {
      {"t4-x1", "Tesla T4", 40, 15360, nullptr},
      {"a10-x2", "NVIDIA A10", 72, 23028, nullptr},
      {"a30-x2", "NVIDIA A30", 56, 24576, "1g.6gb"},
      {"a100-40gb-x8", "NVIDIA A100-SXM4-40GB", 108, 40960, "1g.5gb"},
      {"a100-80gb-x8", "NVIDIA A100-SXM4-80GB", 108, 81920, "1g.10gb"},
      {"l4-x4", "NVIDIA L4", 58, 23034, nullptr},
      {"l40s-x4", "NVIDIA L40S", 142, 46068, nullptr},
      {"h100-80gb-x8", "NVIDIA H100 80GB HBM3", 132, 81559, "1g.10gb"},
      {"h200-x1", "NVIDIA H200", 132, 143771, "1g.18gb"},
      {"b200-x8", "NVIDIA B200", 148, 183359, "1g.23gb"},
      {"rtxpro6000-x2", "NVIDIA RTX PRO 6000 Blackwell Server Edition", 188, 97887, "1g.24gb"},
  };
  for (const auto& model : kModels) {
    const gpu::Inventory inventory = Read(model.node);
    ASSERT_FALSE(inventory.gpus.empty()) << model.node;
    const gpu::Gpu& gpu = inventory.gpus[0];
    EXPECT_EQ(gpu.name, model.name);
    EXPECT_EQ(gpu.multiprocessors, model.multiprocessors) << model.node;
    EXPECT_EQ(gpu.memory_total_bytes >> 20, model.memory_mib) << model.node;
    const auto& profiles = gpu.mig_profiles;
    if (model.smallest_profile == nullptr) {
      EXPECT_TRUE(profiles.empty()) << model.node;
    } else {
      EXPECT_EQ(std::count(profiles.begin(), profiles.end(), model.smallest_profile), 1)
          << model.node;
    }
  }
}

}  // namespace
}  // namespace aliquot::tests
