// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// The plugin manager over real gRPC against the stand-in for the kubelet. The cases are the known
// habits of kubelets.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "deviceplugin/serving_node.h"
#include "rpc/kubelet_standin.h"

namespace aliquot::deviceplugin {
namespace {

namespace fs = std::filesystem;
using rpc::KubeletStandin;
using rpc::StandinState;

constexpr char kGpu[] = "nvidia.com/gpu";
constexpr char kMig[] = "nvidia.com/mig-1g.5gb";

class KubeletContractTest : public testing::Test {
 protected:
  KubeletContractTest() {
    std::string name = "/tmp/aliquot-kubelet-XXXXXX";
    root_ = ::mkdtemp(name.data());
    directory_ = root_ + "/device-plugins";
    fs::create_directory(directory_);
  }
  ~KubeletContractTest() override {
    node_.reset();
    kubelet_.reset();
    fs::remove_all(root_);
  }

  void StartKubelet() {
    auto kubelet = KubeletStandin::Start({.directory = directory_});
    ASSERT_TRUE(kubelet.ok()) << kubelet.error().message;
    kubelet_ = *std::move(kubelet);
  }
  void StartNode() { node_ = std::make_unique<ServingNode>(directory_); }
  static share::Plan Plan(std::vector<share::PlannedResource> resources) {
    return {std::move(resources), {}};
  }
  static share::PlannedResource Gpus(int gpus, unsigned replicas = 1) {
    return ServingNode::Resource(kGpu, gpus, replicas);
  }
  bool Capacity(std::size_t capacity, std::size_t allocatable, const char* resource = kGpu) {
    return kubelet_->WaitFor([=](const StandinState& state) {
      return state.capacity(resource) == capacity && state.allocatable(resource) == allocatable;
    });
  }
  std::vector<std::string> Sockets() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string root_;
  std::string directory_;
  std::unique_ptr<KubeletStandin> kubelet_;
  std::unique_ptr<ServingNode> node_;
};

// Within Register the kubelet connects back; a plugin that holds a lock across it, or serves later,
// would hang here.
TEST_F(KubeletContractTest, RegistersAndIsAskedBackWithinTheCall) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(8), ServingNode::Resource(kMig, 2, 1)}));
  EXPECT_TRUE(Capacity(8, 8));
  EXPECT_TRUE(Capacity(2, 2, kMig));
  const StandinState state = kubelet_->state();
  EXPECT_TRUE(state.resources.at(kGpu).preferred_available);
  EXPECT_TRUE(state.resources.at(kGpu).endpoint.starts_with("nvidia-gpu."));
  EXPECT_EQ(state.resources.at(kGpu).devices[1].numa_node, 1);
}

TEST_F(KubeletContractTest, KubeletMayStartLast) {
  StartNode();
  node_->Apply(Plan({Gpus(1, 10)}));
  StartKubelet();
  EXPECT_TRUE(Capacity(10, 10));
}

TEST_F(KubeletContractTest, TheDirectoryMayComeLast) {
  fs::remove(directory_);
  StartNode();
  node_->Apply(Plan({Gpus(1)}));
  EXPECT_NE(node_->status().plugins[0].error, "");
  fs::create_directory(directory_);
  StartKubelet();
  EXPECT_TRUE(Capacity(1, 1));
  EXPECT_EQ(node_->status().plugins[0].error, "");
}

TEST_F(KubeletContractTest, PlacesContainersUntilNothingIsLeft) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(1, 10)}));
  ASSERT_TRUE(Capacity(10, 10));
  for (const char* pod : {"a", "b", "c", "d", "e"}) {
    const auto placed = kubelet_->Place(pod, "main", kGpu, 2);
    ASSERT_TRUE(placed.ok()) << placed.error().message;
    EXPECT_EQ(placed->ids.size(), 2u);
  }
  EXPECT_EQ(kubelet_->Place("f", "main", kGpu, 2).error().code, Code::kResourceExhausted);
  kubelet_->Remove("b");
  const auto placed = kubelet_->Place("f", "main", kGpu, 2);
  ASSERT_TRUE(placed.ok());
  EXPECT_TRUE(placed->allocation.envs.at("NVIDIA_VISIBLE_DEVICES").starts_with("GPU-00000000-"));
}

