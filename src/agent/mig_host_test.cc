// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_host.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <set>

#include "agent/mig_records.h"
#include "base/executor_fake.h"
#include "base/text.h"

namespace aliquot::agent {
namespace {

class MigHostTest : public testing::Test {
 protected:
  MigHostTest() {
    char name[] = "/tmp/aliquot-test-XXXXXX";
    directory_ = ::mkdtemp(name);
    options_.state_dir = directory_ + "/state";
    options_.on_host = [this](const std::vector<std::string>& command) -> Result<int> {
      const std::string line = Join(command, " ");
      if (line.find("is-active") != std::string::npos) {
        if (!host_error_.empty()) return Error{Code::kUnavailable, host_error_};
        return active_.contains(command.back()) ? 0 : inactive_status_;
      }
      ran_.push_back(line);
      if (line.find(failing_) != std::string::npos) return 1;
      if (command[1] == "stop") active_.erase(command.back());
      if (command[1] == "start") active_.insert(command.back());
      return 0;
    };
  }
  ~MigHostTest() override { std::filesystem::remove_all(directory_); }

  HostPrograms Make() {
    return HostPrograms(options_, log_, [this](const mig::Hook& program) -> Status {
      std::string line = program.command;
      for (const std::string& arg : program.args) line += " " + arg;
      ran_.push_back(line);
      if (line.find(failing_) != std::string::npos) return Error{Code::kUnavailable, line};
      return {};
    });
  }
  static Status Await(const std::function<void(MigHost::Done)>& call) {
    std::promise<Status> done;
    call([&](const Status& status) { done.set_value(status); });
    return done.get_future().get();
  }
  Status Stop(MigHost& host, bool mode = true) {
    return Await([&](MigHost::Done done) { host.StopClients(units_, mode, std::move(done)); });
  }
  static Status Start(MigHost& host) {
    return Await([&](MigHost::Done done) { host.StartClients(std::move(done)); });
  }

