// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "deviceplugin/plugin.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

namespace aliquot::deviceplugin {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Every update carries the whole list, which costs the kubelet more than us: one a second for each
// resource in the long run. A change of the plan need not wait while fewer than these have saved
// up, so that what an administrator does shows at once.
constexpr seconds kSendInterval{1};
constexpr seconds kSavedUp{3};
constexpr milliseconds kFirstBackOff{10};
constexpr seconds kLongestBackOff{10};
// A kubelet opens its stream right after registration. One that has none after this long has given
// up on us, which it tells nobody, and will not come back by itself.
constexpr seconds kUnwatchedLimit{10};

// Runs on the transport's threads: moves every request over to the executor.
class Handler final : public rpc::PluginHandler {
 public:
  Handler(Executor& executor, const Clock& clock, std::weak_ptr<Plugin> plugin)
      : executor_(executor), clock_(clock), plugin_(std::move(plugin)) {}

  void Allocate(std::vector<std::vector<std::string>> containers,
                rpc::Reply<std::vector<rpc::ContainerAllocation>> reply) override {
    executor_.Post([plugin = plugin_, containers = std::move(containers), reply = std::move(reply),
                    arrival = clock_.Now()] {
      if (const auto live = plugin.lock()) reply(live->Allocate(containers, arrival));
    });
  }

  void PreferredAllocation(std::vector<rpc::PreferredRequest> containers,
                           rpc::Reply<std::vector<std::vector<std::string>>> reply) override {
    executor_.Post([plugin = plugin_, containers = std::move(containers), reply = std::move(reply),
                    arrival = clock_.Now()] {
      if (const auto live = plugin.lock()) reply(live->PreferredAllocation(containers, arrival));
    });
  }

 private:
  Executor& executor_;
  const Clock& clock_;
  // Once it is gone the endpoint fails the calls that wait.
  const std::weak_ptr<Plugin> plugin_;
};

std::string BaseName(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

bool SameList(const share::PlannedResource& a, const share::PlannedResource& b) {
  return std::equal(a.devices.begin(), a.devices.end(), b.devices.begin(), b.devices.end(),
                    [](const share::PlannedDevice& x, const share::PlannedDevice& y) {
                      return x.id == y.id && x.numa_node == y.numa_node;
                    });
}

}  // namespace

Plugin::Plugin(PluginContext& context, std::string name)
    : context_(context), name_(std::move(name)), back_off_(kFirstBackOff) {}

Plugin::~Plugin() {
  context_.dependencies.executor.Cancel(send_timer_);
  context_.dependencies.executor.Cancel(register_timer_);
}

void Plugin::Update(std::shared_ptr<const share::Plan> plan,
                    const share::PlannedResource& resource) {
  if (resource_ == nullptr || !(*resource_ == resource)) {
    share::Plan alone;
    alone.resources.push_back(resource);
    if (Status fits = CheckListSizes(alone); !fits.ok()) {
      SetError(plan_error_, fits.error().message);
      return;
    }
  }
  SetError(plan_error_, "");
  const rpc::PluginOptions options =
      context_.settings.options ? context_.settings.options(resource) : rpc::PluginOptions();
  if (std::exchange(options_, options) != options && endpoint_) {
    endpoint_->SetOptions(options);
    RegisterAnew();
  }
  Adopt(std::move(plan), resource);
  if (list_changed_) HealthChanged();
}

void Plugin::Adopt(std::shared_ptr<const share::Plan> plan,
                   const share::PlannedResource& resource) {
  const bool same = resource_ != nullptr && SameList(*resource_, resource);
  std::vector<std::size_t> former;
  if (resource_ != nullptr && !same) {
    for (const share::PlannedDevice& device : resource_->devices) {
      former.push_back(std::hash<std::string>()(device.id));
    }
  }
  plan_ = std::move(plan);
  resource_ = &resource;
  if (same) return;
  list_changed_ = true;
  by_id_.resize(resource.devices.size());
  std::iota(by_id_.begin(), by_id_.end(), 0u);
  std::sort(by_id_.begin(), by_id_.end(), [&](std::uint32_t a, std::uint32_t b) {
    return resource.devices[a].id < resource.devices[b].id;
  });
  withdrawn_ = {former.begin(), former.end()};
  for (const share::PlannedDevice& device : resource.devices) {
    withdrawn_.erase(std::hash<std::string>()(device.id));
  }
}

bool Plugin::IsUnhealthy(const share::PlannedDevice& device) const {
  return context_.unhealthy.contains(device.device_uuid) ||
         context_.unhealthy.contains(device.gpu_uuid);
}

void Plugin::HealthChanged() {
  if (resource_ == nullptr || !endpoint_) return;
  std::size_t unhealthy = 0;
  bool worse = false;
  if (!context_.unhealthy.empty()) {
    for (const share::PlannedDevice& device : resource_->devices) {
      if (!IsUnhealthy(device)) continue;
      ++unhealthy;
      worse = worse || !published_unhealthy_.contains(device.id);
    }
  }
  if (worse) {
    Send();
  } else if (list_changed_) {
    SendAt(paid_until_ - kSavedUp);
  } else if (unhealthy != published_unhealthy_.size()) {
    SendAt(last_sent_.value_or(Clock::TimePoint::min()) + kSendInterval);
  }
}

void Plugin::SendAt(Clock::TimePoint due) {
  const Clock::TimePoint now = context_.dependencies.clock.Now();
  if (due <= now) {
    Send();
    return;
  }
  if (send_timer_ != 0 && send_due_ <= due) return;
  context_.dependencies.executor.Cancel(send_timer_);
  send_due_ = due;
  send_timer_ = context_.dependencies.executor.PostAfter(due - now, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->send_timer_ = 0;
    self->Send();
  });
}

