// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// From the label nvidia.com/mig.config of the Node to what the kubelet is offered, with the whole
// agent: the simulated driver, a kubelet stand-in that keeps every list, a cluster in memory.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <mutex>
#include <set>

#include "base/file.h"
#include "mig/boot_restore.h"
#include "mig/recovery.h"
#include "tests/cluster_fixture.h"

namespace aliquot::tests {
namespace {

using Ids = std::set<std::string>;

constexpr char kConfig[] = "nvidia.com/mig.config";
constexpr char kState[] = "nvidia.com/mig.config.state";
constexpr char kPaused[] = "paused-for-mig-change";

// The ids of all healthy devices, of whatever resource.
Ids Offered(const rpc::StandinState& state) {
  Ids ids;
  for (const auto& [name, resource] : state.resources) {
    for (const rpc::DeviceEntry& device : resource.devices) {
      if (device.healthy) ids.insert(device.id);
    }
  }
  return ids;
}

// A driver that tells before every call that destroys something or changes a mode.
class TellingSource final : public gpu::DriverSource {
 public:
  TellingSource(std::unique_ptr<gpu::DriverSource> inner, std::function<void()> tell)
      : inner_(std::move(inner)), tell_(std::move(tell)) {}
  Result<std::unique_ptr<gpu::Driver>> Load() override {
    auto loaded = inner_->Load();
    if (!loaded.ok()) return loaded;
    const std::shared_ptr<gpu::Driver> driver = *std::move(loaded);
    gpu::NvmlApi api = driver->api();
    const auto telling = [this, driver](auto& function) {
      function = [this, driver, call = function](auto... args) {
        tell_();
        return call(args...);
      };
    };
    telling(api.gpu_instance_destroy);
    telling(api.compute_instance_destroy);
    telling(api.device_set_mig_mode);
    return std::make_unique<gpu::Driver>(std::move(api), driver->path(), driver->simulated_node());
  }

 private:
  std::unique_ptr<gpu::DriverSource> inner_;
  std::function<void()> tell_;
};

class AgentMigFlowTest : public ClusterAgentTest {
 protected:
  AgentMigFlowTest() {
    agent::MigAgentOptions mig;
    mig.node.state_dir = Path("state");
    mig.node.boot_id = "boot-1";
    mig.node.policy.grace = std::chrono::milliseconds(100);
    mig.node.policy.holders_poll = std::chrono::milliseconds(200);
    mig.node.policy.retry_min = std::chrono::milliseconds(300);
    mig.host.state_dir = Path("state");
    options_.mig = std::move(mig);
    options_.open_driver = [this](const std::string&) -> std::unique_ptr<gpu::DriverSource> {
      auto recovering = std::make_unique<mig::RecoveringDriverSource>(
          std::make_unique<gpu::FileDriverSource>(ALIQUOT_SIM_NVML), Path("state"),
          options_.mig->node.boot_id, log_);
      return std::make_unique<TellingSource>(std::move(recovering), [this] {
        if (!kubelet_) return;
        const Ids offered = Offered(kubelet_->state());
        std::lock_guard lock(mutex_);
        at_changes_.push_back(offered);
      });
    };
    options_.sources.environment["MIG_STRATEGY"] = "mixed";
  }
  ~AgentMigFlowTest() override {
    StopAgent();
    kubelet_.reset();  // it tells of its end, too
  }

