// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <set>
#include <sstream>
#include <vector>

#include "interposer/testing/fixture.h"

// How programs come to the interposer, and how it comes to the driver.
namespace aliquot::interposer::testing {
namespace {

using LoadingTest = InterposerTest;

std::string Output(const std::string& command) {
  std::string output;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  std::array<char, 4096> buffer;
  while (std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), got);
  }
  ::pclose(pipe);
  return output;
}

std::set<std::string> Functions(const std::string& library) {
  std::set<std::string> names;
  std::istringstream lines(Output("nm -D --defined-only " + library));
  std::string address, kind, name;
  while (lines >> address >> kind >> name) {
    if (kind == "T" || kind == "W") names.insert(name);
  }
  return names;
}

// What stands in `text` between each `before` and the next `after`.
std::vector<std::string> Between(const std::string& text, const std::string& before, char after) {
  std::vector<std::string> found;
  for (std::size_t at = text.find(before); at != std::string::npos; at = text.find(before, at)) {
    at += before.size();
    found.push_back(text.substr(at, text.find(after, at) - at));
  }
  return found;
}

TEST(Library, ExportsWhatTheDriverExports) {
  const std::set<std::string> ours = Functions(ALIQUOT_INTERPOSER_PATH);
  for (const std::string& name : Functions(ALIQUOT_SIM_CUDA_PATH)) {
    EXPECT_TRUE(name.rfind("cu", 0) != 0 || ours.count(name) == 1) << name;
  }
  EXPECT_EQ(ours.size(), 734u);  // and aliquotInterposerMemory
}

TEST(Library, ExportsWhatNvmlExports) {
  const std::set<std::string> ours = Functions(ALIQUOT_INTERPOSER_NVML_PATH);
  for (const std::string& name : Functions(ALIQUOT_SIM_NVML_PATH)) {
    EXPECT_TRUE(name.rfind("nvml", 0) != 0 || ours.count(name) == 1) << name;
  }
  EXPECT_EQ(ours.size(), 439u);
}

// Runs in any container: nothing is needed but a glibc of CentOS 7's age.
TEST(Library, NeedsAnOldGlibcOnly) {
  for (const std::string library : {ALIQUOT_INTERPOSER_PATH, ALIQUOT_INTERPOSER_NVML_PATH}) {
    const std::string dynamic = Output("readelf -dW " + library);
    for (const std::string& name : Between(dynamic, "Shared library: [", ']')) {
      EXPECT_TRUE(name == "libc.so.6" || name == "libdl.so.2" || name == "ld-linux-x86-64.so.2")
          << name;
    }
    EXPECT_NE(dynamic.find("NODELETE"), std::string::npos);
    for (const std::string& minor : Between(Output("readelf -VW " + library), "GLIBC_2.", ' ')) {
      EXPECT_LE(std::stoi(minor), 17);
    }
    // The compiler's own start-up code alone.
    EXPECT_EQ(Output("nm " + library + " | grep -c _GLOBAL__sub_I").substr(0, 1), "0");
  }
}

// Whatever happens, the program decides how it ends; and nothing runs before it calls CUDA.
TEST(Library, NeitherEndsThrowsNorRunsUncalled) {
  const std::set<std::string> forbidden = {"exit",   "_exit",     "_Exit",      "quick_exit",
                                           "abort",  "raise",     "kill",       "__assert_fail",
                                           "signal", "sigaction", "__cxa_throw"};
  for (const std::string library : {ALIQUOT_INTERPOSER_PATH, ALIQUOT_INTERPOSER_NVML_PATH}) {
    std::istringstream lines(Output("nm -D --undefined-only " + library));
    std::string kind, name;
    int names = 0;
    while (lines >> kind >> name) {
      ++names;
      EXPECT_FALSE(forbidden.contains(name.substr(0, name.find('@')))) << library << " " << name;
    }
    EXPECT_GT(names, 10);
    // One function each: the compiler's own.
    const std::string dynamic = Output("readelf -dW " + library);
    EXPECT_EQ(Between(dynamic, "(INIT_ARRAYSZ)", '(').at(0).find_first_not_of(" 8"),
              std::string::npos);
    EXPECT_EQ(Between(dynamic, "(FINI_ARRAYSZ)", '(').at(0).find_first_not_of(" 8"),
              std::string::npos);
  }
}

// What the simulated driver's own tests play, through the interposer.
class Unchanged : public InterposerTest, public ::testing::WithParamInterface<const char*> {
 protected:
  int PlayTheirs(Variables variables) {
    variables["TEST_PROGRAM"] = ALIQUOT_SIM_PROGRAM_PATH;
    return Play({GetParam()}, variables);
  }
};

TEST_P(Unchanged, AsTheDriver) {
  StartAgent(Options(0));
  EXPECT_EQ(PlayTheirs(Env()), 0);
}

TEST_P(Unchanged, Preloaded) {
  StartAgent(Options(0));
  Variables variables = Env();
  variables["LD_PRELOAD"] = ALIQUOT_INTERPOSER_PATH;
  variables["TEST_CUDA_LIBRARY"] = "libcuda.so.1";
  EXPECT_EQ(PlayTheirs(variables), 0);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Unchanged,
                         ::testing::Values("per-thread-streams", "contexts", "fork",
                                           "fork-before-init", "reload", "linear",
                                           "pointer-attributes", "copies", "virtual", "pools",
                                           "launch-errors", "legacy-order", "host-functions",
                                           "threads", "libraries", "graph-nodes", "graph-any-nodes",
                                           "graph-allocations", "capture", "capture-errors",
                                           "recapture", "capture-to-graphics", "virtual-export"),
                         [](const auto& scenario) {
                           std::string name = scenario.param;
                           for (char& c : name) {
                             if (c == '-') c = '_';
                           }
                           return name;
                         });

