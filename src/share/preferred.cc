// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/preferred.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace aliquot::share {

using config::AllocationPolicy;

// A question with ids replaced by positions in ids_.
struct PreferredAllocator::Request {
  enum class Mark : std::uint8_t { kTaken, kOffered, kRequired };
  std::vector<Mark> marks;
  std::vector<std::size_t> required;
  std::size_t offered = 0;
  std::size_t wanted = 0;  // besides the required ones
};

namespace {

// How full a group or a GPU is. Lower keys are better.
struct Load {
  std::size_t offered = 0;    // still to pick from
  std::size_t allocated = 0;  // not offered at the start, plus picked
  std::size_t picked = 0;     // for this container

  void Pick() {
    --offered;
    ++allocated;
    ++picked;
  }
  std::pair<std::size_t, std::size_t> Key(AllocationPolicy policy) const {
    if (policy == AllocationPolicy::kPacked) return {SIZE_MAX - allocated, picked};
    if (policy == AllocationPolicy::kSpread) return {picked, allocated};
    return {allocated, picked};
  }
};

// The position of the best of `loads` that offers anything.
template <typename Range, typename GetLoad>
std::optional<std::size_t> Best(const Range& range, AllocationPolicy policy, GetLoad get_load) {
  std::optional<std::size_t> best;
  std::pair<std::size_t, std::size_t> best_key;
  for (std::size_t i = 0; i < range.size(); ++i) {
    const Load& load = get_load(range[i]);
    if (load.offered == 0) continue;
    const auto key = load.Key(policy);
    if (best.has_value() && key >= best_key) continue;
    best = i;
    best_key = key;
  }
  return best;
}

Error Contradiction(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }

}  // namespace

PreferredAllocator::PreferredAllocator(const PlannedResource& resource,
                                       const gpu::Inventory& inventory)
    : name_(resource.name), scores_(0) {
  const std::vector<PlannedDevice>& devices = resource.devices;
  ids_.reserve(devices.size());
  position_of_.reserve(devices.size());
  std::unordered_map<std::string_view, std::size_t> gpu_numbers;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const PlannedDevice& device = devices[i];
    ids_.push_back(device.id);
    position_of_.emplace(ids_.back(), static_cast<std::uint32_t>(i));
    aligned_ = aligned_ && !device.mig_uuid.has_value() && !device.replica.has_value();
    const bool has_share = device.share != Share{};
    has_shares_ = has_shares_ || has_share;
    if (groups_.empty() || devices[groups_.back().begin].device_uuid != device.device_uuid) {
      const auto gpu = gpu_numbers.emplace(device.gpu_uuid, gpu_numbers.size()).first;
      groups_.push_back({i, i, gpu->second, has_share});
    }
    groups_.back().end = i + 1;
  }
  gpus_ = gpu_numbers.size();
  if (aligned_) FillScores(devices, inventory);
}

void PreferredAllocator::FillScores(const std::vector<PlannedDevice>& devices,
                                    const gpu::Inventory& inventory) {
  std::unordered_map<std::string_view, std::size_t> in_topology;
  for (std::size_t i = 0; i < inventory.gpus.size() && i < inventory.topology.size(); ++i) {
    in_topology.emplace(inventory.gpus[i].uuid, i);
  }
  scores_ = PairScores(devices.size());
  for (std::size_t a = 0; a < devices.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const auto at = in_topology.find(devices[a].gpu_uuid);
      const auto bt = in_topology.find(devices[b].gpu_uuid);
      if (at == in_topology.end() || bt == in_topology.end()) continue;
      scores_.Set(a, b, LinkScore(inventory.topology.At(at->second, bt->second)));
    }
  }
}

Result<PreferredAllocator::Request> PreferredAllocator::Read(const PreferredArgs& args) const {
  if (args.size < 0) {
    return Contradiction(
        fmt::format("size {} is negative, expected how many devices of \"{}\" to "
                    "choose",
                    args.size, name_));
  }
  Request request;
  request.marks.resize(ids_.size(), Request::Mark::kTaken);
  for (const std::string& id : args.available) {
    const auto found = position_of_.find(id);
    if (found == position_of_.end()) continue;
    Request::Mark& mark = request.marks[found->second];
    if (mark == Request::Mark::kTaken) ++request.offered;
    mark = Request::Mark::kOffered;
  }
  for (const std::string& id : args.must_include) {
    const auto found = position_of_.find(id);
    if (found == position_of_.end()) {
      return Contradiction(
          fmt::format("device \"{}\" must be included but \"{}\" has no such device", id, name_));
    }
    Request::Mark& mark = request.marks[found->second];
    if (mark == Request::Mark::kTaken) {
      return Contradiction(fmt::format("device \"{}\" must be included but is not available", id));
    }
    if (mark == Request::Mark::kRequired) continue;
    mark = Request::Mark::kRequired;
    --request.offered;
    request.required.push_back(found->second);
  }
  const auto size = static_cast<std::size_t>(args.size);
  if (request.required.size() > size) {
    return Contradiction(fmt::format("{} devices must be included but only {} are wanted",
                                     request.required.size(), size));
  }
  request.wanted = size - request.required.size();
  if (request.offered < request.wanted) {
    return Error{Code::kResourceExhausted,
                 fmt::format("not enough available devices to satisfy allocation: {} of \"{}\" "
                             "wanted, {} available",
                             size, name_, request.offered + request.required.size())};
  }
  return request;
}

