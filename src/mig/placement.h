// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mig/layout.h"

namespace aliquot::mig {

struct PlacedProfile {
  const InstanceProfile* profile = nullptr;
  Placement placement;
};

// How many of which profile, in creation order.
using ProfileCounts = std::vector<std::pair<const InstanceProfile*, unsigned>>;
std::string Describe(const ProfileCounts& counts);  // "2 x 3g.20gb, 1 x 1g.5gb"

// Why a wish does not fit, in terms of what would.
struct Shortfall {
  ProfileCounts fitting;  // the largest part of the wish that fits: most memory, then most compute
  ProfileCounts missing;  // the rest of it
  const InstanceProfile* largest_beside = nullptr;  // that fits beside `fitting`; null if none does

  std::string ToString() const;
};

// Answers what fits on one GPU. A set of GPU instances fits if their memory slices do not overlap,
// their compute slices together are no more than the GPU's, no profile is there more often than the
// driver allows, at most one instance has media extensions, and one with all of them (+me.all) is
// the only one with media engines. Exact: if a placement exists it is found. Keeps pointers into
// the profile table, which must outlive it. Immutable, so any thread may call it.
// Source of the rules: NVIDIA MIG User Guide, "Partitioning" and "Supported MIG Profiles".
class Placer {
 public:
  // `profiles` as in GpuMigState; every `profile` pointer given below must point into it.
  explicit Placer(const std::vector<InstanceProfile>& profiles);

  // Places for all of `add` beside `kept`, in creation order; nothing if they do not fit. Of all
  // solutions, the first when each instance in turn tries the places in the driver's own order, so
  // wherever creating without a placement works, this is what the driver would have done.
  std::optional<std::vector<PlacedProfile>> Place(std::span<const PlacedProfile> kept,
                                                  std::vector<const InstanceProfile*> add) const;
  // For a wish that Place refuses.
  Shortfall Explain(std::span<const PlacedProfile> kept,
                    std::vector<const InstanceProfile*> add) const;

  // Whether `a` is created before `b`: larger first; stable over drivers and file order.
  static bool CreatedBefore(const InstanceProfile* a, const InstanceProfile* b);

 private:
  struct Candidate {
    std::uint64_t mask = 0;  // bit per memory slice
    Placement placement;
  };
  struct Kind {  // what matters of one profile
    unsigned slices = 0;
    unsigned size = 0;  // memory slices
    unsigned max_instances = 0;
    bool media_extension = false;  // +me or +me.all
    bool all_media = false;        // +me.all
    bool uses_media = false;
    std::vector<Candidate> candidates;  // in the driver's order
  };
  // Profiles as positions in the table.
  using Positions = std::vector<std::size_t>;

  std::size_t PositionOf(const InstanceProfile* profile) const;
  bool WithinLimits(const Positions& instances) const;
  bool Search(const Positions& add, std::size_t next, std::size_t first_candidate,
              std::uint64_t occupied, std::vector<Placement>& found) const;

  const std::vector<InstanceProfile>& profiles_;
  std::vector<Kind> kinds_;  // same order as profiles_
  unsigned compute_slices_ = 0;
  unsigned memory_slices_ = 0;
};

}  // namespace aliquot::mig
