// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/config_file.h"

#include <gtest/gtest.h>

#include "mig/planner.h"
#include "mig/testing/driver_fake.h"
#include "mig/testing/layouts.h"
#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {

using testing::MakeGpu;

std::string Problems(std::string_view text) {
  std::string all;
  for (const auto& problem : ParseConfigFile(text).problems) {
    all += config::Format(problem, "f") + "\n";
  }
  return all;
}

std::string Devices(const DesiredGpu& desired) {
  std::string text = desired.mig_enabled ? "on" : "off";
  for (const auto& [name, count] : desired.devices) {
    text += " " + name.ToString() + "=" + std::to_string(count);
  }
  return text;
}

constexpr char kFile[] = R"(version: v1
mig-configs:
  all-disabled:
  - devices: all
    mig-enabled: false
  mixed:
  - device-filter: "0x20B010DE"
    devices: [0, 2]
    mig-enabled: true
    mig-devices: {"1g.5gb": 2, "2g.10gb": 1, "7c.7g.40gb": 0}
  - device-filter: ["0x20b210de", "0x233010DE:0x16c110de"]
    devices: all
    mig-enabled: true
    mig-devices: {}
)";

TEST(MigConfigFile, ReadsTheFormatOfMigParted) {
  const ParsedConfigFile parsed = ParseConfigFile(kFile);
  ASSERT_TRUE(parsed.ok()) << Problems(kFile);
  EXPECT_TRUE(parsed.problems.empty());
  const auto& mixed = parsed.file.configs.at("mixed");
  ASSERT_EQ(mixed.size(), 2u);
  EXPECT_EQ(mixed[0].devices, (std::vector<unsigned>{0, 2}));
  EXPECT_EQ(Devices(mixed[0].desired), "on 1g.5gb=2 2g.10gb=1");
  EXPECT_TRUE(mixed[1].all_devices);
  EXPECT_EQ(Devices(mixed[1].desired), "on");
  EXPECT_EQ(Devices(parsed.file.configs.at("all-disabled")[0].desired), "off");
}

TEST(MigConfigFile, AcceptsAnEmptyFileAndAVersionAlone) {
  for (const char* text : {"", "# nothing\n", "version: v1\n", "{\"version\": \"v1\"}"}) {
    EXPECT_EQ(Problems(text), "") << text;
  }
}

TEST(MigConfigFile, RefusesWithPlaceAndReason) {
  const auto entry = [](const std::string& lines) {
    return "version: v1\nmig-configs:\n  a:\n  - " + lines + "\n";
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"mig-configs: {a: [{devices: all, mig-enabled: false}]}",
       "f:1:1: error: the key \"version\" is missing"},
      {"{}", "f:1:1: error: the key \"version\" is missing"},
      {"version: v2",
       "f:1:10: error: version: unknown version, expected \"v1\", found the string \"v2\""},
      {"version: v1\nmig-config: {}",
       "f:2:1: error: unknown key \"mig-config\" (did you mean "
       "\"mig-configs\"?)"},
      {"version: v1\nmig-configs: {}",
       "f:2:14: error: mig-configs: expected a map with at least one"},
      {"version: v1\nmig-configs:\n  a: []",
       "f:3:6: error: mig-configs.a: expected a list with at"},
      {entry("mig-enabled: false"),
       "f:4:5: error: mig-configs.a[0]: the key \"devices\" is required"},
      {entry("devices: all"), "the key \"mig-enabled\" is required"},
      {entry("{devices: some, mig-enabled: false}"),
       "mig-configs.a[0].devices: expected \"all\" or a list of GPU indices, found the string "
       "\"some\""},
      {entry("{devices: [x], mig-enabled: false}"), "devices[0]: expected a GPU index"},
      {entry("{devices: all, mig-enabled: true}"), "the key \"mig-devices\" is required"},
      {entry("{devices: all, mig-enabled: maybe}"), "expected true or false"},
      {entry("{devices: all, mig-enabled: false, mig-devices: {1g.5gb: 1}}"),
       "there are MIG devices although mig-enabled is false"},
      {entry("{devices: all, mig-enabled: true, mig-devices: {1g.5xb: 1}}"),
       "f:4:53: error: mig-configs.a[0].mig-devices[\"1g.5xb\"]: MIG profile \"1g.5xb\" is not "
       "valid"},
      {entry("{devices: all, mig-enabled: true, mig-devices: {1g.5gb: -1}}"),
       "expected a whole number of devices, 0 or more, found the number -1"},
      {entry("{devices: all, mig-enabled: true, mig-devices: {1g.5gb: \"1\"}}"),
       "expected a whole"},
      {entry("{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 0}}"), "all counts are 0"},
      {entry("{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 1, 1g.5gb: 2}}"),
       "the key \"1g.5gb\" is there twice"},
      {entry("{devices: all, mig-enabled: false, device: 1}"), "unknown key \"device\""},
      {entry("{devices: all, mig-enabled: false, device-filter: 0x20B010DE}"), "in quotes"},
      {"[1]", "expected a map"},
      {"a: [", "f:1:"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_NE(Problems(text).find(expected), std::string::npos) << text << "\n" << Problems(text);
    EXPECT_FALSE(ParseConfigFile(text).ok()) << text;
  }
}

