// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "share/list_size.h"
#include "share/planner.h"
#include "share/preferred.h"
#include "share/test_nodes.h"

namespace aliquot::share {
namespace {

// A number of [least, end), evenly spread however small RapidCheck wants its cases.
template <typename T>
rc::Gen<T> InRange(T least, T end) {
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(least, end));
}

gpu::Inventory AnyNode() {
  std::vector<gpu::Gpu> gpus;
  const unsigned count = *InRange(0u, 7u);
  const std::vector<std::string> profiles = {"1g.5gb", "2g.10gb", "1c.3g.20gb", "1g.10gb+me"};
  for (unsigned i = 0; i < count; ++i) {
    if (*InRange(0, 2) == 0) {
      gpus.push_back(TestGpu(i));
    } else {
      std::vector<std::string> made;
      for (unsigned m = *InRange(0u, 4u); m > 0; --m) made.push_back(*rc::gen::elementOf(profiles));
      gpus.push_back(TestMigGpu(i, made));
    }
    gpus.back().memory_usable_bytes = *InRange<std::uint64_t>(0, 90000) * 997 * 1024;
  }
  gpu::Inventory node = TestNode(std::move(gpus));
  for (std::size_t a = 0; a < node.gpus.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      node.topology.Set(a, b, {gpu::P2pLevel::kNode, *InRange(0u, 3u)});
    }
  }
  return node;
}

config::DeviceSelection AnySelection() {
  switch (*InRange(0, 3)) {
    case 0:
      return config::AllDevices{};
    case 1:
      return config::DeviceCount{*InRange(1u, 5u)};
    default: {
      config::DeviceRefs refs;
      for (int n = *InRange(1, 5); n > 0; --n) {
        const unsigned gpu = *InRange(0u, 7u);
        const unsigned mig = *InRange(0u, 4u);
        refs.refs.push_back(*rc::gen::element(std::to_string(gpu), fmt::format("{}:{}", gpu, mig),
                                              GpuUuid(gpu), MigUuid(gpu, mig)));
      }
      return refs;
    }
  }
}

config::Config AnyConfig() {
  config::Config config;
  config.flags.mig_strategy = *rc::gen::element(
      config::MigStrategy::kNone, config::MigStrategy::kSingle, config::MigStrategy::kMixed);
  config.sharing.strategy =
      *rc::gen::element(config::SharingStrategy::kTimeSlicing, config::SharingStrategy::kMps);
  config.sharing.extended = *rc::gen::arbitrary<bool>();
  config.sharing.fail_requests_greater_than_one = *rc::gen::arbitrary<bool>();
  const std::string name = "nvidia.com/gpu";
  for (int n = *InRange(0, 4); n > 0; --n) {
    config.sharing.resources.push_back(
        {*rc::gen::element(name, std::string("nvidia.com/mig-1g.5gb")),
         *rc::gen::element(std::string(), std::string("nvidia.com/gpu.shared"), name),
         AnySelection(), *InRange(1u, 60u)});
  }
  if (*InRange(0, 2) == 0) {
    config.sharing.isolation.emplace();
    config.sharing.isolation->memory =
        *rc::gen::element(config::Isolation::Memory::kNone, config::Isolation::Memory::kShare);
    config.sharing.isolation->compute =
        *rc::gen::element(config::Isolation::Compute::kNone, config::Isolation::Compute::kFair);
  }
  return config;
}

