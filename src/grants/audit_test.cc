// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/audit.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/executor_fake.h"
#include "base/file.h"
#include "grants/share_server_fake.h"

namespace aliquot::grants {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Violation::Kind;

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kGiB = 1u << 30;
constexpr char kA[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

class AuditTest : public ::testing::Test {
 protected:
  AuditTest() { grants_[kA].devices["GPU-0"] = {"GPU-0", kGiB}; }
  void Session(pid_t pid) {
    processes_.processes[pid] = {1, "c", std::nullopt};
    grants_[kA].sessions.insert(pid);
  }
  void Bypass(pid_t pid, const std::string& container = "c") {
    processes_.processes[pid] = {1, container, std::nullopt};
  }
  // One look a second for `looks` seconds; everything found.
  std::vector<Violation> Look(int looks, const std::vector<gpu::GpuProcess>& seen) {
    std::vector<Violation> all;
    for (int i = 0; i < looks; ++i) {
      for (Violation& one : audit_.Observe({clock_.Now(), seen, unread_, {}, busy_}, grants_)) {
        all.push_back(std::move(one));
      }
      clock_.Advance(seconds(1));
      if (auto& time = grants_[kA].devices["GPU-0"].time) {
        time->used += used_per_look_;
        time->counted += counted_per_look_;
      }
    }
    return all;
  }

  FakeClock clock_;
  FakeHostProcesses processes_;
  BackstopAudit audit_{processes_};
  AuditedGrants grants_;
  std::vector<std::string> unread_;
  std::map<std::string, std::map<std::uint32_t, unsigned>> busy_;
  milliseconds used_per_look_{0}, counted_per_look_{1000};
};

TEST_F(AuditTest, AManagedProcessWithinItsShareIsFine) {
  Session(1);
  EXPECT_TRUE(Look(30, {{1, "GPU-0", kGiB}}).empty());
  EXPECT_EQ(audit_.seen().held.at({kA, "GPU-0"}), kGiB);
}

TEST_F(AuditTest, AProcessWithoutASessionInAManagedContainerIsFound) {
  Session(1);
  Bypass(2);
  const auto found = Look(6, {{1, "GPU-0", kMiB}, {2, "GPU-0", 10 * kMiB}});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0], (Violation{Kind::kUnmanagedProcess, kA, "GPU-0", {2, 1}, 10 * kMiB, 0}));
  EXPECT_EQ(Look(5, {{2, "GPU-0", std::nullopt}}).size(), 1u) << "again while it lasts";
}

TEST_F(AuditTest, AContainerThatNeverOpenedASessionIsKnownByItsMount) {
  processes_.processes[2] = {1, "c", kA};
  EXPECT_EQ(Look(6, {{2, "GPU-0", kMiB}}).size(), 1u);
}

TEST_F(AuditTest, AShortGapIsNoViolation) {
  Session(1);
  Bypass(2);
  Look(4, {{2, "GPU-0", kMiB}});
  Session(2);  // after an agent's restart the sessions come back one by one
  EXPECT_TRUE(Look(20, {{2, "GPU-0", kMiB}}).empty());
  grants_[kA].sessions.erase(2);
  EXPECT_TRUE(Look(4, {{2, "GPU-0", kMiB}}).empty()) << "counted from anew";
}

TEST_F(AuditTest, ANumberUsedAgainIsAnotherProcess) {
  Session(1);
  Bypass(2);
  Look(4, {{2, "GPU-0", kMiB}});
  processes_.processes[2].start_time = 77;
  EXPECT_TRUE(Look(4, {{2, "GPU-0", kMiB}}).empty());
  EXPECT_EQ(Look(2, {{2, "GPU-0", kMiB}}).size(), 1u);
}

TEST_F(AuditTest, TheSumOfAContainerCounts) {
  Session(1);
  Session(2);
  const std::uint64_t most = kGiB + BackstopAudit::Margin(kGiB);
  EXPECT_TRUE(Look(20, {{1, "GPU-0", most / 2}, {2, "GPU-0", most / 2}}).empty());
  const auto found = Look(6, {{1, "GPU-0", most / 2}, {2, "GPU-0", most / 2 + kMiB}});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, Kind::kOverLimit);
  EXPECT_EQ(found[0].process.pid, 2) << "the largest";
  EXPECT_EQ(found[0].bytes, most + kMiB);
  EXPECT_EQ(found[0].limit_bytes, kGiB);
}

TEST_F(AuditTest, TheOneWithoutASessionIsToBlame) {
  Session(1);
  Bypass(2);
  const auto found = Look(6, {{1, "GPU-0", kGiB}, {2, "GPU-0", kGiB / 2}});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].kind, Kind::kOverLimit);
  EXPECT_EQ(found[1].process.pid, 2);
}

