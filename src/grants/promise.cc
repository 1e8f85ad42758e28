// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/promise.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace aliquot::grants {
namespace {

using Memory = config::Isolation::Memory;

constexpr std::uint64_t kMiB = 1u << 20;

std::uint64_t UsableBytes(const gpu::Inventory& inventory, const share::PlannedDevice& device) {
  for (const gpu::Gpu& gpu : inventory.gpus) {
    if (gpu.uuid != device.gpu_uuid) continue;
    if (!device.mig_uuid) return gpu.memory_usable_bytes;
    for (const gpu::MigDevice& mig : gpu.mig_devices) {
      if (mig.uuid == *device.mig_uuid) return mig.memory_usable_bytes;
    }
  }
  return 0;
}

std::optional<std::uint64_t> LimitOf(const GrantDevice& device,
                                     const config::Isolation& isolation) {
  std::uint64_t bytes = 0;
  switch (isolation.memory) {
    case Memory::kNone:
      return std::nullopt;
    case Memory::kShare:
      bytes = device.usable_bytes * device.held / device.of;
      break;
    case Memory::kBytes:
      bytes = std::min(isolation.memory_bytes_per_replica * device.held, device.usable_bytes);
      break;
  }
  return bytes - bytes % kMiB;
}

// The part of its device's memory that one replica of a promise takes.
double FractionOf(const GrantDevice& device) {
  if (!device.memory_bytes || device.usable_bytes == 0) return 0;
  return static_cast<double>(*device.memory_bytes) / static_cast<double>(device.usable_bytes) /
         device.held;
}

bool IsReplicaOf(const std::string& id, const GrantDevice& device) {
  return id.size() > device.uuid.size() && id.starts_with(device.uuid) &&
         id[device.uuid.size()] == ':';
}

bool Holds(const Grant& grant, const std::string& id) {
  return std::find(grant.replica_ids.begin(), grant.replica_ids.end(), id) !=
         grant.replica_ids.end();
}

std::string NameOf(const Grant& grant) {
  if (!grant.holder) return "grant " + grant.id;
  return fmt::format("{}/{}", grant.holder->pod_namespace, grant.holder->pod);
}

}  // namespace

std::vector<GrantDevice> PromiseFor(const share::PlannedResource& resource,
                                    const std::vector<std::string>& ids,
                                    const gpu::Inventory& inventory,
                                    const config::Isolation& isolation) {
  std::vector<GrantDevice> promised;
  for (const std::string& id : ids) {
    const auto planned =
        std::find_if(resource.devices.begin(), resource.devices.end(),
                     [&](const share::PlannedDevice& device) { return device.id == id; });
    if (planned == resource.devices.end() || planned->share == share::Share{}) continue;
    const auto known = std::find_if(
        promised.begin(), promised.end(),
        [&](const GrantDevice& device) { return device.uuid == planned->device_uuid; });
    if (known != promised.end()) {
      ++known->held;
      continue;
    }
    GrantDevice& device = promised.emplace_back();
    device.uuid = planned->device_uuid;
    device.gpu_uuid = planned->gpu_uuid;
    device.held = 1;
    device.of = planned->replicas;
    device.usable_bytes = UsableBytes(inventory, *planned);
  }
  for (GrantDevice& device : promised) device.memory_bytes = LimitOf(device, isolation);
  return promised;
}

std::optional<std::uint64_t> LimitNow(const GrantDevice& promised,
                                      const std::optional<config::Isolation>& isolation) {
  if (!promised.memory_bytes || !isolation) return std::nullopt;
  const std::optional<std::uint64_t> now = LimitOf(promised, *isolation);
  if (!now) return std::nullopt;
  return std::max(*promised.memory_bytes, *now);
}

config::Isolation::TenantClass ClassNow(const Grant& grant,
                                        const std::optional<config::Isolation>& isolation) {
  using TenantClass = config::Isolation::TenantClass;
  if (!isolation || !grant.holder) return TenantClass::kNormal;
  const auto known = isolation->classes.find(grant.holder->pod_namespace);
  return known == isolation->classes.end() ? TenantClass::kNormal : known->second;
}

Status CheckRoom(const Grant& wanted, const std::vector<const Grant*>& others,
                 const config::Isolation& isolation) {
  if (isolation.memory != Memory::kShare) return {};
  // Fractions and not bytes: what is usable changes a little with the driver's version, and full
  // use of a device must not become a refusal by that.
  constexpr double kRounding = 1e-6;
  for (const GrantDevice& device : wanted.devices) {
    std::map<std::string, double> taken;  // by replica
    std::string by;
    for (const Grant* other : others) {
      for (const GrantDevice& held : other->devices) {
        if (held.uuid != device.uuid) continue;
        by += fmt::format("{}{} ({} of {} replicas)", by.empty() ? "" : ", ", NameOf(*other),
                          held.held, held.of);
        for (const std::string& id : other->replica_ids) {
          if (!IsReplicaOf(id, held) || Holds(wanted, id)) continue;
          taken[id] = std::max(taken[id], FractionOf(held));
        }
      }
    }
    double sum = FractionOf(device) * device.held;
    for (const auto& [id, fraction] : taken) sum += fraction;
    if (sum <= 1 + kRounding) continue;
    return Error{Code::kResourceExhausted,
                 fmt::format("device {} has no room for {} of {} replicas: promises made under a "
                             "former configuration are still held by {}; wait until those pods "
                             "end, or delete them",
                             device.uuid, device.held, device.of, by)};
  }
  return {};
}

}  // namespace aliquot::grants