TEST_F(KubeletContractTest, OurPreferenceDecides) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(4)}));
  ASSERT_TRUE(Capacity(4, 4));
  EXPECT_TRUE(kubelet_->Place("a", "main", kGpu, 1)->ids[0].starts_with("GPU-00000003-"));
}

TEST_F(KubeletContractTest, AnAllocationIsRefusedInFullWords) {
  StartKubelet();
  StartNode();
  share::PlannedResource limited = Gpus(1, 4);
  limited.max_request = 1;
  node_->Apply(Plan({limited}));
  ASSERT_TRUE(Capacity(4, 4));
  const auto placed = kubelet_->Place("a", "main", kGpu, 2);
  ASSERT_FALSE(placed.ok());
  EXPECT_EQ(placed.error().code, Code::kUnknown);
  EXPECT_EQ(placed.error().message,
            "invalid allocation request for \"nvidia.com/gpu\": invalid request: "
            "maximum request size for shared resources is 1; found 2");
  EXPECT_TRUE(kubelet_->Place("a", "main", kGpu, 1).ok());  // nothing was taken by the failure
}

TEST_F(KubeletContractTest, AnUnhealthyGpuIsTakenOutAtOnceAndComesBack) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(2, 10)}));
  ASSERT_TRUE(Capacity(20, 20));
  node_->SetHealth({{ServingNode::Resource(kGpu, 1, 1).devices[0].gpu_uuid, "XID 79"}});
  EXPECT_TRUE(Capacity(20, 10));
  node_->SetHealth({});
  EXPECT_TRUE(Capacity(20, 20));
}

TEST_F(KubeletContractTest, AChangeNeedsNoNewRegistration) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(1), ServingNode::Resource(kMig, 3, 1)}));
  ASSERT_TRUE(Capacity(1, 1));
  ASSERT_TRUE(Capacity(3, 3, kMig));
  node_->Apply(Plan({Gpus(1, 10), ServingNode::Resource(kMig, 3, 1)}));
  EXPECT_TRUE(Capacity(10, 10));
  const StandinState state = kubelet_->state();
  EXPECT_EQ(state.resources.at(kGpu).registrations, 1u);
  EXPECT_EQ(state.resources.at(kMig).registrations, 1u);
  EXPECT_EQ(state.resources.at(kMig).lists, 1u);
}

TEST_F(KubeletContractTest, AWithdrawnResourceLeavesNoCapacityBehind) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(2)}));
  ASSERT_TRUE(Capacity(2, 2));
  node_->Apply(Plan({ServingNode::Resource("nvidia.com/gpu.shared", 2, 10)}));
  EXPECT_TRUE(Capacity(20, 20, "nvidia.com/gpu.shared"));
  EXPECT_TRUE(Capacity(0, 0));
  EXPECT_TRUE(kubelet_->WaitFor(
      [](const StandinState& state) { return !state.resources.at(kGpu).connected; }));
  EXPECT_EQ(Sockets().size(), 2u);
}

TEST_F(KubeletContractTest, FiftyKubeletRestartsLoseNothing) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(4, 2), ServingNode::Resource(kMig, 2, 1)}));
  ASSERT_TRUE(Capacity(8, 8));
  const auto placed = kubelet_->Place("a", "main", kGpu, 2);
  ASSERT_TRUE(placed.ok());
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(kubelet_->Restart().ok());
    ASSERT_TRUE(Capacity(8, 8)) << i;
    ASSERT_TRUE(Capacity(2, 2, kMig)) << i;
  }
  EXPECT_EQ(kubelet_->state().resources.at(kGpu).held_by.size(), 2u);
  EXPECT_TRUE(kubelet_->Place("b", "main", kGpu, 6).ok());
  EXPECT_EQ(kubelet_->Place("c", "main", kGpu, 1).error().code, Code::kResourceExhausted);
}

