// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "metrics/grant_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aliquot::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(GrantMetrics, ShowsExactlyTheContainersThereAre) {
  Registry registry;
  GrantMetrics metrics(registry);
  GrantSample one;
  one.grant = "g1";
  one.device = one.gpu = "GPU-0";
  one.tier = "interposer";
  one.limit_bytes = 1024;
  one.used_seconds = 2.5;
  metrics.Set({one}, {{"GPU-0", 77}});
  const std::string unknown =
      "{grant=\"g1\",namespace=\"\",pod=\"\",container=\"\",device=\"GPU-0\"}";
  EXPECT_THAT(registry.Text(), HasSubstr("aliquot_grant_memory_limit_bytes" + unknown + " 1024"));
  EXPECT_THAT(registry.Text(), HasSubstr("foreign_memory_bytes{device=\"GPU-0\"} 77"));
  one.pod_namespace = "team";
  one.pod = "p";
  one.container = "c";
  metrics.Set({one}, {});
  const std::string known =
      "{grant=\"g1\",namespace=\"team\",pod=\"p\",container=\"c\",device=\"GPU-0\"}";
  EXPECT_THAT(registry.Text(), HasSubstr("aliquot_grant_gpu_seconds_total" + known + " 2.5"));
  EXPECT_THAT(registry.Text(), Not(HasSubstr(unknown)));
  one.limit_bytes.reset();
  metrics.Set({one}, {});
  EXPECT_THAT(registry.Text(), Not(HasSubstr("limit_bytes{"))) << "no limit is not a limit of 0";
  metrics.Set({}, {});
  EXPECT_THAT(registry.Text(), Not(HasSubstr("g1")));
  metrics.CountViolation("team", "p", "c", "GPU-0", "over-limit", "killed");
  EXPECT_THAT(registry.Text(), HasSubstr("kind=\"over-limit\",outcome=\"killed\"} 1"));
}

}  // namespace
}  // namespace aliquot::metrics
