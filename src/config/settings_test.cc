// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/settings.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "config/config_test_util.h"
#include "config/effective.h"
#include "config/names.h"
#include "config/options.h"

namespace aliquot::config {
namespace {

TEST(Options, HaveUniqueNamesAndTrueDefaults) {
  std::set<std::string_view> names;
  for (const Option& option : AllOptions()) {
    SCOPED_TRACE(option.name());
    for (const auto& list : {option.flags, option.variables}) {
      for (const std::string_view name : list) EXPECT_TRUE(names.insert(name).second) << name;
    }
    if (!option.key.empty()) {
      EXPECT_TRUE(names.insert(option.key).second);
    }
    EXPECT_FALSE(option.help.empty());
    ASSERT_NE(option.store, nullptr);
    EXPECT_EQ(option.words.empty(),
              option.type != OptionType::kWord && option.type != OptionType::kWords);
    // The text shown as the default means what the values start with.
    const auto value = ParseOptionVariable(option, std::string(option.default_text));
    ASSERT_TRUE(value.ok() && *value) << option.default_text;
    EXPECT_TRUE(ValidateOptionValue(option, **value).ok());
    OptionTargets targets;
    targets.config.flags.nvidia_dev_root.clear();
    const OptionTargets before = targets;
    option.store(**value, targets);
    EXPECT_EQ(targets.config, before.config);
    EXPECT_EQ(targets.agent, before.agent);
  }
}

TEST(Options, AreAllDocumented) {
  const auto page = ReadFile("docs/configuration.md");
  ASSERT_TRUE(page.ok());
  for (const Option& option : AllOptions()) {
    std::vector<std::string> names;
    if (!option.key.empty()) names.emplace_back(option.key);
    for (const std::string_view flag : option.flags) {
      names.push_back((flag.size() == 1 ? "-" : "--") + std::string(flag));
    }
    for (const std::string_view variable : option.variables) names.emplace_back(variable);
    if (!option.default_text.empty()) names.emplace_back(option.default_text);
    // One row of the table has them all.
    std::string row;
    for (const std::string& line : Split(*page, '\n')) {
      if (line.starts_with("|") && line.find("`" + names.front() + "`") != std::string::npos) {
        row = line;
        break;
      }
    }
    for (const std::string& name : names) {
      EXPECT_NE(row.find("`" + name + "`"), std::string::npos) << name << " in " << row;
    }
  }
}

TEST(Precedence, IsFlagThenEnvironmentThenFileThenDefault) {
  ConfigSources sources;
  EXPECT_EQ(ResolveConfig(sources).config->flags.mig_strategy, MigStrategy::kNone);
  sources.file_text = "flags: {migStrategy: single}";
  EXPECT_EQ(ResolveConfig(sources).config->flags.mig_strategy, MigStrategy::kSingle);
  sources.environment["MIG_STRATEGY"] = "mixed";
  EXPECT_EQ(ResolveConfig(sources).config->flags.mig_strategy, MigStrategy::kMixed);
  sources.environment["GFD_MIG_STRATEGY"] = "none";
  EXPECT_EQ(ResolveConfig(sources).config->flags.mig_strategy, MigStrategy::kNone);
  sources.flags["mig-strategy"] = {"none", "mixed"};
  EXPECT_EQ(ResolveConfig(sources).config->flags.mig_strategy, MigStrategy::kMixed);
}

TEST(Precedence, TakesTheFirstVariableAndEveryAlias) {
  ConfigSources sources;
  sources.environment = {{"NVIDIA_CTK_PATH", "/b"}, {"NVIDIA_CDI_HOOK_PATH", "/a"}};
  EXPECT_EQ(ResolveConfig(sources).config->flags.nvidia_ctk_path, "/a");
  sources.flags = {{"nvidia-ctk-path", {"/c"}}, {"container-driver-root", {"/d"}}};
  EXPECT_EQ(ResolveConfig(sources).config->flags.nvidia_ctk_path, "/c");
  EXPECT_EQ(ResolveConfig(sources).config->flags.container_driver_root, "/d");
}

TEST(Precedence, CountsEmptyVariablesAsSet) {
  ConfigSources sources;
  sources.file_text = "flags: {mpsRoot: /m, gdsEnabled: true, gfd: {sleepInterval: 5s}}";
  sources.environment = {{"MPS_ROOT", ""},           {"GDS_ENABLED", ""},
                         {"GFD_SLEEP_INTERVAL", ""}, {"KUBELET_SOCKET", ""},
                         {"FAIL_ON_INIT_ERROR", ""}, {"IMEX_CHANNEL_IDS", ""}};
  const ConfigOutcome outcome = ResolveConfig(sources);
  ASSERT_TRUE(outcome.config) << Listing(outcome.diagnostics);
  EXPECT_EQ(outcome.config->flags.mps_root, "");
  EXPECT_FALSE(outcome.config->flags.gds_enabled);
  EXPECT_FALSE(outcome.config->flags.fail_on_init_error);
  EXPECT_EQ(outcome.config->flags.gfd_sleep_interval, std::chrono::seconds(5));
  EXPECT_EQ(outcome.agent.kubelet_socket, "");
  sources.environment = {{"MIG_STRATEGY", ""}};
  EXPECT_EQ(Listing(ResolveConfig(sources).diagnostics),
            "0:0 error MIG_STRATEGY: \"\" is not known, expected none, single or mixed\n");
}

TEST(Precedence, LetsABetterValueOverrideABadOne) {
  ConfigSources sources;
  sources.file_text = "flags: {migStrategy: bogus}";
  EXPECT_FALSE(ResolveConfig(sources).config);
  sources.flags["mig-strategy"] = {"single"};
  const ConfigOutcome outcome = ResolveConfig(sources);
  EXPECT_TRUE(outcome.config);
  EXPECT_EQ(
      Listing(outcome.diagnostics),
      "1:22 warning flags.migStrategy: \"bogus\" is not known, expected none, single or mixed "
      "(--mig-strategy overrides it)\n");
}

TEST(Sources, ReadEveryTypeFromText) {
  ConfigSources sources;
  sources.environment = {{"DEVICE_LIST_STRATEGY", "envvar, cdi-cri"},
                         {"IMEX_CHANNEL_IDS", "0"},
                         {"KUBE_API_QPS", "2.5"},
                         {"KUBE_API_BURST", "7"},
                         {"GFD_SLEEP_INTERVAL", "infinite"},
                         {"CDI_DISABLE_HOOKS", "a,b"},
                         {"DP_DISABLE_HEALTHCHECKS", "all"},
                         {"DP_ENABLE_HEALTHCHECKS", "48,79"},
                         {"PATH", "/bin"}};
  sources.flags = {{"cdi-feature-flags", {"x,y", "z"}},
                   {"o", {"/out"}},
                   {"gds-enabled", {"T"}},
                   {"node-name", {"n1"}},
                   {"strict-config", {"true"}}};
  const ConfigOutcome outcome = ResolveConfig(sources);
  ASSERT_TRUE(outcome.config) << Listing(outcome.diagnostics);
  EXPECT_EQ(outcome.config->flags.device_list_strategies,
            (std::vector{DeviceListStrategy::kEnvVar, DeviceListStrategy::kCdiCri}));
  EXPECT_EQ(outcome.config->imex.channel_ids, std::vector{0});
  EXPECT_EQ(outcome.config->flags.gfd_sleep_interval, std::nullopt);
  EXPECT_EQ(outcome.config->flags.gfd_output_file, "/out");
  EXPECT_TRUE(outcome.config->flags.gds_enabled);
  EXPECT_EQ(outcome.agent.cdi_feature_flags, (std::vector<std::string>{"x", "y", "z"}));
  EXPECT_EQ(outcome.agent.cdi_disable_hooks, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(outcome.agent.kube_api_qps, 2.5);
  EXPECT_EQ(outcome.agent.kube_api_burst, 7u);
  EXPECT_EQ(outcome.agent.dp_disable_healthchecks, "all");
  EXPECT_EQ(outcome.agent.dp_enable_healthchecks, "48,79");
  EXPECT_EQ(outcome.agent.node_name, "n1");
  EXPECT_TRUE(outcome.agent.strict_config);
}

TEST(Sources, NameWhereABadValueCameFrom) {
  struct {
    ConfigSources sources;
    const char* expected;
  } rows[] = {
      {{.environment = {{"FAIL_ON_INIT_ERROR", "foo"}}},
       "0:0 error FAIL_ON_INIT_ERROR: \"foo\" is not a boolean, expected true or false\n"},
      {{.environment = {{"FAIL_ON_INIT_ERROR", "yes"}}}, "\"yes\" is not a boolean"},
      {{.environment = {{"DEVICE_LIST_STRATEGY", ""}}},
       "error DEVICE_LIST_STRATEGY: \"\" is not known"},
      {{.environment = {{"IMEX_CHANNEL_IDS", "0,x"}}},
       "error IMEX_CHANNEL_IDS: \"x\" is not a whole number"},
      {{.environment = {{"IMEX_CHANNEL_IDS", "3"}}},
       "error IMEX_CHANNEL_IDS: channelIDs must be [] or [0], found [3]"},
      {{.environment = {{"KUBE_API_QPS", "fast"}}}, "error KUBE_API_QPS: \"fast\" is not a number"},
      {{.environment = {{"KUBE_API_BURST", "-1"}}}, "error KUBE_API_BURST"},
      {{.flags = {{"sleep-interval", {"60"}}}},
       "error --sleep-interval: \"60\" is not a duration: the unit is missing"},
      {{.flags = {{"gds-enabled", {""}}}}, "error --gds-enabled: \"\" is not a boolean"},
      {{.flags = {{"mig-stratgy", {"none"}}}},
       "error --mig-stratgy: there is no such option (did you mean --mig-strategy?)"},
      {{.flags = {{"device-id-strategy", {"serial"}}}},
       "error --device-id-strategy: \"serial\" is not known, expected uuid or index"},
  };
  for (const auto& row : rows) {
    const ConfigOutcome outcome = ResolveConfig(row.sources);
    EXPECT_FALSE(outcome.config) << row.expected;
    EXPECT_NE(Listing(outcome.diagnostics).find(row.expected), std::string::npos)
        << row.expected << "\n"
        << Listing(outcome.diagnostics);
  }
}

TEST(Sources, SayWhichFileToRead) {
  EXPECT_EQ(ConfigFilePath({.environment = {{"CONFIG_FILE", "/a"}}}), "/a");
  EXPECT_EQ(
      ConfigFilePath({.environment = {{"CONFIG_FILE", "/a"}}, .flags = {{"config-file", {"/b"}}}}),
      "/b");
  EXPECT_EQ(ConfigFilePath({}), "");
}

TEST(Effective, MatchesTheGoldenFile) {
  const auto yaml = ReadFile("src/config/testdata/kitchen-sink.yaml");
  const auto golden = ReadFile("src/config/testdata/kitchen-sink.json");
  ASSERT_TRUE(yaml.ok() && golden.ok());
  const ConfigOutcome outcome = ResolveText(*yaml);
  EXPECT_EQ(Listing(outcome.diagnostics), "");
  ASSERT_TRUE(outcome.config);
  EXPECT_EQ(boost::json::serialize(ToJson(*outcome.config)),
            boost::json::serialize(boost::json::parse(*golden)));
}

TEST(Effective, ReadsBackAsTheSameConfiguration) {
  const auto yaml = ReadFile("src/config/testdata/kitchen-sink.yaml");
  for (const std::string& text :
       {std::string(), *yaml,
        std::string("flags: {mpsRoot: /m, gfd: {sleepInterval: infinite}}\n"
                    "sharing: {mps: {resources: [{name: gpu, replicas: 2}]}}")}) {
    const ConfigOutcome once = ResolveText(text);
    ASSERT_TRUE(once.config) << Listing(once.diagnostics);
    const ConfigOutcome twice = ResolveText(boost::json::serialize(ToJson(*once.config)));
    EXPECT_EQ(Listing(twice.diagnostics), "");
    EXPECT_EQ(twice.config, once.config);
  }
}

TEST(Diagnostics, AreFormattedForPeopleAndPrograms) {
  const Diagnostic in_file{Severity::kError, {3, 5}, "a.b", "bad", "fix it"};
  const Diagnostic outside{Severity::kWarning, {}, "MIG_STRATEGY", "odd", ""};
  EXPECT_EQ(Format(in_file, "f.yaml"), "f.yaml:3:5: error: a.b: bad (fix it)");
  EXPECT_EQ(Format(outside, "f.yaml"), "MIG_STRATEGY: warning: odd");
  EXPECT_EQ(
      boost::json::serialize(ToJson(std::vector{in_file, outside})),
      R"([{"severity":"error","line":3,"column":5,"path":"a.b","message":"bad","hint":"fix it"},)"
      R"({"severity":"warning","line":null,"column":null,"path":"MIG_STRATEGY","message":"odd","hint":""}])");
}

// A configuration as a file could give it, in extended mode so that nothing is neutralised.
Config Arbitrary() {
  Config config;
  Flags& flags = config.flags;
  flags.mig_strategy =
      *rc::gen::element(MigStrategy::kNone, MigStrategy::kSingle, MigStrategy::kMixed);
  flags.fail_on_init_error = *rc::gen::arbitrary<bool>();
  // Any printable text, so that quoting and escaping are tried.
  const auto text = rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '\x7f'));
  flags.mps_root = *text;
  flags.nvidia_driver_root = *rc::gen::nonEmpty(text);
  flags.nvidia_dev_root = flags.nvidia_driver_root;
  flags.gfd_sleep_interval =
      std::chrono::nanoseconds(*rc::gen::inRange<std::int64_t>(1'000'000'000, 1ll << 60));
  flags.gfd_output_file = *text;
  flags.allocation_policy = *rc::gen::element(AllocationPolicy::kPacked, AllocationPolicy::kSpread);
  config.sharing.extended = true;
  const unsigned count = *rc::gen::inRange(0u, 4u);
  for (unsigned i = 0; i < count; ++i) {
    ReplicatedResource resource;
    resource.name = "nvidia.com/r" + std::to_string(i);
    resource.replicas = *rc::gen::inRange(1u, 1000u);
    if (*rc::gen::arbitrary<bool>()) resource.rename = "nvidia.com/x";
    if (*rc::gen::arbitrary<bool>()) resource.devices = DeviceCount{*rc::gen::inRange(1u, 100u)};
    if (resource.replicas > 1) config.sharing.strategy = SharingStrategy::kTimeSlicing;
    config.sharing.resources.push_back(resource);
  }
  if (count > 0 && *rc::gen::arbitrary<bool>()) {
    Isolation isolation;
    isolation.memory = Isolation::Memory::kBytes;
    isolation.memory_bytes_per_replica = *rc::gen::inRange<std::uint64_t>(1u << 20, 1ull << 40);
    isolation.quantum = std::chrono::microseconds(*rc::gen::inRange(1'000, 1'000'000));
    isolation.compute = Isolation::Compute::kFair;
    if (*rc::gen::arbitrary<bool>()) isolation.classes["a"] = Isolation::TenantClass::kLatency;
    if (*rc::gen::arbitrary<bool>()) isolation.classes["b"] = Isolation::TenantClass::kBestEffort;
    config.sharing.isolation = isolation;
  }
  return config;
}

TEST(Properties, AnyConfigurationReadsBack) {
  EXPECT_TRUE(rc::check([] {
    const Config config = Arbitrary();
    const ConfigOutcome outcome = ResolveText(boost::json::serialize(ToJson(config)));
    RC_ASSERT(Listing(outcome.diagnostics) == "");
    RC_ASSERT(*outcome.config == config);
  }));
}

TEST(Properties, NoBytesDoHarm) {
  const auto yaml = ReadFile("src/config/testdata/kitchen-sink.yaml");
  ASSERT_TRUE(yaml.ok());
  EXPECT_TRUE(rc::check([&] {
    std::string text = *yaml;
    const int changes = *rc::gen::inRange(1, 8);
    for (int i = 0; i < changes; ++i) {
      const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
      const auto length = *rc::gen::inRange<std::size_t>(0, 20);
      text.replace(at, length,
                   *rc::gen::container<std::string>(*rc::gen::inRange<std::size_t>(0, 4),
                                                    rc::gen::arbitrary<char>()));
    }
    const ConfigOutcome outcome = ResolveText(text);
    RC_ASSERT(outcome.config.has_value() != HasErrors(outcome.diagnostics));
  }));
  EXPECT_TRUE(rc::check([](const std::string& bytes) {
    const ConfigOutcome outcome = ResolveText(bytes);
    RC_ASSERT(outcome.config.has_value() != HasErrors(outcome.diagnostics));
  }));
}

}  // namespace
}  // namespace aliquot::config
