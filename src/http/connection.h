// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For http/ alone: the only header of the project that names Asio.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>

#include "http/server.h"

namespace aliquot::http {

// One client. Lives until its last callback; all members run on the server's thread.
class Connection {
 public:
  virtual ~Connection() = default;
  // Closes at once if it waits for a request, else after the answer in progress.
  virtual void Finish() = 0;
  // Closes at once.
  virtual void Abort() = 0;
};

// Starts serving `socket`. `routes` and `limits` must outlive the connection; `on_close` runs once,
// when it is destroyed.
std::shared_ptr<Connection> Serve(boost::asio::ip::tcp::socket socket, const Routes& routes,
                                  const Limits& limits, std::function<void()> on_close);

}  // namespace aliquot::http
