// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sim/control/control.h"
#include "sim/nvml/abi.h"
#include "sim/state/machine.h"
#include "sim/state/mig.h"
#include "sim/state/process.h"
#include "sim/state/seen_pids.h"
#include "sim/state/shared_state.h"

namespace aliquot::sim {
namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/aliquot-sim-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Runs `body` in a child process and answers its exit status.
template <typename Body>
int InChild(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// The GI ids that come out of creating instances of `ids` in that order; -1 for one refused.
std::vector<int> Create(const std::string& product_key, const std::vector<unsigned>& ids) {
  const auto product = BundledProduct(product_key);
  GpuState gpu{};
  std::vector<int> created;
  for (const unsigned id : ids) {
    unsigned gi = 0;
    const abi::Return code =
        CreateGpuInstance(*(*product)->mig, gpu, *(*product)->ProfileById(id), std::nullopt, &gi);
    EXPECT_TRUE(code == abi::kSuccess || code == abi::kInsufficientResources) << code;
    created.push_back(code == abi::kSuccess ? static_cast<int>(gi) : -1);
  }
  return created;
}

// Sequences from documented sessions on A100 and H100.
TEST(Mig, DriverPlacesAsOnRealHardware) {
  using Ids = std::vector<int>;
  for (const char* product : {"A100-SXM4-40GB", "H100-80GB-HBM3", "H200", "B200"}) {
    EXPECT_EQ(Create(product, {9, 14, 19, 19}), (Ids{2, 3, 9, 10}));
    EXPECT_EQ(Create(product, {9, 19, 14, 19}), (Ids{2, 7, 4, 8}));
    EXPECT_EQ(Create(product, {19, 14, 5}), (Ids{13, 5, 1}));
    EXPECT_EQ(Create(product, {14, 19, 19, 19, 19, 19}), (Ids{5, 13, 7, 8, 9, 10}));
    EXPECT_EQ(Create(product, {19, 19, 19, 19, 19, 19, 19}), (Ids{13, 11, 12, 7, 8, 9, 10}));
    EXPECT_EQ(Create(product, {19, 19, 14, 9}), (Ids{13, 11, 3, -1}));
    EXPECT_EQ(Create(product, {9, 9}), (Ids{2, 1}));
    EXPECT_EQ(Create(product, {0, 19}), (Ids{0, -1}));
    EXPECT_EQ(Create(product, {19, 19, 19, 19, 19, 19, 19, 19}).back(), -1);
  }
  EXPECT_EQ(Create("A30", {14, 14, 14, 14, 14}), (Ids{3, 4, 5, 6, -1}));
  EXPECT_EQ(Create("A30", {5, 5, 14}), (Ids{1, 2, -1}));
  EXPECT_EQ(Create("RTX-PRO-6000-Server", {14, 5, 14}), (Ids{3, 2, 4}));
}

TEST(Mig, MediaEnginesAreNotGivenTwice) {
  using Ids = std::vector<int>;
  EXPECT_EQ(Create("A100-SXM4-40GB", {20, 20}), (Ids{13, -1}));
  EXPECT_EQ(Create("A30", {21, 6}), (Ids{3, -1}));
  EXPECT_EQ(Create("RTX-PRO-6000-Server", {65, 14}), (Ids{3, -1}));
  EXPECT_EQ(Create("RTX-PRO-6000-Server", {65, 67, 67}), (Ids{3, 4, 5}));
  EXPECT_EQ(Create("RTX-PRO-6000-Server", {14, 64}), (Ids{3, -1}));
}

TEST(Mig, RemainingCountsOneProfileAlone) {
  const auto product = BundledProduct("A100-SXM4-40GB");
  const MigTraits& mig = *(*product)->mig;
  GpuState gpu{};
  unsigned gi = 0;
  ASSERT_EQ(CreateGpuInstance(mig, gpu, *(*product)->ProfileById(9), std::nullopt, &gi),
            abi::kSuccess);
  const auto remaining = [&](unsigned id) {
    return RemainingGpuInstances(mig, gpu, *(*product)->ProfileById(id));
  };
  EXPECT_EQ(remaining(19), 4u);
  EXPECT_EQ(remaining(15), 2u);
  EXPECT_EQ(remaining(14), 2u);
  EXPECT_EQ(remaining(9), 1u);
  EXPECT_EQ(remaining(5), 1u);
  EXPECT_EQ(remaining(0), 0u);
}

TEST(Mig, ComputeInstancesShareAGpuInstance) {
  const auto product = BundledProduct("A100-SXM4-40GB");
  GpuState gpu{};
  unsigned gi = 0;
  const MigProfile& profile = *(*product)->ProfileById(9);
  ASSERT_EQ(CreateGpuInstance(*(*product)->mig, gpu, profile, std::nullopt, &gi), abi::kSuccess);
  const auto compute = ComputeProfiles(**product, profile);
  unsigned ci = 99;
  EXPECT_EQ(CreateComputeInstance(gpu, gi, compute[1], std::nullopt, &ci), abi::kSuccess);
  EXPECT_EQ(ci, 0u);
  EXPECT_EQ(CreateComputeInstance(gpu, gi, compute[2], std::nullopt, &ci),
            abi::kInsufficientResources);
  EXPECT_EQ(CreateComputeInstance(gpu, gi, compute[0], abi::Placement{0, 1}, &ci),
            abi::kInsufficientResources);
  EXPECT_EQ(CreateComputeInstance(gpu, gi, compute[0], abi::Placement{3, 1}, &ci),
            abi::kInvalidArgument);
  EXPECT_EQ(CreateComputeInstance(gpu, gi, compute[0], std::nullopt, &ci), abi::kSuccess);
  EXPECT_EQ(ci, 1u);
  EXPECT_EQ(gpu.instances[gi].compute[1].start, 2u);
  EXPECT_EQ(DestroyGpuInstance(gpu, gi), abi::kInUse);
  DestroyComputeInstance(gpu, gi, 0);
  DestroyComputeInstance(gpu, gi, 1);
  EXPECT_EQ(DestroyGpuInstance(gpu, gi), abi::kSuccess);
}

TEST(InitialState, InstanceThatDoesNotFitNamesItsPlace) {
  const Result<NodeSpec> node =
      ParseNode("n.yaml",
                "name: n\ndriver: \"580.1\"\ncuda: \"13.0\"\ngpus:\n- product: A100-SXM4-40GB\n"
                "  mig: [1g.5gb, 1g.5gb, 2g.10gb,\n        3g.20gb]\n");
  ASSERT_TRUE(node.ok()) << node.error().message;
  const Result<NodeState> state = InitialState(*node);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().message,
            "n.yaml:7:9: MIG instance 3g.20gb of GPU 0: does not fit beside the instances before "
            "it");
}

TEST(InitialState, TakesPlacementsComputeInstancesAndFaults) {
  const Result<NodeSpec> node = ParseNode(
      "n.yaml",
      "name: n\ndriver: \"580.1\"\ncuda: \"13.0\"\ngpus:\n- product: A100-SXM4-40GB\n"
      "  mig: [{profile: 3g.20gb, start: 0, compute: [2c.3g.20gb, 1c.3g.20gb]}, 1g.5gb]\n"
      "faults:\n- {gpu: 0, kind: lost}\n- {kind: error, call: nvmlInit, code: 9, count: 2}\n"
      "- {kind: slow, call: '*', ms: 5}\n- {gpu: 0, kind: ecc, corrected: 3}\n");
  ASSERT_TRUE(node.ok()) << node.error().message;
  const Result<NodeState> state = InitialState(*node);
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(MigDevices(state->gpus[0]).size(), 3u);
  EXPECT_EQ(state->gpus[0].instances[1].size, 4u);
  EXPECT_EQ(state->gpus[0].lost, 1u);
  EXPECT_EQ(state->gpus[0].ecc_corrected, 3u);
  EXPECT_EQ(state->call_faults[0].remaining, 2u);
  EXPECT_EQ(state->call_faults[1].delay_ms, 5u);
}

TEST(CallMatches, IgnoresVersionSuffixesUnlessGiven) {
  EXPECT_TRUE(CallMatches("nvmlInit", "nvmlInit_v2"));
  EXPECT_TRUE(CallMatches("*", "nvmlInit"));
  EXPECT_FALSE(CallMatches("nvmlInit_v2", "nvmlInit"));
  EXPECT_FALSE(CallMatches("nvmlInit", "nvmlInitWithFlags"));
  EXPECT_FALSE(
      CallMatches("nvmlDeviceGetGpuInstanceProfileInfo", "nvmlDeviceGetGpuInstanceProfileInfoV"));
}

TEST(SharedState, ProcessesSeeOneState) {
  const TemporaryDirectory directory;
  const auto control = Control::Open(directory.path(), "t4-x4");
  ASSERT_TRUE(control.ok()) << control.error().message;
  EXPECT_EQ(InChild([&] {
              const auto other = Control::Open(directory.path(), "");
              return other.ok() && (*other)->Lose(2).ok() ? 0 : 1;
            }),
            0);
  EXPECT_EQ((*control)->Snapshot().gpus[2].lost, 1u);
}

TEST(SharedState, ManyProcessesCreateItOnce) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/new";
  std::vector<pid_t> children;
  constexpr int kChildren = 8;
  constexpr int kXids = 10;
  for (int i = 0; i < kChildren; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      const auto control = Control::Open(path, "t4-x1");
      for (int n = 0; control.ok() && n < kXids; ++n) {
        if (!(*control)->RaiseXid(0, 31, std::nullopt, std::nullopt).ok()) ::_exit(2);
      }
      ::_exit(control.ok() ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const auto control = Control::Open(path, "");
  ASSERT_TRUE(control.ok());
  EXPECT_EQ((*control)->Snapshot().next_event, std::uint64_t{kChildren * kXids});
}

TEST(SharedState, RefusesAnotherNodeAndForeignFiles) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(Control::Open(directory.path(), "t4-x1").ok());
  const auto other = Control::Open(directory.path(), "t4-x4");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Code::kFailedPrecondition);
  const TemporaryDirectory empty;
  const auto none = Control::Open(empty.path(), "");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kNotFound);
}