TEST(MigConfigFile, RefusesNamesThatNoNodeLabelCouldHold) {
  const ParsedConfigFile parsed =
      ParseConfigFile("version: v1\nmig-configs:\n  ? " + std::string(129, 'a') +
                      "\n  : [{devices: all, mig-enabled: false}]\n");
  ASSERT_EQ(parsed.problems.size(), 1u);
  EXPECT_NE(parsed.problems[0].message.find("has 129 bytes, expected at most 128"),
            std::string::npos);
}

TEST(MigConfigFile, BringsSpellingsTogether) {
  const char* text =
      "version: v1\nmig-configs:\n  a:\n  - devices: all\n    mig-enabled: true\n    mig-devices:\n"
      "      7c.7g.40gb: 1\n      7g.40gb: 1\n      0g.0gb: 1\n      1g.5gb+me,gfx: 1\n";
  const ParsedConfigFile parsed = ParseConfigFile(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(Devices(parsed.file.configs.at("a")[0].desired),
            "on 0g.0gb=1 1g.5gb+gfx,me=1 7g.40gb=2");
  EXPECT_NE(Problems(text).find("f:8:7: warning:"), std::string::npos) << Problems(text);
}

TEST(MigConfigFile, FiltersByDeviceAndSubsystem) {
  GpuMigState gpu = MakeGpu("h100-80gb");
  gpu.pci_subsystem_id = 0x16C110DE;
  EXPECT_TRUE(FilterMatches("0x233010DE", gpu));
  EXPECT_TRUE(FilterMatches("0x233010de", gpu));
  EXPECT_TRUE(FilterMatches("0X233010DE:0x16c110de", gpu));
  EXPECT_FALSE(FilterMatches("0x233010DE:0x16c210de", gpu));
  for (const char* bad : {"", "233010DE", "0x", "0x233010DE:", "0x233010DEDE", "0xGG"}) {
    EXPECT_FALSE(FilterMatches(bad, gpu)) << bad;
  }
  const char* text =
      "version: v1\nmig-configs:\n  a:\n  - {device-filter: bad, devices: all, mig-enabled: "
      "false}\n";
  EXPECT_NE(Problems(text).find("warning"), std::string::npos);
  EXPECT_TRUE(ParseConfigFile(text).ok());
}

TEST(MigConfigFile, SelectsByLabel) {
  const ConfigFile file = ParseConfigFile(kFile).file;
  EXPECT_TRUE(SelectConfig(file, "mixed").ok());
  EXPECT_NE(SelectConfig(file, "nope").error().message.find("which has all-disabled, mixed"),
            std::string::npos);
  EXPECT_FALSE(SelectConfig(file, "").ok());
  ConfigFile one;
  one.configs["x"] = {};
  EXPECT_TRUE(SelectConfig(one, "").ok());
  EXPECT_FALSE(SelectConfig(ConfigFile{}, "").ok());
}

TEST(MigConfigFile, LaterEntriesWinAndOthersAreLeftAlone) {
  std::vector<GpuMigState> gpus = {MakeGpu("a100-40gb", 0), MakeGpu("a100-40gb", 1),
                                   MakeGpu("h200", 2), MakeGpu("a30", 3)};
  gpus[3].mig_capable = false;
  const ConfigFile file = ParseConfigFile(R"(version: v1
mig-configs:
  a:
  - {device-filter: "0x20B010DE", devices: all, mig-enabled: true, mig-devices: {1g.5gb: 7}}
  - {devices: [1], mig-enabled: false}
  b:
  - {devices: all, mig-enabled: true, mig-devices: {}}
  c:
  - {devices: [3], mig-enabled: true, mig-devices: {}}
  d:
  - {devices: [3], mig-enabled: false}
)")
                              .file;
  const auto a = DesiredFor(file.configs.at("a"), gpus);
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(Devices(*(*a)[0]), "on 1g.5gb=7");
  EXPECT_EQ(Devices(*(*a)[1]), "off");
  EXPECT_FALSE((*a)[2] || (*a)[3]);
  const auto b = DesiredFor(file.configs.at("b"), gpus);
  ASSERT_TRUE(b.ok());
  EXPECT_TRUE((*b)[2] && !(*b)[3]);
  EXPECT_FALSE(DesiredFor(file.configs.at("c"), gpus).ok());
  EXPECT_TRUE(DesiredFor(file.configs.at("d"), gpus).ok());
}

TEST(MigConfigFile, ExportsEqualGpusTogether) {
  testing::FakeMigDriver driver;
  for (unsigned i = 0; i < 3; ++i) {
    driver.Add(MakeGpu("a100-40gb", i));
    const auto plan =
        PlanGpu(MakeGpu("a100-40gb", i), {true, {{*ParseProfileName("3g.20gb"), i == 1 ? 2 : 1}}});
    testing::Establish(driver, MakeGpu("a100-40gb", i).uuid, plan->after);
  }
  EXPECT_EQ(WriteYaml(ExportConfig(*driver.ReadAll(), "current")),
            "version: v1\nmig-configs:\n  current:\n"
            "  - devices: [0, 2]\n    mig-enabled: true\n    mig-devices:\n      \"3g.20gb\": 1\n"
            "  - devices: [1]\n    mig-enabled: true\n    mig-devices:\n      \"3g.20gb\": 2\n");
  driver.Add(MakeGpu("h200", 3));
  EXPECT_EQ(WriteYaml(ExportConfig(*driver.ReadAll(), "on")),
            "version: v1\nmig-configs:\n  \"on\":\n"
            "  - device-filter: [\"0x20B010DE\"]\n    devices: [0, 2]\n    mig-enabled: true\n"
            "    mig-devices:\n      \"3g.20gb\": 1\n"
            "  - device-filter: [\"0x20B010DE\"]\n    devices: [1]\n    mig-enabled: true\n"
            "    mig-devices:\n      \"3g.20gb\": 2\n"
            "  - device-filter: [\"0x233510DE\"]\n    devices: all\n    mig-enabled: false\n");
}

TEST(MigConfigFile, GeneratesWhatFitsOnEveryProduct) {
  for (const std::string& product : testing::ProductNames()) {
    const std::vector<GpuMigState> gpus = {MakeGpu(product, 0), MakeGpu(product, 1)};
    const auto file = GenerateConfig(gpus);
    ASSERT_TRUE(file.ok());
    // The file can be read back and every configuration in it can be planned.
    for (const std::string& text : {WriteYaml(*file), WriteJson(*file)}) {
      const ParsedConfigFile again = ParseConfigFile(text);
      ASSERT_TRUE(again.problems.empty()) << text;
      EXPECT_EQ(again.file, *file) << text;
    }
    for (const auto& [label, entries] : file->configs) {
      const auto desired = DesiredFor(entries, gpus);
      ASSERT_TRUE(desired.ok());
      EXPECT_TRUE(PlanNode(gpus, *desired).ok()) << product << " " << label;
    }
  }
}

TEST(MigConfigFile, WritesEveryLabelSoThatItCanBeReadBack) {
  ConfigEntry entry;
  entry.all_devices = true;
  for (const std::string& label :
       {std::string("all"), std::string(128, '\x1b'), std::string("a\xc2\x85\xc2\xa0 #b: c"),
        std::string("<<"), std::string("1.0")}) {
    const ConfigFile file{{{label, {entry}}}};
    for (const std::string& text : {WriteYaml(file), WriteJson(file)}) {
      const ParsedConfigFile again = ParseConfigFile(text);
      ASSERT_TRUE(again.problems.empty()) << text;
      EXPECT_EQ(again.file, file) << text;
    }
  }
}

TEST(MigConfigFile, GeneratesTheKnownLabels) {
  const auto labels = [](const std::vector<GpuMigState>& gpus) {
    std::string text;
    const auto file = GenerateConfig(gpus);
    for (const auto& [label, entries] : file->configs) {
      text += label + ":";
      for (const ConfigEntry& entry : entries) text += Devices(entry.desired) + ";";
      text += "\n";
    }
    return text;
  };
  EXPECT_EQ(labels({MakeGpu("a100-40gb")}),
            "all-1g.10gb:on 1g.10gb=4;\nall-1g.5gb:on 1g.5gb=7;\nall-1g.5gb.me:on 1g.5gb+me=1;\n"
            "all-2g.10gb:on 2g.10gb=3;\nall-3g.20gb:on 3g.20gb=2;\nall-4g.20gb:on 4g.20gb=1;\n"
            "all-7g.40gb:on 7g.40gb=1;\nall-balanced:on 1g.5gb=2 2g.10gb=1 3g.20gb=1;\n"
            "all-disabled:off;\nall-enabled:on;\n");
  const std::string mixed = labels({MakeGpu("a100-40gb", 0), MakeGpu("a100-80gb", 1)});
  EXPECT_NE(mixed.find("all-1g.10gb:on 1g.10gb=4;on 1g.10gb=7;\n"), std::string::npos) << mixed;
  EXPECT_NE(labels({MakeGpu("a30")}).find("all-balanced:on 1g.6gb=2 2g.12gb=1;"),
            std::string::npos);
  EXPECT_NE(labels({MakeGpu("rtx-pro-6000")}).find("all-1g.24gb.me.all:on 1g.24gb+me.all=1;\n"),
            std::string::npos);
  GpuMigState gpu = MakeGpu("a100-40gb");
  gpu.profiles.clear();
  EXPECT_EQ(GenerateConfig({gpu}).error().code, Code::kFailedPrecondition);
  gpu.mig_capable = false;
  EXPECT_EQ(GenerateConfig({gpu}).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace aliquot::mig
