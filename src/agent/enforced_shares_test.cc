// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/enforced_shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/executor_fake.h"
#include "base/file.h"
#include "grants/libraries.h"
#include "grants/share_server_fake.h"

namespace aliquot::agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

// Passes everything on to a server that outlives it.
class SharedServer final : public grants::ShareServer {
 public:
  explicit SharedServer(grants::FakeShareServer& to) : to_(to) {}
  Status Add(const grants::ServedGrant& grant) override { return to_.Add(grant); }
  Status Update(const grants::ServedGrant& grant) override { return to_.Update(grant); }
  void Remove(const std::string& id) override { to_.Remove(id); }
  std::map<std::string, grants::GrantUse> Look() override { return to_.Look(); }
  void SetProcessMemory(const gpu::ProcessSnapshot& p) override { to_.SetProcessMemory(p); }

 private:
  grants::FakeShareServer& to_;
};

class EnforcedSharesTest : public ::testing::Test {
 protected:
  EnforcedSharesTest() {
    fs::remove_all(dir_);
    fs::create_directories(dir_ + "/source");
    AddLibraries();
    fs::create_directories(dir_ + "/proc");
    gpu::Gpu& gpu = inventory_.gpus.emplace_back();
    gpu.uuid = "GPU-a";
    gpu.memory_usable_bytes = 1000u << 20;
    resource_.name = "nvidia.com/gpu";
    for (unsigned i = 0; i < 4; ++i) {
      share::PlannedDevice& device = resource_.devices.emplace_back();
      device.id = "GPU-a::" + std::to_string(i);
      device.device_uuid = device.gpu_uuid = "GPU-a";
      device.replica = i;
      device.replicas = 4;
      device.share.memory_bytes = 250u << 20;
    }
    config_.sharing.isolation.emplace();
    config_.sharing.isolation->memory = config::Isolation::Memory::kShare;
    Start();
  }
  ~EnforcedSharesTest() override {
    shares_.reset();
    fs::remove_all(dir_);
  }

  void AddLibraries() {
    for (const char* name : {grants::kCudaLibrary, grants::kNvmlLibrary}) {
      ASSERT_TRUE(WriteFileAtomically(dir_ + "/source/" + name, "library").ok());
    }
  }
  void Start() {
    shares_.reset();
    server_ = grants::FakeShareServer();
    shares_ = std::make_unique<EnforcedShares>(
        ShareOptions{dir_ + "/state", dir_ + "/run", dir_ + "/source", dir_ + "/proc"},
        EnforcedShares::Dependencies{clock_, log_, metrics_, [this] { ++changes_; },
                                     [this](const PodNews& news) { told_.push_back(news); },
                                     [this]() -> Result<std::unique_ptr<grants::ShareServer>> {
                                       ++servers_;
                                       return std::unique_ptr<grants::ShareServer>(
                                           std::make_unique<SharedServer>(server_));
                                     }});
  }
  Result<std::optional<grants::Injection>> Issue(const std::vector<std::string>& ids,
                                                 bool over_driver = false) {
    return shares_->Issue(resource_, ids, inventory_, over_driver);
  }

  const std::string dir_ = ::testing::TempDir() + "/enforced_shares_" +
                           ::testing::UnitTest::GetInstance()->current_test_info()->name();
  FakeClock clock_;
  Logger log_{clock_, Logger::NullSink()};
  metrics::Registry registry_;
  metrics::GrantMetrics metrics_{registry_};
  grants::FakeShareServer server_;
  gpu::Inventory inventory_;
  share::PlannedResource resource_;
  config::Config config_;
  int changes_ = 0;
  int servers_ = 0;
  std::vector<PodNews> told_;
  std::unique_ptr<EnforcedShares> shares_;
};

TEST_F(EnforcedSharesTest, ANodeWithoutIsolationIsNotTouched) {
  config_.sharing.isolation.reset();
  shares_->SetConfig(config_);
  const auto issued = Issue({"GPU-a::0"});
  ASSERT_TRUE(issued.ok());
  EXPECT_FALSE(issued->has_value());
  EXPECT_EQ(servers_, 0);
  EXPECT_FALSE(fs::exists(dir_ + "/state"));
  EXPECT_FALSE(fs::exists(dir_ + "/run"));
  EXPECT_FALSE(shares_->libraries());
  EXPECT_EQ(shares_->held_interval(), Clock::Duration::zero());
}

TEST_F(EnforcedSharesTest, IssuesWhatAContainerNeeds) {
  shares_->SetConfig(config_);
  EXPECT_EQ(shares_->libraries()->cuda, dir_ + "/state/lib/libaliquot-cuda.so");
  EXPECT_EQ(shares_->process_interval(), Clock::Duration::zero());
  const auto issued = Issue({"GPU-a::0", "GPU-a::1"});
  ASSERT_TRUE(issued.ok() && issued->has_value());
  for (const grants::Mount& mount : (*issued)->mounts) {
    EXPECT_TRUE(fs::exists(mount.host_path)) << mount.host_path;
  }
  EXPECT_THAT(*ReadFile((*issued)->mounts[0].host_path + "/share"),
              HasSubstr("gpu=GPU-a 524288000 2\n"));
  EXPECT_EQ(shares_->process_interval(), seconds(1));
  EXPECT_THAT(registry_.Text(), HasSubstr("aliquot_grant_weight_ratio"));
}

