// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/sim_command.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace aliquot::cli {
namespace {

class SimCommandTest : public testing::Test {
 protected:
  SimCommandTest() {
    char name[] = "/tmp/aliquot-simcli-XXXXXX";
    directory_ = ::mkdtemp(name);
    ::unsetenv("ALIQUOT_SIM_STATE");
    ::unsetenv("ALIQUOT_SIM_NODE");
  }
  ~SimCommandTest() override { std::filesystem::remove_all(directory_); }

  // Runs "aliquot sim <arguments>" and answers the exit status.
  int Run(std::vector<std::string> arguments) {
    out_.str("");
    err_.str("");
    Console console{out_, err_};
    CLI::App app;
    AddSimCommand(app, console);
    arguments.insert(arguments.begin(), "sim");
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError&) {
      return kExitUsage;
    }
    return console.exit_code;
  }
  int Live(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--state", directory_});
    return Run(arguments);
  }
  bool Printed(const std::string& text) { return out_.str().find(text) != std::string::npos; }

  std::string directory_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(SimCommandTest, ListsAndShowsBundledNodes) {
  EXPECT_EQ(Run({"list"}), kExitDone);
  EXPECT_TRUE(Printed("mixed-a100-t4     4     2 x NVIDIA A100-PCIE-40GB, 2 x Tesla T4"))
      << out_.str();
  EXPECT_EQ(Run({"show", "a100-40gb-x8-mig"}), kExitDone);
  EXPECT_TRUE(Printed("mig: [3g.20gb, 2g.10gb, 1g.5gb, 1g.5gb]"));
  EXPECT_TRUE(Printed("on: 3g.20gb@4 2g.10gb@0 1g.5gb@2 1g.5gb@3")) << out_.str();
  EXPECT_EQ(Run({"show", "nope"}), kExitFailed);
  EXPECT_NE(err_.str().find("t4-x1"), std::string::npos);
}

TEST_F(SimCommandTest, FaultsAreSeenInStatusUntilReset) {
  EXPECT_EQ(Live({"status", "--node", "t4-x4"}), kExitDone) << err_.str();
  EXPECT_EQ(Live({"lose", "--gpu", "1"}), kExitDone) << err_.str();
  EXPECT_EQ(Live({"error", "--call", "nvmlInit", "--code", "9", "--count", "3"}), kExitDone);
  EXPECT_EQ(Live({"slow", "--call", "*", "--ms", "10", "--gpu", "2"}), kExitDone);
  EXPECT_EQ(Live({"slow", "--call", "nvmlDeviceGetName", "--hang"}), kExitDone);
  EXPECT_EQ(Live({"process", "--pid", "5", "--memory-mib", "100", "--name", "x"}), kExitDone);
  EXPECT_EQ(Live({"unload"}), kExitDone);
  EXPECT_EQ(Live({"status"}), kExitDone);
  EXPECT_TRUE(Printed("(not loaded)")) << out_.str();
  EXPECT_TRUE(Printed("lost"));
  EXPECT_TRUE(Printed("fault: nvmlInit answers 9 (3 more times)"));
  EXPECT_TRUE(Printed("fault: * of GPU 2 takes 10 ms"));
  EXPECT_TRUE(Printed("fault: nvmlDeviceGetName hangs"));
  EXPECT_FALSE(Printed("process:")) << "processes end with the driver";
  EXPECT_EQ(Live({"load", "--driver", "590.1"}), kExitDone);
  EXPECT_EQ(Live({"restore", "--gpu", "1"}), kExitDone);
  EXPECT_EQ(Live({"reset"}), kExitDone);
  EXPECT_EQ(Live({"status"}), kExitDone);
  EXPECT_FALSE(Printed("fault:"));
  EXPECT_FALSE(Printed("lost"));
  EXPECT_TRUE(Printed("590.1"));
}

TEST_F(SimCommandTest, SaysWhatIsWrong) {
  EXPECT_EQ(Run({"lose", "--gpu", "0"}), kExitFailed);
  EXPECT_NE(err_.str().find("--state"), std::string::npos);
  EXPECT_EQ(Live({"lose", "--gpu", "0"}), kExitFailed) << "no node in the directory yet";
  EXPECT_EQ(Live({"xid", "79", "--gpu", "7", "--node", "t4-x4"}), kExitFailed);
  EXPECT_NE(err_.str().find("GPU 7 does not exist"), std::string::npos);
  EXPECT_EQ(Live({"xid", "--gpu", "0"}), kExitUsage);
  EXPECT_EQ(Live({"slow", "--call", "nvmlInit"}), kExitFailed);
  EXPECT_EQ(Live({"reload", "--driver", "new"}), kExitFailed);
  EXPECT_EQ(Run({}), kExitUsage);
}

TEST_F(SimCommandTest, WritesAHostTree) {
  EXPECT_EQ(Run({"tree", directory_ + "/root", "--node", "t4-x1"}), kExitDone) << err_.str();
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/root/dev/nvidia0"));
  EXPECT_EQ(Run({"tree", directory_ + "/root"}), kExitFailed);
}

}  // namespace
}  // namespace aliquot::cli
