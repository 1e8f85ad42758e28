// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "rpc/device_plugin_types.h"

// What a device plugin needs from the outside, without a word of gRPC, so that its logic is tested
// with the fakes of plugin_transport_fake.h. The real ones are DevicePluginServers and
// KubeletClient.
namespace aliquot::rpc {

// Device plugin options, told to the kubelet at registration and again on request.
struct PluginOptions {
  bool preferred_allocation_available = true;
  bool pre_start_required = false;

  friend bool operator==(const PluginOptions&, const PluginOptions&) = default;
};

// An answer that may be given later and on any thread, exactly once.
template <typename T>
using Reply = std::function<void(Result<T>)>;

// Answers what the kubelet asks about one resource. Called on the transport's threads, which it
// must not block: it posts to the agent's executor and replies from there. One entry per container
// in request and answer. An error's code and message reach the kubelet unchanged.
class PluginHandler {
 public:
  virtual ~PluginHandler() = default;
  virtual void Allocate(std::vector<std::vector<std::string>> containers,
                        Reply<std::vector<ContainerAllocation>> reply) = 0;
  virtual void PreferredAllocation(std::vector<PreferredRequest> containers,
                                   Reply<std::vector<std::vector<std::string>>> reply) = 0;
};

struct EndpointStats {
  int streams = 0;               // ListAndWatch calls in progress
  std::size_t list_bytes = 0;    // size of the list last published
  std::size_t lists_queued = 0;  // messages handed to streams since the start

  friend bool operator==(const EndpointStats&, const EndpointStats&) = default;
};

// One resource being served on one socket. Destruction withdraws it: streams end, calls in progress
// fail with kUnavailable, later replies to them go nowhere, the socket file is removed if it is
// still ours. Used by one thread, except where said.
class PluginEndpoint {
 public:
  virtual ~PluginEndpoint() = default;
  // Absolute path; constant.
  virtual const std::string& socket_path() const = 0;
  // Replaces the list; every stream, present and future, gets it as soon as its reader keeps up.
  // Before the first call streams wait.
  virtual void Publish(const std::vector<DeviceEntry>& devices) = 0;
  virtual void SetOptions(PluginOptions options) = 0;
  // False once the socket's file was removed or replaced by someone else.
  virtual bool SocketPresent() const = 0;
  // Makes the socket's file anew at the same path. Calls and streams in progress go on.
  virtual Status Rebind() = 0;
  // Thread-safe.
  virtual EndpointStats stats() const = 0;
};

class PluginTransport {
 public:
  virtual ~PluginTransport() = default;
  // Starts serving `resource`. Does not register it anywhere. The endpoint must go before the
  // transport.
  virtual Result<std::unique_ptr<PluginEndpoint>> Serve(const std::string& resource,
                                                        PluginOptions options,
                                                        std::shared_ptr<PluginHandler> handler) = 0;
};

struct Registration {
  std::string resource;
  std::string endpoint;  // base name of the socket in the kubelet's device plugin directory
  PluginOptions options;

  friend bool operator==(const Registration&, const Registration&) = default;
};

class KubeletRegistrar {
 public:
  virtual ~KubeletRegistrar() = default;
  // Tells the kubelet that `registration.endpoint` serves. The kubelet connects back *before* this
  // is done. `done` is called exactly once, on any thread, within the registrar's deadline.
  virtual void Register(const Registration& registration, std::function<void(Status)> done) = 0;
};

}  // namespace aliquot::rpc
