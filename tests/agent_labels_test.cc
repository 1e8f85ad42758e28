// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// The node labels of feature discovery that a running agent keeps, and who holds what.
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "agent/field_owners.h"
#include "agent/json_path.h"
#include "agent/label_publisher.h"
#include "tests/cluster_fixture.h"

namespace aliquot::tests {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr char kCount[] = "nvidia.com/gpu.count";
constexpr char kReplicas[] = "nvidia.com/gpu.replicas";

class AgentLabelsTest : public ClusterAgentTest {
 protected:
  bool LabelBecomes(const std::string& label, const std::string& value) {
    return Eventually([&] { return NodeLabel(label) == value; });
  }
  std::size_t OwnLabels() const {
    std::size_t count = 0;
    for (const auto& [label, managers] : agent::LabelOwners(Node())) {
      count += managers.count(agent::LabelPublisher::kManager);
    }
    return count;
  }
  void InstallNfd() {
    cluster_.Register(kube::kNodeFeatures, {.kind = "NodeFeature", .custom = true});
  }
  Result<kube::Object> Feature() const {
    return cluster_.Get({kube::kNodeFeatures, kNamespace, "nvidia-features-for-worker-1", ""});
  }
};

TEST_F(AgentLabelsTest, FollowTheConfigurationAndGoWhenSwitchedOff) {
  LabelNode("example.com/rack", "7");
  StartInCluster("t4-x4");
  ASSERT_TRUE(LabelBecomes(kCount, "4"));
  EXPECT_EQ(NodeLabel(kReplicas), "1");
  EXPECT_EQ(NodeLabel("aliquot.dev/simulated"), "true");
  PutConfigMap({{"any", SharedBy(10)}});
  ChooseDefault("any");
  ASSERT_TRUE(LabelBecomes(kReplicas, "10"));
  EXPECT_TRUE(NodeLabel("nvidia.com/gpu.product").ends_with("-SHARED"));
  PutPolicy(R"({"gfd": {"enabled": false}})");
  ASSERT_TRUE(Eventually([&] { return OwnLabels() == 0; }));
  EXPECT_EQ(NodeLabel(kCount), "<none>");
  EXPECT_EQ(NodeLabel("nvidia.com/gpu.present"), "true");
  EXPECT_EQ(NodeLabel("example.com/rack"), "7");
  EXPECT_TRUE(pages_.AwaitStatus("/cluster/labels/because",
                                 "clusterpolicy cluster-policy has gfd.enabled: false"));
}

TEST_F(AgentLabelsTest, StayOverAnEndAndAreCheapAtRest) {
  StartInCluster();
  ASSERT_TRUE(LabelBecomes(kCount, "1"));
  const std::string timestamp = NodeLabel("nvidia.com/gfd.timestamp");
  EXPECT_GT(std::stoll(timestamp), 1'600'000'000);
  const std::size_t writes = client_->Count("apply", "nodes");
  LabelNode("example.com/rack", "7");
  PutConfigMap({{"any", SharedBy(2)}});  // nobody asked for it
  EXPECT_EQ(client_->Count("apply", "nodes"), writes);
  StopAgent();
  EXPECT_EQ(NodeLabel(kCount), "1");
}

TEST_F(AgentLabelsTest, ArePutBackWhenSomebodyChangesThem) {
  StartInCluster();
  ASSERT_TRUE(LabelBecomes(kCount, "1"));
  LabelNode(kCount, "100");
  ASSERT_TRUE(LabelBecomes(kCount, "1"));
  UnlabelNode(kReplicas);
  ASSERT_TRUE(LabelBecomes(kReplicas, "1"));
}

TEST_F(AgentLabelsTest, AreLeftToAnotherFeatureDiscovery) {
  const json::value patch = {{"metadata", {{"labels", {{kCount, "8"}}}}}};
  ASSERT_TRUE(
      cluster_.Patch({kube::kNodes, "", kNode, ""}, kube::PatchType::kMerge, patch, "nfd-master")
          .ok());
  StartInCluster();
  ASSERT_TRUE(LabelBecomes(kReplicas, "1"));
  EXPECT_EQ(NodeLabel(kCount), "8");
  EXPECT_TRUE(
      pages_.AwaitStatus("/cluster/labels/keptByOthers/nvidia.com~1gpu.count", "nfd-master"));
  EXPECT_TRUE(pages_.AwaitMetric("aliquot_node_labels{state=\"kept_by_others\"}", 1));
}

TEST_F(AgentLabelsTest, APausedOrExcludedNode) {
  StartInCluster();
  ASSERT_TRUE(LabelBecomes(kCount, "1"));
  LabelNode("nvidia.com/gpu.deploy.gpu-feature-discovery", "paused-for-upgrade");
  ASSERT_TRUE(pages_.AwaitStatus("/cluster/labels/mode", "hold"));
  EXPECT_EQ(NodeLabel(kCount), "1");
  LabelNode("nvidia.com/gpu.deploy.gpu-feature-discovery", "false");
  ASSERT_TRUE(LabelBecomes(kCount, "<none>"));
  UnlabelNode("nvidia.com/gpu.deploy.gpu-feature-discovery");
  ASSERT_TRUE(LabelBecomes(kCount, "1"));
}

TEST_F(AgentLabelsTest, AreKeptWhileThePluginIsSwitchedOff) {
  PutConfigMap({{"any", SharedBy(10)}});
  PutPolicy(R"({"devicePlugin": {"enabled": false,
                                 "config": {"name": "time-slicing-config", "default": "any"}}})");
  StartInCluster();
  ASSERT_TRUE(LabelBecomes(kReplicas, "10"));
  EXPECT_TRUE(kubelet_->state().resources.empty());
}

