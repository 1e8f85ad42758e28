// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/placement.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {

using testing::MakeGpu;

const InstanceProfile* ById(const GpuMigState& gpu, unsigned id) {
  for (const InstanceProfile& profile : gpu.profiles) {
    if (profile.id == id) return &profile;
  }
  return nullptr;
}

// What the driver does without placements: each instance at the first free place of its own order.
std::vector<unsigned> StartsOneByOne(const GpuMigState& gpu, const std::vector<unsigned>& ids) {
  const Placer placer(gpu.profiles);
  std::vector<PlacedProfile> placed;
  std::vector<unsigned> starts;
  for (const unsigned id : ids) {
    const auto next = placer.Place(placed, {ById(gpu, id)});
    if (!next) break;
    placed.push_back(next->front());
    starts.push_back(next->front().placement.start);
  }
  return starts;
}

TEST(Placer, FollowsTheDriversOrder) {
  const GpuMigState gpu = MakeGpu("a100-40gb");
  using Starts = std::vector<unsigned>;
  EXPECT_EQ(StartsOneByOne(gpu, {9, 14, 19, 19}), (Starts{4, 0, 2, 3}));
  EXPECT_EQ(StartsOneByOne(gpu, {9, 19, 14, 19}), (Starts{4, 0, 2, 1}));
  EXPECT_EQ(StartsOneByOne(gpu, {19, 14, 5}), (Starts{6, 4, 0}));
  EXPECT_EQ(StartsOneByOne(gpu, {14, 19, 19, 19, 19, 19}), (Starts{4, 6, 0, 1, 2, 3}));
  EXPECT_EQ(StartsOneByOne(gpu, {19, 19, 19, 19, 19, 19, 19}), (Starts{6, 4, 5, 0, 1, 2, 3}));
  EXPECT_EQ(StartsOneByOne(gpu, {9, 9}), (Starts{4, 0}));
  // One by one, the last does not fit ...
  EXPECT_EQ(StartsOneByOne(gpu, {19, 19, 14, 9}), (Starts{6, 4, 0}));
  // ... together they do.
  const Placer placer(gpu.profiles);
  EXPECT_TRUE(placer.Place({}, {ById(gpu, 19), ById(gpu, 19), ById(gpu, 14), ById(gpu, 9)}));
}

TEST(Placer, KeepsToTheRulesOfMediaExtensions) {
  const GpuMigState gpu = MakeGpu("rtx-pro-6000");
  const Placer placer(gpu.profiles);
  const auto fits = [&](std::vector<unsigned> ids) {
    std::vector<const InstanceProfile*> add;
    for (const unsigned id : ids) add.push_back(ById(gpu, id));
    return placer.Place({}, add).has_value();
  };
  EXPECT_TRUE(fits({14, 14, 14, 21}));
  EXPECT_FALSE(fits({21, 21}));
  EXPECT_FALSE(fits({21, 65}));
  EXPECT_FALSE(fits({65, 14}));
  EXPECT_FALSE(fits({64, 47}));
  EXPECT_TRUE(fits({65, 67, 67, 67}));
  EXPECT_TRUE(fits({64, 66}));
  EXPECT_TRUE(fits({67, 67, 67, 67}));
}

TEST(Placer, SaysWhatDoesNotFitAndWhatWould) {
  const GpuMigState gpu = MakeGpu("a100-40gb");
  const Placer placer(gpu.profiles);
  const auto explain = [&](std::vector<unsigned> ids) {
    std::vector<const InstanceProfile*> add;
    for (const unsigned id : ids) add.push_back(ById(gpu, id));
    return placer.Explain({}, add).ToString();
  };
  EXPECT_EQ(explain({5, 5}),
            "1 x 4g.20gb does not fit beside 1 x 4g.20gb; the largest that would is "
            "3g.20gb");
  EXPECT_EQ(explain({0, 19}), "1 x 1g.5gb does not fit beside 1 x 7g.40gb; nothing more would");
  EXPECT_EQ(explain({9, 9, 9, 14}),
            "1 x 3g.20gb, 1 x 2g.10gb do not fit beside 2 x 3g.20gb; nothing more would");
  EXPECT_EQ(explain({20, 20}),
            "1 x 1g.5gb+me does not fit beside 1 x 1g.5gb+me; the largest that would is 4g.20gb");
}