Result<std::vector<std::string>> PreferredAllocator::Choose(AllocationPolicy policy,
                                                            const PreferredArgs& args) const {
  Result<Request> request = Read(args);
  if (!request) return request.error();
  if (has_shares_) {
    if (Status status = RestrictToOneShare(*request, policy); !status.ok()) return status.error();
  }
  std::vector<std::string> ids;
  ids.reserve(request->required.size() + request->wanted);
  for (const std::size_t i : request->required) ids.push_back(ids_[i]);
  if (request->wanted == 0) return ids;
  for (const std::size_t i : aligned_ ? ChooseAligned(*request) : PickGreedily(*request, policy)) {
    ids.push_back(ids_[i]);
  }
  return ids;
}

std::vector<std::size_t> PreferredAllocator::ChooseAligned(const Request& request) const {
  std::vector<std::size_t> available;
  for (std::size_t i = 0; i < request.marks.size(); ++i) {
    if (request.marks[i] != Request::Mark::kTaken) available.push_back(i);
  }
  std::vector<std::size_t> required = request.required;
  std::sort(required.begin(), required.end());
  std::vector<std::size_t> chosen =
      BestAlignedSet(scores_, available, required, required.size() + request.wanted);
  std::erase_if(chosen,
                [&](std::size_t i) { return request.marks[i] == Request::Mark::kRequired; });
  return chosen;
}

std::vector<std::size_t> PreferredAllocator::PickGreedily(const Request& request,
                                                          AllocationPolicy policy) const {
  struct GroupState {
    Load load;
    std::size_t next = 0;  // nothing before it is still offered
  };
  struct GpuState {
    Load load;
    std::vector<GroupState> groups;
  };
  std::vector<GpuState> gpus(gpus_);
  for (const Group& group : groups_) {
    GroupState state{{}, group.begin};
    for (std::size_t i = group.begin; i < group.end; ++i) {
      const Request::Mark mark = request.marks[i];
      ++(mark == Request::Mark::kOffered ? state.load.offered : state.load.allocated);
      // What the container holds anyway keeps it from that GPU only where distinct GPUs are asked
      // for; elsewhere it is allocated like anyone's.
      if (mark == Request::Mark::kRequired && policy == AllocationPolicy::kSpread) {
        ++state.load.picked;
      }
    }
    GpuState& gpu = gpus[group.gpu];
    gpu.load.offered += state.load.offered;
    gpu.load.allocated += state.load.allocated;
    gpu.load.picked += state.load.picked;
    gpu.groups.push_back(state);
  }
  const auto load_of = [](const auto& state) -> const Load& { return state.load; };
  std::vector<std::size_t> picks;
  picks.reserve(request.wanted);
  while (picks.size() < request.wanted) {
    GpuState& gpu = gpus[*Best(gpus, policy, load_of)];
    GroupState& group = gpu.groups[*Best(gpu.groups, policy, load_of)];
    while (request.marks[group.next] != Request::Mark::kOffered) ++group.next;
    picks.push_back(group.next++);
    gpu.load.Pick();
    group.load.Pick();
  }
  return picks;
}

// Takes back the offer of all devices but those of the one group to pick from.
Status PreferredAllocator::RestrictToOneShare(Request& request, AllocationPolicy policy) const {
  // Group numbers, or kUnshared for all groups without a share together.
  const std::size_t unshared = groups_.size();
  std::vector<Load> loads(groups_.size() + 1);
  std::optional<std::size_t> holder;  // of the required devices
  std::size_t most = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const std::size_t bin = groups_[g].has_share ? g : unshared;
    for (std::size_t i = groups_[g].begin; i < groups_[g].end; ++i) {
      const Request::Mark mark = request.marks[i];
      ++(mark == Request::Mark::kOffered ? loads[bin].offered : loads[bin].allocated);
      if (mark != Request::Mark::kRequired) continue;
      if (holder.value_or(bin) != bin) {
        return Contradiction(fmt::format(
            "devices that must be included are on two devices of \"{}\", but replicas with a share "
            "of memory or time must come from one",
            name_));
      }
      holder = bin;
    }
    most = std::max(most, loads[bin].offered);
  }
  std::optional<std::size_t> chosen;
  for (std::size_t bin = 0; bin <= groups_.size(); ++bin) {
    if (loads[bin].offered < request.wanted || holder.value_or(bin) != bin) continue;
    if (bin == unshared && chosen.has_value()) break;
    if (chosen.has_value() && loads[bin].Key(policy) >= loads[*chosen].Key(policy)) continue;
    chosen = bin;
  }
  if (!chosen.has_value()) {
    if (holder.has_value()) most = loads[*holder].offered;
    return Error{Code::kResourceExhausted,
                 fmt::format("no single device of \"{}\" has {} replicas left (at most {}), and "
                             "replicas with a share of memory or time must come from one; request "
                             "fewer, or wait until a device is freer",
                             name_, request.wanted + request.required.size(),
                             most + request.required.size())};
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if ((groups_[g].has_share ? g : unshared) == *chosen) continue;
    for (std::size_t i = groups_[g].begin; i < groups_[g].end; ++i) {
      request.marks[i] = Request::Mark::kTaken;
    }
  }
  return {};
}

Result<std::vector<std::string>> PreferredAllocation(const PlannedResource& resource,
                                                     const gpu::Inventory& inventory,
                                                     AllocationPolicy policy,
                                                     const PreferredArgs& args) {
  return PreferredAllocator(resource, inventory).Choose(policy, args);
}

}  // namespace aliquot::share