TEST_F(AgentLabelsTest, GoThroughNodeFeatureDiscoveryWhereItIs) {
  InstallNfd();
  StartInCluster();
  ASSERT_TRUE(Eventually([&] { return Feature().ok(); }));
  const kube::Object feature = *Feature();
  EXPECT_EQ(agent::FindText(feature, {"spec", "labels", kCount}), "1");
  EXPECT_EQ(agent::FindText(feature, {"metadata", "labels", "nfd.node.kubernetes.io/node-name"}),
            kNode);
  EXPECT_EQ(OwnLabels(), 0u);
  PutPolicy(R"({"gfd": {"enabled": false}})");
  ASSERT_TRUE(Eventually([&] { return !Feature().ok(); }));
  PutPolicy(R"({"gfd": {"env": [{"name": "USE_NODE_FEATURE_API", "value": "false"}]}})");
  ASSERT_TRUE(LabelBecomes(kCount, "1"));
  EXPECT_FALSE(Feature().ok());
}

TEST_F(AgentLabelsTest, MoveToNodeFeatureDiscoveryThatComesLater) {
  StartInCluster();
  ASSERT_TRUE(LabelBecomes(kCount, "1"));
  InstallNfd();
  LabelNode("feature.node.kubernetes.io/system-os_release.ID", "debian");
  ASSERT_TRUE(Eventually([&] { return Feature().ok(); }));
  EXPECT_EQ(agent::FindText(*Feature(), {"spec", "labels", kCount}), "1");
  EXPECT_EQ(OwnLabels(), 0u);
}

TEST_F(AgentLabelsTest, ANodeFeatureOfAnotherDiscoveryIsLeftAlone) {
  InstallNfd();
  const json::object feature = {
      {"apiVersion", "nfd.k8s-sigs.io/v1alpha1"},
      {"kind", "NodeFeature"},
      {"metadata", {{"name", "nvidia-features-for-worker-1"}, {"namespace", kNamespace}}},
      {"spec", {{"labels", {{kCount, "8"}}}}}};
  const auto created =
      cluster_.Create(kube::kNodeFeatures, kNamespace, feature, "gpu-feature-discovery");
  ASSERT_TRUE(created.ok()) << created.error().message;
  StartInCluster();
  ASSERT_TRUE(pages_.AwaitStatus("/cluster/labels/keptByOthers/nvidia.com~1gpu.count",
                                 "gpu-feature-discovery"));
  EXPECT_EQ(agent::FindText(*Feature(), {"spec", "labels", kCount}), "8");
}

// A machine with a PCI bus of our making.
class AgentIdleTest : public AgentLabelsTest {
 protected:
  AgentIdleTest() {
    fs::create_directories(Path("host/sys/bus/pci/devices"));
    Plug("0000:00:03.0", "0x8086", "0x020000");
    Plug("0000:00:04.0", "0x10de", "0x040300");  // an audio function
    options_.wait_for_gpu = true;
    options_.cluster->host_root = Path("host");
  }
  void Plug(const std::string& bus_id, const std::string& vendor, const std::string& pci_class) {
    const std::string device = Path("host/sys/bus/pci/devices/") + bus_id;
    fs::create_directory(device);
    std::ofstream(device + "/vendor") << vendor << "\n";
    std::ofstream(device + "/class") << pci_class << "\n";
    std::ofstream(device + "/config") << std::string(64, '\0');
  }
};