// Tries everything, in the plainest way.
class BruteForce {
 public:
  explicit BruteForce(const GpuMigState& gpu) : gpu_(gpu) {}

  bool Fits(std::vector<PlacedProfile> placed, std::span<const InstanceProfile* const> add) const {
    if (add.empty()) return Legal(placed);
    for (const Placement& placement : add.front()->placements) {
      placed.push_back({add.front(), placement});
      if (Legal(placed) && Fits(placed, add.subspan(1))) return true;
      placed.pop_back();
    }
    return false;
  }

  bool Legal(const std::vector<PlacedProfile>& placed) const {
    std::set<unsigned> memory;
    std::map<const InstanceProfile*, unsigned> counts;
    unsigned slices = 0;
    gpu::EngineCounts used;
    for (const PlacedProfile& one : placed) {
      for (unsigned slice = one.placement.start; slice < one.placement.end(); ++slice) {
        if (!memory.insert(slice).second) return false;
      }
      if (++counts[one.profile] > one.profile->max_instances) return false;
      slices += one.profile->slices;
      used.decoder += one.profile->engines.decoder;
      used.encoder += one.profile->engines.encoder;
      used.jpeg += one.profile->engines.jpeg;
      used.ofa += one.profile->engines.ofa;
    }
    const InstanceProfile* whole = &gpu_.profiles.front();
    for (const InstanceProfile& profile : gpu_.profiles) {
      if (profile.slices > whole->slices) whole = &profile;
    }
    return slices <= whole->slices && used.decoder <= whole->engines.decoder &&
           used.encoder <= whole->engines.encoder && used.jpeg <= whole->engines.jpeg &&
           used.ofa <= whole->engines.ofa;
  }

 private:
  const GpuMigState& gpu_;
};

RC_GTEST_PROP(Placer, FindsAPlacementExactlyIfThereIsOne, ()) {
  const GpuMigState gpu = MakeGpu(*rc::gen::elementOf(testing::ProductNames()));
  const Placer placer(gpu.profiles);
  const auto count = *rc::gen::inRange<std::size_t>(1, 6);
  std::vector<const InstanceProfile*> wish;
  for (std::size_t i = 0; i < count; ++i) {
    wish.push_back(&gpu.profiles[*rc::gen::inRange<std::size_t>(0, gpu.profiles.size())]);
  }
  // The first few are there already, wherever they could go.
  std::vector<PlacedProfile> kept;
  const BruteForce brute(gpu);
  const auto there = *rc::gen::inRange<std::size_t>(0, count);
  for (std::size_t i = 0; i < there; ++i) {
    kept.push_back({wish.back(), *rc::gen::elementOf(wish.back()->placements)});
    if (brute.Legal(kept)) {
      wish.pop_back();
    } else {
      kept.pop_back();
    }
  }
  const auto placed = placer.Place(kept, wish);
  RC_ASSERT(placed.has_value() == brute.Fits(kept, wish));
  if (placed) {
    std::vector<PlacedProfile> all = kept;
    all.insert(all.end(), placed->begin(), placed->end());
    RC_ASSERT(brute.Legal(all));
  } else {
    const Shortfall shortfall = placer.Explain(kept, wish);
    RC_ASSERT(!shortfall.missing.empty());
    std::vector<const InstanceProfile*> fitting;
    for (const auto& [profile, n] : shortfall.fitting) fitting.insert(fitting.end(), n, profile);
    RC_ASSERT(brute.Fits(kept, fitting));
    for (const auto& [profile, n] : shortfall.missing) {
      std::vector<const InstanceProfile*> more = fitting;
      more.push_back(profile);
      RC_ASSERT(!brute.Fits(kept, more));
    }
  }
}

}  // namespace
}  // namespace aliquot::mig
