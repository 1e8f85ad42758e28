// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/testing/loads.h"

#include <algorithm>
#include <cmath>

namespace aliquot::arbiter::testing {

Load Async(std::uint64_t tenant, Nanos kernel) {
  Load load;
  load.tenant = tenant;
  load.kernel = kernel;
  return load;
}

Load Sync(std::uint64_t tenant, Nanos kernel, Nanos gap, int batch) {
  Load load = Async(tenant, kernel);
  load.kind = Load::Kind::kSync;
  load.gap = gap;
  load.batch = batch;
  return load;
}

Load Slow(std::uint64_t tenant, Nanos kernel, Nanos launch, int batch) {
  Load load = batch == 0 ? Async(tenant, kernel) : Sync(tenant, kernel, Nanos(0), batch);
  load.launch = launch;
  return load;
}

Load Requests(std::uint64_t tenant, Nanos kernel, int batch, double rate) {
  Load load = Async(tenant, kernel);
  load.kind = Load::Kind::kPoisson;
  load.batch = batch;
  load.rate_per_second = rate;
  return load;
}

std::vector<Load> Many(int count, const Load& load) { return std::vector<Load>(count, load); }

std::vector<Load> Joined(std::vector<Load> a, const std::vector<Load>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

ComputeSpec Weight(std::uint32_t weight) {
  ComputeSpec spec;
  spec.weight = weight;
  return spec;
}

std::vector<ComputeSpec> Weights(std::initializer_list<std::uint32_t> weights) {
  std::vector<ComputeSpec> specs;
  for (const std::uint32_t weight : weights) specs.push_back(Weight(weight));
  return specs;
}

double Seconds(Nanos time) { return static_cast<double>(time.count()) / 1e9; }

double Percentile(std::vector<Nanos> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto index = static_cast<std::size_t>(q * static_cast<double>(values.size()));
  return Seconds(values[std::min(index, values.size() - 1)]);
}

std::vector<double> Measure(const std::vector<Load>& loads, const std::vector<ComputeSpec>& specs,
                            Nanos from, Nanos to, Tuning tuning) {
  Scheduler scheduler(tuning);
  for (std::size_t i = 0; i < specs.size(); ++i) scheduler.SetTenant(i, specs[i]);
  GpuModel model(loads, &scheduler);
  model.RunUntil(from);
  std::vector<double> busy;
  for (std::size_t i = 0; i < specs.size(); ++i) busy.push_back(-Seconds(model.Busy(i)));
  model.RunUntil(to);
  for (std::size_t i = 0; i < specs.size(); ++i) busy[i] += Seconds(model.Busy(i));
  return busy;
}

std::vector<double> MeasureSolo(const std::vector<Load>& loads, std::size_t tenants, Nanos from,
                                Nanos to) {
  std::vector<double> busy;
  for (std::size_t i = 0; i < tenants; ++i) {
    std::vector<Load> own;
    for (const Load& load : loads) {
      if (load.tenant == i) own.push_back(load);
    }
    GpuModel model(own, nullptr);
    model.RunUntil(from);
    const Nanos before = model.Busy(i);
    model.RunUntil(to);
    busy.push_back(Seconds(model.Busy(i) - before));
  }
  return busy;
}

double ShareError(const std::vector<double>& busy, const std::vector<ComputeSpec>& specs) {
  double sum = 0, weights = 0, worst = 0;
  for (const double b : busy) sum += b;
  for (const ComputeSpec& spec : specs) weights += spec.weight;
  for (std::size_t i = 0; i < busy.size(); ++i) {
    worst = std::max(worst, std::abs(busy[i] / sum - specs[i].weight / weights));
  }
  return 100 * worst;
}

}  // namespace aliquot::arbiter::testing