TEST_F(AuditTest, WithoutALimitOnlyUnmanagedProcessesAreFound) {
  grants_[kA].devices["GPU-0"].limit_bytes.reset();
  Session(1);
  EXPECT_TRUE(Look(20, {{1, "GPU-0", 100 * kGiB}}).empty());
}

TEST_F(AuditTest, OthersAreCountedButNeverAccused) {
  Session(1);
  Bypass(5, "/system.slice/display.service");
  EXPECT_TRUE(Look(20, {{5, "GPU-0", kGiB}, {5, "GPU-1", kGiB}, {99, "GPU-0", kGiB}}).empty());
  EXPECT_EQ(audit_.seen().foreign, (std::map<std::string, std::uint64_t>{{"GPU-0", kGiB}}));
}

// Not knowing is neither innocence nor guilt.
TEST_F(AuditTest, AGpuThatCannotBeReadKeepsWhatWasKnown) {
  Session(1);
  Bypass(2);
  Look(4, {{2, "GPU-0", kMiB}});
  unread_ = {"GPU-0"};
  EXPECT_TRUE(Look(10, {}).empty());
  EXPECT_EQ(audit_.seen().held.at({kA, "GPU-0"}), kMiB);
  unread_.clear();
  EXPECT_EQ(Look(1, {{2, "GPU-0", kMiB}}).size(), 1u);
}

// The arbiter's books against the driver's.
class TimeAuditTest : public AuditTest {
 protected:
  TimeAuditTest() {
    Session(1);
    grants_[kA].devices["GPU-0"].time.emplace();
    busy_["GPU-0"] = {{1, 90}};
  }
  std::vector<Violation> LookOn(int looks) { return Look(looks, {{1, "GPU-0", kMiB}}); }
};

TEST_F(TimeAuditTest, WhoIsBusierThanItTellsIsFound) {
  used_per_look_ = milliseconds(500);
  EXPECT_TRUE(LookOn(10).empty()) << "one window may be a coincidence";
  const auto found = LookOn(1);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, Kind::kUncountedTime);
  EXPECT_EQ(found[0].process.pid, 1);
  EXPECT_EQ(found[0].busy, milliseconds(4500));
  EXPECT_EQ(found[0].counted, milliseconds(2500));
  EXPECT_EQ(LookOn(5).size(), 1u) << "again while it lasts";
  used_per_look_ = milliseconds(850);
  EXPECT_TRUE(LookOn(20).empty());
}

TEST_F(TimeAuditTest, SamplesNeedNotAgreeExactly) {
  used_per_look_ = milliseconds(610);
  EXPECT_TRUE(LookOn(30).empty());
  busy_["GPU-0"] = {{1, 9}};
  used_per_look_ = milliseconds(0);
  EXPECT_TRUE(LookOn(30).empty()) << "below what is worth a word";
}

// A container that has the GPU for itself tells nothing about its work.
TEST_F(TimeAuditTest, WhereNothingIsCountedNothingIsMissed) {
  counted_per_look_ = milliseconds(0);
  EXPECT_TRUE(LookOn(30).empty());
  grants_[kA].devices["GPU-0"].time.reset();
  EXPECT_TRUE(LookOn(30).empty()) << "its time is not divided";
}

TEST_F(TimeAuditTest, WhatTheDriverCannotTellProvesNothing) {
  LookOn(9);
  busy_.clear();
  EXPECT_TRUE(LookOn(30).empty());
  busy_["GPU-0"] = {};
  EXPECT_TRUE(LookOn(30).empty()) << "nobody was busy";
}

// One that comes and goes too fast to be caught as unmanaged still adds up.
TEST_F(TimeAuditTest, AllProcessesOfTheContainerCount) {
  used_per_look_ = milliseconds(400);
  busy_["GPU-0"] = {{1, 40}, {2, 50}};
  std::vector<Violation> found;
  for (int i = 0; i < 11; ++i) {
    processes_.processes[2] = {static_cast<std::uint64_t>(i), "c"};
    for (Violation& one : Look(1, {{1, "GPU-0", kMiB}, {2, "GPU-0", kMiB}})) {
      found.push_back(std::move(one));
    }
  }
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, Kind::kUncountedTime);
  EXPECT_EQ(found[0].process.pid, 2);
}

