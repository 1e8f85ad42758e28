// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Enforced shares from the configuration file to the kubelet's answer: what a container gets, what
// is kept, and what changes do to those that run.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::uint64_t kMiB = 1u << 20;

class AgentSharesTest : public AgentTest {
 protected:
  // Nothing is loaded here, so any files will do for libraries.
  AgentSharesTest() {
    fs::create_directory(Path("lib"));
    for (const char* name : {"libaliquot-cuda.so", "libaliquot-nvml.so"}) {
      EXPECT_TRUE(WriteFileAtomically(Path("lib/") + name, name).ok());
    }
  }
  std::vector<std::string> Libraries() const { return {"--library-dir=" + Path("lib")}; }
  static std::string Isolated(int replicas,
                              const std::string& isolation = "memory: share, compute: fair",
                              const std::string& strategy = "envvar") {
    return fmt::format(
        "version: v1\nflags: {{plugin: {{deviceListStrategy: {}}}}}\nsharing:\n  timeSlicing:\n"
        "    resources:\n    - {{name: nvidia.com/gpu, replicas: {}}}\n    isolation: {{{}}}\n",
        strategy, replicas, isolation);
  }
  rpc::StandinPlacement Place(const std::string& pod, std::size_t count) {
    auto placed = kubelet_->Place(pod, "main", kGpu, count);
    EXPECT_TRUE(placed.ok()) << placed.error().message;
    return placed.ok() ? *std::move(placed) : rpc::StandinPlacement();
  }
  static std::string HostPath(const rpc::ContainerAllocation& allocation,
                              const std::string& container_path) {
    for (const rpc::Mount& mount : allocation.mounts) {
      if (mount.container_path == container_path) return mount.host_path;
    }
    ADD_FAILURE() << "no mount at " << container_path;
    return {};
  }
  // The value of a line of the grant's `share` file.
  static std::string Share(const rpc::ContainerAllocation& allocation, const std::string& key) {
    const auto text = ReadFile(HostPath(allocation, "/run/aliquot/grant") + "/share");
    if (!text.ok()) return text.error().message;
    const std::size_t at = text->find("\n" + key + "=");
    if (at == std::string::npos) return "no " + key;
    const std::size_t begin = at + key.size() + 2;
    return text->substr(begin, text->find('\n', begin) - begin);
  }
  // Of the only grant.
  json::value Grant() {
    const json::value status = agent_.Status();
    const json::array& grants = status.at("shares").at("grants").as_array();
    EXPECT_EQ(grants.size(), 1u) << json::serialize(grants);
    return grants.empty() ? json::value() : grants.front();
  }
  bool AwaitLimit(std::uint64_t bytes) {
    return agent_.AwaitStatus("/shares/grants/0/memoryLimitBytes", bytes);
  }
};

TEST_F(AgentSharesTest, WithoutIsolationNothingIsAdded) {
  Configure(SharedBy(10));
  StartAll(40, Libraries());
  EXPECT_TRUE(Place("pod", 3).allocation.mounts.empty());
  EXPECT_FALSE(fs::exists(Path("run")));
  EXPECT_FALSE(fs::exists(Path("state/grants")));
}

TEST_F(AgentSharesTest, EveryStrategyGetsTheSameMounts) {
  Configure(Isolated(10));
  StartAll(40, Libraries());
  std::set<std::string> grants;
  int pods = 0;
  for (const char* strategy : {"envvar", "volume-mounts", "cdi-cri", "cdi-annotations"}) {
    Configure(Isolated(10, "memory: share, compute: fair", strategy));
    ASSERT_TRUE(agent_.AwaitStatus("/config/generation", ++pods));
    const auto allocation = Place("pod" + std::to_string(pods), 3).allocation;
    grants.insert(HostPath(allocation, "/run/aliquot/grant"));
    for (const char* path : {"/run/aliquot/grant", "/run/aliquot/lib/libaliquot-cuda.so",
                             "/run/aliquot/lib/libaliquot-nvml.so", "/etc/ld.so.preload"}) {
      EXPECT_TRUE(fs::exists(HostPath(allocation, path))) << strategy << " " << path;
    }
    for (const rpc::Mount& mount : allocation.mounts) {
      EXPECT_TRUE(mount.read_only || mount.host_path == "/dev/null") << mount.container_path;
    }
    EXPECT_EQ(Share(allocation, "version"), "1") << strategy;
    EXPECT_EQ(Share(allocation, "driver"), "no driver") << "a simulated node has no files to cover";
  }
  EXPECT_EQ(grants.size(), 4u) << "each container has its own";
}