  // Keeps what the kubelet was offered, from the first list on.
  void StartNode(const std::string& sim_node) {
    Simulate(sim_node);
    auto kubelet = rpc::KubeletStandin::Start(
        {.directory = Path("device-plugins"), .observer = [this](const rpc::StandinState& state) {
           const Ids offered = Offered(state);
           std::lock_guard lock(mutex_);
           if (history_.empty() || history_.back() != offered) history_.push_back(offered);
           halves_.push_back(state.capacity("nvidia.com/mig-3g.20gb"));
         }});
    ASSERT_TRUE(kubelet.ok()) << kubelet.error().message;
    kubelet_ = *std::move(kubelet);
    StartAgentOnly();
  }
  void PutLayouts(const std::string& gpu, const std::string& devices) {
    PutConfigMap({{"config.yaml", fmt::format("version: v1\nmig-configs:\n  wanted:\n"
                                              "  - devices: [{}]\n    mig-enabled: true\n"
                                              "    mig-devices: {{{}}}\n",
                                              gpu, devices)}},
                 "layouts");
    PutPolicy(R"({"migManager": {"config": {"name": "layouts"}}})");
  }
  bool Reaches(const std::string& state) {
    return Eventually([&] { return NodeLabel(kState) == state; });
  }
  std::vector<Ids> History() const {
    std::lock_guard lock(mutex_);
    return history_;
  }
  // How many devices of 3g.20gb the kubelet saw, at every change of anything.
  std::vector<std::size_t> Halves() const {
    std::lock_guard lock(mutex_);
    return halves_;
  }
  std::vector<Ids> AtChanges() const {
    std::lock_guard lock(mutex_);
    return at_changes_;
  }
  Ids Now() const { return Offered(kubelet_->state()); }
  bool Because(const std::string& words) {
    return Eventually([&] { return Reason().find(words) != std::string::npos; });
  }
  std::string Reason() {
    const boost::json::value status = pages_.Status();
    std::error_code ignored;
    const boost::json::value* reason = status.find_pointer("/mig/reason", ignored);
    return reason != nullptr && reason->is_string() ? std::string(reason->as_string()) : "";
  }

