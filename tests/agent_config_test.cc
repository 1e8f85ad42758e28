// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// What a running agent makes of its configuration file, whatever happens to the file.
#include <signal.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using rpc::StandinResource;

class AgentConfigTest : public AgentTest {
 protected:
  // Waits until the newest configuration was refused for a reason that contains `problem`.
  bool Refused(const std::string& problem) {
    return Eventually([&] {
      const json::value status = agent_.Status();
      if (!status.at_pointer("/config/newestRefused").as_bool()) return false;
      for (const json::value& each : status.at_pointer("/config/problems").as_array()) {
        const std::string_view message = each.at("message").as_string();
        if (message.find(problem) != std::string_view::npos) return true;
      }
      return false;
    });
  }
  std::int64_t Generation() {
    return agent_.Status().at_pointer("/config/generation").to_number<std::int64_t>();
  }
};

TEST_F(AgentConfigTest, OffersWholeGpus) {
  StartAll(4);
  const StandinResource resource = Resource();
  for (std::size_t gpu = 0; gpu < 4; ++gpu) {
    EXPECT_EQ(resource.devices[gpu].id, GpuUuid(gpu));
    EXPECT_EQ(resource.devices[gpu].numa_node, sim().node().gpus[gpu].numa_node);
  }
  EXPECT_TRUE(resource.preferred_available);
  EXPECT_EQ(resource.registrations, 1u);
  EXPECT_EQ(resource.lists, 1u);
}

TEST_F(AgentConfigTest, ReplicasComeAndGoWithoutANewRegistration) {
  StartAll(4);
  Configure(SharedBy(10));
  ASSERT_TRUE(Shows(40));
  const StandinResource shared = Resource();
  EXPECT_EQ(shared.devices[0].id, GpuUuid(0) + "::0");
  EXPECT_EQ(shared.devices[39].id, GpuUuid(3) + "::9");
  Configure("version: v1\n");
  ASSERT_TRUE(Shows(4));
  EXPECT_EQ(Resource().devices[0].id, GpuUuid(0));
  EXPECT_EQ(Resource().registrations, 1u);
  EXPECT_EQ(Resource().lists, 3u);
  EXPECT_EQ(Resource().endpoint, shared.endpoint);
}

TEST_F(AgentConfigTest, MixedMigNodeResendsOnlyWhatChanged) {
  Simulate("a100-40gb-x8-mig");
  Configure("version: v1\nflags: {migStrategy: mixed}\n");
  StartAll(3);  // without MIG; the one with MIG on and no instance offers nothing
  EXPECT_TRUE(Shows(9, 9, "nvidia.com/mig-1g.5gb"));
  EXPECT_TRUE(Shows(1, 1, "nvidia.com/mig-2g.10gb"));
  EXPECT_TRUE(Shows(3, 3, "nvidia.com/mig-3g.20gb"));
  EXPECT_TRUE(Shows(1, 1, "nvidia.com/mig-7g.40gb"));
  EXPECT_EQ(kubelet_->state().resources.size(), 5u);

  Configure("flags: {migStrategy: mixed}\n" + SharedBy(2, "nvidia.com/mig-1g.5gb"));
  ASSERT_TRUE(Shows(18, 18, "nvidia.com/mig-1g.5gb"));
  for (const auto& [name, resource] : kubelet_->state().resources) {
    EXPECT_EQ(resource.registrations, 1u) << name;
    EXPECT_EQ(resource.lists, name == "nvidia.com/mig-1g.5gb" ? 2u : 1u) << name;
  }
}

TEST_F(AgentConfigTest, MigStrategyAddsAndRemovesOnlyItsResources) {
  Simulate("a100-40gb-x8-mig");
  Configure("flags: {migStrategy: mixed}\n");
  StartAll(3);
  ASSERT_TRUE(Shows(1, 1, "nvidia.com/mig-7g.40gb"));
  Configure("flags: {migStrategy: none}\n");
  ASSERT_TRUE(Shows(8));
  ASSERT_TRUE(Shows(0, 0, "nvidia.com/mig-7g.40gb"));
  ASSERT_TRUE(Shows(0, 0, "nvidia.com/mig-1g.5gb"));
  EXPECT_EQ(Resource().registrations, 1u);
  EXPECT_TRUE(Eventually([&] { return Sockets().size() == 1; }));
}

