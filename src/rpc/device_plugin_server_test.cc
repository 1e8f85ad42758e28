// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/device_plugin_server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "kubelet/deviceplugin/v1beta1/api.grpc.pb.h"
#include "rpc/kubelet_client.h"
#include "rpc/listen_socket.h"
#include "rpc/socket_path.h"
#include "rpc/unix_channel.h"

namespace aliquot::rpc {
namespace {

constexpr char kGpu[] = "nvidia.com/gpu";

// Keeps replies until the test gives them.
class HeldHandler final : public PluginHandler {
 public:
  void Allocate(std::vector<std::vector<std::string>> containers,
                Reply<std::vector<ContainerAllocation>> reply) override {
    std::lock_guard lock(mutex_);
    asked_ = std::move(containers);
    allocate_ = std::move(reply);
    changed_.notify_all();
  }
  void PreferredAllocation(std::vector<PreferredRequest> containers,
                           Reply<std::vector<std::vector<std::string>>> reply) override {
    reply(std::vector<std::vector<std::string>>{containers.at(0).must_include});
  }
  Reply<std::vector<ContainerAllocation>> AwaitAllocate() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return allocate_ != nullptr; });
    return std::exchange(allocate_, nullptr);
  }
  std::vector<std::vector<std::string>> asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<std::string>> asked_;
  Reply<std::vector<ContainerAllocation>> allocate_;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    std::string name = "/tmp/aliquot-server-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    poller_ = *FdPoller::Create();
    servers_ = std::make_unique<DevicePluginServers>(*poller_, directory_, NewInstanceId());
  }
  ~ServerTest() override {
    endpoint_.reset();
    servers_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Serve() {
    auto endpoint = servers_->Serve(kGpu, {}, handler_);
    ASSERT_TRUE(endpoint.ok()) << endpoint.error().message;
    endpoint_ = *std::move(endpoint);
    stub_ = v1beta1::DevicePlugin::NewStub(UnixChannel(endpoint_->socket_path(), 4 << 20));
  }

  std::string directory_;
  std::unique_ptr<FdPoller> poller_;
  std::unique_ptr<DevicePluginServers> servers_;
  std::shared_ptr<HeldHandler> handler_ = std::make_shared<HeldHandler>();
  std::unique_ptr<PluginEndpoint> endpoint_;
  std::unique_ptr<v1beta1::DevicePlugin::Stub> stub_;
};

// A blocking ListAndWatch call.
struct Stream {
  explicit Stream(v1beta1::DevicePlugin::Stub& stub) : reader(stub.ListAndWatch(&context, {})) {}
  ~Stream() { context.TryCancel(); }
  // Number of devices in the next list, -1 at the end.
  int Next() {
    v1beta1::ListAndWatchResponse list;
    return reader->Read(&list) ? list.devices_size() : -1;
  }
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1beta1::ListAndWatchResponse>> reader;
};

std::vector<DeviceEntry> Devices(int count) {
  std::vector<DeviceEntry> devices;
  for (int i = 0; i < count; ++i) devices.push_back({"GPU-" + std::to_string(i), true, {}});
  return devices;
}

TEST_F(ServerTest, AnswersOptionsAndPreStart) {
  Serve();
  endpoint_->SetOptions({true, false});
  grpc::ClientContext context;
  v1beta1::DevicePluginOptions options;
  ASSERT_TRUE(stub_->GetDevicePluginOptions(&context, {}, &options).ok());
  EXPECT_TRUE(options.get_preferred_allocation_available());
  EXPECT_FALSE(options.pre_start_required());
  grpc::ClientContext second;
  v1beta1::PreStartContainerResponse nothing;
  EXPECT_TRUE(stub_->PreStartContainer(&second, {}, &nothing).ok());
}

// Quirk: the kubelet's plugin watcher sends the socket's path as authority.
TEST_F(ServerTest, AcceptsAnyAuthority) {
  Serve();
  for (const char* authority : {"localhost", "%2Fvar%2Flib%2Fx.sock", "/var/lib/x.sock"}) {
    grpc::ClientContext context;
    context.set_authority(authority);
    v1beta1::DevicePluginOptions options;
    EXPECT_TRUE(stub_->GetDevicePluginOptions(&context, {}, &options).ok()) << authority;
  }
}

TEST_F(ServerTest, EveryStreamGetsEveryList) {
  Serve();
  Stream early(*stub_);
  endpoint_->Publish(Devices(2));
  EXPECT_EQ(early.Next(), 2);
  Stream late(*stub_);
  EXPECT_EQ(late.Next(), 2);
  endpoint_->Publish(Devices(5));
  EXPECT_EQ(early.Next(), 5);
  EXPECT_EQ(late.Next(), 5);
  EXPECT_EQ(endpoint_->stats().streams, 2);
  endpoint_.reset();
  EXPECT_EQ(early.Next(), -1);
  EXPECT_EQ(late.Next(), -1);
  EXPECT_TRUE(early.reader->Finish().ok());
}

