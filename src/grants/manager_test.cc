// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/manager.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "base/executor_fake.h"
#include "base/file.h"
#include "grants/share_server_fake.h"

namespace aliquot::grants {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Compute = config::Isolation::Compute;
using Memory = config::Isolation::Memory;

constexpr std::uint64_t kMiB = 1u << 20;
constexpr char kResource[] = "nvidia.com/gpu";

class GrantManagerTest : public ::testing::Test {
 protected:
  GrantManagerTest() {
    fs::remove_all(dir_);
    Replicas(10);
    gpu::Gpu& gpu = inventory_.gpus.emplace_back();
    gpu.uuid = "GPU-a";
    gpu.memory_usable_bytes = 1000 * kMiB;
    isolation_.memory = Memory::kShare;
    isolation_.compute = Compute::kFair;
    Restart();
  }
  ~GrantManagerTest() override { fs::remove_all(dir_); }

  void Replicas(unsigned count) {
    resource_ = {};
    resource_.name = kResource;
    for (unsigned i = 0; i < count; ++i) {
      share::PlannedDevice& device = resource_.devices.emplace_back();
      device.id = "GPU-a::" + std::to_string(i);
      device.device_uuid = device.gpu_uuid = "GPU-a";
      device.replica = i;
      device.replicas = count;
      device.share.compute_permille = 1000 / count;
    }
  }
  std::string NextId() { return fmt::format("{:032x}", next_++); }
  // A new agent on the same files; sessions are gone.
  void Restart() {
    server_ = FakeShareServer();
    manager_ = std::make_unique<GrantManager>(GrantManager::Dependencies{
        clock_, log_, store_, server_, processes_, [this] { return NextId(); },
        [this](const Report& report) { reports_.push_back(report); }});
    manager_->SetIsolation(isolation_);
    ASSERT_TRUE(manager_->Start().ok());
  }
  Result<std::optional<Grant>> TryAllocate(const std::vector<std::string>& ids) {
    return manager_->Allocate({resource_, ids, inventory_, "", ""});
  }
  Grant Allocate(const std::vector<std::string>& ids) {
    const auto grant = TryAllocate(ids);
    EXPECT_TRUE(grant.ok()) << grant.error().message;
    return grant.ok() && *grant ? **grant : Grant();
  }
  static HeldIds Held(const std::string& pod, const std::vector<std::string>& ids) {
    return {{"team", pod, "main"}, kResource, ids};
  }
  // What the kubelet says, told twice with the grace between.
  void KubeletSays(const std::vector<HeldIds>& held) {
    manager_->SetHeld(held);
    clock_.Advance(GrantManager::kGrace);
    manager_->SetHeld(held);
  }
  bool Exists(const std::string& id) const {
    return fs::exists(dir_ + "/state/" + id + ".json") && fs::exists(dir_ + "/live/" + id);
  }
  bool Vanished(const std::string& id) const {
    return !fs::exists(dir_ + "/state/" + id + ".json") && !fs::exists(dir_ + "/live/" + id) &&
           !server_.served.contains(id);
  }
  gpu::ProcessSnapshot Seen(std::vector<gpu::GpuProcess> processes) const {
    return {clock_.Now(), std::move(processes), {}, {}};
  }

