// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For http/ alone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "http/client.h"
#include "http/tls_context.h"

namespace aliquot::http {

// What became of an exchange.
struct Outcome {
  Status status;
  bool reusable = false;   // the connection can take another request
  bool untouched = false;  // it failed before the first byte of an answer
};

// One connection to the server; one exchange at a time. All members and callbacks run on the
// client's thread. Close drops callbacks.
class ClientConnection {
 public:
  virtual ~ClientConnection() = default;
  // Name, TCP, TLS.
  virtual void Connect(std::function<void(Status)> done) = 0;
  // `request` and `handler` stay until `done`; on_end is not called.
  virtual void Run(const ClientRequest& request, const StreamHandler& handler,
                   std::function<void(Outcome)> done) = 0;
  // Tells once when the server closes it (or sends something unasked), until the next Run.
  virtual void AwaitEnd(std::function<void()> gone) = 0;
  virtual void Close() = 0;
};

// `tls` null = plain TCP. `options` must outlive the connection.
std::shared_ptr<ClientConnection> MakeConnection(boost::asio::io_context& io,
                                                 const ClientOptions& options, TlsContext tls,
                                                 const std::string& server_name);

}  // namespace aliquot::http
