// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// `aliquot mig` as it is typed, on simulated nodes.
#include "cli/mig_command.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "mig/recovery.h"
#include "sim/control/control.h"

namespace aliquot::cli {
namespace {

constexpr const char* kConfig = R"(version: v1
mig-configs:
  mixed:
  - devices: [0]
    mig-enabled: true
    mig-devices: {"3g.20gb": 1, "2g.10gb": 1, "1g.5gb": 2}
  whole:
  - devices: [3]
    mig-enabled: true
    mig-devices: {"7g.40gb": 1}
  disabled:
  - devices: all
    mig-enabled: false
  too-much:
  - devices: [0]
    mig-enabled: true
    mig-devices: {"3g.20gb": 3}
)";

class MigCommandTest : public testing::Test {
 protected:
  MigCommandTest() {
    char name[] = "/tmp/aliquot-migcli-XXXXXX";
    directory_ = ::mkdtemp(name);
    ::setenv("ALIQUOT_SIM_LIBRARY", ALIQUOT_SIM_NVML_PATH, 1);
    config_ = Write("config.yaml", kConfig);
  }
  ~MigCommandTest() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) {
    EXPECT_TRUE(WriteFileAtomically(directory_ + "/" + name, text).ok());
    return directory_ + "/" + name;
  }

  // Runs "aliquot mig <arguments>" and answers the exit status.
  int Run(std::vector<std::string> arguments) {
    ::unsetenv("ALIQUOT_SIM_STATE");  // of the command before
    ::unsetenv("ALIQUOT_SIM_NODE");
    out_.str("");
    err_.str("");
    Console console{out_, err_};
    CLI::App app;
    AddMigCommand(app, console);
    arguments.insert(arguments.begin(), "mig");
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      err_ << error.what();
      return kExitUsage;
    }
    return console.exit_code;
  }
  // On a node that is kept in the test's directory.
  int Live(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--node", "a100-40gb-x8-mig", "--state", State()});
    return Run(std::move(arguments));
  }
  // With the configuration file.
  int With(const std::string& command, const std::string& label,
           std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {command, "-f", config_, "-c", label};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Live(std::move(arguments));
  }
  std::string State() const { return directory_ + "/state"; }
  bool Printed(const std::string& text) { return out_.str().find(text) != std::string::npos; }
  bool Complained(const std::string& text) { return err_.str().find(text) != std::string::npos; }
  boost::json::object Json() { return boost::json::parse(out_.str()).as_object(); }
  std::unique_ptr<sim::Control> Control() {
    return std::move(sim::Control::Open(State(), "a100-40gb-x8-mig")).value();
  }

  std::string directory_;
  std::string config_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(MigCommandTest, PlanShowsWhatApplyThenDoes) {
  EXPECT_EQ(With("plan", "mixed"), kExitDone) << err_.str();
  EXPECT_TRUE(Printed("simulated node a100-40gb-x8-mig\n")) << out_.str();
  EXPECT_TRUE(Printed("before MIG off\n"));
  EXPECT_TRUE(Printed("|+3g.20gb"));
  EXPECT_TRUE(Printed("left alone: GPU 1, 2, 3, 4, 5, 6, 7\n"));
  EXPECT_EQ(With("assert", "mixed"), kExitFailed);
  EXPECT_TRUE(Complained("the node does not have the MIG configuration"));
  EXPECT_EQ(With("apply", "mixed"), kExitDone) << err_.str();
  EXPECT_TRUE(Printed("done")) << out_.str();
  EXPECT_EQ(With("assert", "mixed"), kExitDone) << err_.str();
  EXPECT_EQ(With("apply", "mixed"), kExitDone);
  EXPECT_TRUE(Printed("unchanged")) << out_.str();
  EXPECT_EQ(With("assert", "disabled", {"-m"}), kExitFailed);
}

TEST_F(MigCommandTest, PrintsJson) {
  EXPECT_EQ(With("plan", "mixed", {"-o", "json"}), kExitDone);
  const boost::json::object plan = Json();
  EXPECT_TRUE(plan.at("changes").as_bool());
  EXPECT_TRUE(plan.at("simulated").as_bool());
  const auto& gpu = plan.at("gpus").as_array().at(0).as_object();
  EXPECT_FALSE(gpu.at("before").as_object().at("migEnabled").as_bool());
  EXPECT_EQ(gpu.at("after").as_object().at("instances").as_array().size(), 4u);
  EXPECT_EQ(With("apply", "mixed", {"-o", "json"}), kExitDone);
  EXPECT_TRUE(Json().at("done").as_bool());
  EXPECT_EQ(With("assert", "mixed", {"-o", "json"}), kExitDone);
  EXPECT_TRUE(Json().at("applied").as_bool());
}

