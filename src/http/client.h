// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace aliquot::http {

// How to know the server, and how to be known by it. All in PEM.
struct TlsOptions {
  std::string ca = {};           // who signs servers; empty = the system's authorities
  std::string certificate = {};  // ours, with its chain; empty = none
  std::string key = {};          // of the certificate, without a passphrase
  std::string server_name = {};  // expected in the server's certificate instead of the host
  bool insecure = false;         // any certificate will do

  friend bool operator==(const TlsOptions&, const TlsOptions&) = default;
};

struct ClientOptions {
  std::string host = {};  // name or address, IPv6 without brackets
  std::uint16_t port = 443;
  bool use_tls = true;
  TlsOptions tls = {};
  std::size_t header_bytes = 32u << 10;         // of a response; above: an error
  std::size_t connections = 8;                  // at once; further requests wait their turn
  std::size_t idle_connections = 2;             // kept for later
  std::chrono::milliseconds connect{5'000};     // for each of name, TCP and TLS
  std::chrono::milliseconds keep_idle{60'000};  // then an unused connection is closed
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query, percent-encoded
  Headers headers = {};      // Host and Content-Length are added
  std::string body = {};
  // Sending it twice does no harm: it is sent again, once, if the server closed a connection that
  // had been idle.
  bool repeatable = false;
  std::chrono::milliseconds total{30'000};  // from Send to the last byte; zero = no limit
  std::chrono::milliseconds idle{30'000};   // without a byte in either direction
  std::size_t body_limit = 64u << 20;       // of the response; zero = no limit
};

struct ResponseHead {
  int status = 0;
  Headers headers;

  // The first header of that name, case-insensitively; empty if there is none.
  std::string_view Find(std::string_view name) const;
};

struct ClientResponse {
  ResponseHead head;
  std::string body = {};
};

// What a streamed response tells, in this order, on the client's thread: it must not wait.
struct StreamHandler {
  std::function<void(ResponseHead)> on_head;      // at most once
  std::function<void(std::string_view)> on_data;  // as it comes, transfer coding removed
  std::function<void(Status)> on_end;             // once, unless cancelled or stopped
};

// An HTTP/1.1 client of one server, over TLS or plain TCP, on one thread of its own for all
// connections (a host name is looked up on a second one, made when it is first needed). Proxies,
// redirects, cookies and compression are not supported. Thread-safe.
//
// Codes: kUnavailable: cannot connect, or the connection ended early; kDeadlineExceeded: a
// time-out; kFailedPrecondition: the server's certificate or TLS itself is not acceptable;
// kDataLoss: not HTTP; kResourceExhausted: over a limit; kInvalidArgument: a request with control
// characters.
class Client {
 public:
  using CallId = std::uint64_t;

  // kInvalidArgument if the PEM texts cannot be read.
  static Result<std::unique_ptr<Client>> Start(ClientOptions options);
  // Stops.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The whole response; `done` runs once on the client's thread and must not wait.
  CallId Send(ClientRequest request, std::function<void(Result<ClientResponse>)> done);
  // The response as it comes.
  CallId Stream(ClientRequest request, StreamHandler handler);
  // Ends a call; its callbacks end soon, without on_end. Unknown ids are ignored.
  void Cancel(CallId id);
  // For connections made from now on; those in use finish their request first. kInvalidArgument if
  // it cannot be read.
  Status SetTls(const TlsOptions& tls);
  // Drops every call without telling and joins the thread; later calls do nothing. Idempotent; not
  // from a callback.
  void Stop();

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aliquot::http