TEST_F(AgentSharesTest, ReplicasOfOneContainerComeFromOneGpu) {
  Configure(Isolated(10));
  StartAll(40, Libraries());
  for (int pod = 0; pod < 12; ++pod) {
    const auto placed = Place("pod" + std::to_string(pod), 3);
    std::set<std::string> gpus;
    for (const std::string& id : placed.ids) gpus.insert(id.substr(0, id.find("::")));
    ASSERT_EQ(gpus.size(), 1u);
    EXPECT_EQ(placed.allocation.envs.at("NVIDIA_VISIBLE_DEVICES"), *gpus.begin());
    const std::string gpu = Share(placed.allocation, "gpu");
    EXPECT_TRUE(gpu.starts_with(*gpus.begin() + " ")) << gpu;
    EXPECT_TRUE(gpu.ends_with(" 3")) << gpu;
  }
  // One replica is left on each of the four GPUs.
  const auto refused = kubelet_->Place("last", "main", kGpu, 3);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("no single device"), std::string::npos)
      << refused.error().message;
}

TEST_F(AgentSharesTest, ThePodIsNamedOnAllPages) {
  Configure(Isolated(4));
  StartAll(16, Libraries());
  Place("train", 2);
  ASSERT_TRUE(agent_.AwaitStatus("/shares/grants/0/holder/pod", "train"));
  const json::value grant = Grant();
  EXPECT_EQ(grant.at("holder").at("container"), "main");
  EXPECT_EQ(grant.at("replicas"), 2);
  EXPECT_EQ(grant.at("of"), 4);
  const std::string labels = fmt::format(
      "{{grant=\"{}\",namespace=\"default\",pod=\"train\",container=\"main\","
      "device=\"{}\"}}",
      grant.at("grant").as_string().c_str(), grant.at("device").as_string().c_str());
  EXPECT_EQ(agent_.Metric("aliquot_grant_weight_ratio" + labels), 0.5);
  EXPECT_GT(agent_.Metric("aliquot_grant_memory_limit_bytes" + labels), 7000.0 * kMiB);
  EXPECT_EQ(agent_.Metric("aliquot_grant_denied_allocations_total" + labels), 0);
  EXPECT_EQ(agent_.Metric("aliquot_resource_tier{resource=\"nvidia.com/gpu\",tier=\"interposer\"}"),
            1);
}

TEST_F(AgentSharesTest, GrantsSurviveAKilledAgent) {
  Configure(Isolated(4));
  StartAll(16, Libraries());
  const auto allocation = Place("pod", 1).allocation;
  const std::string directory = HostPath(allocation, "/run/aliquot/grant");
  ASSERT_TRUE(agent_.AwaitStatus("/shares/grants/0/holder/pod", "pod"));
  const json::value before = Grant();
  agent_.Kill();
  EXPECT_TRUE(fs::exists(directory + "/share"));
  fs::remove_all(Path("run"));  // a reboot
  StartAgent(Libraries());
  ASSERT_TRUE(Shows(16));
  EXPECT_EQ(Grant(), before);
  EXPECT_TRUE(fs::exists(directory + "/share"));
  EXPECT_TRUE(fs::is_socket(directory + "/socket"));
}

TEST_F(AgentSharesTest, RunningContainersKeepWhatTheyWerePromised) {
  Configure(Isolated(10, "memory: 1Gi, compute: fair"));
  StartAll(40, Libraries());
  Place("pod", 3);
  ASSERT_TRUE(AwaitLimit(3072 * kMiB));
  Configure(Isolated(10, "memory: 1200Mi, compute: capped"));
  EXPECT_TRUE(AwaitLimit(3600 * kMiB));
  Configure(Isolated(10, "memory: 100Mi, compute: capped"));
  ASSERT_TRUE(agent_.AwaitStatus("/config/generation", 3));
  EXPECT_TRUE(AwaitLimit(3600 * kMiB));
  Configure(Isolated(4, "memory: 100Mi, compute: capped"));
  ASSERT_TRUE(Shows(16));
  EXPECT_EQ(Grant().at("of"), 10);
  EXPECT_TRUE(AwaitLimit(3600 * kMiB));
  Configure(SharedBy(4));
  EXPECT_TRUE(agent_.AwaitStatus("/shares/grants/0/memoryLimitBytes", nullptr));
}

TEST_F(AgentSharesTest, WithoutLibrariesNoShareIsGivenOut) {
  Configure(Isolated(4));
  StartKubelet();
  StartAgent({"--library-dir=" + Path("nowhere")});
  ASSERT_TRUE(Shows(16));
  const auto refused = kubelet_->Place("pod", "main", kGpu, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("nowhere/libaliquot-cuda.so"), std::string::npos)
      << refused.error().message;
  EXPECT_NE(agent_.Status().at("shares").at("error"), nullptr);
}

}  // namespace
}  // namespace aliquot::tests