TEST_F(MigCommandTest, WhatIsInUseIsNamedAndStays) {
  sim::ProcessOptions process;
  process.pid = 4711;
  process.gpu = 3;
  process.gi = 2;
  process.ci = 0;
  process.name = "python";
  ASSERT_TRUE(Control()->AddProcess(process, 0).ok());
  EXPECT_EQ(With("plan", "whole"), kExitFailed);
  EXPECT_TRUE(
      Printed("blocked: device 3g.20gb (GPU instance 2, compute instance 0) is in use by "
              "pid 4711 python"))
      << out_.str();
  EXPECT_EQ(With("apply", "whole"), kExitFailed);
  EXPECT_TRUE(Complained("pid 4711 python")) << err_.str();
  ASSERT_TRUE(Control()->RemoveProcess(4711).ok());
  EXPECT_EQ(With("apply", "whole"), kExitDone) << err_.str();
}

TEST_F(MigCommandTest, OnlyTheModeIfAsked) {
  EXPECT_EQ(With("apply", "mixed", {"-m"}), kExitDone) << err_.str();
  EXPECT_TRUE(Printed("on: empty")) << out_.str();
  EXPECT_EQ(With("assert", "mixed", {"-m"}), kExitDone);
  EXPECT_EQ(With("assert", "mixed"), kExitFailed);
  EXPECT_EQ(With("apply", "whole", {"-m"}), kExitDone);
  EXPECT_TRUE(Printed("unchanged")) << "the mode is on, and instances stay: " << out_.str();
}

TEST_F(MigCommandTest, ExportsWhatAssertThenAccepts) {
  EXPECT_EQ(Live({"export"}), kExitDone) << err_.str();
  EXPECT_TRUE(Printed("  current:\n")) << out_.str();
  const std::string exported = Write("exported.yaml", out_.str());
  EXPECT_EQ(Live({"assert", "-f", exported}), kExitDone) << err_.str();
  EXPECT_EQ(Live({"export", "-o", "json", "-l", "x"}), kExitDone);
  EXPECT_TRUE(Json().at("mig-configs").as_object().contains("x"));
  EXPECT_EQ(Live({"generate-config", "-f", directory_ + "/generated.yaml"}), kExitDone);
  EXPECT_EQ(Live({"apply", "-f", directory_ + "/generated.yaml", "-c", "all-balanced"}), kExitDone)
      << err_.str();
}

TEST_F(MigCommandTest, ACheckpointBringsEverythingBack) {
  const std::string file = directory_ + "/checkpoint.json";
  EXPECT_EQ(Live({"checkpoint", "-f", file}), kExitDone) << err_.str();
  EXPECT_EQ(Live({"export"}), kExitDone);
  const std::string before = out_.str();
  EXPECT_EQ(With("apply", "disabled"), kExitDone) << err_.str();
  EXPECT_EQ(Live({"restore", "-f", file}), kExitDone) << err_.str();
  EXPECT_EQ(Live({"export"}), kExitDone);
  EXPECT_EQ(out_.str(), before);
  EXPECT_EQ(Live({"checkpoint", "-f", "-"}), kExitDone);
  EXPECT_EQ(out_.str(), *ReadFile(file));
  EXPECT_EQ(Run({"restore", "-f", file, "--node", "h200-x1", "--state", directory_ + "/other"}),
            kExitFailed);
  EXPECT_TRUE(Complained("which this node does not have")) << err_.str();
}