TEST_F(KubeletContractTest, ASocketRemovedByHandComesBack) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(1)}));
  ASSERT_TRUE(Capacity(1, 1));
  fs::remove(directory_ + "/" + kubelet_->state().resources.at(kGpu).endpoint);
  EXPECT_TRUE(kubelet_->WaitFor([](const StandinState& state) {
    return state.resources.at(kGpu).registrations == 2 && state.allocatable(kGpu) == 1;
  }));
}

TEST_F(KubeletContractTest, FollowsAReplacedDirectory) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(1)}));
  ASSERT_TRUE(Capacity(1, 1));
  kubelet_->Stop();
  fs::rename(directory_, root_ + "/old");
  fs::create_directory(directory_);
  ASSERT_TRUE(kubelet_->Resume().ok());
  EXPECT_TRUE(Capacity(1, 1));
}

// A DaemonSet's rolling update may run two agents for a while; with a common socket name the one
// that leaves would take the other's socket with it.
TEST_F(KubeletContractTest, ASecondInstanceTakesOverWithoutHarm) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(1)}));
  ASSERT_TRUE(Capacity(1, 1));
  auto second = std::make_unique<ServingNode>(directory_);
  second->Apply(Plan({Gpus(1, 3)}));
  ASSERT_TRUE(Capacity(3, 3));
  EXPECT_EQ(Sockets().size(), 3u);
  node_ = std::move(second);  // the first leaves
  EXPECT_EQ(Sockets().size(), 2u);
  EXPECT_TRUE(kubelet_->Place("a", "main", kGpu, 3).ok());
  ASSERT_TRUE(kubelet_->Restart().ok());
  EXPECT_TRUE(Capacity(3, 3));
}

TEST_F(KubeletContractTest, LeavesNothingBehindAndSparesForeignFiles) {
  std::ofstream(directory_ + "/kubelet_internal_checkpoint") << "{}";
  StartNode();
  node_->Apply(Plan({Gpus(1)}));
  EXPECT_EQ(Sockets().size(), 2u);
  node_.reset();
  EXPECT_EQ(Sockets(), std::vector<std::string>{"kubelet_internal_checkpoint"});
}

// The kubelet would drop this list and show zero devices.
TEST_F(KubeletContractTest, AListTheKubeletWouldDropIsRefused) {
  StartKubelet();
  StartNode();
  node_->Apply(Plan({Gpus(1)}));
  ASSERT_TRUE(Capacity(1, 1));
  node_->Apply(Plan({Gpus(70, 1000)}));
  EXPECT_NE(node_->status().plugins[0].error.find("lower its replicas"), std::string::npos);
  EXPECT_TRUE(kubelet_->Place("a", "main", kGpu, 1).ok());
  EXPECT_EQ(kubelet_->state().capacity(kGpu), 1u);
}

// What the refusal is for: the stand-in has grpc-go's limit.
TEST_F(KubeletContractTest, TheStandinDropsOversizedListsAsTheKubeletDoes) {
  auto kubelet = KubeletStandin::Start({.directory = directory_, .max_receive_bytes = 1000});
  ASSERT_TRUE(kubelet.ok());
  kubelet_ = *std::move(kubelet);
  StartNode();
  node_->Apply(Plan({Gpus(100)}));
  EXPECT_TRUE(kubelet_->WaitFor([](const StandinState& state) {
    const auto it = state.resources.find(kGpu);
    return it != state.resources.end() &&
           it->second.stream_error.find("larger than max") != std::string::npos;
  }));
  EXPECT_EQ(kubelet_->state().allocatable(kGpu), 0u);
}

TEST_F(KubeletContractTest, ADirectoryTooLongForSocketsIsNamed) {
  directory_ += "/" + std::string(90, 'd');
  fs::create_directory(directory_);
  StartNode();
  node_->Apply(Plan({Gpus(1)}));
  EXPECT_NE(node_->status().plugins[0].error.find("is too long"), std::string::npos);
}

}  // namespace
}  // namespace aliquot::deviceplugin
