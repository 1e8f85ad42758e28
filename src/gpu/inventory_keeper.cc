// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/inventory_keeper.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace aliquot::gpu {
namespace {

// Takes over the last good values of MIG devices that `gpu` has but cannot describe now.
void KeepMigDevices(const Gpu& before, Gpu& gpu, std::vector<LostDevice>& lost) {
  for (const MigDevice& mig : before.mig_devices) {
    const auto there = std::find_if(gpu.mig_devices.begin(), gpu.mig_devices.end(),
                                    [&](const MigDevice& m) { return m.uuid == mig.uuid; });
    if (there != gpu.mig_devices.end()) continue;
    const auto broken =
        std::find_if(gpu.broken_mig_devices.begin(), gpu.broken_mig_devices.end(),
                     [&](const BrokenMigDevice& b) {
                       return b.uuid == mig.uuid || (b.uuid.empty() && b.index == mig.index);
                     });
    if (broken == gpu.broken_mig_devices.end()) continue;
    lost.push_back({mig.uuid, broken->reason});
    gpu.broken_mig_devices.erase(broken);
    gpu.mig_devices.push_back(mig);
  }
  std::sort(gpu.mig_devices.begin(), gpu.mig_devices.end(),
            [](const MigDevice& a, const MigDevice& b) {
              return std::tie(a.gi_id, a.ci_id) < std::tie(b.gi_id, b.ci_id);
            });
}

// The entry of `inventory.broken` that is about `gpu`, by the best identity NVML still gave.
std::vector<BrokenGpu>::iterator FindBroken(Inventory& inventory, const Gpu& gpu) {
  return std::find_if(inventory.broken.begin(), inventory.broken.end(), [&](const BrokenGpu& b) {
    if (!b.uuid.empty()) return b.uuid == gpu.uuid;
    if (!b.bus_id.empty()) return b.bus_id == gpu.bus_id;
    return b.index == gpu.index;
  });
}

// Puts the links of both inventories together in the order of `gpus`; `fresh` knows better.
Topology MergeTopology(const std::vector<Gpu>& gpus, const Inventory& fresh,
                       const Inventory& last) {
  const auto positions = [](const Inventory& inventory) {
    std::map<std::string, std::size_t> by_uuid;
    for (std::size_t i = 0; i < inventory.gpus.size(); ++i) by_uuid[inventory.gpus[i].uuid] = i;
    return by_uuid;
  };
  const auto in_fresh = positions(fresh);
  const auto in_last = positions(last);
  Topology topology(gpus.size());
  for (std::size_t a = 0; a < gpus.size(); ++a) {
    for (std::size_t b = a + 1; b < gpus.size(); ++b) {
      const auto& [from, at] = in_fresh.contains(gpus[a].uuid) && in_fresh.contains(gpus[b].uuid)
                                   ? std::tie(fresh, in_fresh)
                                   : std::tie(last, in_last);
      const auto first = at.find(gpus[a].uuid);
      const auto second = at.find(gpus[b].uuid);
      if (first == at.end() || second == at.end()) continue;
      topology.Set(a, b, from.topology.At(first->second, second->second));
    }
  }
  return topology;
}

}  // namespace

InventoryKeeper::Merged InventoryKeeper::Merge(Inventory fresh) {
  Merged merged;
  Inventory& result = merged.inventory;
  result = fresh;
  for (const Gpu& before : last_.gpus) {
    const auto same = std::find_if(result.gpus.begin(), result.gpus.end(),
                                   [&](const Gpu& g) { return g.uuid == before.uuid; });
    if (same != result.gpus.end()) {
      KeepMigDevices(before, *same, merged.lost);
      continue;
    }
    const bool index_taken = std::any_of(fresh.gpus.begin(), fresh.gpus.end(),
                                         [&](const Gpu& g) { return g.index == before.index; });
    if (index_taken) continue;
    const auto broken = FindBroken(result, before);
    const bool named = broken != result.broken.end();
    const std::string reason = named ? broken->reason : "the driver no longer lists this GPU";
    if (named) result.broken.erase(broken);
    merged.lost.push_back({before.uuid, reason});
    for (const MigDevice& mig : before.mig_devices) merged.lost.push_back({mig.uuid, reason});
    result.gpus.push_back(before);
  }
  std::sort(result.gpus.begin(), result.gpus.end(),
            [](const Gpu& a, const Gpu& b) { return a.index < b.index; });
  result.topology = MergeTopology(result.gpus, fresh, last_);
  last_ = result;
  return merged;
}

}  // namespace aliquot::gpu