TEST(Cgroup, PodsAreNamedByTheirUid) {
  const std::string uid = "01234567-89ab-cdef-0123-456789abcdef";
  EXPECT_EQ(PodInCgroup("0::/kubepods.slice/kubepods-burstable.slice/"
                        "kubepods-burstable-pod01234567_89ab_cdef_0123_456789abcdef.slice/"
                        "cri-containerd-" +
                        std::string(64, 'b') + ".scope\n"),
            uid);
  EXPECT_EQ(PodInCgroup("0::/kubepods.slice/"
                        "kubepods-pod01234567_89ab_cdef_0123_456789abcdef.slice/x\n"),
            uid);
  EXPECT_EQ(PodInCgroup("12:pids:/kubepods/besteffort/pod" + uid + "/x\n"), uid);
  EXPECT_EQ(PodInCgroup("0::/system.slice/podman.service\n"), std::nullopt);
  EXPECT_EQ(PodInCgroup(""), std::nullopt);
}

TEST(Cgroup, ContainersAreNamedByTheirId) {
  const std::string id(64, 'b');
  const std::string pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice";
  for (const std::string& text :
       {"0::" + pod + "/cri-containerd-" + id + ".scope\n",
        "0::" + pod + "/crio-" + id + ".scope/made/inside\n", "0::/../" + id + "\n",
        "12:pids:/kubepods/besteffort/pod1/" + id + "\n11:devices:/kubepods/besteffort/pod1/" + id +
            "\n"}) {
    EXPECT_EQ(ContainerInCgroup(text), id) << text;
  }
  EXPECT_EQ(ContainerInCgroup("0::/system.slice/cron.service\n"), "/system.slice/cron.service");
  EXPECT_EQ(ContainerInCgroup("0::/\n"), std::nullopt);
  EXPECT_EQ(ContainerInCgroup(""), std::nullopt);
}

TEST(MountInfo, TellsTheGrantOfAContainer) {
  const std::string row = "700 600 0:25 /aliquot/grants/" + std::string(kA) +
                          " /run/aliquot/grant ro,relatime - tmpfs tmpfs rw\n";
  const std::string other = "701 600 0:25 / /run rw - tmpfs tmpfs rw\n";
  EXPECT_EQ(GrantsInMountInfo(other + row, "0:25"), std::set<std::string>{kA});
  EXPECT_TRUE(GrantsInMountInfo(row, "8:1").empty()) << "an imitation on another file system";
  EXPECT_TRUE(GrantsInMountInfo(other + "broken\n", "0:25").empty());
}

class ProcTest : public ::testing::Test {
 protected:
  ProcTest() {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_ + "/live");
  }
  ~ProcTest() override { std::filesystem::remove_all(dir_); }
  void Add(pid_t pid, pid_t parent, const std::string& group, const std::string& mounts) {
    const std::string path = dir_ + "/proc/" + std::to_string(pid);
    std::filesystem::create_directories(path);
    std::string stat = std::to_string(pid) + " (a ) b) S " + std::to_string(parent);
    for (int field = 5; field < 22; ++field) stat += " 0";
    stat += " 4711 0 0\n";
    ASSERT_TRUE(WriteFileAtomically(path + "/stat", stat).ok());
    ASSERT_TRUE(WriteFileAtomically(path + "/cgroup", "0::/" + group + "\n").ok());
    ASSERT_TRUE(WriteFileAtomically(path + "/mountinfo", mounts).ok());
  }
  std::string Mounted() const {
    struct stat info{};
    EXPECT_EQ(::stat((dir_ + "/live").c_str(), &info), 0);
    return "1 2 " + std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev)) +
           " /x/grants/" + kA + " /run/aliquot/grant ro - ext4 /dev/sda rw\n";
  }

  std::string dir_ = ::testing::TempDir() + "/grants_proc_test";
  ProcHostProcesses processes_{dir_ + "/proc", dir_ + "/live"};
};

TEST_F(ProcTest, ReadsTheHostsProcesses) {
  Add(10, 1, "c", Mounted());
  Add(11, 10, "c", "");
  Add(12, 1, "d", "");
  EXPECT_EQ(processes_.Identify(10), (ProcessIdentity{10, 4711}));
  EXPECT_EQ(processes_.Identify(99), std::nullopt);
  EXPECT_EQ(processes_.ContainerOf(10), "/c");
  EXPECT_EQ(processes_.GrantOf(10), kA);
  EXPECT_EQ(processes_.GrantOf(11), kA) << "hid its mounts, its parent did not";
  EXPECT_EQ(processes_.GrantOf(12), std::nullopt);
  EXPECT_EQ(processes_.MountedGrants(), std::set<std::string>{kA});
}

TEST(Kill, EndsTheVeryProcess) {
  const ProcHostProcesses processes("/proc", "/");
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  ProcessIdentity identity = *processes.Identify(child);
  ++identity.start_time;
  EXPECT_EQ(processes.Kill(identity).error().code, Code::kNotFound) << "another one's number";
  --identity.start_time;
  EXPECT_TRUE(processes.Kill(identity).ok());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(processes.Kill(identity).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace aliquot::grants