TEST_F(AgentIdleTest, ANodeWithoutGpusIdlesAndTakesItsLabelsBack) {
  Plug("0000:1a:00.0", "0x10de", "0x030200");
  StartInCluster();
  ASSERT_TRUE(LabelBecomes(kCount, "1"));
  ASSERT_TRUE(LabelBecomes("nvidia.com/gpu.present", "true"));
  StopAgent();
  fs::remove_all(Path("host/sys/bus/pci/devices/0000:1a:00.0"));
  StartAgentOnly();
  ASSERT_TRUE(LabelBecomes(kCount, "<none>"));
  ASSERT_TRUE(LabelBecomes("nvidia.com/gpu.present", "false"));
  EXPECT_TRUE(pages_.AwaitStatus("/idle", true));
  EXPECT_EQ(pages_.Get("/readyz").status, 200);
  EXPECT_EQ(cluster_.watches(), 0u);
  EXPECT_TRUE(Eventually([&] { return kubelet_->state().allocatable(kGpu) == 0; }));
}

TEST_F(AgentIdleTest, ANodeFeatureIsTakenBackToo) {
  InstallNfd();
  Plug("0000:1a:00.0", "0x10de", "0x030200");
  StartInCluster();
  ASSERT_TRUE(Eventually([&] { return Feature().ok(); }));
  StopAgent();
  fs::remove_all(Path("host/sys/bus/pci/devices/0000:1a:00.0"));
  StartAgentOnly();
  EXPECT_TRUE(Eventually([&] { return !Feature().ok(); }));
}

class AgentHoldersTest : public ClusterAgentTest {
 protected:
  static std::string Row(const std::string& pod, const std::string& uuid) {
    return "aliquot_container_replicas{namespace=\"default\",pod=\"" + pod +
           "\",container=\"main\",resource=\"nvidia.com/gpu\",device=\"" + uuid + "\",gpu=\"" +
           uuid + "\"}";
  }
};

TEST_F(AgentHoldersTest, EveryReplicaIsToldByContainer) {
  PutConfigMap({{"any", SharedBy(10)}});
  ChooseDefault("any");
  options_.pod_resources_socket = Path("pods.sock");
  Simulate("t4-x1");
  auto kubelet = rpc::KubeletStandin::Start(
      {.directory = Path("device-plugins"), .pod_resources_socket = Path("pods.sock")});
  ASSERT_TRUE(kubelet.ok()) << kubelet.error().message;
  kubelet_ = *std::move(kubelet);
  StartAgentOnly();
  ASSERT_TRUE(Shows(10));
  EXPECT_TRUE(pages_.AwaitMetric("aliquot_pod_resources_up", 1));
  ASSERT_TRUE(kubelet_->Place("train", "main", kGpu, 2).ok());
  ASSERT_TRUE(kubelet_->Place("serve", "main", kGpu, 1).ok());
  ASSERT_TRUE(pages_.AwaitMetric(Row("train", GpuUuid(0)), 2));
  EXPECT_TRUE(pages_.AwaitMetric(Row("serve", GpuUuid(0)), 1));
  EXPECT_TRUE(pages_.AwaitStatus("/holders/" + GpuUuid(0) + "/0/namespace", "default"));
  kubelet_->Remove("train");
  ASSERT_TRUE(kubelet_->Place("other", "main", kGpu, 1).ok());  // makes the agent ask
  ASSERT_TRUE(pages_.AwaitMetric(Row("train", GpuUuid(0)), -1));
  EXPECT_EQ(pages_.Metric(Row("other", GpuUuid(0))), 1);
}

// What cannot be measured is absent.
TEST_F(AgentHoldersTest, NoAnswerNoRows) {
  options_.pod_resources_socket = Path("pods.sock");
  StartInCluster();
  ASSERT_TRUE(Shows(1));
  EXPECT_TRUE(pages_.AwaitMetric("aliquot_pod_resources_up", 0));
  EXPECT_EQ(pages_.Get("/metrics").body.find("aliquot_container_replicas"), std::string::npos);
  EXPECT_TRUE(pages_.AwaitStatus("/holders", nullptr));
}

}  // namespace
}  // namespace aliquot::tests
