// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/control/tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "sim/state/machine.h"
#include "sim/state/mig.h"

namespace aliquot::sim {
namespace {

class TreeTest : public testing::Test {
 protected:
  TreeTest() {
    char name[] = "/tmp/aliquot-tree-XXXXXX";
    root_ = ::mkdtemp(name);
  }
  ~TreeTest() override { std::filesystem::remove_all(root_); }

  Status Write(const std::string& name, const TreeOptions& options = {}) {
    const Result<NodeSpec> node = LoadNode(name);
    if (!node.ok()) return node.error();
    const Result<NodeState> state = InitialState(*node);
    if (!state.ok()) return state.error();
    return WriteTree(*node, *state, root_, options);
  }
  std::string Read(const std::string& path) {
    const Result<std::string> text = ReadFile(root_ + path);
    return text.ok() ? *text : "(" + text.error().message + ")";
  }
  bool Exists(const std::string& path) { return std::filesystem::exists(root_ + path); }

  std::string root_;
};

TEST(CapMinors, FollowTheDriversTable) {
  EXPECT_EQ(GpuInstanceCapMinor(0, 0), 3u);
  EXPECT_EQ(GpuInstanceCapMinor(0, 1), 12u);
  EXPECT_EQ(ComputeInstanceCapMinor(0, 0, 0), 4u);
  EXPECT_EQ(ComputeInstanceCapMinor(31, 14, 7), 4322u);
  const std::string text = MigMinorsFile();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4322);
  EXPECT_TRUE(text.starts_with(
      "config 1\nmonitor 2\ngpu0/gi0/access 3\ngpu0/gi0/ci0/access 4\ngpu0/gi0/ci1/access 5\n"));
  EXPECT_TRUE(text.ends_with("gpu31/gi14/ci7/access 4322\n"));
}

TEST_F(TreeTest, ShowsAMigHost) {
  ASSERT_TRUE(Write("a100-40gb-x8-mig").ok());
  EXPECT_EQ(Read("/proc/driver/nvidia-caps/mig-minors"), MigMinorsFile());
  EXPECT_EQ(Read("/proc/driver/nvidia/capabilities/gpu3/mig/gi2/ci0/access"),
            "DeviceFileMinor: 427\nDeviceFileMode: 292\nDeviceFileModify: 1\n");
  EXPECT_TRUE(Exists("/dev/nvidia-caps/nvidia-cap426"));
  EXPECT_TRUE(Exists("/dev/nvidia-caps/nvidia-cap427"));
  EXPECT_TRUE(Exists("/proc/driver/nvidia/capabilities/gpu0/mig"));
  EXPECT_FALSE(Exists("/proc/driver/nvidia/capabilities/gpu0/mig/gi0"));
  EXPECT_EQ(Read("/sys/bus/pci/devices/0000:07:00.0/numa_node"), "0\n");
  EXPECT_EQ(Read("/sys/bus/pci/devices/0000:38:00.0/numa_node"), "1\n");
  EXPECT_EQ(Read("/sys/bus/pci/devices/0000:07:00.0/device"), "0x20b0\n");
  EXPECT_EQ(Read("/sys/bus/pci/devices/0000:07:00.0/class"), "0x030200\n");
  EXPECT_EQ(Read("/sys/bus/pci/devices/0000:07:00.0/config").substr(0, 4), "\xde\x10\xb0\x20");
  EXPECT_TRUE(Read("/proc/driver/nvidia/gpus/0000:07:00.0/information")
                  .starts_with("Model: \t\t NVIDIA A100-SXM4-40GB\n"));
  EXPECT_TRUE(Exists("/dev/nvidia7"));
  EXPECT_FALSE(Exists("/dev/nvidia8"));
}

TEST_F(TreeTest, HostWithoutMigHasNoCapabilities) {
  ASSERT_TRUE(Write("t4-x1").ok());
  EXPECT_FALSE(Exists("/proc/driver/nvidia-caps"));
  EXPECT_FALSE(Exists("/dev/nvidia-caps"));
  EXPECT_TRUE(Exists("/dev/nvidiactl"));
  EXPECT_TRUE(Exists("/usr/lib/x86_64-linux-gnu/libcuda.so"));
  EXPECT_EQ(Read("/usr/share/aliquot/simulated-node"), "t4-x1\n");
  ASSERT_TRUE(Write("t4-x1").ok()) << "writing again must work";
}

TEST_F(TreeTest, CopiesTheSimulatedLibraries) {
  std::filesystem::create_directories(root_ + "/from");
  ASSERT_TRUE(WriteFileAtomically(root_ + "/from/libnvidia-ml.so.1", "library").ok());
  TreeOptions options;
  options.library_directory = root_ + "/from";
  ASSERT_TRUE(Write("t4-x1", options).ok());
  EXPECT_EQ(Read("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"), "library");
  EXPECT_EQ(Read("/usr/lib/x86_64-linux-gnu/libcuda.so.1"), "");
}

TEST_F(TreeTest, SaysWhatCannotBeWritten) {
  ASSERT_TRUE(WriteFileAtomically(root_ + "/proc", "").ok());
  const Status status = Write("t4-x1");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find(root_ + "/proc"), std::string::npos);
}

}  // namespace
}  // namespace aliquot::sim
