// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/device_plugin_server.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include "base/unique_fd.h"
#include "rpc/device_plugin_service.h"
#include "rpc/listen_socket.h"
#include "rpc/socket_path.h"

namespace aliquot::rpc {
namespace {

// How long calls in progress may take to hear that the resource is gone.
constexpr std::chrono::milliseconds kGrace{500};

using Connections = grpc::experimental::ExternalConnectionAcceptor;

class Endpoint final : public PluginEndpoint {
 public:
  Endpoint(FdPoller& poller, std::vector<std::future<void>>& retiring, std::string path,
           PluginOptions options, std::shared_ptr<PluginHandler> handler)
      : poller_(poller),
        retiring_(retiring),
        path_(std::move(path)),
        service_(std::make_unique<DevicePluginService>(options, std::move(handler))) {}

  ~Endpoint() override {
    Close();
    service_->Stop();
    // Winding down waits for the peers, and the agent's thread must not.
    retiring_.push_back(std::async(
        std::launch::async, [server = std::move(server_), service = std::move(service_)]() mutable {
          if (server) server->Shutdown(std::chrono::system_clock::now() + kGrace);
          server.reset();
          service.reset();
        }));
  }

  Status Start() {
    // First, so that a bad path costs no server.
    if (Status bound = Bind(); !bound.ok()) return bound;
    grpc::ServerBuilder builder;
    builder.RegisterService(service_->service());
    connections_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        grpc::InsecureServerCredentials());
    server_ = builder.BuildAndStart();
    if (!server_) return Error{Code::kInternal, "cannot start a gRPC server: see standard error"};
    return Watch();
  }

  const std::string& socket_path() const override { return path_; }
  void Publish(const std::vector<DeviceEntry>& devices) override { service_->Publish(devices); }
  void SetOptions(PluginOptions options) override { service_->SetOptions(options); }
  bool SocketPresent() const override { return socket_ && socket_->Present(); }
  EndpointStats stats() const override { return service_->stats(); }

  Status Rebind() override {
    if (SocketPresent()) return {};
    Close();
    if (Status bound = Bind(); !bound.ok()) return bound;
    return Watch();
  }

 private:
  Status Bind() {
    Result<ListenSocket> socket = ListenSocket::Bind(path_);
    if (!socket.ok()) return socket.error();
    socket_ = std::move(*socket);
    return {};
  }

  Status Watch() {
    const Status added = poller_.Add(socket_->fd(), [this] { Accept(); });
    if (!added.ok()) socket_.reset();
    return added;
  }

  void Close() {
    if (!socket_) return;
    poller_.Remove(socket_->fd());
    socket_.reset();
  }

  // On the poller's thread; the poller guarantees that it does not run after Close.
  void Accept() {
    Connections::NewConnectionParameters connection;
    connection.listener_fd = socket_->fd();
    connection.fd = ::accept4(socket_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection.fd >= 0) connections_->HandleNewConnection(&connection);
    if (connection.fd < 0 && (errno == EMFILE || errno == ENFILE)) TurnAway();
  }

  // Out of descriptors, the socket would stay readable and the poller spin: the spare one takes the
  // connection off the queue.
  void TurnAway() {
    spare_.Reset();
    spare_.Reset(::accept4(socket_->fd(), nullptr, nullptr, SOCK_CLOEXEC));
    spare_.Reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }

  FdPoller& poller_;
  std::vector<std::future<void>>& retiring_;
  const std::string path_;
  std::unique_ptr<DevicePluginService> service_;
  std::unique_ptr<Connections> connections_;
  std::unique_ptr<grpc::Server> server_;
  std::optional<ListenSocket> socket_;
  UniqueFd spare_{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
};

}  // namespace

DevicePluginServers::DevicePluginServers(FdPoller& poller, std::string directory,
                                         std::string instance)
    : poller_(poller), directory_(std::move(directory)), instance_(std::move(instance)) {}

DevicePluginServers::~DevicePluginServers() = default;

Result<std::unique_ptr<PluginEndpoint>> DevicePluginServers::Serve(
    const std::string& resource, PluginOptions options, std::shared_ptr<PluginHandler> handler) {
  std::erase_if(retiring_, [](const std::future<void>& done) {
    return done.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
  Result<std::string> path = PluginSocketPath(directory_, resource, instance_);
  if (!path.ok()) return path.error();
  auto endpoint =
      std::make_unique<Endpoint>(poller_, retiring_, *path, options, std::move(handler));
  if (Status started = endpoint->Start(); !started.ok()) return started.error();
  return std::unique_ptr<PluginEndpoint>(std::move(endpoint));
}

}  // namespace aliquot::rpc