// A process killed in the middle of an update, with the lock held, leaves the state as it was.
TEST(SharedState, SurvivesTheDeathOfALockHolder) {
  const TemporaryDirectory directory;
  const auto control = Control::Open(directory.path(), "t4-x1");
  ASSERT_TRUE(control.ok());
  EXPECT_EQ(InChild([&] {
              const auto other = Control::Open(directory.path(), "");
              (*other)->state()->Write([](NodeState& state) {
                state.gpus[0].lost = 1;
                state.driver_loaded = 0;
                ::kill(::getpid(), SIGKILL);
                return true;
              });
              return 0;
            }),
            1000 + SIGKILL);
  EXPECT_EQ((*control)->Snapshot().gpus[0].lost, 0u);
  EXPECT_EQ((*control)->Snapshot().driver_loaded, 1u);
  EXPECT_TRUE((*control)->Lose(0).ok());
  EXPECT_EQ((*control)->Snapshot().gpus[0].lost, 1u);
}

TEST(Process, HoldsMemoryUntilItEnds) {
  const TemporaryDirectory directory;
  const auto control = Control::Open(directory.path(), "t4-x1");
  ASSERT_TRUE(control.ok());
  ProcessOptions options;
  options.pid = 42;
  auto process = ProcessRegistration::Register((*control)->state(), (*control)->node(), options);
  ASSERT_TRUE(process.ok()) << process.error().message;
  constexpr std::int64_t kGib = 1ll << 30;
  EXPECT_TRUE((*process)->Charge(14 * kGib).ok());
  EXPECT_EQ((*process)->Charge(kGib).error().code, Code::kResourceExhausted);
  EXPECT_EQ((*process)->Charge(-15 * kGib).error().code, Code::kInvalidArgument);
  EXPECT_TRUE((*process)->Charge(-4 * kGib).ok());
  EXPECT_EQ(UsedMemory((*control)->Snapshot(), 0), std::uint64_t{10} << 30);
  process->reset();
  EXPECT_EQ(UsedMemory((*control)->Snapshot(), 0), 0u);
}