TEST_F(ServerTest, ASlowReaderGetsTheLastListAndHoldsUpNobody) {
  Serve();
  Stream slow(*stub_);
  endpoint_->Publish(Devices(5'000));
  ASSERT_EQ(slow.Next(), 5'000);
  for (int i = 1; i <= 20; ++i) endpoint_->Publish(Devices(5'000 + i));
  Stream fast(*stub_);
  EXPECT_EQ(fast.Next(), 5'020);
  int seen = 0;
  while (seen != 5'020) {
    const int next = slow.Next();
    ASSERT_GT(next, seen);
    seen = next;
  }
}

TEST_F(ServerTest, ACancelledStreamIsForgotten) {
  Serve();
  endpoint_->Publish(Devices(1));
  {
    Stream stream(*stub_);
    EXPECT_EQ(stream.Next(), 1);
    stream.context.TryCancel();
    EXPECT_EQ(stream.Next(), -1);
    stream.reader->Finish();
  }
  // The server hears of it a moment later.
  while (endpoint_->stats().streams > 0) std::this_thread::yield();
}

TEST_F(ServerTest, AnAllocationWaitsForItsReplyOnly) {
  Serve();
  auto answer = std::async(std::launch::async, [this] {
    grpc::ClientContext context;
    v1beta1::AllocateRequest request;
    request.add_container_requests()->add_devices_ids("GPU-1");
    v1beta1::AllocateResponse response;
    const grpc::Status status = stub_->Allocate(&context, request, &response);
    return std::pair(status.error_code(), response.container_responses_size());
  });
  const auto reply = handler_->AwaitAllocate();
  EXPECT_EQ(handler_->asked(), (std::vector<std::vector<std::string>>{{"GPU-1"}}));
  reply(std::vector<ContainerAllocation>(1));
  EXPECT_EQ(answer.get(), std::pair(grpc::StatusCode::OK, 1));
}

TEST_F(ServerTest, ErrorsKeepTheirCodeAndWords) {
  Serve();
  auto answer = std::async(std::launch::async, [this] {
    grpc::ClientContext context;
    v1beta1::AllocateResponse response;
    return stub_->Allocate(&context, {}, &response);
  });
  handler_->AwaitAllocate()(Error{Code::kUnknown, "unknown device: x"});
  const grpc::Status status = answer.get();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_EQ(status.error_message(), "unknown device: x");
}

TEST_F(ServerTest, WithdrawalFailsWaitingCallsAndIgnoresLateReplies) {
  Serve();
  auto answer = std::async(std::launch::async, [this] {
    grpc::ClientContext context;
    v1beta1::AllocateResponse response;
    return stub_->Allocate(&context, {}, &response).error_code();
  });
  const auto reply = handler_->AwaitAllocate();
  endpoint_.reset();
  EXPECT_EQ(answer.get(), grpc::StatusCode::UNAVAILABLE);
  reply(std::vector<ContainerAllocation>(1));
}

TEST_F(ServerTest, BindsAnewWithoutEndingStreams) {
  Serve();
  endpoint_->Publish(Devices(1));
  Stream before(*stub_);
  EXPECT_EQ(before.Next(), 1);
  EXPECT_TRUE(endpoint_->SocketPresent());
  std::filesystem::remove(endpoint_->socket_path());
  EXPECT_FALSE(endpoint_->SocketPresent());
  ASSERT_TRUE(endpoint_->Rebind().ok());
  EXPECT_TRUE(endpoint_->SocketPresent());
  const auto stub = v1beta1::DevicePlugin::NewStub(UnixChannel(endpoint_->socket_path(), 4 << 20));
  Stream after(*stub);
  EXPECT_EQ(after.Next(), 1);
  endpoint_->Publish(Devices(2));
  EXPECT_EQ(before.Next(), 2);
}

TEST_F(ServerTest, SaysWhyItCannotServe) {
  DevicePluginServers nowhere(*poller_, directory_ + "/none", NewInstanceId());
  const auto endpoint = nowhere.Serve(kGpu, {}, handler_);
  ASSERT_FALSE(endpoint.ok());
  EXPECT_NE(endpoint.error().message.find("No such file or directory"), std::string::npos);
}

// Quirk: a missing socket fails at once, without waiting for the deadline.
TEST_F(ServerTest, RegisteringWithoutAKubeletFailsAtOnce) {
  KubeletClient client(directory_ + "/kubelet.sock", std::chrono::minutes(10));
  std::promise<Status> done;
  client.Register({kGpu, "x.sock", {}}, [&](Status status) { done.set_value(status); });
  const Status status = done.get_future().get();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kUnavailable);
  EXPECT_NE(status.error().message.find("registering \"nvidia.com/gpu\""), std::string::npos);
}

TEST_F(ServerTest, RegistrationEndsWithItsClient) {
  // Listens but never accepts, like a kubelet that hangs.
  const auto hanging = ListenSocket::Bind(directory_ + "/kubelet.sock");
  ASSERT_TRUE(hanging.ok());
  std::promise<Status> done;
  {
    KubeletClient client(directory_ + "/kubelet.sock", std::chrono::minutes(10));
    client.Register({kGpu, "x.sock", {}}, [&](Status status) { done.set_value(status); });
  }
  EXPECT_FALSE(done.get_future().get().ok());
}

}  // namespace
}  // namespace aliquot::rpc
