// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <thread>
#include <utility>

#include "http/connection.h"

namespace aliquot::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

Error ListenError(const tcp::endpoint& endpoint, const ErrorCode& error) {
  const std::string what = fmt::format("cannot serve HTTP on {} port {}",
                                       endpoint.address().to_string(), endpoint.port());
  if (error == asio::error::address_in_use) {
    return {Code::kAlreadyExists,
            what + ": another program listens there; choose another port or stop that program"};
  }
  if (error == boost::system::errc::address_not_available) {
    return {Code::kFailedPrecondition,
            what + ": not an address of this host; use 127.0.0.1, 0.0.0.0 or one of its own"};
  }
  if (error == asio::error::access_denied) {
    return {Code::kPermissionDenied,
            what + ": not permitted; use a port from 1024 or add CAP_NET_BIND_SERVICE"};
  }
  return {Code::kUnknown, what + ": " + error.message()};
}

}  // namespace

// Everything but the constructor, Open, Stop and port runs on thread_.
class Server::Impl {
 public:
  Impl(ServerOptions options, Routes routes)
      : options_(std::move(options)),
        routes_(std::move(routes)),
        acceptor_(io_),
        retry_(io_),
        drain_(io_) {}

  Status Open() {
    ErrorCode error;
    const asio::ip::address address = asio::ip::make_address(options_.address, error);
    if (error) {
      return Error{Code::kInvalidArgument,
                   fmt::format("cannot serve HTTP on \"{}\": not an IP address, such as 127.0.0.1 "
                               "or ::1",
                               options_.address)};
    }
    const tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return ListenError(endpoint, error);
    port_ = acceptor_.local_endpoint(error).port();
    Accept();
    StartThread();
    return {};
  }

  void Stop() {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] { BeginStop(); });
    thread_.join();
  }

  std::uint16_t port() const { return port_; }

 private:
  // Signals belong to the program's own threads, so the new one starts with all of them blocked.
  void StartThread() {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { io_.run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(thread_.native_handle(), "aliquot-http");
  }

  void Accept() {
    acceptor_.async_accept([this](ErrorCode error, tcp::socket socket) {
      if (stopping_) return;
      if (error) return AcceptLater();  // out of descriptors, or the client is gone already
      if (connections_.size() < options_.limits.connections) Add(std::move(socket));
      Accept();  // a socket that was not added is closed by its destructor
    });
  }

  void AcceptLater() {
    retry_.expires_after(std::chrono::milliseconds(100));
    retry_.async_wait([this](ErrorCode error) {
      if (!error && !stopping_) Accept();
    });
  }

  void Add(tcp::socket socket) {
    const auto place = connections_.emplace(connections_.end());
    *place = Serve(std::move(socket), routes_, options_.limits, [this, place] {
      connections_.erase(place);
      if (stopping_ && connections_.empty()) drain_.cancel();
    });
  }

  void BeginStop() {
    stopping_ = true;
    ErrorCode ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    for (const std::weak_ptr<Connection>& weak : Snapshot()) {
      if (const auto connection = weak.lock()) connection->Finish();
    }
    if (connections_.empty()) return;
    drain_.expires_after(options_.limits.drain);
    drain_.async_wait([this](ErrorCode error) {
      if (error) return;
      for (const std::weak_ptr<Connection>& weak : Snapshot()) {
        if (const auto connection = weak.lock()) connection->Abort();
      }
    });
  }

  // Connections leave the list while it is walked.
  std::list<std::weak_ptr<Connection>> Snapshot() const { return connections_; }

  const ServerOptions options_;
  const Routes routes_;
  std::uint16_t port_ = 0;
  bool stopping_ = false;
  std::list<std::weak_ptr<Connection>> connections_;  // before io_: its handlers use it to the end
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  asio::steady_timer drain_;
  std::thread thread_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Stop(); }

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options, Routes routes) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(routes));
  if (Status status = impl->Open(); !status.ok()) return status.error();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::port() const { return impl_->port(); }

void Server::Stop() { impl_->Stop(); }

}  // namespace aliquot::http
