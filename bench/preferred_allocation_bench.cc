// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// How long the kubelet waits for GetPreferredAllocation, without transport.
//
// Aligned/<topology>/<GPUs>/<size>: whole GPUs, all free. Topologies: tied (all pairs alike, as on
// HGX boards), pcie (two CPUs with two switches each), random (many different scores), adversarial
// (scores that differ by one, so that bounds prune little).
// Replicas/<policy>/<GPUs>/<replicas>/<size>: a third of the replicas in use.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

#include "share/aligned.h"
#include "share/planner.h"
#include "share/preferred.h"

namespace aliquot::share {
namespace {

enum class Shape { kTied, kPcie, kRandom, kAdversarial };

PairScores Scores(Shape shape, std::size_t gpus) {
  std::mt19937 generator(7);
  const auto random = [&generator] { return static_cast<unsigned>(generator()); };
  PairScores scores(gpus);
  for (std::size_t a = 0; a < gpus; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      unsigned score = 20;
      if (shape == Shape::kPcie) score = a * 4 / gpus == b * 4 / gpus ? 50 : 20;
      if (shape == Shape::kPcie && a * 2 / gpus != b * 2 / gpus) score = 10;
      if (shape == Shape::kRandom) score = 10 * (1 + random() % 6) + 100 * (random() % 5);
      if (shape == Shape::kAdversarial) score = 1000 + random() % 2;
      scores.Set(a, b, score);
    }
  }
  return scores;
}

void Aligned(benchmark::State& state, Shape shape) {
  const auto gpus = static_cast<std::size_t>(state.range(0));
  const auto size = static_cast<std::size_t>(state.range(1));
  const PairScores scores = Scores(shape, gpus);
  std::vector<std::size_t> available(gpus);
  for (std::size_t i = 0; i < gpus; ++i) available[i] = i;
  for (auto _ : state) {
    benchmark::DoNotOptimize(BestAlignedSet(scores, available, {}, size));
  }
}

void AlignedArgs(benchmark::internal::Benchmark* bench) {
  for (const int gpus : {8, 16}) {
    for (int size = 1; size <= gpus; ++size) bench->Args({gpus, size});
  }
  bench->Args({32, 8});  // beyond kMaxExactGpus
  bench->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(Aligned, tied, Shape::kTied)->Apply(AlignedArgs);
BENCHMARK_CAPTURE(Aligned, pcie, Shape::kPcie)->Apply(AlignedArgs);
BENCHMARK_CAPTURE(Aligned, random, Shape::kRandom)->Apply(AlignedArgs);
BENCHMARK_CAPTURE(Aligned, adversarial, Shape::kAdversarial)->Apply(AlignedArgs);

void Replicas(benchmark::State& state, config::AllocationPolicy policy) {
  gpu::Inventory inventory;
  for (unsigned i = 0; i < state.range(0); ++i) {
    gpu::Gpu gpu;
    gpu.index = i;
    gpu.uuid = fmt::format("GPU-{:08x}-0000-4000-8000-000000000000", i);
    inventory.gpus.push_back(gpu);
  }
  config::Config config;
  config.sharing.strategy = config::SharingStrategy::kTimeSlicing;
  config.sharing.resources = {
      {"nvidia.com/gpu", "", config::AllDevices{}, static_cast<unsigned>(state.range(1))}};
  const Plan plan = BuildPlan(inventory, config);
  const PreferredAllocator allocator(plan.resources[0], inventory);
  std::mt19937 random(7);
  std::vector<std::string> available;
  for (const PlannedDevice& device : plan.resources[0].devices) {
    if (random() % 3 != 0) available.push_back(device.id);
  }
  const PreferredArgs args{available, {}, static_cast<int>(state.range(2))};
  for (auto _ : state) {
    benchmark::DoNotOptimize(allocator.Choose(policy, args));
  }
}

void ReplicaArgs(benchmark::internal::Benchmark* bench) {
  for (const int gpus : {8, 16}) {
    for (int size = 1; size <= 16; ++size) bench->Args({gpus, 100, size});
  }
  for (const int size : {1, 8, 64}) bench->Args({8, 1000, size});
  bench->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(Replicas, distributed, config::AllocationPolicy::kDistributed)
    ->Apply(ReplicaArgs);
BENCHMARK_CAPTURE(Replicas, packed, config::AllocationPolicy::kPacked)->Apply(ReplicaArgs);
BENCHMARK_CAPTURE(Replicas, spread, config::AllocationPolicy::kSpread)->Apply(ReplicaArgs);

}  // namespace
}  // namespace aliquot::share

BENCHMARK_MAIN();