TEST_F(MigCommandTest, HooksRunAroundAnApply) {
  const std::string log = directory_ + "/log";
  std::string hooks = "version: v1\nhooks:\n";
  for (const char* point : {"apply-start", "pre-apply-mode", "pre-apply-config", "apply-exit"}) {
    hooks += std::string("  ") + point + ":\n  - {command: sh, args: [-c, 'echo " + point +
             " $MIG_PARTED_SELECTED_CONFIG >>" + log + "']}\n";
  }
  const std::string file = Write("hooks.yaml", hooks);
  EXPECT_EQ(With("apply", "mixed", {"-k", file}), kExitDone) << err_.str();
  EXPECT_EQ(*ReadFile(log),
            "apply-start mixed\npre-apply-mode mixed\npre-apply-config mixed\napply-exit mixed\n");
  std::filesystem::remove(log);
  EXPECT_EQ(With("apply", "mixed", {"-k", file}), kExitDone) << "nothing to do";
  EXPECT_EQ(*ReadFile(log), "apply-start mixed\napply-exit mixed\n");
  std::filesystem::remove(log);
  EXPECT_EQ(With("apply", "too-much", {"-k", file}), kExitFailed) << "fails";
  EXPECT_EQ(*ReadFile(log), "apply-start too-much\napply-exit too-much\n");
  const std::string failing =
      Write("failing.yaml", "version: v1\nhooks: {apply-start: [{command: \"false\"}]}\n");
  EXPECT_EQ(With("apply", "whole", {"-k", failing}), kExitFailed);
  EXPECT_TRUE(Complained("hook: \"false\" ended with status 1")) << err_.str();
  EXPECT_EQ(With("assert", "whole"), kExitFailed) << "nothing was done";
}

TEST_F(MigCommandTest, AnInterruptedChangeIsFinishedFirst) {
  EXPECT_EQ(Live({"export"}), kExitDone);
  mig::Journal journal;
  mig::Layout after;
  after.mode_on = true;
  after.instances = {{4, {0, 8}, {{4, {0, 7}}}}};
  journal.gpus.push_back({Control()->node().gpus[0].uuid, {}, after});
  mig::FileJournalStore store(mig::JournalPath(State()));
  ASSERT_TRUE(store.Save(mig::WriteJournal(journal)).ok());
  EXPECT_EQ(With("apply", "whole"), kExitDone) << err_.str();
  EXPECT_TRUE(Complained("an interrupted change was taken up again")) << err_.str();
  EXPECT_TRUE(Complained("on: 7g.40gb at 0"));
  ASSERT_TRUE(store.Save("rubbish").ok());
  EXPECT_EQ(With("apply", "disabled"), kExitFailed);
  EXPECT_TRUE(Complained("journal")) << err_.str();
}

TEST_F(MigCommandTest, OneLostGpuDoesNotStopTheOthers) {
  ASSERT_TRUE(Control()->Lose(7).ok());
  EXPECT_EQ(With("apply", "disabled"), kExitFailed);
  EXPECT_TRUE(Complained("GPU 7")) << err_.str();
  EXPECT_TRUE(Printed("done")) << out_.str();
  EXPECT_EQ(With("apply", "mixed"), kExitDone) << "it speaks of GPU 0 only: " << err_.str();
  EXPECT_EQ(Live({"export"}), kExitFailed);
  EXPECT_TRUE(Complained("it is left out"));
}

TEST_F(MigCommandTest, SaysWhatIsWrong) {
  EXPECT_EQ(Run({"apply"}), kExitUsage);
  EXPECT_EQ(Run({}), kExitUsage);
  EXPECT_EQ(With("plan", "none"), kExitFailed);
  EXPECT_TRUE(Complained("\"none\" is not in the file, which has disabled, mixed, too-much, whole"))
      << err_.str();
  EXPECT_EQ(With("plan", "too-much"), kExitFailed);
  EXPECT_TRUE(Complained("does not fit")) << err_.str();
  EXPECT_EQ(Run({"apply", "-f", config_, "-c", "mixed", "--node", "a100-40gb-x8"}), kExitFailed);
  EXPECT_TRUE(Complained("--state")) << err_.str();
  const std::string broken = Write("broken.yaml", "version: v1\nmig-configs:\n  a: []\n");
  EXPECT_EQ(Live({"assert", "-f", broken, "-a"}), kExitFailed);
  EXPECT_TRUE(Complained("broken.yaml:3")) << err_.str();
  EXPECT_EQ(With("assert", "mixed", {"-a"}), kExitDone);
  EXPECT_TRUE(Printed("valid"));
  EXPECT_EQ(Run({"generate-config", "--node", "t4-x4"}), kExitFailed);
}

}  // namespace
}  // namespace aliquot::cli
