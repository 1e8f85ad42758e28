// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/pod_resources_client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include "kubelet/podresources/v1/api.grpc.pb.h"

namespace aliquot::rpc {
namespace {

class Lister final : public v1::PodResourcesLister::Service {
 public:
  grpc::Status List(grpc::ServerContext*, const v1::ListPodResourcesRequest*,
                    v1::ListPodResourcesResponse* response) override {
    auto* pod = response->add_pod_resources();
    pod->set_name("train");
    pod->set_namespace_("ml");
    auto* container = pod->add_containers();
    container->set_name("main");
    for (const char* id : {"GPU-2", "GPU-1"}) {  // one entry per NUMA node
      auto* devices = container->add_devices();
      devices->set_resource_name("nvidia.com/gpu");
      devices->add_device_ids(id);
    }
    auto* other = container->add_devices();
    other->set_resource_name("example.com/nic");
    other->add_device_ids("eth0");
    return grpc::Status::OK;
  }
};

class PodResourcesTest : public testing::Test {
 protected:
  PodResourcesTest() {
    std::string name = "/tmp/aliquot-podres-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~PodResourcesTest() override { std::filesystem::remove_all(directory_); }

  Result<std::vector<HeldDevices>> List(PodResourcesClient& client) {
    std::promise<Result<std::vector<HeldDevices>>> answer;
    client.List("nvidia.com/", [&](auto result) { answer.set_value(std::move(result)); });
    return answer.get_future().get();
  }

  std::string directory_;
};

TEST_F(PodResourcesTest, ListsHoldersOfOurResources) {
  Lister lister;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + directory_ + "/kubelet.sock",
                           grpc::InsecureServerCredentials());
  builder.RegisterService(&lister);
  const auto server = builder.BuildAndStart();
  PodResourcesClient client(directory_ + "/kubelet.sock");
  const auto held = List(client);
  ASSERT_TRUE(held.ok()) << held.error().message;
  EXPECT_EQ(
      *held,
      (std::vector<HeldDevices>{{"ml", "train", "main", "nvidia.com/gpu", {"GPU-1", "GPU-2"}}}));
}

TEST_F(PodResourcesTest, FailsAtOnceWithoutAKubelet) {
  PodResourcesClient client(directory_ + "/kubelet.sock");
  const auto held = List(client);
  ASSERT_FALSE(held.ok());
  EXPECT_EQ(held.error().code, Code::kUnavailable);
  EXPECT_NE(held.error().message.find("listing pod resources from /tmp/"), std::string::npos);
}

}  // namespace
}  // namespace aliquot::rpc
