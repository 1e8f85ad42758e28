// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/kubelet_standin.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "kubelet/deviceplugin/v1beta1/api.grpc.pb.h"
#include "kubelet/podresources/v1/api.grpc.pb.h"
#include "rpc/device_plugin_proto.h"
#include "rpc/unix_channel.h"

namespace aliquot::rpc {
namespace {

// One registered plugin: the connection and the thread that reads its list.
struct Session {
  std::string resource;
  std::unique_ptr<v1beta1::DevicePlugin::Stub> stub;
  grpc::ClientContext watch;  // of ListAndWatch, without a deadline
  std::thread reader;

  ~Session() {
    watch.TryCancel();
    if (reader.joinable()) reader.join();
  }
};

// As a kubelet empties its device plugin directory when it starts: sockets only, here.
void RemoveSockets(const std::string& directory) {
  std::error_code ignored;
  std::vector<std::filesystem::path> sockets;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (entry.symlink_status(ignored).type() == std::filesystem::file_type::socket) {
      sockets.push_back(entry.path());
    }
  }
  for (const auto& path : sockets) std::filesystem::remove(path, ignored);
}

// The pod resources API on top of what was placed.
class PodLister final : public v1::PodResourcesLister::Service {
 public:
  explicit PodLister(std::function<StandinState()> state) : state_(std::move(state)) {}

  grpc::Status List(grpc::ServerContext*, const v1::ListPodResourcesRequest*,
                    v1::ListPodResourcesResponse* response) override {
    std::map<std::string, v1::ContainerResources*> containers;  // by "pod/container"
    std::map<std::string, v1::PodResources*> pods;
    for (const auto& [name, resource] : state_().resources) {
      std::map<std::string, v1::ContainerDevices*> devices;
      for (const auto& [id, holder] : resource.held_by) {
        const std::string pod = holder.substr(0, holder.find('/'));
        if (!pods.contains(pod)) {
          pods[pod] = response->add_pod_resources();
          const std::size_t colon = pod.find(':');
          const bool plain = colon == pod.npos;
          pods[pod]->set_namespace_(plain ? "default" : pod.substr(0, colon));
          pods[pod]->set_name(plain ? pod : pod.substr(colon + 1));
        }
        if (!containers.contains(holder)) {
          containers[holder] = pods[pod]->add_containers();
          containers[holder]->set_name(holder.substr(pod.size() + 1));
        }
        if (!devices.contains(holder)) {
          devices[holder] = containers[holder]->add_devices();
          devices[holder]->set_resource_name(name);
        }
        devices[holder]->add_device_ids(id);
      }
    }
    return grpc::Status::OK;
  }

 private:
  const std::function<StandinState()> state_;
};

std::unique_ptr<grpc::Server> Serve(grpc::Service& service, const std::string& path) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  return builder.BuildAndStart();
}

}  // namespace

std::size_t StandinResource::allocatable() const {
  if (!connected) return 0;
  return static_cast<std::size_t>(std::count_if(
      devices.begin(), devices.end(), [](const DeviceEntry& device) { return device.healthy; }));
}

std::size_t StandinState::capacity(const std::string& resource) const {
  const auto it = resources.find(resource);
  return it == resources.end() ? 0 : it->second.capacity();
}

std::size_t StandinState::allocatable(const std::string& resource) const {
  const auto it = resources.find(resource);
  return it == resources.end() ? 0 : it->second.allocatable();
}

class KubeletStandin::Impl final : public v1beta1::Registration::Service {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {}
  ~Impl() override { Stop(); }

  Status Resume() {
    RemoveSockets(options_.directory);
    Change([](StandinState& state) {
      for (auto& [name, resource] : state.resources) {
        resource.devices.clear();
        resource.connected = false;
      }
      state.running = true;
    });
    const std::string path = options_.directory + "/kubelet.sock";
    server_ = Serve(*this, path);
    if (!options_.pod_resources_socket.empty()) {
      pods_server_ = Serve(pods_, options_.pod_resources_socket);
    }
    if (server_) return {};
    Change([](StandinState& state) { state.running = false; });
    return Error{Code::kUnavailable,
                 fmt::format("the kubelet stand-in cannot listen on \"{}\"", path)};
  }

