// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "arbiter/testing/gpu_model.h"

// Loads of the scheduler's tests, and what tenants get of the modelled GPU with them. Times are GPU
// time or the model's.
namespace aliquot::arbiter::testing {

// Submits as fast as it may.
Load Async(std::uint64_t tenant, Nanos kernel = std::chrono::microseconds(200));
// Submits `batch` kernels, waits for them, does `gap` of something else.
Load Sync(std::uint64_t tenant, Nanos kernel, Nanos gap, int batch = 1);
// A host that needs longer for each launch than the GPU for the kernel; waits for each `batch`, 0:
// never.
Load Slow(std::uint64_t tenant, Nanos kernel, Nanos launch, int batch = 0);
// Requests of `batch` kernels, `rate` a second.
Load Requests(std::uint64_t tenant, Nanos kernel, int batch, double rate);

std::vector<Load> Many(int count, const Load& load);
std::vector<Load> Joined(std::vector<Load> a, const std::vector<Load>& b);

ComputeSpec Weight(std::uint32_t weight);
std::vector<ComputeSpec> Weights(std::initializer_list<std::uint32_t> weights);

double Seconds(Nanos time);
// In seconds; 0 of nothing. `q` from 0 to 1.
double Percentile(std::vector<Nanos> values, double q);

// GPU time per tenant in seconds, from `from` to `to`.
std::vector<double> Measure(const std::vector<Load>& loads, const std::vector<ComputeSpec>& specs,
                            Nanos from, Nanos to, Tuning tuning = {});
// The same for each tenant alone on the GPU with nobody holding it back.
std::vector<double> MeasureSolo(const std::vector<Load>& loads, std::size_t tenants, Nanos from,
                                Nanos to);
// Largest distance of a tenant's part of the GPU time spent from its part of the weights, points.
double ShareError(const std::vector<double>& busy, const std::vector<ComputeSpec>& specs);

}  // namespace aliquot::arbiter::testing
