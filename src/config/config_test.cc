// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// What NVIDIA's plugin accepts and refuses in a configuration file, row by row.
#include <gtest/gtest.h>

#include "config/config_test_util.h"

namespace aliquot::config {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

struct Row {
  const char* text;
  const char* expected;  // part of the listing of problems
};

void ExpectRefused(std::initializer_list<Row> rows) {
  for (const auto& [text, expected] : rows) {
    const ConfigOutcome outcome = ResolveText(text);
    EXPECT_FALSE(outcome.config) << text;
    EXPECT_NE(Listing(outcome.diagnostics).find(expected), std::string::npos)
        << text << "\nexpected: " << expected << "\n"
        << Listing(outcome.diagnostics);
  }
}

void ExpectWarned(std::initializer_list<Row> rows) {
  for (const auto& [text, expected] : rows) {
    const ConfigOutcome outcome = ResolveText(text);
    EXPECT_TRUE(outcome.config) << text << Listing(outcome.diagnostics);
    EXPECT_NE(Listing(outcome.diagnostics).find(expected), std::string::npos)
        << text << "\nexpected: " << expected << "\n"
        << Listing(outcome.diagnostics);
  }
}

// The configuration of a file that must give no problem at all.
Config Clean(const std::string& text) {
  const ConfigOutcome outcome = ResolveText(text);
  EXPECT_EQ(Listing(outcome.diagnostics), "") << text;
  return outcome.config.value_or(Config());
}

std::string TimeSlicing(const std::string& entry) {
  return "sharing:\n  timeSlicing:\n    resources:\n    - " + entry + "\n";
}

TEST(ConfigFile, HasDefaultsWhenEmpty) {
  for (const char* text :
       {"", "{}", "null", "version: v1", "version: \"\"", "version:", "flags:\nsharing:\n",
        "flags: {plugin: , gfd: ~}", "sharing: {mps: null}", "resources: {gpus: []}"}) {
    EXPECT_EQ(Clean(text), Config()) << text;
  }
}

TEST(ConfigFile, RefusesWhatIsNoConfiguration) {
  ExpectRefused({
      {"a: [", "error : this is not valid YAML or JSON"},
      {"- a\n",
       "1:1 error : expected a map with version, flags, resources, sharing, imex, found a list"},
      {"hello", "1:1 error : expected a map"},
      {"version: v2\n", "1:10 error version: unknown version \"v2\", expected v1"},
      {"version: 1\n", "1:10 error version: unknown version \"1\", expected v1"},
      {"version: [v1]\n", "1:10 error version: expected a string, found a list"},
  });
}

TEST(ConfigFile, RefusesBadFlags) {
  ExpectRefused({
      {"flags: x", "1:8 error flags: expected a map"},
      {"flags:\n  failOnInitError: \"maybe\"\n",
       "2:20 error flags.failOnInitError: expected true or false, found the string \"maybe\""},
      {"flags: {gdsEnabled: 'true'}", "remove the quotes"},
      {"flags: {gdsEnabled: 1}",
       "1:21 error flags.gdsEnabled: expected true or false, found the number 1"},
      {"flags: {migStrategy: bogus}",
       "1:22 error flags.migStrategy: \"bogus\" is not known, expected none, single or mixed"},
      {"flags: {migStrategy: ''}", "flags.migStrategy: \"\" is not known"},
      {"flags: {migStrategy: no}", "flags.migStrategy: \"false\" is not known"},
      {"flags: {migStrategy: mixd}", "did you mean \"mixed\"?"},
      {"flags: {deviceDiscoveryStrategy: foo}",
       "\"foo\" is not known, expected auto, nvml, tegra or vfio"},
      {"flags: {plugin: {deviceListStrategy: 5}}",
       "1:38 error flags.plugin.deviceListStrategy: expected a string or a list of strings, found "
       "the number 5"},
      {"flags: {plugin: {deviceListStrategy: [envvar, 5]}}",
       "1:47 error flags.plugin.deviceListStrategy[1]: expected a string, found the number 5"},
      {"flags: {plugin: {deviceListStrategy: bogus}}",
       "\"bogus\" is not known, expected envvar, volume-mounts, cdi-annotations or cdi-cri"},
      {"flags: {plugin: {deviceListStrategy: 'envvar,cdi-cri'}}",
       "\"envvar,cdi-cri\" is not known"},
      {"flags: {plugin: {deviceIDStrategy: serial}}",
       "\"serial\" is not known, expected uuid or index"},
      {"flags: {plugin: {sharedDevicesAllocationPolicy: foo}}",
       "\"foo\" is not known, expected distributed, packed or spread"},
      {"flags: {plugin: [1]}", "1:17 error flags.plugin: expected a map"},
      {"flags: {gfd: {sleepInterval: 5 minutes}}",
       "1:30 error flags.gfd.sleepInterval: \"5 minutes\" is not a duration: unknown unit \" "
       "minutes\""},
      {"flags: {gfd: {sleepInterval: '60'}}", "the unit is missing"},
      {"flags: {gfd: {sleepInterval: yes}}",
       "expected a string, found the boolean true (written yes)"},
      {"flags: {gfd: {sleepInterval: 1e30}}", "nanoseconds are too many"},
      {"imex: {channelIDs: [1]}",
       "1:20 error imex.channelIDs: channelIDs must be [] or [0], found [1]"},
      {"imex: {channelIDs: [0, 0]}", "found [0, 0]"},
      {"imex: {channelIDs: ['0']}",
       "imex.channelIDs[0]: expected a whole number, found the string \"0\""},
      {"imex: {channelIDs: 0}", "expected a list of whole numbers, found the number 0"},
      {"imex: {required: 0}", "expected true or false"},
  });
}

TEST(ConfigFile, ReadsFlagsAsTheReferenceDoes) {
  EXPECT_TRUE(
      Clean("flags: {gdsEnabled: yes, gdrcopyEnabled: on, mofedEnabled: y}").flags.gds_enabled);
  EXPECT_FALSE(Clean("flags: {failOnInitError: off}").flags.fail_on_init_error);
  EXPECT_EQ(Clean("FLAGS: {MigStrategy: mixed}").flags.mig_strategy, MigStrategy::kMixed);
  EXPECT_EQ(Clean("flags: {nvidiaDriverRoot: /d}").flags.nvidia_dev_root, "/d");
  EXPECT_EQ(Clean("flags: {nvidiaDriverRoot: /d, nvidiaDevRoot: ''}").flags.nvidia_dev_root, "/d");
  EXPECT_EQ(Clean("flags: {plugin: {deviceListStrategy: cdi-cri}}").flags.device_list_strategies,
            std::vector{DeviceListStrategy::kCdiCri});
  EXPECT_EQ(Clean("flags: {plugin: {deviceListStrategy: [cdi-cri, envvar, envvar]}}")
                .flags.device_list_strategies,
            (std::vector{DeviceListStrategy::kEnvVar, DeviceListStrategy::kCdiCri}));
  EXPECT_EQ(Clean("flags: {gfd: {sleepInterval: infinite}}").flags.gfd_sleep_interval,
            std::nullopt);
  EXPECT_EQ(Clean("flags: {gfd: {sleepInterval: 1m30s}}").flags.gfd_sleep_interval, seconds(90));
  EXPECT_EQ(Clean("flags: {gfd: {outputFile: ''}}").flags.gfd_output_file, "");
  EXPECT_EQ(Clean("imex: {channelIDs: [0], required: true}").imex, (Imex{{0}, true}));
  EXPECT_EQ(Clean("imex: {channelIDs: []}").imex, Imex());
}

TEST(ConfigFile, WarnsWhereTheReferenceIsSilent) {
  ExpectWarned({
      {"flags: {gfd: {sleepInterval: 60}}",
       "1:30 warning flags.gfd.sleepInterval: a number without a unit counts nanoseconds: 60 is "
       "60ns "
       "(for seconds, write 60s)"},
      {"flags: {gfd: {sleepInterval: 10ms}}", "keeps a processor busy"},
      {"flags: {plugin: {deviceListStrategy: []}}",
       "1:38 warning flags.plugin.deviceListStrategy: the list is empty"},
      {"flags: {nvidiaDriverRoot: 5}", "expected a string, found the number 5; read as \"5\""},
      {"flags: {gdsEnabled: true}\nflags: {gdsEnabled: false}\n",
       "2:1 warning flags: the key \"flags\" is already on line 1"},
      {"sharng: {}\n",
       "1:1 warning sharng: unknown key \"sharng\" is ignored (did you mean \"sharing\"?)"},
      {"flags:\n  migstrateg: x\n", "2:3 warning flags.migstrateg: unknown key"},
      {"tolerations: []\n", "known here: version, flags, resources, sharing, imex"},
  });
  EXPECT_EQ(ResolveText("flags: {gfd: {sleepInterval: 60}}").config->flags.gfd_sleep_interval,
            nanoseconds(60));
  EXPECT_FALSE(ResolveText("flags: {gdsEnabled: true}\nflags: {gdsEnabled: false}\n")
                   .config->flags.gds_enabled);
  EXPECT_TRUE(ResolveText("flags: {plugin: {deviceListStrategy: []}}")
                  .config->flags.device_list_strategies.empty());
}

TEST(ConfigFile, StrictModeRefusesUnknownAndRepeatedKeys) {
  for (const char* text : {"sharng: {}", "version: v1\nversion: v1\n", "flags: {x: 1}"}) {
    const ConfigOutcome outcome = ResolveConfig({.file_text = text, .strict = true});
    EXPECT_FALSE(outcome.config) << text;
  }
  EXPECT_TRUE(
      ResolveConfig({.file_text = "flags: {gfd: {sleepInterval: 60}}", .strict = true}).config);
}

TEST(Sharing, RefusesWhatTheReferenceRefuses) {
  ExpectRefused({
      {"sharing: {timeSlicing: {}}", "1:11 error sharing.timeSlicing: no resources specified"},
      {"sharing:\n  timeSlicing:\n", "2:3 error sharing.timeSlicing: no resources specified"},
      {"sharing: {timeSlicing: {resources: []}}", "no resources specified"},
      {"sharing: {timeSlicing: {resources: }}", "no resources specified"},
      {"sharing: {mps: {}}", "sharing.mps: no resources specified"},
      {"sharing: {timeSlicing: [1]}", "1:24 error sharing.timeSlicing: expected a map"},
      {"sharing: {timeSlicing: {resources: {name: gpu}}}",
       "expected a list of maps with name and replicas, found a map"},
      {"sharing: {timeSlicing: {resources: [gpu]}}",
       "sharing.timeSlicing.resources[0]: expected a map"},
  });
  const std::pair<const char*, const char*> entries[] = {
      {"replicas: 4", "4:7 error sharing.timeSlicing.resources[0]: no resource name specified"},
      {"name: gpu", "4:7 error sharing.timeSlicing.resources[0]: no replicas specified"},
      {"Name: gpu", "unknown key \"Name\" is ignored (did you mean \"name\"?)"},
      {"~", "no resource name specified"},
      {"{name: gpu, replicas: 1}",
       "4:29 error sharing.timeSlicing.resources[0].replicas: number of replicas must be >= 2, "
       "found 1"},
      {"{name: gpu, replicas: 0}", "number of replicas must be >= 2, found 0"},
      {"{name: gpu, replicas: -4}", "number of replicas must be >= 2, found -4"},
      {"{name: gpu, replicas: ~}", "expected a whole number, found nothing (null)"},
      {"{name: gpu, replicas: \"4\"}",
       "4:29 error sharing.timeSlicing.resources[0].replicas: expected a whole number, found the "
       "string \"4\" "
       "(remove the quotes)"},
      {"{name: gpu, replicas: 2.5}", "expected a whole number, found the number 2.5"},
      {"{name: gpu, replicas: 200000}", "200000 replicas are more than the kubelet can list"},
      {"{name: 5, replicas: 4}",
       "4:14 error sharing.timeSlicing.resources[0].name: expected a string, found the number 5"},
      {"{name: '', replicas: 4}", "incorrect format for the resource name \"nvidia.com/\""},
      {"{name: ~, replicas: 4}", "resources[0].name: expected a string, found nothing (null)"},
      {"{name: GPU, replicas: 4}", "incorrect format for the resource name \"nvidia.com/GPU\""},
      {"{name: example.com/gpu, replicas: 4}", "\"nvidia.com/example.com/gpu\""},
      {"{name: gpu-, replicas: 4}", "incorrect format"},
      {"{name: a..b, replicas: 4}", "incorrect format"},
      {"{name: a23456789012345678901234567890123456789012345678901234, replicas: 4}",
       "has 65 characters, expected at most 63"},
      {"{name: gpu, replicas: 4, rename: A}",
       "4:40 error sharing.timeSlicing.resources[0].rename: incorrect format"},
      {"{name: gpu, replicas: 4, rename: ~}", "resources[0].rename: expected a string"},
      {"{name: gpu, replicas: 4, devices: some}",
       "4:41 error sharing.timeSlicing.resources[0].devices: unsupported devices the string "
       "\"some\", expected all"},
      {"{name: gpu, replicas: 4, devices: 0}", "unsupported devices the number 0"},
      {"{name: gpu, replicas: 4, devices: -1}", "unsupported devices the number -1"},
      {"{name: gpu, replicas: 4, devices: \"2\"}", "remove the quotes for a count"},
      {"{name: gpu, replicas: 4, devices: {a: 1}}", "unsupported devices a map"},
      {"{name: gpu, replicas: 4, devices: ~}", "unsupported devices nothing (null)"},
      {"{name: gpu, replicas: 4, devices: [\"x\"]}",
       "4:42 error sharing.timeSlicing.resources[0].devices[0]: unsupported device the string "
       "\"x\""},
      {"{name: gpu, replicas: 4, devices: [-1]}", "unsupported device the number -1"},
      {"{name: gpu, replicas: 4, devices: [\"0:1:2\"]}", "unsupported device"},
      {"{name: gpu, replicas: 4, devices: [GPU-1234]}",
       "unsupported device the string \"GPU-1234\""},
      {"{name: gpu, replicas: 4, devices: [MIG-GPU-b1028956-cfa2-0990-bf4a-5da9abb51763/3]}",
       "unsupported device"},
  };
  for (const auto& [entry, expected] : entries)
    ExpectRefused({{TimeSlicing(entry).c_str(), expected}});
}

TEST(Sharing, AcceptsWhatTheReferenceAccepts) {
  for (const char* entry :
       {"{name: gpu, replicas: 4}", "{name: nvidia.com/gpu, replicas: 4}",
        "{name: gpu, replicas: 0x4}", "{name: gpu, replicas: 4.0}",
        "{\"name\":\"gpu\",\"replicas\":4}", "{name: gpu, replicas: 4, devices: all}"}) {
    const Config config = Clean(TimeSlicing(entry));
    ASSERT_EQ(config.sharing.resources.size(), 1u) << entry;
    EXPECT_EQ(config.sharing.resources[0].name, "nvidia.com/gpu");
    EXPECT_EQ(config.sharing.resources[0].rename, "");
    EXPECT_EQ(config.sharing.resources[0].replicas, 4u);
    EXPECT_EQ(config.sharing.strategy, SharingStrategy::kTimeSlicing);
    EXPECT_FALSE(config.sharing.fail_requests_greater_than_one);
  }
  EXPECT_TRUE(ResolveText("Sharing: {TIMESLICING: {resources: [{name: "
                          "a2345678901234567890123456789012345678901234567"
                          "89012, replicas: 2}]}}")
                  .config);
}

TEST(Sharing, NeutralisesCustomisationWithAWarning) {
  struct {
    const char* settings;
    const char* entry;
    const char* warning;
    const char* rename;
  } rows[] = {
      {"", "{name: gpu, replicas: 2, rename: foo}",
       "5:40 warning sharing.timeSlicing.resources[0].rename: setting rename is not supported, "
       "\"nvidia.com/foo\" is "
       "ignored (sharing.mode: extended makes it work)",
       ""},
      {"renameByDefault: true", "{name: gpu, replicas: 2, rename: foo}",
       "\"nvidia.com/foo\" is ignored and \"nvidia.com/gpu.shared\" is used",
       "nvidia.com/gpu.shared"},
      {"renameByDefault: true", "{name: gpu, replicas: 2, rename: gpu.shared}", nullptr,
       "nvidia.com/gpu.shared"},
      {"renameByDefault: true", "{name: gpu, replicas: 2}", nullptr, "nvidia.com/gpu.shared"},
      {"", "{name: gpu, replicas: 2, devices: 1}",
       "5:41 warning sharing.timeSlicing.resources[0].devices: customizing", ""},
      {"", "{name: gpu, replicas: 2, devices: []}", "customizing devices is not supported", ""},
      {"",
       "{name: gpu, replicas: 2, devices: [0, '1', '0:1', "
       "GPU-b1028956-cfa2-0990-bf4a-5da9abb51763, "
       "MIG-b1028956-cfa2-0990-bf4a-5da9abb51763, "
       "MIG-GPU-b1028956-cfa2-0990-bf4a-5da9abb51763/3/0]}",
       "customizing devices is not supported", ""},
      {"", "{name: gpu, replicas: 2, devices: [~]}", "an empty item stands for GPU 0", ""},
  };
  for (const auto& row : rows) {
    const std::string text = std::string("sharing:\n  timeSlicing:\n    ") + row.settings +
                             "\n    resources:\n    - " + row.entry + "\n";
    const ConfigOutcome outcome = ResolveText(text);
    ASSERT_TRUE(outcome.config) << text << Listing(outcome.diagnostics);
    if (row.warning == nullptr) {
      EXPECT_EQ(Listing(outcome.diagnostics), "") << text;
    } else {
      EXPECT_NE(Listing(outcome.diagnostics).find(row.warning), std::string::npos)
          << Listing(outcome.diagnostics);
    }
    ASSERT_EQ(outcome.config->sharing.resources.size(), 1u);
    EXPECT_EQ(outcome.config->sharing.resources[0].rename, row.rename);
    EXPECT_EQ(outcome.config->sharing.resources[0].devices, DeviceSelection(AllDevices{}));
  }
}

TEST(Sharing, MergesEntriesWithOneName) {
  const ConfigOutcome outcome = ResolveText(
      "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 3}, {name: nvidia.com/gpu, "
      "replicas: 2}]}}");
  ASSERT_TRUE(outcome.config);
  ASSERT_EQ(outcome.config->sharing.resources.size(), 1u);
  EXPECT_EQ(outcome.config->sharing.resources[0].replicas, 3u);
  EXPECT_NE(Listing(outcome.diagnostics)
                .find("already listed above with 3 replicas; the larger number counts"),
            std::string::npos);
}

TEST(Sharing, ChecksMps) {
  const std::string mps = "sharing: {mps: {resources: [{name: gpu, replicas: 4}]}}\n";
  ExpectRefused({
      {mps.c_str(),
       "1:11 error sharing.mps: using MPS requires a directory for its files (set flags.mpsRoot, "
       "--mps-root or MPS_ROOT"},
      {(mps + "flags: {mpsRoot: /m, migStrategy: mixed}").c_str(),
       "mixed is not supported with MPS"},
      {"sharing:\n  timeSlicing: {resources: [{name: gpu, replicas: 2}]}\n  mps: {resources: "
       "[{name: gpu, replicas: 2}]}\n",
       "3:3 error sharing.mps: timeSlicing (line 2) and mps exclude each other"},
      {"flags: {mpsRoot: /m}\nsharing: {mps: {isolation: {memory: share}, resources: [{name: gpu, "
       "replicas: 2}]}}",
       "isolation is not available with MPS"},
  });
  const Config config = Clean(mps + "flags: {mpsRoot: /m}");
  EXPECT_EQ(config.sharing.strategy, SharingStrategy::kMps);
  EXPECT_TRUE(config.sharing.fail_requests_greater_than_one);
  EXPECT_FALSE(Clean("flags: {mpsRoot: /m}\nsharing: {mps: {failRequestsGreaterThanOne: false, "
                     "resources: [{name: gpu, "
                     "replicas: 2}]}}")
                   .sharing.fail_requests_greater_than_one);
}

TEST(Sharing, ChecksTimeSlicingAlsoBesideMps) {
  const auto outcome = ResolveText(
      "sharing:\n  timeSlicing: {resources: [{name: gpu, replicas: 1}]}\n"
      "  mps: {resources: [{name: gpu, replicas: 2}]}\n");
  EXPECT_NE(Listing(outcome.diagnostics).find("number of replicas must be >= 2"),
            std::string::npos);
}

TEST(Sharing, WarnsOfKeysInTheWrongCase) {
  ExpectWarned(
      {{"sharing:\n  timeSlicing:\n    RenameByDefault: true\n    resources: [{name: gpu, "
        "replicas: 2}]\n",
        "3:5 warning sharing.timeSlicing.RenameByDefault: unknown key \"RenameByDefault\" is "
        "ignored (did you "
        "mean \"renameByDefault\"?)"}});
}

TEST(Sharing, ReportsEveryProblem) {
  const std::string listing = Listing(
      ResolveText("version: v3\nflags: {migStrategy: x, gdsEnabled: 3}\nsharing:\n  timeSlicing:\n "
                  "   resources:\n"
                  "    - {name: GPU, replicas: \"4\", devices: some}\n    - {replicas: 1}\n")
          .diagnostics);
  for (const char* part :
       {"1:10 error version", "2:22 error flags.migStrategy", "2:37 error flags.gdsEnabled",
        "6:14 error sharing.timeSlicing.resources[0].name", "resources[0].replicas",
        "resources[0].devices", "7:7 error sharing.timeSlicing.resources[1]: no resource name"}) {
    EXPECT_NE(listing.find(part), std::string::npos) << part << "\n" << listing;
  }
}

TEST(Resources, AreCheckedAndThenIgnored) {
  ExpectRefused({
      {"resources: {gpus: [{name: a}]}",
       "1:20 error resources.gpus[0]: resources must have a 'pattern' field set"},
      {"resources: {mig: [{pattern: 'x'}]}",
       "resources.mig[0]: resources must have a 'name' field set"},
      {"resources: {gpus: [{pattern: 5, name: a}]}",
       "resources.gpus[0].pattern: expected a string"},
      {"resources: {gpus: [{pattern: x, name: A}]}", "resources.gpus[0].name: incorrect format"},
      {"resources: {gpus: {}}", "resources.gpus: expected a list"},
      {"resources: {gpus: [~]}", "'pattern' field set"},
      {"resources: {gpus: [{Pattern: x, name: a}]}", "did you mean \"pattern\"?"},
  });
  const std::string text =
      "resources:\n  gpus: [{pattern: \"*A100*\", name: a100}]\n  mig: [{pattern: 1g.*, name: "
      "small}]\n";
  ExpectWarned({{text.c_str(),
                 "1:1 warning resources: customizing resources is not supported, it is ignored"}});
  EXPECT_TRUE(ResolveText(text).config->gpu_patterns.empty());
  const Config extended = Clean(text + "sharing: {mode: extended}\n");
  EXPECT_EQ(extended.gpu_patterns, (std::vector<ResourcePattern>{{"*A100*", "nvidia.com/a100"}}));
  EXPECT_EQ(extended.mig_patterns, (std::vector<ResourcePattern>{{"1g.*", "nvidia.com/small"}}));
}

}  // namespace
}  // namespace aliquot::config
