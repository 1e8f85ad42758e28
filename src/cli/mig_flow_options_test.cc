// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/mig_flow_options.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::cli {
namespace {

class MigFlowOptions : public testing::Test {
 protected:
  MigFlowOptions() {
    char name[] = "/tmp/aliquot-test-XXXXXX";
    directory_ = ::mkdtemp(name);
    place_.state_dir = directory_ + "/state";
  }
  ~MigFlowOptions() override { std::filesystem::remove_all(directory_); }

  agent::MigAgentOptions Resolve() {
    std::ostringstream out, err;
    Console console{out, err};
    auto options = ResolveMigFlow(flags_, place_, console);
    EXPECT_TRUE(options.ok()) << options.error().message;
    return options.ok() ? *std::move(options) : agent::MigAgentOptions();
  }
  // From here on programs of the host are only written down.
  void RecordHost() {
    const std::string script = "#!/bin/sh\necho \"$*\" >>" + directory_ + "/ran\nexit 3\n";
    ASSERT_TRUE(WriteFileAtomically(directory_ + "/host", script, 0755).ok());
    flags_.host_command = directory_ + "/host --on";
  }
  std::string Ran() {
    const auto ran = ReadFile(directory_ + "/ran");
    return ran.ok() ? *ran : "";
  }

  std::string directory_;
  MigFlowFlags flags_;
  MigFlowPlace place_;
};

TEST_F(MigFlowOptions, ANodeHasAHost) {
  RecordHost();
  const agent::MigAgentOptions options = Resolve();
  EXPECT_EQ(Join(options.host.reboot_command, " "), "systemctl reboot");
  EXPECT_EQ(options.node.host_clients, agent::UsualGpuClients());
  EXPECT_FALSE(options.stop_host_clients);
  EXPECT_EQ(*options.host.on_host({"systemctl", "stop", "a.service"}), 3);
  EXPECT_EQ(options.node.driver_host.reset("0000:01:00.0").error().message,
            "\"nvidia-smi --gpu-reset\" ended with status 3");
  EXPECT_EQ(Ran(), "--on systemctl stop a.service\n--on nvidia-smi --gpu-reset -i 0000:01:00.0\n");
}

TEST_F(MigFlowOptions, ADriverContainerHasItsPrograms) {
  RecordHost();
  place_.driver_root = "/run/nvidia/driver";
  EXPECT_FALSE(Resolve().node.driver_host.reset("0000:01:00.0").ok());
  EXPECT_EQ(Ran(), "--on chroot /run/nvidia/driver nvidia-smi --gpu-reset -i 0000:01:00.0\n");
}

// The host is entered by its first process, wherever its /proc is mounted.
TEST_F(MigFlowOptions, WithoutACommandTheHostIsEntered) {
  place_.host_root = directory_ + "/nowhere";
  const auto ran = Resolve().host.on_host({"true"});
  ASSERT_FALSE(ran.ok());
  EXPECT_NE(ran.error().message.find("cannot enter the host by " + place_.host_root + "/proc/1"),
            std::string::npos);
}

TEST_F(MigFlowOptions, ASimulatedNodeHasNone) {
  place_.simulated = true;
  EXPECT_EQ(Resolve().host.on_host, nullptr);
  EXPECT_TRUE(Resolve().host.reboot_command.empty());
  EXPECT_EQ(Resolve().node.driver_host.reset, nullptr);
  RecordHost();
  EXPECT_NE(Resolve().host.on_host, nullptr);
  EXPECT_TRUE(Resolve().host.reboot_command.empty()) << "that needs a command of its own";
  flags_.reboot_command = "mkdir /rebooted";
  EXPECT_EQ(Join(Resolve().host.reboot_command, " "), "mkdir /rebooted");
}

TEST_F(MigFlowOptions, TheFileNamesTheClientsOfTheHost) {
  flags_.host_clients_file = directory_ + "/clients.yaml";
  flags_.stop_host_clients = true;
  ASSERT_TRUE(
      WriteFileAtomically(flags_.host_clients_file, "version: v1\nsystemd-services: [a.service]\n")
          .ok());
  EXPECT_EQ(Join(Resolve().node.host_clients, ","), "a.service");
  EXPECT_TRUE(Resolve().stop_host_clients);
}

}  // namespace
}  // namespace aliquot::cli
