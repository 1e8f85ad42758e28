// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rpc/plugin_transport.h"

namespace aliquot::rpc {

// What FakePluginTransport keeps about one resource; outlives the endpoint.
struct FakeEndpointState {
  std::string socket_path;
  PluginOptions options;
  std::shared_ptr<PluginHandler> handler;
  std::vector<std::vector<DeviceEntry>> published;
  bool serving = true;
  bool socket_present = true;
  int rebinds = 0;
  int streams = 0;
  std::optional<Error> fail_rebind;
};

// Serves nothing but remembers everything. Not thread-safe.
class FakePluginTransport final : public PluginTransport {
 public:
  // The newest endpoint of `resource`; null if there never was one.
  FakeEndpointState* Find(const std::string& resource) {
    const auto it = endpoints_.find(resource);
    return it == endpoints_.end() ? nullptr : it->second.get();
  }
  int starts(const std::string& resource) const {
    const auto it = starts_.find(resource);
    return it == starts_.end() ? 0 : it->second;
  }
  // Until called with nothing, Serve fails.
  void FailServe(std::optional<Error> error) { serve_error_ = std::move(error); }
  // As when the kubelet empties its directory.
  void WipeSockets() {
    for (auto& [name, state] : endpoints_) state->socket_present = false;
  }

  Result<std::unique_ptr<PluginEndpoint>> Serve(const std::string& resource, PluginOptions options,
                                                std::shared_ptr<PluginHandler> handler) override {
    if (serve_error_) return *serve_error_;
    auto state = std::make_shared<FakeEndpointState>();
    state->socket_path = "/plugins/" + resource.substr(resource.find('/') + 1) + ".sock";
    state->options = options;
    state->handler = std::move(handler);
    endpoints_[resource] = state;
    starts_[resource]++;
    return std::unique_ptr<PluginEndpoint>(std::make_unique<Endpoint>(state));
  }

 private:
  class Endpoint final : public PluginEndpoint {
   public:
    explicit Endpoint(std::shared_ptr<FakeEndpointState> state) : state_(std::move(state)) {}
    ~Endpoint() override {
      state_->serving = false;
      state_->socket_present = false;
    }
    const std::string& socket_path() const override { return state_->socket_path; }
    void Publish(const std::vector<DeviceEntry>& devices) override {
      state_->published.push_back(devices);
    }
    void SetOptions(PluginOptions options) override { state_->options = options; }
    bool SocketPresent() const override { return state_->socket_present; }
    Status Rebind() override {
      if (state_->socket_present) return {};
      if (state_->fail_rebind) return *state_->fail_rebind;
      state_->socket_present = true;
      state_->rebinds++;
      return {};
    }
    EndpointStats stats() const override {
      EndpointStats stats;
      stats.streams = state_->streams;
      return stats;
    }

   private:
    const std::shared_ptr<FakeEndpointState> state_;
  };

  std::map<std::string, std::shared_ptr<FakeEndpointState>> endpoints_;
  std::map<std::string, int> starts_;
  std::optional<Error> serve_error_;
};

// Remembers registrations; answers at once, or later where held. Not thread-safe.
class FakeKubeletRegistrar final : public KubeletRegistrar {
 public:
  void FailWith(std::optional<Error> error) { error_ = std::move(error); }
  // Keeps answers back until Answer.
  void Hold() { hold_ = true; }
  void Answer(Status status) {
    hold_ = false;
    for (auto& done : std::exchange(held_, {})) done(status);
  }
  int count(const std::string& resource) const {
    int n = 0;
    for (const Registration& seen : seen_) n += seen.resource == resource ? 1 : 0;
    return n;
  }
  const std::vector<Registration>& seen() const { return seen_; }

  void Register(const Registration& registration, std::function<void(Status)> done) override {
    seen_.push_back(registration);
    if (hold_) {
      held_.push_back(std::move(done));
    } else {
      done(error_ ? Status(*error_) : Status());
    }
  }

 private:
  std::vector<Registration> seen_;
  std::vector<std::function<void(Status)>> held_;
  std::optional<Error> error_;
  bool hold_ = false;
};

}  // namespace aliquot::rpc
