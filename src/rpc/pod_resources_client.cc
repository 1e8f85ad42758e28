// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/pod_resources_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "kubelet/podresources/v1/api.grpc.pb.h"
#include "rpc/unix_channel.h"

namespace aliquot::rpc {
namespace {

// What the kubelet itself allows this service to send.
// Source: Kubernetes, pkg/kubelet/apis/podresources/constants.go.
constexpr int kMaxReceiveBytes = 16 << 20;

struct Call {
  std::unique_ptr<v1::PodResourcesLister::Stub> stub;
  grpc::ClientContext context;
  v1::ListPodResourcesRequest request;
  v1::ListPodResourcesResponse response;
};

std::vector<HeldDevices> Collect(const v1::ListPodResourcesResponse& response,
                                 const std::string& prefix) {
  std::vector<HeldDevices> held;
  for (const v1::PodResources& pod : response.pod_resources()) {
    for (const v1::ContainerResources& container : pod.containers()) {
      // One entry per NUMA node on the wire.
      std::map<std::string, std::vector<std::string>> by_resource;
      for (const v1::ContainerDevices& devices : container.devices()) {
        if (!devices.resource_name().starts_with(prefix)) continue;
        std::vector<std::string>& ids = by_resource[devices.resource_name()];
        ids.insert(ids.end(), devices.device_ids().begin(), devices.device_ids().end());
      }
      for (auto& [resource, ids] : by_resource) {
        std::sort(ids.begin(), ids.end());
        held.push_back({pod.namespace_(), pod.name(), container.name(), resource, std::move(ids)});
      }
    }
  }
  return held;
}

}  // namespace

PodResourcesClient::PodResourcesClient(std::string socket, std::chrono::milliseconds deadline)
    : socket_(std::move(socket)), deadline_(deadline), calls_(std::make_unique<CallTracker>()) {}

PodResourcesClient::~PodResourcesClient() = default;

void PodResourcesClient::List(std::string prefix,
                              std::function<void(Result<std::vector<HeldDevices>>)> done) {
  auto call = std::make_shared<Call>();
  call->stub = v1::PodResourcesLister::NewStub(UnixChannel(socket_, kMaxReceiveBytes));
  SetDeadline(call->context, deadline_);
  calls_->Add(call, &call->context);
  call->stub->async()->List(
      &call->context, &call->request, &call->response,
      [call = call.get(), prefix = std::move(prefix), done = std::move(done), calls = calls_.get(),
       path = socket_](const grpc::Status& status) {
        if (const Status result = FromGrpc(status); result.ok()) {
          done(Collect(call->response, prefix));
        } else {
          done(result.error().In(fmt::format("listing pod resources from {}", path)));
        }
        calls->Remove(&call->context);
      });
}

}  // namespace aliquot::rpc