TEST_F(AgentConfigTest, ExtendedModeRenamesSomeGpusAndLeavesTheOthersAlone) {
  StartAll(4);
  Configure(
      "sharing:\n  mode: extended\n  timeSlicing:\n    resources:\n    - name: nvidia.com/gpu\n"
      "      replicas: 5\n      rename: nvidia.com/gpu.shared\n      devices: [0, 2]\n");
  ASSERT_TRUE(Shows(2));
  ASSERT_TRUE(Shows(10, 10, "nvidia.com/gpu.shared"));
  EXPECT_EQ(Healthy(), (std::vector<std::string>{GpuUuid(1), GpuUuid(3)}));
  EXPECT_EQ(Resource().registrations, 1u);
  Configure("version: v1\n");
  ASSERT_TRUE(Shows(4));
  ASSERT_TRUE(Shows(0, 0, "nvidia.com/gpu.shared"));
  EXPECT_EQ(Resource().registrations, 1u);
}

TEST_F(AgentConfigTest, WhatChangesNothingSendsNothing) {
  StartAll(4);
  Configure("# a comment\nversion: v1\nflags: {migStrategy: none}\n");
  ASSERT_TRUE(agent_.AwaitMetric("aliquot_config_reloads_total{result=\"ok\"}", 2));
  EXPECT_EQ(Generation(), 1);
  EXPECT_EQ(Resource().lists, 1u);
}

TEST_F(AgentConfigTest, ABadFileKeepsTheLastGoodOneUntilItIsMended) {
  Configure(SharedBy(2));
  StartAll(8);
  const struct {
    const char* text;
    const char* problem;
  } kBad[] = {
      {"sharing: [", ""},
      {"version: v2\n", "v2"},
      {"\x01\x02\xff", ""},
      {"sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: ten}]}}\n", "ten"},
      {"sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 0}]}}\n", "replicas"},
      {"flags: {migStrategy: both}\n", "both"},
      {"flags: {mpsRoot: /run/nvidia/mps}\n"
       "sharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 2}]}}\n",
       "runs no MPS daemon"},
      {"sharing:\n  timeSlicing:\n    resources: [{name: nvidia.com/gpu, replicas: 2}]\n"
       "    isolation: {memory: plenty, compute: fair}\n",
       "plenty"},
      {"flags: {deviceDiscoveryStrategy: tegra}\n", "deviceDiscoveryStrategy"},
  };
  double failed = 0;
  for (const auto& bad : kBad) {
    Configure(bad.text);
    ASSERT_TRUE(agent_.AwaitMetric("aliquot_config_reloads_total{result=\"failed\"}", ++failed))
        << bad.text;
    EXPECT_TRUE(Refused(bad.problem)) << bad.text << agent_.Get("/statusz").body;
    EXPECT_EQ(agent_.Metric("aliquot_config_last_reload_failed"), 1) << bad.text;
  }
  EXPECT_EQ(Generation(), 1);
  EXPECT_EQ(Resource().lists, 1u);
  EXPECT_EQ(agent_.Get("/readyz").status, 200);
  EXPECT_TRUE(kubelet_->Place("pod", "main", kGpu, 2).ok());

  Configure(SharedBy(3));
  ASSERT_TRUE(Shows(12));
  EXPECT_EQ(agent_.Metric("aliquot_config_last_reload_failed"), 0);
  EXPECT_FALSE(agent_.Status().at_pointer("/config/newestRefused").as_bool());
  EXPECT_EQ(Resource().registrations, 1u);
}

TEST_F(AgentConfigTest, AFileThatIsGoneOrNoFileKeepsTheLastGoodOne) {
  Configure(SharedBy(2));
  StartAll(8);
  const std::string file = Path("config.yaml");
  fs::remove(file);
  ASSERT_TRUE(Refused("config.yaml"));
  Configure(SharedBy(3));
  ASSERT_TRUE(Shows(12));

  fs::remove(file);
  fs::create_directory(file);
  ASSERT_TRUE(Refused("config.yaml"));
  fs::remove(file);
  Configure(SharedBy(4));
  ASSERT_TRUE(Shows(16));

  fs::remove(file);
  fs::create_symlink("nowhere", file);
  ASSERT_TRUE(Refused("config.yaml"));
  std::ofstream(Path("nowhere")) << SharedBy(5);  // the link's target appears
  ASSERT_TRUE(Shows(20));
  EXPECT_EQ(Resource().registrations, 1u);
}

// Root may read everything, so this one cannot be shown with permissions alone.
TEST_F(AgentConfigTest, AnUnreadableFileKeepsTheLastGoodOne) {
  StartAll(4);
  const std::string file = Path("config.yaml");
  fs::remove(file);
  fs::create_symlink("config.yaml", file);  // ELOOP
  ASSERT_TRUE(Refused("config.yaml"));
  EXPECT_EQ(Resource().allocatable(), 4u);
  Configure(SharedBy(2));
  ASSERT_TRUE(Shows(8));
}

