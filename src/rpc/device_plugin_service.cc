// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/device_plugin_service.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "kubelet/deviceplugin/v1beta1/api.grpc.pb.h"
#include "rpc/device_plugin_proto.h"

namespace aliquot::rpc {
namespace {

class Watcher;

// A unary call that waits for its answer. Whoever takes the reactor first, the handler's reply or
// Stop, finishes the call; the other finds nothing.
class PendingCall {
 public:
  explicit PendingCall(grpc::ServerUnaryReactor* reactor) : reactor_(reactor) {}
  grpc::ServerUnaryReactor* Take() { return reactor_.exchange(nullptr); }

 private:
  std::atomic<grpc::ServerUnaryReactor*> reactor_;
};

// Everything the service's calls share. Kept alive by replies that come after the service ended.
struct Shared {
  std::mutex mutex;  // guards all below: gRPC's threads and the owner's thread meet here
  bool stopped = false;
  PluginOptions options;
  grpc::ByteBuffer list;    // serialised once; copies share the bytes
  std::size_t version = 0;  // of the list; 0 = none yet
  EndpointStats stats;
  std::set<Watcher*> watchers;
  std::set<std::shared_ptr<PendingCall>> pending;
};

grpc::Status ToGrpc(const Error& error) {
  return {static_cast<grpc::StatusCode>(error.code), error.message};
}

grpc::Status Withdrawn() {
  return {grpc::StatusCode::UNAVAILABLE, "the resource is being withdrawn from this node"};
}

// One ListAndWatch call. Sends the newest list whenever it has not been sent and no write is in
// progress, so that a slow reader skips lists but never misses the last, not even before the end.
// Deletes itself when gRPC is done with it.
class Watcher final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  explicit Watcher(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {
    std::lock_guard lock(shared_->mutex);
    shared_->watchers.insert(this);
    shared_->stats.streams++;
    AdvanceLocked();
  }

  // With the shared mutex held; also called for all watchers by Publish and Stop.
  void AdvanceLocked() {
    if (finished_ || writing_) return;
    if (cancelled_ || (shared_->stopped && sent_version_ == shared_->version)) {
      finished_ = true;
      Finish(cancelled_ ? grpc::Status::CANCELLED : grpc::Status::OK);
      return;
    }
    if (sent_version_ == shared_->version) return;
    sent_version_ = shared_->version;
    sending_ = shared_->list;
    writing_ = true;
    shared_->stats.lists_queued++;
    StartWrite(&sending_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(shared_->mutex);
    writing_ = false;
    sending_.Clear();
    if (!ok) cancelled_ = true;
    AdvanceLocked();
  }

  void OnCancel() override {
    std::lock_guard lock(shared_->mutex);
    cancelled_ = true;
    AdvanceLocked();
  }

  void OnDone() override {
    {
      std::lock_guard lock(shared_->mutex);
      shared_->watchers.erase(this);
      shared_->stats.streams--;
    }
    delete this;
  }

 private:
  const std::shared_ptr<Shared> shared_;
  // Guarded by shared_->mutex:
  grpc::ByteBuffer sending_;  // must live until OnWriteDone
  std::size_t sent_version_ = 0;
  bool writing_ = false;
  bool cancelled_ = false;
  bool finished_ = false;
};

using Base = v1beta1::DevicePlugin::WithCallbackMethod_GetDevicePluginOptions<
    v1beta1::DevicePlugin::WithRawCallbackMethod_ListAndWatch<
        v1beta1::DevicePlugin::WithCallbackMethod_GetPreferredAllocation<
            v1beta1::DevicePlugin::WithCallbackMethod_Allocate<
                v1beta1::DevicePlugin::WithCallbackMethod_PreStartContainer<
                    v1beta1::DevicePlugin::Service>>>>>;

}  // namespace

class DevicePluginService::Impl final : public Base {
 public:
  Impl(PluginOptions options, std::shared_ptr<PluginHandler> handler)
      : handler_(std::move(handler)) {
    shared_->options = options;
  }

  const std::shared_ptr<Shared>& shared() { return shared_; }