void Plugin::Send() {
  context_.dependencies.executor.Cancel(std::exchange(send_timer_, 0));
  if (!endpoint_) return;
  std::vector<rpc::DeviceEntry> devices;
  devices.reserve(resource_->devices.size());
  std::set<std::string> unhealthy;
  for (const share::PlannedDevice& device : resource_->devices) {
    const bool healthy = !IsUnhealthy(device);
    devices.push_back({device.id, healthy, device.numa_node});
    if (!healthy) unhealthy.insert(device.id);
  }
  if (!list_changed_ && unhealthy == published_unhealthy_) return;
  endpoint_->Publish(devices);
  list_changed_ = false;
  published_unhealthy_ = std::move(unhealthy);
  last_sent_ = context_.dependencies.clock.Now();
  paid_until_ = std::max(paid_until_, *last_sent_) + kSendInterval;
  last_sent_wall_ = context_.dependencies.clock.WallNow();
  context_.dependencies.log.Info("device list sent",
                                 {{"resource", name_},
                                  {"devices", fmt::to_string(devices.size())},
                                  {"unhealthy", fmt::to_string(published_unhealthy_.size())}});
  if (context_.dependencies.observer != nullptr) {
    context_.dependencies.observer->OnListSent(name_, devices.size(), published_unhealthy_.size());
  }
}

Status Plugin::Serve() {
  Result<std::unique_ptr<rpc::PluginEndpoint>> endpoint = context_.dependencies.transport.Serve(
      name_, options_,
      std::make_shared<Handler>(context_.dependencies.executor, context_.dependencies.clock,
                                weak_from_this()));
  if (!endpoint.ok()) return endpoint.error();
  endpoint_ = *std::move(endpoint);
  context_.dependencies.log.Info("serving resource",
                                 {{"resource", name_}, {"socket", endpoint_->socket_path()}});
  list_changed_ = true;
  Send();
  return {};
}