TEST_F(AgentConfigTest, TheLastGoodFileSurvivesARestart) {
  Configure(SharedBy(2));
  StartAll(8);
  EXPECT_EQ(agent_.Stop(), 0);
  Configure("sharing: [");
  StartAgent();
  ASSERT_TRUE(Shows(8));
  const json::value status = agent_.Status();
  EXPECT_EQ(status.at_pointer("/config/origin").as_string(), "last good file");
  EXPECT_TRUE(status.at_pointer("/config/newestRefused").as_bool());
  EXPECT_TRUE(agent_.AwaitStatus("/ready", true));
  Configure(SharedBy(3));
  ASSERT_TRUE(Shows(12));
  EXPECT_TRUE(agent_.AwaitStatus("/config/origin", "file"));
}

// A mounted ConfigMap that is deleted while the agent is away must not cost the node its GPUs.
TEST_F(AgentConfigTest, TheLastGoodFileServesWhenTheFileIsMissingAtStart) {
  Configure(SharedBy(2));
  StartAll(8);
  EXPECT_EQ(agent_.Stop(), 0);
  fs::remove(Path("config.yaml"));
  StartAgent();
  EXPECT_TRUE(Shows(8));
}

TEST_F(AgentConfigTest, BadAtTheFirstStartIsNotReadyUntilMended) {
  Configure("sharing: [");
  StartKubelet();
  StartAgent();
  const auto ready = agent_.Get("/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.body, "no valid configuration yet\n");
  EXPECT_EQ(agent_.Get("/healthz").status, 200);
  EXPECT_TRUE(kubelet_->state().resources.empty());
  Configure(SharedBy(2));
  ASSERT_TRUE(Shows(8));
  EXPECT_TRUE(Eventually([&] { return agent_.Get("/readyz").status == 200; }));
}

TEST_F(AgentConfigTest, AConfigMapIsFollowedThroughItsLinks) {
  fs::remove(Path("config.yaml"));
  const auto publish = [&](const std::string& version, const std::string& text) {
    fs::create_directory(Path(version));
    std::ofstream(Path(version) + "/config.yaml") << text;
    fs::create_symlink(version, Path("..data_tmp"));
    fs::rename(Path("..data_tmp"), Path("..data"));
  };
  publish("..2026_01", SharedBy(2));
  fs::create_symlink("..data/config.yaml", Path("config.yaml"));
  StartAll(8);
  publish("..2026_02", SharedBy(3));
  fs::remove_all(Path("..2026_01"));
  ASSERT_TRUE(Shows(12));
  publish("..2026_03", "version: v1\n");
  fs::remove_all(Path("..2026_02"));
  ASSERT_TRUE(Shows(4));
  EXPECT_EQ(Resource().registrations, 1u);
}

TEST_F(AgentConfigTest, SighupReadsTheFileAgain) {
  StartAll(4);
  // What else appears in the file's directory at the start may count as a change of its own.
  const auto reloads = [this] {
    return agent_.Metric("aliquot_config_reloads_total{result=\"ok\"}");
  };
  for (int i = 0; i < 2; ++i) {
    const double before = reloads();
    agent_.Signal(SIGHUP);
    ASSERT_TRUE(Eventually([&] { return reloads() > before; }));
  }
  EXPECT_NE(agent_.Log().find("because=SIGHUP"), std::string::npos);
  EXPECT_TRUE(agent_.running());
  EXPECT_EQ(Resource().lists, 1u);
}

// The kubelet would drop the list and show no devices at all.
TEST_F(AgentConfigTest, AListTooLongIsRefusedAndTheFormerOneStays) {
  StartAll(4);
  Configure(SharedBy(20000));
  ASSERT_TRUE(agent_.AwaitMetric("aliquot_plan_conditions{severity=\"error\"}", 1));
  const std::string message =
      json::value_to<std::string>(agent_.Status().at_pointer("/plan/conditions/0/message"));
  EXPECT_NE(message.find("lower replicas to at most 11565"), std::string::npos) << message;
  EXPECT_NE(message.find("what was offered before stays"), std::string::npos) << message;
  EXPECT_EQ(Resource().lists, 1u);
  EXPECT_TRUE(kubelet_->Place("pod", "main", kGpu, 1).ok());
  sim().Unload();  // another look at the same plan
  ASSERT_TRUE(Shows(4, 0));
  ASSERT_TRUE(sim().Load("590.44.01").ok());
  ASSERT_TRUE(Shows(4));
  Configure(SharedBy(2));
  ASSERT_TRUE(Shows(8));
  EXPECT_TRUE(agent_.AwaitMetric("aliquot_plan_conditions{severity=\"error\"}", 0));
  EXPECT_EQ(Resource().registrations, 1u);
}

}  // namespace
}  // namespace aliquot::tests
