// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "share/candidates.h"
#include "share/list_size.h"
#include "share/quota.h"
#include "share/selection.h"

namespace aliquot::share {
namespace {

using Severity = Condition::Severity;

// A candidate with its place in the plan, before its replicas are written out: counts may be
// absurd.
struct Placement {
  const Candidate* device = nullptr;
  unsigned replicas = 1;
  bool renamed = false;
  Share share;
};

using Placements = std::map<std::string, std::vector<Placement>>;  // by resource name

void Append(std::vector<Condition>& to, std::vector<Condition> more) {
  std::move(more.begin(), more.end(), std::back_inserter(to));
}

// Places one device that `entry` selects.
void PlaceShared(const Candidate& device, const config::Sharing& sharing, std::size_t entry,
                 Placements& placements, std::vector<Condition>& conditions) {
  const config::ReplicatedResource& wanted = sharing.resources[entry];
  Placement placement{&device, std::max(1u, wanted.replicas), false, {}};
  if (placement.replicas > 1) {
    Result<Share> share = ShareOf(device, placement.replicas, sharing, conditions);
    if (!share) {
      conditions.push_back({Severity::kError, device.uuid(),
                            fmt::format("device {} is offered unshared: {}: {}", device.Index(),
                                        EntryPath(sharing, entry), share.error().message)});
      placements[device.resource].push_back({&device, 1, false, {}});
      return;
    }
    placement.share = *share;
  }
  placement.renamed = !wanted.rename.empty() && wanted.rename != device.resource;
  placements[placement.renamed ? wanted.rename : device.resource].push_back(placement);
}

// Removes devices with ids longer than the kubelet takes.
void DropLongIds(std::vector<Placement>& placements, std::vector<Condition>& conditions) {
  std::erase_if(placements, [&](const Placement& placement) {
    const std::string& uuid = placement.device->uuid();
    const std::size_t longest = LongestId(uuid.size(), placement.replicas);
    if (longest <= kMaxIdLength) return false;
    conditions.push_back({Severity::kError, uuid,
                          fmt::format("device {} is left out: its ids would have {} characters and "
                                      "the kubelet takes at most {}",
                                      placement.device->Index(), longest, kMaxIdLength)});
    return true;
  });
}

std::uint64_t ListBytes(const std::vector<Placement>& placements, unsigned most_replicas) {
  std::uint64_t bytes = 0;
  for (const Placement& placement : placements) {
    bytes += EncodedReplicasBytes(placement.device->uuid().size(),
                                  std::min(placement.replicas, most_replicas),
                                  placement.device->gpu->numa_node);
  }
  return bytes;
}

// An error if the list of `name` would be too long for the kubelet.
Status CheckListSize(const std::string& name, const std::vector<Placement>& placements) {
  unsigned replicas = 1;
  for (const Placement& placement : placements) {
    replicas = std::max(replicas, placement.replicas);
  }
  const std::uint64_t bytes = ListBytes(placements, replicas);
  if (bytes <= kMaxListBytes) return {};
  unsigned fits = 0;  // the most replicas of each device that fit
  unsigned too_many = replicas;
  while (too_many - fits > 1) {
    const unsigned middle = fits + (too_many - fits) / 2;
    (ListBytes(placements, middle) <= kMaxListBytes ? fits : too_many) = middle;
  }
  return Error{
      Code::kResourceExhausted,
      fmt::format("\"{}\" is not offered: {} replicas of {} devices need a list of {} bytes "
                  "and the kubelet drops lists above {}; lower replicas to at most {}",
                  name, replicas, placements.size(), bytes, kMaxListBytes, fits)};
}

PlannedDevice Describe(const Placement& placement) {
  const Candidate& device = *placement.device;
  PlannedDevice planned;
  planned.id = device.uuid();
  planned.device_uuid = device.uuid();
  planned.gpu_uuid = device.gpu->uuid;
  if (device.mig != nullptr) planned.mig_uuid = device.mig->uuid;
  planned.replicas = placement.replicas;
  planned.renamed = placement.renamed;
  planned.index = device.Index();
  planned.numa_node = device.gpu->numa_node;
  planned.share = placement.share;
  return planned;
}

PlannedResource WriteOut(const std::string& name, const std::vector<Placement>& placements,
                         const config::Sharing& sharing) {
  PlannedResource resource;
  resource.name = name;
  std::size_t count = 0;
  for (const Placement& placement : placements) count += placement.replicas;
  resource.devices.reserve(count);
  for (const Placement& placement : placements) {
    PlannedDevice device = Describe(placement);
    if (placement.replicas == 1) {
      resource.devices.push_back(std::move(device));
      continue;
    }
    resource.shared = true;
    for (unsigned replica = 0; replica < placement.replicas; ++replica) {
      device.id = fmt::format("{}::{}", device.device_uuid, replica);
      device.replica = replica;
      resource.devices.push_back(device);
    }
  }
  if (resource.shared && sharing.fail_requests_greater_than_one) resource.max_request = 1;
  return resource;
}

// As the kubelet sees them.
bool SameList(const PlannedResource& a, const PlannedResource& b) {
  return std::equal(a.devices.begin(), a.devices.end(), b.devices.begin(), b.devices.end(),
                    [](const PlannedDevice& x, const PlannedDevice& y) {
                      return x.id == y.id && x.numa_node == y.numa_node;
                    });
}

}  // namespace

Plan BuildPlan(const gpu::Inventory& inventory, const config::Config& config) {
  Plan plan;
  Candidates candidates = FindCandidates(inventory, config);
  Append(plan.conditions, std::move(candidates.conditions));
  Selection selection = SelectDevices(candidates.devices, config.sharing);
  Append(plan.conditions, std::move(selection.conditions));

  Placements placements;  // each list in the candidates' order, which is the plan's
  for (std::size_t i = 0; i < candidates.devices.size(); ++i) {
    const Candidate& device = candidates.devices[i];
    if (selection.entry_of[i].has_value()) {
      PlaceShared(device, config.sharing, *selection.entry_of[i], placements, plan.conditions);
    } else {
      placements[device.resource].push_back({&device, 1, false, {}});
    }
  }
  for (auto& [name, devices] : placements) {
    DropLongIds(devices, plan.conditions);
    if (devices.empty()) continue;
    if (Status status = CheckListSize(name, devices); !status.ok()) {
      plan.conditions.push_back({Severity::kError, name, status.error().message});
      continue;
    }
    plan.resources.push_back(WriteOut(name, devices, config.sharing));
  }
  return plan;
}

PlanDiff Diff(const Plan& before, const Plan& after) {
  PlanDiff diff;
  auto old = before.resources.begin();
  auto now = after.resources.begin();
  while (old != before.resources.end() || now != after.resources.end()) {
    if (now == after.resources.end() || (old != before.resources.end() && old->name < now->name)) {
      diff.removed.push_back((old++)->name);
    } else if (old == before.resources.end() || now->name < old->name) {
      diff.added.push_back((now++)->name);
    } else {
      if (!SameList(*old, *now)) {
        diff.changed.push_back(now->name);
      } else if (*old != *now) {
        diff.option_changed.push_back(now->name);
      }
      ++old;
      ++now;
    }
  }
  return diff;
}

}  // namespace aliquot::share