RC_GTEST_PROP(PlanProperty, NeverOffersTwiceNorMoreThanExists, ()) {
  const gpu::Inventory node = AnyNode();
  const config::Config config = AnyConfig();
  const Plan plan = BuildPlan(node, config);
  std::map<std::string, std::uint64_t> usable;
  for (const gpu::Gpu& gpu : node.gpus) {
    usable[gpu.uuid] = gpu.memory_usable_bytes;
    for (const gpu::MigDevice& mig : gpu.mig_devices) usable[mig.uuid] = mig.memory_usable_bytes;
  }
  std::set<std::string> ids;
  std::map<std::string, std::uint64_t> promised;
  std::map<std::string, unsigned> permille;
  std::map<std::string, unsigned> copies;
  std::set<std::string> whole;
  std::set<std::string> sliced;
  std::string last_name;
  for (const PlannedResource& resource : plan.resources) {
    RC_ASSERT(last_name < resource.name);
    last_name = resource.name;
    RC_ASSERT(!resource.devices.empty());
    RC_ASSERT(EncodedListBytes(resource) <= kMaxListBytes);
    for (const PlannedDevice& device : resource.devices) {
      RC_ASSERT(ids.insert(device.id).second);
      RC_ASSERT(device.id.size() <= kMaxIdLength);
      RC_ASSERT(usable.contains(device.device_uuid));
      RC_ASSERT(device.replica.has_value() == (device.replicas > 1));
      RC_ASSERT(++copies[device.device_uuid] <= device.replicas);
      RC_ASSERT((promised[device.device_uuid] += device.share.memory_bytes.value_or(0)) <=
                usable[device.device_uuid]);
      RC_ASSERT((permille[device.device_uuid] += device.share.compute_permille.value_or(0)) <=
                1000u);
      (device.mig_uuid.has_value() ? sliced : whole).insert(device.gpu_uuid);
    }
  }
  for (const std::string& gpu : whole) RC_ASSERT(!sliced.contains(gpu));
}

RC_GTEST_PROP(PlanProperty, OrderOfTheInventoryDoesNotMatter, ()) {
  const gpu::Inventory node = AnyNode();
  const config::Config config = AnyConfig();
  gpu::Inventory shuffled = node;
  std::mt19937 random(*rc::gen::arbitrary<unsigned>());
  std::shuffle(shuffled.gpus.begin(), shuffled.gpus.end(), random);
  for (gpu::Gpu& gpu : shuffled.gpus) {
    std::shuffle(gpu.mig_devices.begin(), gpu.mig_devices.end(), random);
  }
  const Plan plan = BuildPlan(node, config);
  RC_ASSERT(plan == BuildPlan(shuffled, config));
  RC_ASSERT(Diff(plan, BuildPlan(shuffled, config)).empty());
}

RC_GTEST_PROP(PreferredProperty, KeepsRequiredAndTakesExactlyWhatIsOffered, ()) {
  const gpu::Inventory node = AnyNode();
  const Plan plan = BuildPlan(node, AnyConfig());
  RC_PRE(!plan.resources.empty());
  const PlannedResource& resource = plan.resources[*InRange<std::size_t>(0, plan.resources.size())];
  std::vector<std::string> available;
  std::vector<std::string> required;
  for (const PlannedDevice& device : resource.devices) {
    if (*InRange(0, 3) == 0) continue;
    available.push_back(device.id);
    if (*InRange(0, 10) == 0) required.push_back(device.id);
  }
  const auto size = *InRange<std::size_t>(0, available.size() + 1);
  const auto policy =
      *rc::gen::element(config::AllocationPolicy::kDistributed, config::AllocationPolicy::kPacked,
                        config::AllocationPolicy::kSpread);
  const PreferredAllocator allocator(resource, node);
  const auto chosen = allocator.Choose(policy, {available, required, static_cast<int>(size)});
  const bool has_shares =
      std::any_of(resource.devices.begin(), resource.devices.end(),
                  [](const PlannedDevice& device) { return device.share != Share{}; });
  if (!chosen.ok()) {
    RC_ASSERT(has_shares || required.size() > size);
    return;
  }
  RC_ASSERT(chosen->size() == size);
  const std::set<std::string> unique(chosen->begin(), chosen->end());
  RC_ASSERT(unique.size() == size);
  for (const std::string& id : required) RC_ASSERT(unique.contains(id));
  const std::set<std::string> offered(available.begin(), available.end());
  RC_ASSERT(std::includes(offered.begin(), offered.end(), unique.begin(), unique.end()));

  std::mt19937 random(*rc::gen::arbitrary<unsigned>());
  std::shuffle(available.begin(), available.end(), random);
  RC_ASSERT(*allocator.Choose(policy, {available, required, static_cast<int>(size)}) == *chosen);

  std::set<std::string> sharing_devices;
  for (const PlannedDevice& device : resource.devices) {
    if (unique.contains(device.id) && device.share != Share{}) {
      sharing_devices.insert(device.device_uuid);
    }
  }
  RC_ASSERT(sharing_devices.size() <= 1);
}

}  // namespace
}  // namespace aliquot::share