  void Stop() {
    if (!server_) return;
    Change([](StandinState& state) { state.running = false; });
    // Lets registrations in progress end: gRPC 1.51 leaks a connection whose call is cancelled
    // while it is being made.
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    server_.reset();
    if (pods_server_) pods_server_->Shutdown(std::chrono::system_clock::now());
    pods_server_.reset();
    std::map<std::string, std::shared_ptr<Session>> sessions;
    Change([&](StandinState& state) {
      sessions.swap(sessions_);
      for (auto& [name, resource] : state.resources) resource.connected = false;
    });
  }

  StandinState state() const {
    std::lock_guard lock(mutex_);
    return state_;
  }

  bool WaitFor(const std::function<bool(const StandinState&)>& wanted,
               std::chrono::milliseconds timeout) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [&] { return wanted(state_); });
  }

  // Blocks on the plugin, as the kubelet's does; this is why the service is a synchronous one.
  grpc::Status Register(grpc::ServerContext* caller, const v1beta1::RegisterRequest* request,
                        v1beta1::Empty*) override {
    if (request->version() != "v1beta1") {
      return {grpc::StatusCode::UNKNOWN, fmt::format("device plugin API version \"{}\" is not "
                                                     "served here, v1beta1 is",
                                                     request->version())};
    }
    if (request->resource_name().find('/') == std::string::npos) {
      return {grpc::StatusCode::UNKNOWN,
              fmt::format("\"{}\" is no extended resource name", request->resource_name())};
    }
    auto session = std::make_shared<Session>();
    session->resource = request->resource_name();
    session->stub =
        v1beta1::DevicePlugin::NewStub(UnixChannel(options_.directory + "/" + request->endpoint(),
                                                   static_cast<int>(options_.max_receive_bytes)));
    // A child of the call, so that Stop does not wait for a plugin that is not there.
    const auto context = grpc::ClientContext::FromServerContext(*caller);
    context->set_wait_for_ready(true);
    SetDeadline(*context, options_.dial_timeout);
    v1beta1::DevicePluginOptions plugin_options;
    if (grpc::Status asked =
            session->stub->GetDevicePluginOptions(context.get(), {}, &plugin_options);
        !asked.ok()) {
      return {grpc::StatusCode::UNKNOWN, fmt::format("cannot reach the plugin on \"{}\": {}",
                                                     request->endpoint(), asked.error_message())};
    }
    std::shared_ptr<Session> former;
    {
      std::lock_guard lock(mutex_);
      former = std::exchange(sessions_[session->resource], session);
    }
    former.reset();  // its stream ends before the new one begins
    Change([&](StandinState& state) {
      StandinResource& resource = state.resources[session->resource];
      resource.endpoint = request->endpoint();
      resource.preferred_available = plugin_options.get_preferred_allocation_available();
      resource.registrations++;
      resource.connected = true;
      resource.stream_error.clear();
    });
    session->reader = std::thread([this, raw = session.get()] { Read(*raw); });
    return grpc::Status::OK;
  }

  Result<StandinPlacement> Place(const std::string& pod, const std::string& container,
                                 const std::string& resource, std::size_t count) {
    std::lock_guard one_at_a_time(placing_);
    std::shared_ptr<Session> session;
    std::vector<std::string> free;
    bool ask = false;
    {
      std::lock_guard lock(mutex_);
      const auto it = state_.resources.find(resource);
      if (it != state_.resources.end() && it->second.connected && sessions_.contains(resource)) {
        session = sessions_[resource];
        ask = it->second.preferred_available;
        for (const DeviceEntry& device : it->second.devices) {
          if (device.healthy && !it->second.held_by.contains(device.id)) free.push_back(device.id);
        }
      }
    }
    if (free.size() < count || !session) {
      return Error{Code::kResourceExhausted,
                   fmt::format("{}/{} asks for {} of {}, but {} are free and healthy", pod,
                               container, count, resource, free.size())};
    }
    std::sort(free.begin(), free.end());
    Result<std::vector<std::string>> ids = Choose(*session, free, count, ask);
    if (!ids.ok()) return ids.error();
    Result<ContainerAllocation> allocation = Allocate(*session, *ids);
    if (!allocation.ok()) return allocation.error();
    Change([&](StandinState& state) {
      for (const std::string& id : *ids) {
        state.resources[resource].held_by[id] = pod + "/" + container;
      }
    });
    return StandinPlacement{*std::move(ids), *std::move(allocation)};
  }

  void Remove(const std::string& pod) {
    Change([&](StandinState& state) {
      for (auto& [name, resource] : state.resources) {
        std::erase_if(resource.held_by,
                      [&](const auto& entry) { return entry.second.starts_with(pod + "/"); });
      }
    });
  }

 private:
  template <typename F>
  void Change(F change) {
    StandinState copy;
    {
      std::lock_guard lock(mutex_);
      change(state_);
      if (options_.observer) copy = state_;
    }
    changed_.notify_all();
    if (options_.observer) options_.observer(copy);
  }

  void Read(Session& session) {
    const auto stream = session.stub->ListAndWatch(&session.watch, {});
    v1beta1::ListAndWatchResponse list;
    while (stream->Read(&list)) {
      Change([&](StandinState& state) {
        StandinResource& resource = state.resources[session.resource];
        resource.devices = FromProto(list);
        resource.lists++;
      });
    }
    const grpc::Status ended = stream->Finish();
    Change([&](StandinState& state) {
      // A session that was replaced or stopped says nothing about the present one.
      const auto current = sessions_.find(session.resource);
      if (current == sessions_.end() || current->second.get() != &session) return;
      StandinResource& resource = state.resources[session.resource];
      resource.connected = false;
      resource.stream_error = ended.error_message();
    });
  }

  // Asks the plugin for its preference; what it leaves open is filled in order of id.
  Result<std::vector<std::string>> Choose(Session& session, const std::vector<std::string>& free,
                                          std::size_t count, bool ask) {
    std::vector<std::string> ids;
    if (ask && free.size() > count) {
      grpc::ClientContext context;
      v1beta1::PreferredAllocationRequest request;
      auto* wanted = request.add_container_requests();
      wanted->mutable_available_deviceids()->Assign(free.begin(), free.end());
      wanted->set_allocation_size(static_cast<int>(count));
      v1beta1::PreferredAllocationResponse response;
      if (Status asked =
              FromGrpc(session.stub->GetPreferredAllocation(&context, request, &response));
          !asked.ok()) {
        return asked.error();
      }
      if (response.container_responses_size() > 0) {
        for (const std::string& id : response.container_responses(0).deviceids()) {
          if (ids.size() < count && std::binary_search(free.begin(), free.end(), id)) {
            ids.push_back(id);
          }
        }
      }
    }
    for (const std::string& id : free) {
      if (ids.size() >= count) break;
      if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  Result<ContainerAllocation> Allocate(Session& session, const std::vector<std::string>& ids) {
    grpc::ClientContext context;
    v1beta1::AllocateRequest request;
    request.add_container_requests()->mutable_devices_ids()->Assign(ids.begin(), ids.end());
    v1beta1::AllocateResponse response;
    if (Status asked = FromGrpc(session.stub->Allocate(&context, request, &response));
        !asked.ok()) {
      return asked.error();
    }
    if (response.container_responses_size() != 1) {
      return Error{Code::kInternal, fmt::format("the plugin answered for {} containers, not 1",
                                                response.container_responses_size())};
    }
    return FromProto(response.container_responses(0));
  }

  const Options options_;
  PodLister pods_{[this] { return state(); }};
  std::unique_ptr<grpc::Server> pods_server_;
  std::unique_ptr<grpc::Server> server_;  // used by the thread that stops and resumes
  std::mutex placing_;                    // one placement at a time, as in the kubelet
  mutable std::mutex mutex_;              // guards the state, which gRPC and reader threads change
  mutable std::condition_variable changed_;
  StandinState state_;
  std::map<std::string, std::shared_ptr<Session>> sessions_;
};

KubeletStandin::KubeletStandin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KubeletStandin::~KubeletStandin() = default;

Result<std::unique_ptr<KubeletStandin>> KubeletStandin::Start(Options options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  if (Status started = impl->Resume(); !started.ok()) return started.error();
  return std::unique_ptr<KubeletStandin>(new KubeletStandin(std::move(impl)));
}

void KubeletStandin::Stop() { impl_->Stop(); }
Status KubeletStandin::Resume() { return impl_->Resume(); }
Status KubeletStandin::Restart() {
  Stop();
  return Resume();
}
StandinState KubeletStandin::state() const { return impl_->state(); }
bool KubeletStandin::WaitFor(const std::function<bool(const StandinState&)>& wanted,
                             std::chrono::milliseconds timeout) const {
  return impl_->WaitFor(wanted, timeout);
}
Result<StandinPlacement> KubeletStandin::Place(const std::string& pod, const std::string& container,
                                               const std::string& resource, std::size_t count) {
  return impl_->Place(pod, container, resource, count);
}
void KubeletStandin::Remove(const std::string& pod) { impl_->Remove(pod); }

}  // namespace aliquot::rpc
