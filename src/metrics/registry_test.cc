// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "metrics/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

#include "metrics/process.h"

namespace aliquot::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Registry, WritesFamiliesAndSamplesInOrder) {
  Registry registry;
  Gauge& gauge = registry.AddGauge({"b_bytes", "Second.", {"device", "kind"}});
  Counter& counter = registry.AddCounter({"a_total", "First.", {}});
  gauge.Set(2, {"d2", "x"});
  gauge.Set(15812526080, {"d1", "x"});
  counter.Increment();
  EXPECT_EQ(registry.Text(),
            "# HELP a_total First.\n"
            "# TYPE a_total counter\n"
            "a_total 1\n"
            "# HELP b_bytes Second.\n"
            "# TYPE b_bytes gauge\n"
            "b_bytes{device=\"d1\",kind=\"x\"} 15812526080\n"
            "b_bytes{device=\"d2\",kind=\"x\"} 2\n");
}

TEST(Registry, EscapesHelpAndLabels) {
  Registry registry;
  registry.AddGauge({"g", "back\\slash \"quote\"\nline", {"l"}}).Set(1, {"a\\b\"c\nd"});
  EXPECT_EQ(registry.Text(),
            "# HELP g back\\\\slash \"quote\"\\nline\n"
            "# TYPE g gauge\n"
            "g{l=\"a\\\\b\\\"c\\nd\"} 1\n");
}

TEST(Registry, AFamilyWithoutSamplesIsNotShown) {
  Registry registry;
  Gauge& gauge = registry.AddGauge({"g", "Help.", {"l"}});
  registry.AddHistogram({"h", "Help.", {}}, {1});
  EXPECT_EQ(registry.Text(), "");
  gauge.Set(1, {"a"});
  gauge.Remove({"a"});
  EXPECT_EQ(registry.Text(), "");
}

TEST(Counter, WithoutLabelsStartsAtZeroAndNeverFalls) {
  Registry registry;
  Counter& counter = registry.AddCounter({"c_total", "Help.", {}});
  EXPECT_THAT(registry.Text(), HasSubstr("\nc_total 0\n"));
  counter.Increment({}, 2.5);
  counter.Increment({}, -1);
  EXPECT_THAT(registry.Text(), HasSubstr("\nc_total 2.5\n"));
}

TEST(Gauge, ReplaceDropsWhatIsGone) {
  Registry registry;
  Gauge& gauge = registry.AddGauge({"g", "Help.", {"l"}});
  gauge.Set(1, {"gone"});
  gauge.Replace({{{"new"}, 2}});
  EXPECT_THAT(registry.Text(), HasSubstr("g{l=\"new\"} 2"));
  EXPECT_THAT(registry.Text(), Not(HasSubstr("gone")));
}

TEST(Family, MissingLabelsAreEmptyAndExtraOnesDropped) {
  Registry registry;
  Gauge& gauge = registry.AddGauge({"g", "Help.", {"a", "b"}});
  gauge.Set(1, {"x"});
  gauge.Set(2, {"x", "", "y"});
  EXPECT_THAT(registry.Text(), HasSubstr("g{a=\"x\",b=\"\"} 2\n"));
}

TEST(Histogram, BucketsAreCumulativeAndBoundsInclusive) {
  Registry registry;
  Histogram& histogram = registry.AddHistogram({"h_seconds", "Help.", {"r"}}, {0.1, 1});
  for (const double value : {0.1, 0.5, 7.0}) histogram.Observe(value, {"x"});
  EXPECT_EQ(registry.Text(),
            "# HELP h_seconds Help.\n"
            "# TYPE h_seconds histogram\n"
            "h_seconds_bucket{r=\"x\",le=\"0.1\"} 1\n"
            "h_seconds_bucket{r=\"x\",le=\"1\"} 2\n"
            "h_seconds_bucket{r=\"x\",le=\"+Inf\"} 3\n"
            "h_seconds_sum{r=\"x\"} 7.6\n"
            "h_seconds_count{r=\"x\"} 3\n");
}

TEST(FormatValue, AsPrometheusReadsIt) {
  EXPECT_EQ(FormatValue(0), "0");
  EXPECT_EQ(FormatValue(-3), "-3");
  EXPECT_EQ(FormatValue(0.00025), "0.00025");
  EXPECT_EQ(FormatValue(85520809984.0), "85520809984");
  EXPECT_EQ(FormatValue(1e300), "1e+300");
  EXPECT_EQ(FormatValue(std::numeric_limits<double>::infinity()), "+Inf");
  EXPECT_EQ(FormatValue(-std::numeric_limits<double>::infinity()), "-Inf");
  EXPECT_EQ(FormatValue(std::nan("")), "NaN");
}

TEST(Registry, MayBeReadWhileItIsWritten) {
  Registry registry;
  Counter& counter = registry.AddCounter({"c_total", "Help.", {"l"}});
  Gauge& gauge = registry.AddGauge({"g", "Help.", {"l"}});
  std::thread writer([&] {
    for (int i = 0; i < 1000; ++i) {
      counter.Increment({std::to_string(i % 7)});
      gauge.Replace({{{std::to_string(i)}, 1}});
    }
  });
  for (int i = 0; i < 100; ++i) registry.Text();
  writer.join();
  EXPECT_THAT(registry.Text(), HasSubstr("g{l=\"999\"} 1"));
}

TEST(ProcessStats, AreThisProcess) {
  const auto stats = ReadProcessStats("/proc");
  ASSERT_TRUE(stats.ok()) << stats.error().message;
  EXPECT_GT(stats->resident_bytes, 1u << 20);
  EXPECT_GE(stats->virtual_bytes, stats->resident_bytes);
  EXPECT_GE(stats->threads, 1u);
  EXPECT_GE(stats->open_descriptors, 3u);
  EXPECT_GT(stats->start_time_seconds, 1.6e9);
}

TEST(ProcessStats, AMissingProcfsIsAnError) { EXPECT_FALSE(ReadProcessStats("/nonexistent").ok()); }

}  // namespace
}  // namespace aliquot::metrics