TEST_F(EnforcedSharesTest, TheShareSaysWhereTheRealLibrariesAre) {
  shares_->SetConfig(config_);
  const auto issued = Issue({"GPU-a::0"}, true);
  EXPECT_THAT(*ReadFile((*issued)->mounts[0].host_path + "/share"),
              HasSubstr("driver=/run/aliquot/driver/libcuda.so.1\n"
                        "nvml=/run/aliquot/driver/libnvidia-ml.so.1\n"));
}

// Handing out a share that nobody enforces would be a lie.
TEST_F(EnforcedSharesTest, WithoutLibrariesNoShareIsGivenOut) {
  fs::remove(dir_ + "/source/" + grants::kNvmlLibrary);
  shares_->SetConfig(config_);
  EXPECT_THAT(shares_->error(), HasSubstr(grants::kNvmlLibrary));
  EXPECT_FALSE(shares_->libraries());
  EXPECT_FALSE(Issue({"GPU-a::0"}).ok());
  AddLibraries();
  EXPECT_TRUE(Issue({"GPU-a::0"}).ok()) << "tried again";
  EXPECT_EQ(shares_->error(), "");
}

TEST_F(EnforcedSharesTest, WantsTheKubeletsWordAsLongAsThereAreGrants) {
  shares_->SetConfig(config_);
  EXPECT_EQ(shares_->held_interval(), Clock::Duration::zero());
  ASSERT_TRUE(Issue({"GPU-a::0"}).ok());
  EXPECT_EQ(shares_->held_interval(), seconds(1)) << "whose it is is not known yet";
  shares_->SetHeld({{"team", "pod", "main", "nvidia.com/gpu", {"GPU-a::0"}}});
  EXPECT_THAT(registry_.Text(), HasSubstr("namespace=\"team\",pod=\"pod\",container=\"main\""));
  EXPECT_EQ(shares_->held_interval(), seconds(10));
  shares_->SetHeld({});
  clock_.Advance(seconds(90));
  EXPECT_EQ(shares_->rows().size(), 1u) << "a kubelet that does not answer ends nothing";
  shares_->SetHeld({});
  EXPECT_TRUE(shares_->rows().empty());
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("team")));
  EXPECT_EQ(shares_->process_interval(), Clock::Duration::zero());
  EXPECT_EQ(shares_->held_interval(), Clock::Duration::zero());
}

TEST_F(EnforcedSharesTest, ThePodIsToldWhatItsProcessesDid) {
  shares_->SetConfig(config_);
  ASSERT_TRUE(Issue({"GPU-a::0"}).ok());
  const std::string grant = shares_->rows()[0].grant.id;
  shares_->OnMisbehaved(grant, 42, "a frame of 7 bytes");
  EXPECT_TRUE(told_.empty()) << "whose it is is not known yet";
  shares_->SetHeld({{"team", "pod", "main", "nvidia.com/gpu", {"GPU-a::0"}}});
  const std::string process = dir_ + "/proc/42";
  fs::create_directories(process);
  ASSERT_TRUE(WriteFileAtomically(process + "/cgroup",
                                  "0::/kubepods/pod01234567-89ab-cdef-0123-456789abcdef/c\n")
                  .ok());
  shares_->OnMisbehaved(grant, 42, "a frame of 7 bytes");
  shares_->OnMisbehaved("another", 42, "unknown grants are ignored");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].holder.pod, "pod");
  EXPECT_EQ(told_[0].pod_uid, "01234567-89ab-cdef-0123-456789abcdef");
  EXPECT_EQ(told_[0].reason, "GpuShareTampered");
  EXPECT_EQ(told_[0].message,
            "process 42 of container main was cut off from its share: a frame of 7 bytes");
}

// After an upgrade the new agent must serve running containers even if its configuration is bad or
// promises nothing any more.
TEST_F(EnforcedSharesTest, ServesFormerGrantsWhateverTheConfigurationSays) {
  shares_->SetConfig(config_);
  ASSERT_TRUE(Issue({"GPU-a::0"}).ok());
  Start();
  ASSERT_EQ(server_.served.size(), 1u);
  EXPECT_EQ(server_.served.begin()->second.devices[0].memory_bytes, 250u << 20);
  EXPECT_EQ(shares_->process_interval(), seconds(1));
  config_.sharing.isolation.reset();
  shares_->SetConfig(config_);
  EXPECT_EQ(server_.served.begin()->second.devices[0].memory_bytes, std::nullopt);
  shares_->SetHeld({});
  clock_.Advance(seconds(90));
  shares_->SetHeld({});
  EXPECT_TRUE(server_.served.empty()) << "collected";
}

}  // namespace
}  // namespace aliquot::agent
