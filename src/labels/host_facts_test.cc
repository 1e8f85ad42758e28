// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "labels/host_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace aliquot::labels {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using Bytes = std::vector<std::uint8_t>;

// A configuration space with `capability` at 0x50, after one of another kind at 0x40.
Bytes ConfigSpace(const Bytes& capability) {
  Bytes config(256);
  config[0x06] = 0x10;
  config[0x34] = 0x40;
  config[0x40] = 0x05;
  config[0x41] = 0x50;
  std::copy(capability.begin(), capability.end(), config.begin() + 0x50);
  return config;
}

void Append(Bytes& to, const std::string& text, std::size_t length) {
  for (std::size_t i = 0; i < length; ++i) {
    to.push_back(static_cast<std::uint8_t>(i < text.size() ? text[i] : 0));
  }
}

// With a record of another kind before the driver's.
Bytes VgpuCapability(const std::string& version, const std::string& branch) {
  Bytes capability = {0x09, 0x00, 30, 'V', 'F', 0x01, 3, 0xff, 0x00, 22};
  Append(capability, version, 10);
  Append(capability, branch, 10);
  return capability;
}

TEST(Vgpu, ReadsTheHostDriver) {
  const auto host = ParseVgpuHost(ConfigSpace(VgpuCapability("535.161.05", "r535_00")));
  ASSERT_TRUE(host.ok());
  EXPECT_EQ(*host, (VgpuHost{"535.161.05", "r535_00"}));
}

TEST(Vgpu, OtherDevicesAreNoVirtualGpus) {
  Bytes vendor_specific = {0x09, 0x00, 20, 'X', 'F'};
  EXPECT_EQ(*ParseVgpuHost(ConfigSpace(vendor_specific)), std::nullopt);
  EXPECT_EQ(*ParseVgpuHost(Bytes(64)), std::nullopt);
}

TEST(Vgpu, MalformedRecordsAreErrors) {
  for (Bytes records : {Bytes{}, Bytes{1}, Bytes{1, 0}, Bytes{1, 1}, Bytes{1, 0xff}, Bytes{0},
                        Bytes{0, 2}, Bytes{0, 22}}) {
    Bytes capability = {0x09, 0x00, static_cast<std::uint8_t>(5 + records.size()), 'V', 'F'};
    capability.insert(capability.end(), records.begin(), records.end());
    const auto host = ParseVgpuHost(ConfigSpace(capability));
    ASSERT_FALSE(host.ok());
    EXPECT_EQ(host.error().code, Code::kDataLoss);
  }
}

TEST(Vgpu, LoopsAndShortReadsAreErrors) {
  Bytes loop = ConfigSpace({0x05, 0x40});
  EXPECT_EQ(ParseVgpuHost(loop).error().code, Code::kDataLoss);
  loop.resize(64);  // what a process without CAP_SYS_ADMIN can read
  EXPECT_EQ(ParseVgpuHost(loop).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(ParseVgpuHost(Bytes(8)).error().code, Code::kDataLoss);
}

RC_GTEST_PROP(Vgpu, SurvivesAnyBytes, ()) {
  Bytes capability = *rc::gen::container<Bytes>(rc::gen::arbitrary<std::uint8_t>());
  capability.resize(std::min<std::size_t>(capability.size(), 100));
  const Bytes prefix = {0x09, 0x00, *rc::gen::arbitrary<std::uint8_t>(), 'V', 'F'};
  capability.insert(capability.begin(), prefix.begin(), prefix.end());
  Bytes config = ConfigSpace(capability);
  config.resize(*rc::gen::inRange<std::size_t>(0, 257));
  const auto host = ParseVgpuHost(config);
  if (host.ok() && host->has_value()) {
    RC_ASSERT((*host)->driver_version.size() <= 10u);
    RC_ASSERT((*host)->driver_branch.size() <= 10u);
  }
  static_cast<void>(ParseVgpuHost(capability));
}

// A directory that stands for the root of a host.
class HostTree : public ::testing::Test {
 protected:
  HostTree() {
    std::string pattern = ::testing::TempDir() + "host_facts.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~HostTree() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& content) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
  }
  void AddDevice(const std::string& bus_id, const std::string& vendor, const std::string& pci_class,
                 const Bytes& config = Bytes(256)) {
    const std::string directory = "/sys/bus/pci/devices/" + bus_id;
    Write(directory + "/vendor", vendor + "\n");
    Write(directory + "/class", pci_class + "\n");
    Write(directory + "/config", std::string(config.begin(), config.end()));
  }
  HostFactsReading Read() const { return ReadHostFacts(root_, "/sys/class/dmi/id/product_name"); }

  std::string root_;
};

TEST_F(HostTree, ReadsMachineAndNvidiaGpusOnly) {
  Write("/sys/class/dmi/id/product_name", "PowerEdge XE9680\n");
  AddDevice("0000:1A:00.0", "0x10de", "0x030200");
  AddDevice("0000:1a:00.1", "0x10de", "0x040300");  // its audio function
  AddDevice("0000:00:02.0", "0x8086", "0x030000");
  const HostFactsReading reading = Read();
  EXPECT_THAT(reading.problems, IsEmpty());
  EXPECT_EQ(reading.facts.machine_type, "PowerEdge XE9680");
  EXPECT_THAT(reading.facts.pci_classes, ElementsAre(Pair("0000:1a:00.0", 0x030200u)));
  EXPECT_FALSE(reading.facts.vgpu);
}

TEST_F(HostTree, FindsTheVirtualGpu) {
  AddDevice("0000:02:00.0", "0x10de", "0x030000", ConfigSpace(VgpuCapability("460.16", "r460_00")));
  const HostFactsReading reading = Read();
  EXPECT_TRUE(reading.facts.vgpu);
  EXPECT_EQ(reading.facts.vgpu_host, (VgpuHost{"460.16", "r460_00"}));
  EXPECT_EQ(reading.problems.size(), 1u);  // no product_name
}

TEST_F(HostTree, OneUnreadableDeviceIsAProblemOnly) {
  Write("/sys/class/dmi/id/product_name", "x");
  AddDevice("0000:01:00.0", "0x10de", "nonsense");
  AddDevice("0000:02:00.0", "0x10de", "0x030200");
  const HostFactsReading reading = Read();
  EXPECT_THAT(reading.problems, ElementsAre(HasSubstr("\"nonsense\" is no hexadecimal number")));
  EXPECT_THAT(reading.facts.pci_classes, ElementsAre(Pair("0000:02:00.0", 0x030200u)));
}

TEST_F(HostTree, MachineWithoutPciIsFine) {
  Write("/sys/class/dmi/id/product_name", "x");
  EXPECT_THAT(Read().problems, IsEmpty());
}

}  // namespace
}  // namespace aliquot::labels
