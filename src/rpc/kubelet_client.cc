// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/kubelet_client.h"

#include <fmt/format.h>

#include <utility>

#include "kubelet/deviceplugin/v1beta1/api.grpc.pb.h"
#include "rpc/unix_channel.h"

namespace aliquot::rpc {
namespace {

struct Call {
  std::unique_ptr<v1beta1::Registration::Stub> stub;
  grpc::ClientContext context;
  v1beta1::RegisterRequest request;
  v1beta1::Empty response;
};

}  // namespace

KubeletClient::KubeletClient(std::string kubelet_socket, std::chrono::milliseconds deadline)
    : kubelet_socket_(std::move(kubelet_socket)),
      deadline_(deadline),
      calls_(std::make_unique<CallTracker>()) {}

KubeletClient::~KubeletClient() = default;

void KubeletClient::Register(const Registration& registration, std::function<void(Status)> done) {
  auto call = std::make_shared<Call>();
  call->stub = v1beta1::Registration::NewStub(UnixChannel(kubelet_socket_, 1 << 20));
  SetDeadline(call->context, deadline_);
  call->request.set_version("v1beta1");
  call->request.set_endpoint(registration.endpoint);
  call->request.set_resource_name(registration.resource);
  call->request.mutable_options()->set_get_preferred_allocation_available(
      registration.options.preferred_allocation_available);
  call->request.mutable_options()->set_pre_start_required(registration.options.pre_start_required);
  calls_->Add(call, &call->context);
  call->stub->async()->Register(
      &call->context, &call->request, &call->response,
      [call = call.get(), done = std::move(done), calls = calls_.get(),
       path = kubelet_socket_](const grpc::Status& status) {
        const Status result = FromGrpc(status);
        done(result.ok()
                 ? result
                 : Status(result.error().In(fmt::format("registering \"{}\" with the kubelet on {}",
                                                        call->request.resource_name(), path))));
        calls->Remove(&call->context);
      });
}

}  // namespace aliquot::rpc