void Plugin::Check() {
  if (resource_ == nullptr) return;
  if (!endpoint_) {
    if (Status served = Serve(); !served.ok()) {
      SetError(serving_error_, served.error().message);
      return;
    }
    SetError(serving_error_, "");
  } else if (!endpoint_->SocketPresent()) {
    if (Status bound = endpoint_->Rebind(); !bound.ok()) {
      SetError(serving_error_, bound.error().message);
      return;
    }
    SetError(serving_error_, "");
    context_.dependencies.log.Info("socket made anew", {{"resource", name_}});
    RegisterAnew();
  }
  if (registered_ == wanted_ && registered_since_ && endpoint_->stats().streams == 0 &&
      context_.dependencies.clock.Now() - *registered_since_ >= kUnwatchedLimit) {
    context_.dependencies.log.Warning("kubelet reads no list, registering again",
                                      {{"resource", name_}});
    RegisterAnew();
  }
  if (register_timer_ == 0) Register();
}

void Plugin::KubeletChanged() {
  RegisterAnew();
  registered_since_.reset();
  registered_at_.reset();
}

void Plugin::RegisterAnew() {
  ++wanted_;
  back_off_ = kFirstBackOff;
  context_.dependencies.executor.Cancel(std::exchange(register_timer_, 0));
  Register();
}

void Plugin::Register() {
  rpc::KubeletRegistrar* registrar = context_.dependencies.registrar;
  if (registrar == nullptr || !context_.kubelet || !endpoint_ || !endpoint_->SocketPresent() ||
      registering_ || registered_ == wanted_) {
    return;
  }
  registering_ = true;
  registrar->Register({name_, BaseName(endpoint_->socket_path()), options_},
                      [weak = weak_from_this(), &executor = context_.dependencies.executor,
                       generation = wanted_](Status result) {
                        executor.Post([weak, generation, result = std::move(result)] {
                          if (const auto self = weak.lock()) self->OnRegistered(generation, result);
                        });
                      });
}

void Plugin::OnRegistered(std::uint64_t generation, const Status& result) {
  registering_ = false;
  if (context_.dependencies.observer != nullptr) {
    context_.dependencies.observer->OnRegistration(name_, result.ok());
  }
  if (generation != wanted_) {  // overtaken by another reason to register
    Register();
    return;
  }
  if (result.ok()) {
    registered_ = generation;
    registered_since_ = context_.dependencies.clock.Now();
    registered_at_ = context_.dependencies.clock.WallNow();
    registration_error_.clear();
    back_off_ = kFirstBackOff;
    context_.dependencies.log.Info("resource registered with the kubelet", {{"resource", name_}});
    return;
  }
  if (registration_error_ != result.error().message) {
    registration_error_ = result.error().message;
    context_.dependencies.log.Warning("registration failed, will be tried again",
                                      {{"resource", name_}, {"error", registration_error_}});
  }
  register_timer_ = context_.dependencies.executor.PostAfter(back_off_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->register_timer_ = 0;
    self->Register();
  });
  back_off_ = std::min<Clock::Duration>(back_off_ * 2, kLongestBackOff);
}

void Plugin::Withdraw() {
  context_.dependencies.log.Info("resource withdrawn", {{"resource", name_}});
  if (endpoint_) endpoint_->Publish({});
  endpoint_.reset();
}

// Logs a problem when it is new, not each time it is met again.
void Plugin::SetError(std::string& which, std::string error) {
  if (which == error) return;
  which = std::move(error);
  if (which.empty()) return;
  context_.dependencies.log.Error("resource cannot be served as planned",
                                  {{"resource", name_}, {"error", which}});
}

PluginStatus Plugin::status() const {
  PluginStatus status;
  status.name = name_;
  status.error = plan_error_.empty() ? serving_error_ : plan_error_;
  status.registration_error = registration_error_;
  if (registered_ == wanted_) status.registered_at = registered_at_;
  if (resource_ != nullptr) status.devices = resource_->devices.size();
  status.unhealthy = published_unhealthy_.size();
  status.last_sent = last_sent_wall_;
  if (endpoint_) {
    status.socket = endpoint_->socket_path();
    status.streams = endpoint_->stats().streams;
  }
  return status;
}

}  // namespace aliquot::deviceplugin
