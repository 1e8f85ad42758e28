// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// The arbiter and the interposer together: real processes that keep a simulated GPU busy. A loaded
// machine delays both, so bounds are wide; exact shares are proven on the scheduler's own model.
#include "tests/shared_gpu_fixture.h"

namespace aliquot::tests {
namespace {

TEST_F(SharedGpuTest, MoreProcessesDoNotBuyMoreTime) {
  AddTenant("one", 1);
  AddTenant("three", 1);
  const double start = Now() + 1.5;
  Spin& one = Start("one", start, {});
  Spin& three = Start("three", start, {"--processes", "3"});
  const double a = one.Share(), b = three.Share();
  EXPECT_GT(a / (a + b), 0.3) << a << " v " << b;  // the hardware alone: 0.25
  EXPECT_GT(b / (a + b), 0.25) << a << " v " << b;
  EXPECT_GT(a + b, 0.5);
}

TEST_F(SharedGpuTest, WeightsDivideTheTime) {
  AddTenant("heavy", 3);
  AddTenant("light", 1);
  const double start = Now() + 1.5;
  Spin& heavy = Start("heavy", start, {});
  Spin& light = Start("light", start, {});
  const double a = heavy.Share(), b = light.Share();
  EXPECT_GT(a / b, 1.15) << a << " v " << b;  // the hardware alone: 1
  EXPECT_LT(a / b, 6) << a << " v " << b;
}

TEST_F(SharedGpuTest, ATenantAloneHasTheWholeGpu) {
  AddTenant("alone", 1);
  AddTenant("absent", 9);
  Spin& alone = Start("alone", Now() + 1, {});
  EXPECT_GT(alone.Share(), 0.8);
  EXPECT_EQ(Usage("alone").compute.waited, arbiter::Nanos(0));
}

}  // namespace
}  // namespace aliquot::tests