TEST(Process, KilledProcessGivesItsMemoryBack) {
  const TemporaryDirectory directory;
  const auto control = Control::Open(directory.path(), "t4-x1");
  ASSERT_TRUE(control.ok());
  EXPECT_EQ(InChild([&] {
              const auto other = Control::Open(directory.path(), "");
              auto process = ProcessRegistration::Register((*other)->state(), (*other)->node(),
                                                           ProcessOptions{});
              if (!process.ok() || !(*process)->Charge(1 << 20).ok()) return 1;
              if (UsedMemory((*other)->Snapshot(), 0) != 1 << 20) return 2;
              ::kill(::getpid(), SIGKILL);
              return 0;
            }),
            1000 + SIGKILL);
  EXPECT_EQ(UsedMemory((*control)->Snapshot(), 0), 0u);
}

TEST(Process, PinnedOnesStayUntilRemoved) {
  const TemporaryDirectory directory;
  const auto control = Control::Open(directory.path(), "t4-x1");
  ASSERT_TRUE(control.ok());
  ProcessOptions options;
  options.pid = 7;
  EXPECT_TRUE((*control)->AddProcess(options, 5 << 20).ok());
  EXPECT_TRUE(HasProcess((*control)->Snapshot(), 0));
  EXPECT_TRUE((*control)->RemoveProcess(7).ok());
  EXPECT_FALSE((*control)->RemoveProcess(7).ok());
  EXPECT_FALSE(HasProcess((*control)->Snapshot(), 0));
  options.gi = 1;
  EXPECT_FALSE((*control)->AddProcess(options, 0).ok());
  options.gpu = 9;
  EXPECT_FALSE((*control)->AddProcess(options, 0).ok());
}

