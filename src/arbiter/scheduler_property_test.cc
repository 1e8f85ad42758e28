// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <vector>

#include "arbiter/scheduler.h"
#include "arbiter/testing/gpu_model.h"

namespace aliquot::arbiter {
namespace {

using arbiter::testing::GpuModel;
using arbiter::testing::Load;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// What one data-centre GPU showed: slices of 2.09 ms, 0.18 ms for a switch in the middle of a
// kernel. What a switch between kernels costs there is a guess.
arbiter::testing::GpuConstants Measured() {
  arbiter::testing::GpuConstants constants;
  constants.slice = microseconds(2090);
  constants.switch_busy = microseconds(180);
  constants.switch_idle = microseconds(60);
  return constants;
}

constexpr Nanos kFrom = milliseconds(500);
constexpr Nanos kTo = milliseconds(1500);

Load ArbitraryLoad(std::uint64_t tenant, const std::vector<int>& kernels_us) {
  Load load;
  load.tenant = tenant;
  load.kind = *rc::gen::element(Load::Kind::kAsync, Load::Kind::kSync);
  load.kernel = microseconds(*rc::gen::elementOf(kernels_us));
  load.batch = *rc::gen::inRange(1, 9);
  load.gap = microseconds(*rc::gen::element(10, 100, 1000, 3000));
  load.launch = microseconds(*rc::gen::element(5, 5, 20, 40));
  return load;
}

double Solo(const std::vector<Load>& loads, std::uint64_t tenant,
            const arbiter::testing::GpuConstants& constants) {
  std::vector<Load> own;
  for (const Load& load : loads) {
    if (load.tenant == tenant) own.push_back(load);
  }
  GpuModel model(own, nullptr, constants);
  model.RunUntil(kFrom);
  const Nanos before = model.Busy(tenant);
  model.RunUntil(kTo);
  return static_cast<double>((model.Busy(tenant) - before).count()) / 1e9;
}

// What starvation freedom means in numbers: over one second every tenant gets its share of the GPU
// time that was spent, less `slack`, or that part of its speed alone, less three points more.
void CheckShares(const std::vector<int>& kernels_us,
                 const arbiter::testing::GpuConstants& constants, unsigned most_weight,
                 double slack) {
  const auto tenants = *rc::gen::inRange<std::uint64_t>(2, 5);
  std::vector<Load> loads;
  Scheduler scheduler;
  double weights = 0;
  std::vector<double> weight;
  for (std::uint64_t tenant = 0; tenant < tenants; ++tenant) {
    ComputeSpec spec;
    spec.weight = *rc::gen::inRange(1u, most_weight + 1);
    scheduler.SetTenant(tenant, spec);
    weight.push_back(spec.weight);
    weights += spec.weight;
    const int processes = *rc::gen::inRange(1, 4);
    for (int i = 0; i < processes; ++i) loads.push_back(ArbitraryLoad(tenant, kernels_us));
  }
  GpuModel model(loads, &scheduler, constants);
  model.RunUntil(kFrom);
  std::vector<double> busy;
  double sum = 0;
  for (std::uint64_t tenant = 0; tenant < tenants; ++tenant) {
    busy.push_back(-static_cast<double>(model.Busy(tenant).count()) / 1e9);
  }
  model.RunUntil(kTo);
  for (std::uint64_t tenant = 0; tenant < tenants; ++tenant) {
    busy[tenant] += static_cast<double>(model.Busy(tenant).count()) / 1e9;
    sum += busy[tenant];
  }
  for (const Load& load : loads) {
    RC_LOG() << "tenant " << load.tenant << (load.kind == Load::Kind::kSync ? " sync" : " async")
             << " kernel " << load.kernel.count() / 1000 << " us x " << load.batch << " gap "
             << load.gap.count() / 1000 << " us\n";
  }
  for (std::uint64_t tenant = 0; tenant < tenants; ++tenant) {
    const double share = weight[tenant] / weights;
    const double solo = Solo(loads, tenant, constants);
    RC_LOG() << "tenant " << tenant << " weight " << weight[tenant] << " got " << busy[tenant]
             << " of " << sum << ", alone " << solo << "\n";
    // Part of its solo progress, which is what a tenant notices. Loops that leave the GPU idle
    // between kernels lose up to a good tenth; see docs/arbiter.md.
    RC_ASSERT(busy[tenant] >= (share - 0.03 - slack) * solo ||
              busy[tenant] >= (share - slack) * sum);
  }
}

TEST(SchedulerPropertyTest, EveryTenantGetsItsShareOrAllItCanUse) {
  EXPECT_TRUE(rc::check([] { CheckShares({50, 200, 1000}, {}, 4, 0.12); }));
}

// Kernels as long as a turn: who comes back waits for the end of one, and one that rests after each
// batch does so each time.
TEST(SchedulerPropertyTest, LongKernelsLeaveEveryTenantMostOfItsShare) {
  EXPECT_TRUE(rc::check([] { CheckShares({50, 200, 1000, 5000}, {}, 4, 0.2); }));
}

// What no gate can mend: light tenants with large shares wait for what is in flight when they come
// back, kernels longer than a slice make them wait for the slice, and rests shorter than a switch
// cost a switch; see docs/arbiter.md.
TEST(SchedulerPropertyTest, EveryTenantGetsItsShareOnMeasuredHardware) {
  EXPECT_TRUE(rc::check([] { CheckShares({200, 1000}, Measured(), 1, 0.12); }));
}

// Two tenants that never rest leave nothing of the GPU unused beyond the cost of switching.
TEST(SchedulerPropertyTest, BackloggedTenantsKeepTheGpuBusy) {
  EXPECT_TRUE(rc::check([] {
    std::vector<Load> loads;
    Scheduler scheduler;
    for (std::uint64_t tenant = 0; tenant < 2; ++tenant) {
      scheduler.SetTenant(tenant, {});
      const int processes = *rc::gen::inRange(1, 4);
      for (int i = 0; i < processes; ++i) {
        Load load;
        load.tenant = tenant;
        load.kernel = microseconds(*rc::gen::element(50, 200, 1000, 5000));
        loads.push_back(load);
      }
    }
    GpuModel model(loads, &scheduler);
    model.RunUntil(milliseconds(200));
    const Nanos before = model.Busy(0) + model.Busy(1);
    model.RunUntil(milliseconds(700));
    const Nanos busy = model.Busy(0) + model.Busy(1) - before;
    RC_ASSERT(busy >= milliseconds(475));
  }));
}

// Any order of joining, leaving, claiming and stepping keeps the books: nobody is charged more
// than the time there was, and every gate has a holder to wait for or is open.
TEST(SchedulerPropertyTest, BooksBalanceUnderArbitraryClaims) {
  EXPECT_TRUE(rc::check([] {
    Scheduler scheduler;
    Nanos now{0};
    const auto actions = *rc::gen::inRange(1, 200);
    for (int i = 0; i < actions; ++i) {
      const auto tenant = *rc::gen::inRange<std::uint64_t>(0, 4);
      const std::uint64_t process = tenant * 4 + *rc::gen::inRange<std::uint64_t>(0, 3);
      switch (*rc::gen::inRange(0, 8)) {
        case 0: {
          ComputeSpec spec;
          spec.weight = *rc::gen::inRange(0u, 5u);
          spec.whole = *rc::gen::inRange(0u, 12u);
          spec.tenant_class = *rc::gen::element(TenantClass::kNormal, TenantClass::kLatency,
                                                TenantClass::kBestEffort);
          spec.mode =
              *rc::gen::element(ComputeMode::kFair, ComputeMode::kCapped, ComputeMode::kOff);
          scheduler.SetTenant(tenant, spec);
          break;
        }
        case 1:
          scheduler.AddProcess(process, tenant);
          break;
        case 2:
          scheduler.RemoveProcess(process);
          break;
        case 3:
          if (*rc::gen::inRange(0, 5) == 0) scheduler.RemoveTenant(tenant);
          break;
        default: {
          const ProcessSample sample{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>(),
                                     Nanos(*rc::gen::arbitrary<std::int64_t>()),
                                     Nanos(*rc::gen::arbitrary<std::int64_t>())};
          scheduler.Observe(process, sample);
          now += Nanos(*rc::gen::inRange<std::int64_t>(0, 3000000));
          scheduler.Step(now);
          break;
        }
      }
      Nanos used{0};
      for (std::uint64_t id = 0; id < 4; ++id) used += scheduler.UseOf(id).used;
      RC_ASSERT(used >= Nanos(0));
      RC_ASSERT(used <= now + Nanos(1000));
      if (scheduler.next_step()) RC_ASSERT(*scheduler.next_step() >= now);
    }
  }));
}

}  // namespace
}  // namespace aliquot::arbiter
