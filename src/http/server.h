// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "http/types.h"

namespace aliquot::http {

struct Limits {
  std::size_t header_bytes = 8u << 10;   // above: 431
  std::size_t body_bytes = 1u << 20;     // above: 413
  std::size_t connections = 32;          // above: closed at once
  std::chrono::milliseconds read{5000};  // for a whole request, from its first wait
  std::chrono::milliseconds write{5000};
  std::chrono::milliseconds drain{1000};  // Stop waits so long for answers being written
};

struct ServerOptions {
  std::string address = "127.0.0.1";  // an address of this host; "0.0.0.0" and "::" mean all
  std::uint16_t port = 0;             // 0 = any free one
  Limits limits;
};

using Routes = std::map<std::string, Handler>;  // by exact path

// A small HTTP/1.1 server on one thread of its own: GET and HEAD of fixed paths, no TLS.
// Who may connect: whoever reaches the address; they are trusted with reading what the routes show
// and nothing else. Keep the default loopback address unless a scraper is elsewhere.
class Server {
 public:
  // Binds, listens and starts the thread. kInvalidArgument if `address` is not an IP address,
  // kAlreadyExists if another program has the port, kFailedPrecondition if the address is not of
  // this host, kPermissionDenied for a privileged port.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options, Routes routes);
  // Stops.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  // Takes no new requests, lets answers in progress finish for Limits::drain, then closes all and
  // joins the thread. Idempotent; not from a handler.
  void Stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aliquot::http
