// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/gpu_presence.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/executor_fake.h"

namespace aliquot::agent {
namespace {

namespace fs = std::filesystem;

class GpuPresenceTest : public testing::Test {
 protected:
  GpuPresenceTest() {
    char name[] = "/tmp/aliquot-pci-XXXXXX";
    root_ = ::mkdtemp(name);
  }
  ~GpuPresenceTest() override { fs::remove_all(root_); }

  void Plug(const std::string& bus_id, const std::string& vendor, const std::string& pci_class) {
    const fs::path device = fs::path(root_) / "sys/bus/pci/devices" / bus_id;
    fs::create_directories(device);
    std::ofstream(device / "vendor") << vendor << "\n";
    std::ofstream(device / "class") << pci_class << "\n";
  }

  std::string root_;
};

TEST_F(GpuPresenceTest, IsVendorAndClass) {
  Plug("0000:00:01.0", "0x10de", "0x020700");  // InfiniBand
  Plug("0000:00:02.0", "0x10de", "0x068000");  // an NVSwitch
  Plug("0000:00:03.0", "0x1002", "0x030000");  // somebody else's
  fs::create_directory(root_ + "/sys/bus/pci/devices/0000:00:04.0");
  EXPECT_EQ(HasNvidiaGpu(root_), std::optional(false));
  Plug("0000:00:05.0", "0x10de", "0x030200");
  EXPECT_EQ(HasNvidiaGpu(root_), std::optional(true));
}

TEST_F(GpuPresenceTest, IsNotKnownWithoutSysfs) {
  EXPECT_EQ(HasNvidiaGpu(root_), std::nullopt);
  fs::create_directories(root_ + "/sys/bus");
  EXPECT_EQ(HasNvidiaGpu(root_), std::optional(false));  // a machine without PCI
  fs::create_directories(root_ + "/dev");
  std::ofstream(root_ + "/dev/dxg") << "";
  EXPECT_EQ(HasNvidiaGpu(root_), std::nullopt);
}

TEST_F(GpuPresenceTest, LooksAgainUntilOneAppears) {
  Plug("0000:00:05.0", "0x10de", "0x040300");
  FakeClock clock;
  FakeExecutor executor(clock);
  auto poller = FdPoller::Create();
  ASSERT_TRUE(poller.ok());
  int appeared = 0;
  int idle = 0;
  std::unique_ptr<GpuPresence> presence;
  presence = std::make_unique<GpuPresence>(
      **poller, executor, root_,
      [&] {
        ++appeared;
        presence.reset();
      },
      [&] { ++idle; });
  executor.Advance(2 * GpuPresence::kInterval);
  EXPECT_EQ(appeared, 0);
  EXPECT_EQ(idle, 3);
  Plug("0000:1a:00.0", "0x10de", "0x030000");
  executor.Advance(2 * GpuPresence::kInterval);
  EXPECT_EQ(appeared, 1);
  EXPECT_EQ(idle, 3);
}

}  // namespace
}  // namespace aliquot::agent