  grpc::ServerUnaryReactor* GetDevicePluginOptions(grpc::CallbackServerContext* context,
                                                   const v1beta1::Empty*,
                                                   v1beta1::DevicePluginOptions* out) override {
    {
      std::lock_guard lock(shared_->mutex);
      out->set_get_preferred_allocation_available(shared_->options.preferred_allocation_available);
      out->set_pre_start_required(shared_->options.pre_start_required);
    }
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerWriteReactor<grpc::ByteBuffer>* ListAndWatch(grpc::CallbackServerContext*,
                                                           const grpc::ByteBuffer*) override {
    return new Watcher(shared_);
  }

  grpc::ServerUnaryReactor* GetPreferredAllocation(
      grpc::CallbackServerContext* context, const v1beta1::PreferredAllocationRequest* request,
      v1beta1::PreferredAllocationResponse* response) override {
    std::vector<PreferredRequest> containers;
    for (const auto& wire : request->container_requests()) {
      containers.push_back(
          {{wire.available_deviceids().begin(), wire.available_deviceids().end()},
           {wire.must_include_deviceids().begin(), wire.must_include_deviceids().end()},
           wire.allocation_size()});
    }
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    auto reply = Track<std::vector<std::vector<std::string>>>(
        reactor, [response](const std::vector<std::vector<std::string>>& chosen) {
          for (const std::vector<std::string>& ids : chosen) {
            auto* wire = response->add_container_responses();
            wire->mutable_deviceids()->Assign(ids.begin(), ids.end());
          }
        });
    if (reply) handler_->PreferredAllocation(std::move(containers), std::move(reply));
    return reactor;
  }

  grpc::ServerUnaryReactor* Allocate(grpc::CallbackServerContext* context,
                                     const v1beta1::AllocateRequest* request,
                                     v1beta1::AllocateResponse* response) override {
    std::vector<std::vector<std::string>> containers;
    for (const auto& wire : request->container_requests()) {
      containers.emplace_back(wire.devices_ids().begin(), wire.devices_ids().end());
    }
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    auto reply = Track<std::vector<ContainerAllocation>>(
        reactor, [response](const std::vector<ContainerAllocation>& allocations) {
          for (const ContainerAllocation& allocation : allocations) {
            ToProto(allocation, response->add_container_responses());
          }
        });
    if (reply) handler_->Allocate(std::move(containers), std::move(reply));
    return reactor;
  }

  grpc::ServerUnaryReactor* PreStartContainer(grpc::CallbackServerContext* context,
                                              const v1beta1::PreStartContainerRequest*,
                                              v1beta1::PreStartContainerResponse*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  // The reply to hand to the handler, or an empty one if the call was finished at once because the
  // service has stopped.
  template <typename T, typename Fill>
  Reply<T> Track(grpc::ServerUnaryReactor* reactor, Fill fill) {
    auto call = std::make_shared<PendingCall>(reactor);
    {
      std::lock_guard lock(shared_->mutex);
      if (!shared_->stopped) {
        shared_->pending.insert(call);
        return [shared = shared_, call, fill](Result<T> result) {
          {
            std::lock_guard relock(shared->mutex);
            shared->pending.erase(call);
          }
          grpc::ServerUnaryReactor* taken = call->Take();
          if (taken == nullptr) return;
          if (result.ok()) fill(*result);
          taken->Finish(result.ok() ? grpc::Status::OK : ToGrpc(result.error()));
        };
      }
    }
    reactor->Finish(Withdrawn());
    return nullptr;
  }

  const std::shared_ptr<PluginHandler> handler_;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

DevicePluginService::DevicePluginService(PluginOptions options,
                                         std::shared_ptr<PluginHandler> handler)
    : impl_(std::make_unique<Impl>(options, std::move(handler))) {}

DevicePluginService::~DevicePluginService() = default;

grpc::Service* DevicePluginService::service() { return impl_.get(); }

void DevicePluginService::Publish(const std::vector<DeviceEntry>& devices) {
  auto* bytes = new std::string(EncodeList(devices));  // deleted with the slice's last copy
  const std::size_t size = bytes->size();
  const grpc::Slice slice(
      bytes->data(), size, [](void* owned) { delete static_cast<std::string*>(owned); }, bytes);
  grpc::ByteBuffer list(&slice, 1);
  Shared& shared = *impl_->shared();
  std::lock_guard lock(shared.mutex);
  shared.list.Swap(&list);
  shared.version++;
  shared.stats.list_bytes = size;
  for (Watcher* watcher : shared.watchers) watcher->AdvanceLocked();
}

void DevicePluginService::SetOptions(PluginOptions options) {
  Shared& shared = *impl_->shared();
  std::lock_guard lock(shared.mutex);
  shared.options = options;
}

EndpointStats DevicePluginService::stats() const {
  Shared& shared = *impl_->shared();
  std::lock_guard lock(shared.mutex);
  return shared.stats;
}

void DevicePluginService::Stop() {
  Shared& shared = *impl_->shared();
  std::set<std::shared_ptr<PendingCall>> pending;
  {
    std::lock_guard lock(shared.mutex);
    shared.stopped = true;
    pending.swap(shared.pending);
    for (Watcher* watcher : shared.watchers) watcher->AdvanceLocked();
  }
  for (const std::shared_ptr<PendingCall>& call : pending) {
    if (grpc::ServerUnaryReactor* reactor = call->Take()) reactor->Finish(Withdrawn());
  }
}

}  // namespace aliquot::rpc