// Makes process `name` of a /proc, in the pid namespace `space`, with number `inner` there; answers
// the inode that stands for the namespace.
std::uint64_t AddProc(const std::string& proc, const std::string& name, const std::string& space,
                      unsigned inner) {
  const std::string of_space = proc + "/namespace-" + space;
  std::ofstream(of_space, std::ios::app).flush();
  std::filesystem::create_directories(proc + "/" + name + "/ns");
  std::filesystem::create_hard_link(of_space, proc + "/" + name + "/ns/pid");
  std::ofstream(proc + "/" + name + "/status")
      << "Name:\tx\nPid:\t" << name << "\nNSpid:\t" << name << "\t" << inner << "\nNSpgid:\t1\n";
  struct stat info{};
  EXPECT_EQ(::stat(of_space.c_str(), &info), 0);
  return info.st_ino;
}

// Two containers have a process 7 each.
TEST(SeenPids, ThoseOfContainersHaveTheirNumbersHere) {
  const TemporaryDirectory proc;
  const std::uint64_t own = AddProc(proc.path(), "self", "own", 1);
  const std::uint64_t one = AddProc(proc.path(), "100", "one", 1);
  AddProc(proc.path(), "101", "one", 7);
  const std::uint64_t two = AddProc(proc.path(), "200", "two", 7);
  SeenPids pids(proc.path());
  const auto seen = [&](std::uint64_t space, std::uint32_t pid) {
    ProcessState process{};
    process.pid_namespace = space;
    process.pid = pid;
    return pids.Of(process);
  };
  EXPECT_EQ(seen(one, 7), 101u);
  EXPECT_EQ(seen(two, 7), 200u);
  EXPECT_EQ(seen(own, 7), 7u);
  EXPECT_EQ(seen(0, 4711), 4711u) << "as set up from outside";
  EXPECT_EQ(seen(two, 8), 0u) << "not to be seen from here";
}

}  // namespace
}  // namespace aliquot::sim
