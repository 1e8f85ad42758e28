// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Aliquot's own keys: extended mode and isolation.
#include <gtest/gtest.h>

#include "config/config_test_util.h"

namespace aliquot::config {
namespace {

ConfigOutcome Extended(const std::string& resources, const std::string& more = "") {
  return ResolveText("sharing:\n  mode: extended\n  timeSlicing:\n    " + more +
                     "\n    resources: " + resources);
}

ConfigOutcome Isolated(const std::string& isolation) {
  return ResolveText("sharing:\n  timeSlicing:\n    isolation: " + isolation +
                     "\n    resources: [{name: gpu, replicas: 2}]\n");
}

TEST(ExtendedMode, HonoursDevicesAndRename) {
  const ConfigOutcome outcome = Extended(
      "[{name: gpu, replicas: 4, devices: [0, '0:1'], rename: quarter}, {name: gpu, replicas: 1, "
      "devices: 2}]");
  ASSERT_TRUE(outcome.config) << Listing(outcome.diagnostics);
  EXPECT_EQ(Listing(outcome.diagnostics), "");
  const Sharing& sharing = outcome.config->sharing;
  EXPECT_TRUE(sharing.extended);
  ASSERT_EQ(sharing.resources.size(), 2u);
  EXPECT_EQ(sharing.resources[0].rename, "nvidia.com/quarter");
  EXPECT_EQ(sharing.resources[0].devices, DeviceSelection(DeviceRefs{{"0", "0:1"}}));
  EXPECT_EQ(sharing.resources[1].devices, DeviceSelection(DeviceCount{2}));
  EXPECT_EQ(sharing.resources[1].replicas, 1u);
  EXPECT_EQ(sharing.strategy, SharingStrategy::kTimeSlicing);
}

TEST(ExtendedMode, WithOneReplicaSharesNothing) {
  const ConfigOutcome outcome = Extended("[{name: gpu, replicas: 1}]", "renameByDefault: true");
  ASSERT_TRUE(outcome.config) << Listing(outcome.diagnostics);
  EXPECT_EQ(outcome.config->sharing.strategy, SharingStrategy::kNone);
  EXPECT_EQ(outcome.config->sharing.resources[0].rename, "");
}

TEST(ExtendedMode, StillRefusesNonsense) {
  const std::pair<const char*, const char*> rows[] = {
      {"[{name: gpu, replicas: 0}]", "number of replicas must be >= 1, found 0"},
      {"[{name: gpu, replicas: 2, devices: []}]", "the list of devices is empty"},
      {"[{name: gpu, replicas: 2}, {name: gpu, replicas: 3}]",
       "already listed above with 2 replicas and the same devices"}};
  for (const auto& [resources, expected] : rows) {
    const ConfigOutcome outcome = Extended(resources);
    EXPECT_FALSE(outcome.config) << resources;
    EXPECT_NE(Listing(outcome.diagnostics).find(expected), std::string::npos)
        << Listing(outcome.diagnostics);
  }
  EXPECT_NE(
      Listing(ResolveText("sharing: {mode: extnded}").diagnostics)
          .find(
              "1:17 error sharing.mode: \"extnded\" is not known, expected compatible or extended"),
      std::string::npos);
}

TEST(ExtendedMode, CanComeFromFlagOrEnvironment) {
  const std::string text = "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 1}]}}";
  EXPECT_FALSE(ResolveConfig({.file_text = text}).config);
  EXPECT_TRUE(ResolveConfig({.file_text = text, .flags = {{"sharing-mode", {"extended"}}}}).config);
  EXPECT_TRUE(
      ResolveConfig({.file_text = text, .environment = {{"ALIQUOT_SHARING_MODE", "extended"}}})
          .config);
}

TEST(Isolation, ReadsEveryKey) {
  const ConfigOutcome outcome = Isolated(
      "{memory: share, compute: fair, quantum: 10ms, onViolation: kill, classes: "
      "{latency: [serving], best-effort: [batch, research]}}");
  ASSERT_TRUE(outcome.config) << Listing(outcome.diagnostics);
  Isolation expected;
  expected.memory = Isolation::Memory::kShare;
  expected.compute = Isolation::Compute::kFair;
  expected.quantum = std::chrono::milliseconds(10);
  expected.on_violation = Isolation::OnViolation::kKill;
  expected.classes = {{"serving", Isolation::TenantClass::kLatency},
                      {"batch", Isolation::TenantClass::kBestEffort},
                      {"research", Isolation::TenantClass::kBestEffort}};
  EXPECT_EQ(outcome.config->sharing.isolation, expected);
}

TEST(Isolation, ReadsAmountsOfMemory) {
  const std::pair<const char*, std::uint64_t> rows[] = {
      {"4Gi", 4ull << 30},   {"512Mi", 512ull << 20},    {"2G", 2'000'000'000},
      {"1.5Gi", 3ull << 29}, {"4294967296", 4294967296}, {"'4294967296'", 4294967296}};
  for (const auto& [text, bytes] : rows) {
    const ConfigOutcome outcome = Isolated(std::string("{memory: ") + text + "}");
    ASSERT_TRUE(outcome.config) << text << Listing(outcome.diagnostics);
    EXPECT_EQ(outcome.config->sharing.isolation->memory, Isolation::Memory::kBytes);
    EXPECT_EQ(outcome.config->sharing.isolation->memory_bytes_per_replica, bytes) << text;
  }
}

TEST(Isolation, RefusesWithPosition) {
  const std::pair<const char*, const char*> rows[] = {
      {"{memory: 4GB}",
       "3:25 error sharing.timeSlicing.isolation.memory: found the string \"4GB\", expected share, "
       "none, or"},
      {"{memory: 4}",
       "4 bytes are too little for any program, expected share, none, or memory per replica such "
       "as 4Gi (did "
       "you mean 4Gi?)"},
      {"{memory: -4Gi}", "expected share"},
      {"{memory: [1]}", "found a list"},
      {"{memory: no}", "found the boolean false (written no)"},
      {"{memory: 99999999999Gi}", "expected share"},
      {"{compute: equal}",
       "3:26 error sharing.timeSlicing.isolation.compute: found the string \"equal\", expected "
       "none, fair or capped"},
      {"{compute: 5}", "found the number 5"},
      {"{quantum: 10}", "isolation.quantum: expected a string, found the number 10"},
      {"{quantum: 10us}", "expected a duration between 1ms and 1s"},
      {"{quantum: infinite}", "expected a duration between 1ms and 1s"},
      {"{onViolation: panic}", "expected report or kill"},
      {"{classes: {latency: serving}}", "isolation.classes.latency: expected a list of namespaces"},
      {"{classes: {latency: [Serving]}}", "found \"Serving\", expected the name of a namespace"},
      {"{classes: {latency: [a], best-effort: [b, a]}}",
       "isolation.classes.best-effort[1]: namespace a is latency already, expected one class"},
      {"5",
       "isolation: expected a map with memory, compute, quantum, onViolation, classes, found the "
       "number 5"}};
  for (const auto& [isolation, expected] : rows) {
    const ConfigOutcome outcome = Isolated(isolation);
    EXPECT_FALSE(outcome.config) << isolation;
    EXPECT_NE(Listing(outcome.diagnostics).find(expected), std::string::npos)
        << isolation << "\n"
        << Listing(outcome.diagnostics);
  }
}

TEST(Isolation, WarnsOfClassesWithoutGpuTimeToDivide) {
  const ConfigOutcome outcome = Isolated("{memory: share, classes: {latency: [serving]}}");
  ASSERT_TRUE(outcome.config);
  EXPECT_NE(Listing(outcome.diagnostics).find("classes matter only where GPU time is divided"),
            std::string::npos);
}

TEST(Isolation, WarnsWhenItPromisesNothing) {
  for (const char* isolation : {"{}", "{memory: none, compute: none}"}) {
    const ConfigOutcome outcome = Isolated(isolation);
    ASSERT_TRUE(outcome.config);
    EXPECT_FALSE(outcome.config->sharing.isolation);
    EXPECT_NE(Listing(outcome.diagnostics).find("nothing is isolated"), std::string::npos);
  }
  EXPECT_NE(Listing(Isolated("{Memory: share}").diagnostics).find("did you mean \"memory\"?"),
            std::string::npos);
}

}  // namespace
}  // namespace aliquot::config
