// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "gpu/inventory.h"
#include "share/aligned.h"
#include "share/plan.h"

namespace aliquot::share {

// One container's question: which `size` ids would be best?
struct PreferredArgs {
  std::span<const std::string> available;     // ids the kubelet could hand out
  std::span<const std::string> must_include;  // of these, the ones it will hand out in any case
  int size = 0;
};

// Answers GetPreferredAllocation for one resource of a plan. Built once for each plan, it keeps
// what every answer needs (an index of the ids, the groups of devices, the scores of the topology).
// Immutable; any thread may call it.
//
// If all devices of the resource are unshared whole GPUs, the answer is BestAlignedSet
// (share/aligned.h) and the policy does not matter. Otherwise devices are picked one by one, each
// from the best physical GPU, there from the best device, there the lowest replica:
//
//   distributed  fewest allocated first; ties: fewest picked for this container, then lowest index
//   packed       most allocated first; same ties
//   spread       fewest that this container has there first, so that it gets distinct GPUs as far
//                as there are any; ties: fewest allocated, then lowest index
//
// Allocated is what the resource has there and the kubelet does not offer (in use, unhealthy, or in
// must_include). MIG devices count for their physical GPU.
//
// Where replicas carry shares (isolation), a container gets replicas of one device only, because a
// share of two halves of GPUs is no share: the device on which all of them fit that comes first by
// the policy (packed: the fullest; distributed and spread: the emptiest), or else devices of the
// resource that carry no share.
class PreferredAllocator {
 public:
  // `resource` as BuildPlan returns it; `inventory` is the one the plan was made from. Keeps
  // neither.
  PreferredAllocator(const PlannedResource& resource, const gpu::Inventory& inventory);
  PreferredAllocator(const PreferredAllocator&) = delete;
  PreferredAllocator& operator=(const PreferredAllocator&) = delete;

  // Exactly `size` different ids of `available`, the ones of must_include first. Ids in `available`
  // that the resource does not have are passed over: the kubelet may ask about a list that has just
  // changed. Fails, and with it the admission of the pod, with kInvalidArgument if the question is
  // contradictory (negative size, must_include larger than size, not available or unknown, or on
  // two devices with shares) and with kResourceExhausted if too few are available, or no single
  // device has enough where shares are on.
  Result<std::vector<std::string>> Choose(config::AllocationPolicy policy,
                                          const PreferredArgs& args) const;

 private:
  // Devices of the resource that are copies of one device: [begin, end) of the resource's.
  struct Group {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t gpu = 0;  // number of the physical GPU, in index order
    bool has_share = false;
  };
  struct Request;

  void FillScores(const std::vector<PlannedDevice>& devices, const gpu::Inventory& inventory);
  Result<Request> Read(const PreferredArgs& args) const;
  std::vector<std::size_t> ChooseAligned(const Request& request) const;
  std::vector<std::size_t> PickGreedily(const Request& request,
                                        config::AllocationPolicy policy) const;
  Status RestrictToOneShare(Request& request, config::AllocationPolicy policy) const;

  std::string name_;                                                 // of the resource
  std::vector<std::string> ids_;                                     // of its devices, in its order
  std::unordered_map<std::string_view, std::uint32_t> position_of_;  // views into ids_
  std::vector<Group> groups_;
  std::size_t gpus_ = 0;
  bool aligned_ = true;  // only unshared whole GPUs
  bool has_shares_ = false;
  PairScores scores_;  // by position in ids_; empty unless aligned_
};

// The same for a single question. Prefer keeping a PreferredAllocator.
Result<std::vector<std::string>> PreferredAllocation(const PlannedResource& resource,
                                                     const gpu::Inventory& inventory,
                                                     config::AllocationPolicy policy,
                                                     const PreferredArgs& args);

}  // namespace aliquot::share