TEST_F(LoadingTest, ProcAddressAnswersWithHooks) {
  StartAgent(Options(0));
  EXPECT_EQ(Play({"proc-address"}, Env()), 0);
}

// A driver younger than our list has its youngest functions hooked as well.
TEST_F(LoadingTest, ProcAddressAnswersWithHooksOfAYoungDriver) {
  WriteNode("13.5");
  StartAgent(Options(0));
  EXPECT_EQ(Play({"proc-address-young"}, Env()), 0);
}

TEST_F(LoadingTest, APreloadCatchesTheSoname) {
  StartAgent(Options(0));
  Variables variables = Env();
  variables["LD_PRELOAD"] = ALIQUOT_INTERPOSER_PATH;
  EXPECT_EQ(Play({"caught", "libcuda.so.1"}, variables), 0);
}

// As a container runtime mounts it: over every name of the driver, which lies elsewhere.
TEST_F(LoadingTest, AMountCatchesEveryName) {
  StartAgent(Options(0));
  const std::string lib = directory_ + "/lib";
  std::filesystem::create_directory(lib);
  for (const char* name : {"libcuda.so", "libcuda.so.1", "libcuda.so.580.159.04"}) {
    std::filesystem::copy_file(ALIQUOT_INTERPOSER_PATH, lib + "/" + name);
  }
  Variables variables = Env();
  variables["LD_LIBRARY_PATH"] = lib;
  variables["TEST_CUDA_LIBRARY"] = "libcuda.so";
  EXPECT_EQ(
      Play({"caught", "libcuda.so.1", "libcuda.so", lib + "/libcuda.so.580.159.04"}, variables), 0);
  EXPECT_EQ(Play({"proc-address"}, variables), 0);
}

// Without a line `driver` the loader's search finds the driver behind us, copies of us included.
TEST_F(LoadingTest, TheDriverIsFoundBehindOurselves) {
  AgentStub::Options options = Options(0);
  options.driver.clear();
  StartAgent(options);
  const std::string lib = directory_ + "/lib";
  std::filesystem::create_directory(lib);
  std::filesystem::copy_file(ALIQUOT_INTERPOSER_PATH, lib + "/libcuda.so.1");
  Variables variables = Env();
  variables["LD_LIBRARY_PATH"] =
      lib + ":" + std::filesystem::path(ALIQUOT_SIM_CUDA_PATH).parent_path().string();
  EXPECT_EQ(Play({"proc-address"}, variables), 0);
}

TEST_F(LoadingTest, WithoutADriverThereIsNoDevice) {
  AgentStub::Options options = Options(0);
  options.driver = "/nowhere/libcuda.so.1";
  StartAgent(options);
  Variables variables = Env();
  variables["TEST_PROGRAM"] = ALIQUOT_SIM_PROGRAM_PATH;
  EXPECT_EQ(Play({"no-device"}, variables), 0);
}

TEST_F(LoadingTest, ReloadedAgainAndAgain) {
  StartAgent(Options(kGiB));
  EXPECT_EQ(Play({"reload", ALIQUOT_INTERPOSER_PATH}, Env()), 0);
}

// Programs whose output others read: not a word, unless asked.
TEST_F(LoadingTest, IsSilentUnlessAsked) {
  StartAgent(Options(kGiB));
  const auto said = [&](Variables variables) {
    std::string command = "env";
    for (const auto& [name, value] : variables) command += " " + name + "=" + value;
    return Output(command + " " + ALIQUOT_TEST_PROGRAM_PATH +
                  " fill linear 64 2>&1 >/dev/null </dev/null");
  };
  EXPECT_EQ(said(Env()), "");
  EXPECT_GT(agent_->Denied(), 0u);
  Variables asked = Env();
  asked["ALIQUOT_LOG"] = "1";
  EXPECT_NE(said(asked).find("the share is used up"), std::string::npos);
}

// A program that was linked with the driver: it does not start if one symbol is missing.
TEST_F(LoadingTest, ALinkedProgramIsCaught) {
  StartAgent(Options(0));
  Variables variables = Env();
  variables["TEST_PROGRAM"] = ALIQUOT_LINKED_PROGRAM_PATH;
  EXPECT_EQ(Play({}, variables), 3) << "the driver itself";
  Variables preloaded = variables;
  preloaded["LD_PRELOAD"] = ALIQUOT_INTERPOSER_PATH;
  EXPECT_EQ(Play({}, preloaded), 0);
  const std::string lib = directory_ + "/lib";
  std::filesystem::create_directory(lib);
  std::filesystem::copy_file(ALIQUOT_INTERPOSER_PATH, lib + "/libcuda.so.1");
  variables["LD_LIBRARY_PATH"] = lib;
  EXPECT_EQ(Play({}, variables), 0);
}

// No grant: forwarding only, and no word of it.
TEST_F(LoadingTest, WithoutAGrantNothingHappens) {
  Variables variables = Env();
  variables.erase("ALIQUOT_GRANT_DIR");
  variables["LD_LIBRARY_PATH"] = std::filesystem::path(ALIQUOT_SIM_CUDA_PATH).parent_path();
  Child child({"query", "1024"}, variables);
  EXPECT_EQ(child.Hear().substr(0, 4), "1431");
}

}  // namespace
}  // namespace aliquot::interposer::testing
