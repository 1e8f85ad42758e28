// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// The agent beside kubelets that come, go and forget, and beside other agents.
#include <filesystem>
#include <fstream>

#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

namespace fs = std::filesystem;
using rpc::StandinState;

class AgentKubeletTest : public AgentTest {};

TEST_F(AgentKubeletTest, TwentyKubeletRestartsLoseNothing) {
  Simulate("a100-40gb-x8-mig");
  Configure("flags: {migStrategy: mixed}\n" + SharedBy(2));
  StartAll(6);
  ASSERT_TRUE(Shows(9, 9, "nvidia.com/mig-1g.5gb"));
  ASSERT_TRUE(kubelet_->Place("pod", "main", kGpu, 2).ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(kubelet_->Restart().ok());
    ASSERT_TRUE(Shows(6)) << i;
    ASSERT_TRUE(Shows(9, 9, "nvidia.com/mig-1g.5gb")) << i;
    ASSERT_TRUE(Shows(1, 1, "nvidia.com/mig-7g.40gb")) << i;
  }
  EXPECT_EQ(Resource().held_by.size(), 2u);
  EXPECT_TRUE(kubelet_->Place("next", "main", kGpu, 4).ok());
  EXPECT_FALSE(kubelet_->Place("last", "main", kGpu, 1).ok());
  EXPECT_EQ(Sockets().size(), 5u);
}

TEST_F(AgentKubeletTest, TheKubeletMayComeLast) {
  StartAgent();
  ASSERT_TRUE(agent_.AwaitLog("serving resource"));
  EXPECT_EQ(agent_.Get("/readyz").status, 503);
  EXPECT_TRUE(agent_.AwaitStatus("/kubelet/present", false));
  StartKubelet();
  ASSERT_TRUE(Shows(4));
  EXPECT_TRUE(Eventually([&] { return agent_.Get("/readyz").status == 200; }));
  EXPECT_TRUE(agent_.AwaitStatus("/kubelet/present", true));
}

TEST_F(AgentKubeletTest, TheDirectoryMayComeLast) {
  fs::remove(Path("device-plugins"));
  StartAgent();
  ASSERT_TRUE(agent_.AwaitLog("resource cannot be served as planned"));
  fs::create_directory(Path("device-plugins"));
  StartKubelet();
  EXPECT_TRUE(Shows(4));
}

TEST_F(AgentKubeletTest, AnAwayKubeletIsNotReadyAndComesBack) {
  StartAll(4);
  ASSERT_TRUE(Eventually([&] { return agent_.Get("/readyz").status == 200; }));
  kubelet_->Stop();
  EXPECT_TRUE(Eventually([&] { return agent_.Get("/readyz").status == 503; }));
  Configure(SharedBy(2));  // while nobody listens
  ASSERT_TRUE(agent_.AwaitStatus("/plan/resources/0/devices", 8));
  ASSERT_TRUE(kubelet_->Resume().ok());
  EXPECT_TRUE(Shows(8));
  EXPECT_TRUE(Eventually([&] { return agent_.Get("/readyz").status == 200; }));
}

TEST_F(AgentKubeletTest, AWipedDirectoryIsFilledAgain) {
  StartAll(4);
  for (const std::string& socket : Sockets()) fs::remove(Path("device-plugins/" + socket));
  EXPECT_TRUE(kubelet_->WaitFor([](const StandinState& state) {
    return state.resources.at(kGpu).registrations == 2 && state.allocatable(kGpu) == 4;
  }));
  EXPECT_EQ(Sockets().size(), 1u);
}

TEST_F(AgentKubeletTest, AReplacedDirectoryIsFollowed) {
  StartAll(4);
  kubelet_->Stop();
  fs::rename(Path("device-plugins"), Path("old"));
  fs::create_directory(Path("device-plugins"));
  ASSERT_TRUE(kubelet_->Resume().ok());
  EXPECT_TRUE(Shows(4));
}

TEST_F(AgentKubeletTest, AKilledAgentIsSucceededAndItsSocketsAreCleaned) {
  StartAll(4);
  const std::vector<std::string> before = Sockets();
  ASSERT_EQ(before.size(), 1u);
  agent_.Kill();
  EXPECT_EQ(Sockets(), before) << "nobody could remove it";
  EXPECT_TRUE(
      kubelet_->WaitFor([](const StandinState& state) { return state.allocatable(kGpu) == 0; }));
  std::ofstream(Path("device-plugins/kubelet_internal_checkpoint")) << "{}";
  StartAgent();
  ASSERT_TRUE(Shows(4));
  ASSERT_EQ(Sockets().size(), 1u);
  EXPECT_NE(Sockets(), before);
  EXPECT_TRUE(fs::exists(Path("device-plugins/kubelet_internal_checkpoint")));
  EXPECT_TRUE(kubelet_->Place("pod", "main", kGpu, 4).ok());
}

// A rolling update: the successor comes first, then its predecessor leaves.
TEST_F(AgentKubeletTest, TwoAgentsSideBySideThenTheOldOneLeaves) {
  StartAll(4);
  AgentProcess successor(directory_.path(), "successor");
  successor.Start(sim().node().name);
  ASSERT_TRUE(kubelet_->WaitFor([](const StandinState& state) {
    return state.resources.at(kGpu).registrations == 2 && state.allocatable(kGpu) == 4;
  }));
  EXPECT_EQ(Sockets().size(), 2u);
  EXPECT_EQ(agent_.Stop(), 0);
  EXPECT_EQ(Sockets().size(), 1u);
  EXPECT_TRUE(kubelet_->Place("pod", "main", kGpu, 2).ok());
  Configure(SharedBy(2));
  ASSERT_TRUE(Shows(8));
  ASSERT_TRUE(kubelet_->Restart().ok());
  ASSERT_TRUE(Shows(8));
  EXPECT_TRUE(successor.running());
  EXPECT_EQ(successor.Stop(), 0);
}

TEST_F(AgentKubeletTest, TheFlagForTheSocketWinsOverTheEnvironment) {
  StartAll(4, {}, {{"KUBELET_SOCKET", Path("device-plugins/other.sock")}});
}

}  // namespace
}  // namespace aliquot::tests