  std::string directory_;
  HostPrograms::Options options_;
  std::vector<std::string> units_;
  std::set<std::string> active_;  // on the host
  int inactive_status_ = 3;       // of "is-active" for the others
  std::string host_error_;        // of asking for them
  std::vector<std::string> ran_;
  std::string failing_ = "no program is called so";
  FakeClock clock_;
  Logger log_{clock_, Logger::NullSink()};
};

TEST_F(MigHostTest, WhatRunsIsStoppedAndStartedAgain) {
  units_ = {"dcgm.service", "nvsm.service"};
  active_ = {"dcgm.service"};
  HostPrograms host = Make();
  EXPECT_TRUE(Stop(host).ok());
  EXPECT_TRUE(host.stopped());
  EXPECT_EQ(ran_, (std::vector<std::string>{"systemctl stop dcgm.service"}));
  ran_.clear();
  HostPrograms next = Make();  // the agent was killed meanwhile
  EXPECT_TRUE(next.stopped());
  EXPECT_TRUE(Start(next).ok());
  EXPECT_EQ(ran_, (std::vector<std::string>{"systemctl start dcgm.service"}));
  EXPECT_FALSE(next.stopped());
}

// Killed with one stopped, the agent comes back and stops again what it finds running.
TEST_F(MigHostTest, WhatAnotherLeftStoppedIsNotForgotten) {
  units_ = {"dcgm.service", "nvsm.service"};
  active_ = {"dcgm.service"};
  HostPrograms first = Make();
  EXPECT_TRUE(Stop(first).ok());
  active_.insert("nvsm.service");
  HostPrograms next = Make();
  EXPECT_TRUE(Stop(next).ok());
  EXPECT_TRUE(active_.empty());
  EXPECT_TRUE(Start(next).ok());
  EXPECT_EQ(active_, (std::set<std::string>{"dcgm.service", "nvsm.service"}));
}

// A host that cannot be asked is no host without clients.
TEST_F(MigHostTest, AHostThatCannotBeAskedIsAFailure) {
  units_ = {"dcgm.service"};
  host_error_ = "cannot enter the host";
  HostPrograms host = Make();
  EXPECT_EQ(Stop(host).error().message, "cannot ask for dcgm.service: cannot enter the host");
  host_error_.clear();
  inactive_status_ = 1;  // as where systemd is not what was booted
  EXPECT_NE(Stop(host).error().message.find("ended with status 1"), std::string::npos);
  inactive_status_ = 4;
  EXPECT_TRUE(Stop(host).ok());
  EXPECT_TRUE(ran_.empty());
  EXPECT_TRUE(Start(host).ok());
}

TEST_F(MigHostTest, WhatDoesNotStartIsTriedAgain) {
  units_ = {"a.service", "b.service"};
  active_ = {"a.service", "b.service"};
  failing_ = "start a.service";
  HostPrograms host = Make();
  EXPECT_TRUE(Stop(host).ok());
  const Status failed = Start(host);
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.error().message.find("start a.service"), std::string::npos);
  EXPECT_EQ(ran_.back(), "systemctl start b.service") << "one does not stop the other";
  EXPECT_TRUE(host.stopped());
  failing_ = "nothing";
  EXPECT_TRUE(Start(host).ok());
  EXPECT_FALSE(host.stopped());
}

// Hosts without systemd are not asked about it (mig-parted#356).
TEST_F(MigHostTest, WithNothingToStopNothingIsRun) {
  HostPrograms host = Make();
  EXPECT_TRUE(Stop(host).ok());
  EXPECT_FALSE(host.stopped());
  EXPECT_TRUE(Start(host).ok());
  EXPECT_TRUE(ran_.empty());
}

TEST_F(MigHostTest, HooksRunInTheirOrder) {
  options_.hooks.apply_start = {{"start", {}, {}, ""}};
  options_.hooks.pre_apply_mode = {{"mode", {}, {}, ""}};
  options_.hooks.pre_apply_config = {{"config", {}, {}, ""}};
  options_.hooks.apply_exit = {{"exit", {}, {}, ""}};
  HostPrograms host = Make();
  EXPECT_TRUE(Stop(host, false).ok());
  EXPECT_TRUE(Start(host).ok());
  EXPECT_EQ(Join(ran_, ","), "start,config,exit");
  ran_.clear();
  failing_ = "mode";
  EXPECT_FALSE(Stop(host).ok());
  EXPECT_TRUE(Start(host).ok());
  EXPECT_EQ(Join(ran_, ","), "start,mode,exit") << "the end runs in any case";
}

TEST_F(MigHostTest, ARebootNeedsACommand) {
  {
    HostPrograms host = Make();
    EXPECT_FALSE(Await([&](MigHost::Done done) { host.Reboot(std::move(done)); }).ok());
  }
  options_.reboot_command = {"systemctl", "reboot"};
  HostPrograms host = Make();
  EXPECT_TRUE(Await([&](MigHost::Done done) { host.Reboot(std::move(done)); }).ok());
  EXPECT_EQ(ran_, (std::vector<std::string>{"systemctl reboot"}));
}

TEST_F(MigHostTest, ARebootIsRememberedByBoot) {
  const std::string& state = options_.state_dir;
  EXPECT_EQ(RebootedFor(state, "boot-1"), "");
  ASSERT_TRUE(RecordReboot(state, "boot-1", "all-1g.5gb").ok());
  EXPECT_EQ(RebootedFor(state, "boot-1"), "") << "it has not happened yet";
  EXPECT_EQ(RebootedFor(state, "boot-2"), "all-1g.5gb");
  EXPECT_TRUE(HasRebootRecord(state));
  RemoveRebootRecord(state);
  EXPECT_EQ(RebootedFor(state, "boot-2"), "");
}

TEST(GpuClients, AreReadAsMigManagerDoes) {
  const auto units =
      ParseGpuClients("version: v1\nsystemd-services:\n- nvsm.service\n- dcgm.service\n");
  ASSERT_TRUE(units.ok()) << units.error().message;
  EXPECT_EQ(*units, (std::vector<std::string>{"nvsm.service", "dcgm.service"}));
  EXPECT_TRUE(ParseGpuClients("version: v1\n").ok());
  EXPECT_FALSE(ParseGpuClients("version: v2\n").ok());
  EXPECT_FALSE(ParseGpuClients("version: v1\nsystemd-services: [--force]\n").ok());
  EXPECT_FALSE(ParseGpuClients("version: v1\nsystemd-services: 3\n").ok());
}

}  // namespace
}  // namespace aliquot::agent