  FakeClock clock_;
  Logger log_{clock_, Logger::NullSink()};
  const std::string dir_ = ::testing::TempDir() + "/grants_manager_" +
                           ::testing::UnitTest::GetInstance()->current_test_info()->name();
  GrantStore store_{dir_ + "/state", dir_ + "/live"};
  FakeShareServer server_;
  FakeHostProcesses processes_;
  share::PlannedResource resource_;
  gpu::Inventory inventory_;
  config::Isolation isolation_;
  std::vector<Report> reports_;
  std::unique_ptr<GrantManager> manager_;
  int next_ = 0;
};

TEST_F(GrantManagerTest, AllocateMakesFilesAndServes) {
  const Grant grant = Allocate({"GPU-a::2", "GPU-a::0", "GPU-a::1"});
  EXPECT_THAT(grant.replica_ids, ElementsAre("GPU-a::0", "GPU-a::1", "GPU-a::2"));
  EXPECT_EQ(*ParseRecord(*ReadFile(dir_ + "/state/" + grant.id + ".json")), grant);
  EXPECT_THAT(*ReadFile(store_.LiveDirectory(grant.id) + "/share"),
              HasSubstr("gpu=GPU-a 314572800 3\n"));
  const ServedGrant& served = server_.served.at(grant.id);
  EXPECT_THAT(served.devices, ElementsAre(ServedDevice{"GPU-a", 300 * kMiB, 300'000}));
  EXPECT_EQ(served.compute, Compute::kFair);
  struct stat info{};
  ASSERT_EQ(::stat((dir_ + "/live").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u) << "other users of the host reach no socket";
  ASSERT_EQ(::stat(store_.LiveDirectory(grant.id).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u) << "users of the container do";
}

TEST_F(GrantManagerTest, WithoutIsolationNobodyNeedsAGrant) {
  manager_->SetIsolation(std::nullopt);
  const auto none = TryAllocate({"GPU-a::0"});
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  EXPECT_TRUE(manager_->empty());
}

TEST_F(GrantManagerTest, AFailedAllocateLeavesNothing) {
  server_.error = Error{Code::kInternal, "no sockets today"};
  const auto failed = TryAllocate({"GPU-a::0"});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "enforced shares: no sockets today");
  EXPECT_TRUE(fs::is_empty(dir_ + "/state"));
  EXPECT_TRUE(fs::is_empty(dir_ + "/live"));
  server_.error.reset();
  EXPECT_TRUE(TryAllocate({"GPU-a::0"}).ok());
}

TEST_F(GrantManagerTest, GrantsSurviveTheAgent) {
  const Grant grant = Allocate({"GPU-a::0"});
  manager_->SetHeld({Held("pod", {"GPU-a::0"})});
  const auto written = fs::last_write_time(store_.LiveDirectory(grant.id) + "/share");
  Restart();
  EXPECT_EQ(server_.added.at(grant.id), 1);
  ASSERT_EQ(manager_->Rows().size(), 1u);
  EXPECT_EQ(manager_->Rows()[0].grant.holder, (Holder{"team", "pod", "main"}));
  EXPECT_EQ(fs::last_write_time(store_.LiveDirectory(grant.id) + "/share"), written);
}

// The kubelet keeps Allocate's answers over a reboot, the directories in memory do not survive it.
TEST_F(GrantManagerTest, GrantsSurviveAReboot) {
  const Grant grant = Allocate({"GPU-a::0"});
  const std::string share = *ReadFile(store_.LiveDirectory(grant.id) + "/share");
  fs::remove_all(dir_ + "/live");
  Restart();
  EXPECT_EQ(*ReadFile(store_.LiveDirectory(grant.id) + "/share"), share);
  EXPECT_TRUE(server_.served.contains(grant.id));
}

TEST_F(GrantManagerTest, WhatCannotBeServedIsTriedAgain) {
  const Grant grant = Allocate({"GPU-a::0"});
  server_ = FakeShareServer();
  server_.error = Error{Code::kUnavailable, "no descriptors"};
  GrantManager next({clock_, log_, store_, server_, processes_, RandomId, nullptr});
  ASSERT_TRUE(next.Start().ok());
  EXPECT_TRUE(server_.served.empty());
  server_.error.reset();
  next.SetHeld({Held("pod", {"GPU-a::0"})});
  EXPECT_TRUE(server_.served.contains(grant.id));
}

// Every step of Allocate and of the end of a grant leaves files from which the next start goes on.
TEST_F(GrantManagerTest, CrashBetweenAnyTwoSteps) {
  Grant grant = Allocate({"GPU-a::0"});
  grant.id = NextId();
  ASSERT_TRUE(store_.Save(grant).ok());  // crash: record, no directory
  Restart();
  EXPECT_TRUE(Exists(grant.id));
  EXPECT_TRUE(server_.served.contains(grant.id));

  fs::remove(dir_ + "/state/" + grant.id + ".json");  // crash: directory, no record
  Restart();
  EXPECT_TRUE(Vanished(grant.id));

  ASSERT_TRUE(WriteFileAtomically(dir_ + "/state/" + grant.id + ".json.Ab12Cd", "{").ok());
  fs::create_directory(store_.LiveDirectory(grant.id));  // crash: while writing the record
  Restart();
  EXPECT_TRUE(Vanished(grant.id));
  EXPECT_FALSE(fs::exists(dir_ + "/state/" + grant.id + ".json.Ab12Cd"));

  ASSERT_TRUE(store_.Save(grant).ok());
  fs::create_directory(store_.LiveDirectory(grant.id));  // crash: before the share file
  Restart();
  EXPECT_TRUE(fs::exists(store_.LiveDirectory(grant.id) + "/share"));
}

TEST_F(GrantManagerTest, ADamagedRecordHindersNobody) {
  const Grant grant = Allocate({"GPU-a::0"});
  const std::string damaged = dir_ + "/state/" + NextId() + ".json";
  ASSERT_TRUE(WriteFileAtomically(damaged, "{").ok());
  Restart();
  EXPECT_TRUE(server_.served.contains(grant.id));
  EXPECT_TRUE(fs::exists(damaged)) << "left for people to look at";
}

// Somebody emptied the state directory under running containers.
TEST_F(GrantManagerTest, AMountedDirectoryWithoutARecordStays) {
  const Grant grant = Allocate({"GPU-a::0"});
  processes_.processes[7] = {1, "container", grant.id};
  fs::remove_all(dir_ + "/state");
  Restart();
  EXPECT_TRUE(fs::exists(store_.LiveDirectory(grant.id)));
}

TEST_F(GrantManagerTest, ThePodIsLearntFromTheKubelet) {
  Allocate({"GPU-a::3", "GPU-a::4"});
  EXPECT_TRUE(manager_->HasUnidentified());
  manager_->SetHeld({Held("other", {"GPU-a::1"}), Held("mine", {"GPU-a::3", "GPU-a::4"})});
  EXPECT_FALSE(manager_->HasUnidentified());
  EXPECT_EQ(manager_->Rows()[0].grant.holder->pod, "mine");
}

TEST_F(GrantManagerTest, EndsWhenThePodIsGoneForAWhile) {
  const Grant grant = Allocate({"GPU-a::0"});
  manager_->SetHeld({Held("pod", {"GPU-a::0"})});
  manager_->SetHeld({});
  clock_.Advance(GrantManager::kGrace - seconds(1));
  manager_->SetHeld({});
  EXPECT_TRUE(Exists(grant.id));
  manager_->SetHeld({Held("pod", {"GPU-a::0"})});  // the kubelet had just restarted
  clock_.Advance(seconds(30));
  manager_->SetHeld({});
  EXPECT_TRUE(Exists(grant.id));
  KubeletSays({});
  EXPECT_TRUE(Vanished(grant.id));
  EXPECT_TRUE(manager_->empty());
}

TEST_F(GrantManagerTest, NeverEndsUnderARunningContainer) {
  const Grant grant = Allocate({"GPU-a::0"});
  server_.uses[grant.id].processes = {42};
  KubeletSays({});
  EXPECT_TRUE(Exists(grant.id)) << "a process is connected";
  server_.uses.clear();
  processes_.processes[42] = {1, "container", grant.id};
  KubeletSays({});
  EXPECT_TRUE(Exists(grant.id)) << "a container has it mounted";
  processes_.processes.clear();
  KubeletSays({});
  EXPECT_TRUE(Vanished(grant.id));
}

TEST_F(GrantManagerTest, ALaterAllocateSupersedes) {
  const Grant old = Allocate({"GPU-a::0", "GPU-a::1"});
  server_.uses[old.id].processes = {42};
  clock_.Advance(GrantManager::kAdmission + seconds(1));
  const Grant fresh = Allocate({"GPU-a::1"});
  manager_->SetHeld({Held("new", {"GPU-a::1"})});
  EXPECT_TRUE(Exists(old.id)) << "its container is still ending";
  server_.uses.clear();
  manager_->SetHeld({Held("new", {"GPU-a::1"})});
  EXPECT_TRUE(Vanished(old.id));
  EXPECT_TRUE(Exists(fresh.id));
}

TEST_F(GrantManagerTest, SupersededIsNotForgottenByARestart) {
  const Grant old = Allocate({"GPU-a::0"});
  clock_.Advance(GrantManager::kAdmission + seconds(1));
  const Grant fresh = Allocate({"GPU-a::0"});
  Restart();
  manager_->SetHeld({Held("new", {"GPU-a::0"})});
  EXPECT_TRUE(Vanished(old.id));
  EXPECT_TRUE(Exists(fresh.id));
}

// The kubelet allocates for all containers of a pod before the first starts, and gives the init
// container's devices on to the next one, but lists only the latter.
TEST_F(GrantManagerTest, AnInitContainerKeepsItsGrantAsLongAsThePodLives) {
  const Grant init = Allocate({"GPU-a::0"});
  clock_.Advance(std::chrono::milliseconds(5));
  const Grant app = Allocate({"GPU-a::0", "GPU-a::1"});
  KubeletSays({Held("pod", {"GPU-a::0", "GPU-a::1"})});
  ASSERT_EQ(manager_->Rows().size(), 2u);
  EXPECT_EQ(manager_->Rows()[0].grant.holder, (Holder{"team", "pod", ""}));
  EXPECT_EQ(manager_->Rows()[1].grant.holder, (Holder{"team", "pod", "main"}));
  KubeletSays({});
  EXPECT_TRUE(Vanished(init.id));
  EXPECT_TRUE(Vanished(app.id));
}

TEST_F(GrantManagerTest, ReplicasOfAnotherPodEndTheGrant) {
  const Grant old = Allocate({"GPU-a::0"});
  manager_->SetHeld({Held("short-lived", {"GPU-a::0"})});
  clock_.Advance(seconds(3));
  const Grant fresh = Allocate({"GPU-a::0"});
  manager_->SetHeld({Held("next", {"GPU-a::0"})});
  EXPECT_TRUE(Vanished(old.id));
  EXPECT_EQ(manager_->Rows()[0].grant.holder->pod, "next");
  EXPECT_TRUE(Exists(fresh.id));
}

TEST_F(GrantManagerTest, ChangesReachRunningContainersByTheRule) {
  const Grant grant = Allocate({"GPU-a::0", "GPU-a::1", "GPU-a::2"});
  isolation_.compute = Compute::kCapped;
  isolation_.quantum = std::chrono::milliseconds(20);
  isolation_.memory = Memory::kBytes;
  isolation_.memory_bytes_per_replica = 150 * kMiB;
  manager_->SetIsolation(isolation_);
  EXPECT_EQ(server_.served[grant.id].devices[0].memory_bytes, 450 * kMiB);
  EXPECT_EQ(server_.served[grant.id].compute, Compute::kCapped);
  EXPECT_EQ(server_.served[grant.id].quantum, std::chrono::milliseconds(20));
  isolation_.memory_bytes_per_replica = 10 * kMiB;
  manager_->SetIsolation(isolation_);
  EXPECT_EQ(server_.served[grant.id].devices[0].memory_bytes, 450 * kMiB) << "promised";
  Restart();
  EXPECT_EQ(server_.served[grant.id].devices[0].memory_bytes, 450 * kMiB) << "and kept";
  manager_->SetIsolation(std::nullopt);
  EXPECT_EQ(server_.served[grant.id].devices[0].memory_bytes, std::nullopt);
  EXPECT_EQ(server_.served[grant.id].compute, Compute::kNone);
  const int updates = server_.updates;
  manager_->SetIsolation(std::nullopt);
  EXPECT_EQ(server_.updates, updates);
}

TEST_F(GrantManagerTest, ClassesGoByNamespace) {
  using TenantClass = config::Isolation::TenantClass;
  isolation_.classes = {{"team", TenantClass::kLatency}, {"others", TenantClass::kBestEffort}};
  manager_->SetIsolation(isolation_);
  const Grant grant = Allocate({"GPU-a::0"});
  const auto served = [&] { return server_.served[grant.id].tenant_class; };
  EXPECT_EQ(served(), TenantClass::kNormal) << "whose it is is not known yet";
  manager_->SetHeld({Held("pod", {"GPU-a::0"})});
  EXPECT_EQ(served(), TenantClass::kLatency);
  EXPECT_EQ(manager_->Rows()[0].tenant_class, TenantClass::kLatency);
  Restart();
  EXPECT_EQ(served(), TenantClass::kLatency);
  isolation_.classes = {{"team", TenantClass::kBestEffort}};
  manager_->SetIsolation(isolation_);
  EXPECT_EQ(served(), TenantClass::kBestEffort);
  isolation_.classes.clear();
  manager_->SetIsolation(isolation_);
  EXPECT_EQ(served(), TenantClass::kNormal);
}

TEST_F(GrantManagerTest, UntilTheConfigurationIsKnownPromisesStand) {
  const Grant grant = Allocate({"GPU-a::0"});
  server_ = FakeShareServer();
  GrantManager next({clock_, log_, store_, server_, processes_, RandomId, nullptr});
  ASSERT_TRUE(next.Start().ok());
  EXPECT_EQ(server_.served[grant.id].devices[0].memory_bytes, 100 * kMiB);
  EXPECT_EQ(server_.served[grant.id].compute, Compute::kFair);
}

TEST_F(GrantManagerTest, FewerReplicasNeverPromiseMoreThanThereIs) {
  const Grant old = Allocate({"GPU-a::7", "GPU-a::8", "GPU-a::9"});
  manager_->SetHeld({Held("old", old.replica_ids)});
  Replicas(4);
  EXPECT_TRUE(TryAllocate({"GPU-a::0"}).ok());
  EXPECT_TRUE(TryAllocate({"GPU-a::1"}).ok());
  EXPECT_EQ(server_.served[old.id].devices[0].weight_ppm, 300'000u) << "keeps its promise";
  const auto refused = TryAllocate({"GPU-a::2"});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("team/old (3 of 10 replicas)"));
  KubeletSays({Held("a", {"GPU-a::0"}), Held("b", {"GPU-a::1"})});
  EXPECT_TRUE(Vanished(old.id));
  EXPECT_TRUE(TryAllocate({"GPU-a::2"}).ok());
}

// A kubelet that hands out free replicas, pods that come and go, and an administrator who cannot
// make up his mind.
TEST_F(GrantManagerTest, PromisesNeverExceedTheDevice) {
  std::minstd_rand engine(20261122);
  const auto random = [&] { return static_cast<unsigned>(engine() / 7); };
  std::map<std::string, std::vector<std::string>> pods;  // name → replicas
  int refused = 0, made = 0;
  for (int step = 0; step < 300; ++step) {
    const unsigned dice = random() % 10;
    if (dice == 0) {
      Replicas(2 + random() % 11);
    } else if (dice < 5 && !pods.empty()) {
      pods.erase(std::next(pods.begin(), random() % pods.size()));
      std::vector<HeldIds> held;
      for (const auto& [name, ids] : pods) held.push_back(Held(name, ids));
      KubeletSays(held);
    } else {
      std::set<std::string> taken;
      for (const auto& [name, ids] : pods) taken.insert(ids.begin(), ids.end());
      std::vector<std::string> wanted;
      const std::size_t count = 1 + random() % 4;
      for (const share::PlannedDevice& device : resource_.devices) {
        if (wanted.size() < count && !taken.contains(device.id)) wanted.push_back(device.id);
      }
      if (wanted.empty()) continue;
      const auto grant = manager_->Allocate({resource_, wanted, inventory_, "", ""});
      if (grant.ok()) pods["pod" + std::to_string(step)] = wanted;
      ++(grant.ok() ? made : refused);
    }
    std::uint64_t promised = 0;
    for (const GrantRow& row : manager_->Rows()) promised += row.limit_bytes.value_or(0);
    ASSERT_LE(promised, 1000 * kMiB) << "step " << step;
  }
  EXPECT_GT(made, 50);
  EXPECT_GT(refused, 5);
}

TEST_F(GrantManagerTest, ViolationsAreReportedAndKilledByConfiguration) {
  const Grant grant = Allocate({"GPU-a::0"});
  manager_->SetHeld({Held("pod", {"GPU-a::0"})});
  processes_.processes[42] = {9, "container", grant.id};
  for (int i = 0; i <= 5; ++i) {
    manager_->SetProcesses(Seen({{42, "GPU-a", 500 * kMiB}}));
    clock_.Advance(seconds(1));
  }
  EXPECT_EQ(server_.memory_looks, 6);
  ASSERT_EQ(reports_.size(), 2u) << "unmanaged, and above 100 MiB and the margin";
  EXPECT_EQ(reports_[0].violation.kind, Violation::Kind::kUnmanagedProcess);
  EXPECT_EQ(reports_[1].violation.kind, Violation::Kind::kOverLimit);
  EXPECT_EQ(reports_[0].holder->pod, "pod");
  EXPECT_FALSE(reports_[0].killed);
  EXPECT_TRUE(processes_.killed.empty());
  EXPECT_EQ(manager_->Rows()[0].seen_bytes, 500 * kMiB);

  isolation_.on_violation = config::Isolation::OnViolation::kKill;
  manager_->SetIsolation(isolation_);
  clock_.Advance(seconds(5));
  manager_->SetProcesses(Seen({{42, "GPU-a", 500 * kMiB}}));
  EXPECT_THAT(processes_.killed, ElementsAre(42, 42));
  EXPECT_TRUE(reports_.back().killed);
}

TEST_F(GrantManagerTest, IdsAreRandom) {
  const std::string a = RandomId(), b = RandomId();
  EXPECT_TRUE(IsGrantId(a));
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace aliquot::grants