 private:
  mutable std::mutex mutex_;  // guards the lists: written by the kubelet's and driver's threads
  std::vector<Ids> history_;
  std::vector<Ids> at_changes_;
  std::vector<std::size_t> halves_;
};

Ids Without(const Ids& all, const Ids& some) {
  Ids left;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(),
                      std::inserter(left, left.end()));
  return left;
}

bool Includes(const Ids& all, const Ids& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// The numbers of issue 3: a change of one GPU, without a gap for the other seven.
TEST_F(AgentMigFlowTest, OneGpuChangesWhileSevenServe) {
  LabelNode("nvidia.com/gpu.deploy.dcgm-exporter", "true");
  PutLayouts("7", "1g.5gb: 7");
  StartNode("a100-40gb-x8");
  ASSERT_TRUE(Shows(8));
  const Ids before = Now();
  LabelNode(kConfig, "wanted");
  ASSERT_TRUE(Reaches("success")) << Reason();
  ASSERT_TRUE(Shows(7, 7, "nvidia.com/mig-1g.5gb"));
  ASSERT_TRUE(Shows(7));
  const Ids stay = Without(before, {GpuUuid(7)});
  const auto history = History();
  const auto full = std::find(history.begin(), history.end(), before);
  for (auto list = full; list != history.end(); ++list) {
    EXPECT_TRUE(Includes(*list, stay)) << "a gap in the lists of the others";
  }
  EXPECT_EQ(Resource().registrations, 1u);
  EXPECT_EQ(Resource().lists, 2u) << "of all eight, and of the seven";
  ASSERT_FALSE(AtChanges().empty());
  for (const Ids& offered : AtChanges()) EXPECT_EQ(offered, stay) << "withdrawn before its end";
  EXPECT_EQ(NodeLabel("nvidia.com/gpu.deploy.dcgm-exporter"), "true");
}

// The kept devices of the same GPU are offered all the time, too.
TEST_F(AgentMigFlowTest, DevicesThatStayAreOfferedThroughout) {
  PutLayouts("3", "3g.20gb: 1, 1g.5gb: 4");
  StartNode("a100-40gb-x8-mig");
  ASSERT_TRUE(Shows(1, 1, "nvidia.com/mig-2g.10gb"));
  ASSERT_TRUE(Eventually([&] { return Now().size() == 17; }));
  const Ids before = Now();
  LabelNode(kConfig, "wanted");
  ASSERT_TRUE(Reaches("success")) << Reason();
  ASSERT_TRUE(Eventually([&] { return Now().size() == 18; }));
  const Ids gone = Without(before, Now());
  ASSERT_EQ(gone.size(), 1u);
  const Ids stay = Without(before, gone);
  const auto history = History();
  for (auto list = std::find(history.begin(), history.end(), before); list != history.end();
       ++list) {
    EXPECT_TRUE(Includes(*list, stay));
  }
  for (const Ids& offered : AtChanges()) EXPECT_EQ(offered, stay);
}

TEST_F(AgentMigFlowTest, DefaultsFollowFromTheGpus) {
  StartNode("h100-80gb-x8");
  ASSERT_TRUE(Shows(8));
  LabelNode(kConfig, "all-1g.20gb");
  ASSERT_TRUE(Reaches("success")) << Reason();
  ASSERT_TRUE(Shows(32, 32, "nvidia.com/mig-1g.20gb"));
  EXPECT_TRUE(Eventually([&] { return NodeLabel("nvidia.com/mig-1g.20gb.replicas") == "1"; }))
      << "labels of what is offered now, not while it was withheld";
  LabelNode(kConfig, "all-disabled");
  ASSERT_TRUE(Shows(8));
  ASSERT_TRUE(Reaches("success")) << Reason();
  LabelNode(kConfig, "all-nothing");
  ASSERT_TRUE(Reaches("failed"));
  EXPECT_TRUE(Because("this node has all-1g.10gb")) << Reason();
  EXPECT_TRUE(Shows(8));
}

TEST_F(AgentMigFlowTest, HoldersFailItUntilTheyLeave) {
  LabelNode("nvidia.com/gpu.deploy.dcgm", "true");
  PutLayouts("3", "7g.40gb: 1");
  StartNode("a100-40gb-x8-mig");
  ASSERT_TRUE(Shows(1, 1, "nvidia.com/mig-2g.10gb"));
  sim::ProcessOptions process;
  process.pid = 4711;
  process.gpu = 3;
  process.gi = 3;
  process.ci = 0;
  process.name = "python";
  ASSERT_TRUE(sim().AddProcess(process, 0).ok());
  LabelNode(kConfig, "wanted");
  ASSERT_TRUE(Reaches("failed"));
  EXPECT_TRUE(Because("is in use by pid 4711 python")) << Reason();
  EXPECT_EQ(NodeLabel("nvidia.com/gpu.deploy.dcgm"), "true");
  EXPECT_TRUE(AtChanges().empty());
  ASSERT_TRUE(sim().RemoveProcess(4711).ok());
  ASSERT_TRUE(Reaches("success")) << Reason();
  EXPECT_TRUE(Shows(2, 2, "nvidia.com/mig-7g.40gb"));
}

// A driver error rolls the GPU back, its devices are offered again, and it is tried again.
TEST_F(AgentMigFlowTest, AFailedChangeOffersTheOldDevicesAgain) {
  PutLayouts("3", "3g.20gb: 1, 1g.5gb: 4");
  StartNode("a100-40gb-x8-mig");
  ASSERT_TRUE(Shows(1, 1, "nvidia.com/mig-2g.10gb"));
  ASSERT_TRUE(sim().FailCall("nvmlDeviceCreateGpuInstanceWithPlacement", 999, {}, 1).ok());
  LabelNode(kConfig, "wanted");
  ASSERT_TRUE(Reaches("failed"));
  ASSERT_TRUE(Reaches("success")) << Reason();
  EXPECT_NE(Log().find("MIG change failed, rolling back"), std::string::npos);
  EXPECT_TRUE(Shows(0, 0, "nvidia.com/mig-2g.10gb"));
}

TEST_F(AgentMigFlowTest, LabelsFlipFasterThanApplies) {
  StartNode("a100-40gb-x8");
  ASSERT_TRUE(Shows(8));
  for (int i = 0; i < 5; ++i) {
    for (const char* label : {"all-1g.5gb", "all-2g.10gb", "all-disabled", "all-3g.20gb"}) {
      LabelNode(kConfig, label);
    }
  }
  ASSERT_TRUE(Shows(16, 16, "nvidia.com/mig-3g.20gb"));
  ASSERT_TRUE(Reaches("success")) << Reason();
  EXPECT_TRUE(Shows(0));
}

// Killed between the pause and the change; the next agent finishes and restores.
TEST_F(AgentMigFlowTest, ARestartInTheMiddleRestoresEverybody) {
  LabelNode("nvidia.com/gpu.deploy.dcgm", "true");
  PutLayouts("7", "3g.20gb: 2");
  ASSERT_TRUE(
      cluster_
          .Put(kube::kPods, {{"metadata", {{"namespace", "gpu"}, {"name", "dcgm"}}},
                             {"spec",
                              {{"nodeName", kNode},
                               {"nodeSelector", {{"nvidia.com/gpu.deploy.dcgm", "true"}}}}}})
          .ok());
  StartNode("a100-40gb-x8");
  ASSERT_TRUE(Shows(8));
  LabelNode(kConfig, "wanted");
  ASSERT_TRUE(Shows(7));
  ASSERT_TRUE(Eventually([&] { return NodeLabel("nvidia.com/gpu.deploy.dcgm") == kPaused; }));
  EXPECT_TRUE(AtChanges().empty()) << "its client is still there";
  StopAgent();
  ASSERT_TRUE(cluster_.Delete({kube::kPods, "gpu", "dcgm", ""}).ok());
  StartAgentOnly();
  ASSERT_TRUE(Shows(2, 2, "nvidia.com/mig-3g.20gb"));
  ASSERT_TRUE(Reaches("success")) << Reason();
  EXPECT_EQ(NodeLabel("nvidia.com/gpu.deploy.dcgm"), "true");
}

// After a reboot the devices are there in the very first list.
TEST_F(AgentMigFlowTest, ARebootIsMadeUpForBeforeTheFirstRegistration) {
  PutLayouts("3", "3g.20gb: 2");
  StartNode("a100-40gb-x8-mig");
  LabelNode(kConfig, "wanted");
  ASSERT_TRUE(Shows(4, 4, "nvidia.com/mig-3g.20gb"));
  ASSERT_TRUE(Reaches("success")) << Reason();
  ASSERT_TRUE(Eventually([&] { return ReadFile(mig::LayoutPath(Path("state"))).ok(); }));
  StopAgent();
  ASSERT_TRUE(sim().ResetGpu(3).ok());
  options_.mig->node.boot_id = "boot-2";
  const std::size_t before = Halves().size();
  StartAgentOnly();
  ASSERT_TRUE(Shows(4, 4, "nvidia.com/mig-3g.20gb"));
  const auto halves = Halves();
  for (std::size_t i = before; i < halves.size(); ++i) {
    EXPECT_TRUE(halves[i] == 0 || halves[i] == 4) << "offered before they were all there";
  }
  EXPECT_EQ(NodeLabel(kState), "success");
}

// Held as long as somebody exchanges the driver, or the policy wants none of it.
TEST_F(AgentMigFlowTest, WhereItIsPausedNothingBegins) {
  LabelNode("nvidia.com/gpu.deploy.mig-manager", "paused-for-driver-upgrade");
  PutPolicy(R"({"migManager": {"enabled": false}})");
  StartNode("a100-40gb-x8");
  ASSERT_TRUE(Shows(8));
  LabelNode(kConfig, "all-1g.5gb");
  PutPolicy(R"({"migManager": {"env": [{"name": "WITH_REBOOT", "value": "true"}]}})");
  ASSERT_TRUE(pages_.AwaitStatus("/mig/config", "all-1g.5gb"));
  EXPECT_EQ(NodeLabel(kState), "<none>");
  LabelNode("nvidia.com/gpu.deploy.mig-manager", "true");
  ASSERT_TRUE(Shows(56, 56, "nvidia.com/mig-1g.5gb"));
  EXPECT_TRUE(Reaches("success")) << Reason();
}

}  // namespace
}  // namespace aliquot::tests
