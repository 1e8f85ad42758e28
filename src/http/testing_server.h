// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: an HTTP(S) server that can do everything a broken one does.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "http/client.h"

namespace aliquot::http {

struct TestingServerOptions {
  std::uint16_t port = 0;        // of 127.0.0.1; 0 = any free one
  std::string certificate = {};  // PEM; empty = plain TCP
  std::string key = {};
  std::string client_ca = {};  // asks clients for a certificate of it; empty = does not ask
};

struct ReceivedRequest {
  std::string method;
  std::string target;
  Headers headers;
  std::string body = {};
  std::string client_name;     // CN of the client's certificate
  std::size_t connection = 0;  // number of the connection, from 1

  std::string_view Find(std::string_view name) const;
};

// One request and the way to answer it: either Respond, or StartStream, Send, ... and Finish.
// Thread-safe; calls on a connection that is gone do nothing.
class TestingExchange {
 public:
  virtual ~TestingExchange() = default;
  virtual const ReceivedRequest& request() const = 0;
  virtual void Respond(int status, Headers headers, std::string body) = 0;
  // A chunked answer.
  virtual void StartStream(int status, Headers headers) = 0;
  virtual void Send(std::string chunk) = 0;
  virtual void Finish() = 0;
  // Bytes as they are, in place of or amid an answer.
  virtual void SendRaw(std::string bytes) = 0;
  // Sends no more, but keeps the connection open.
  virtual void HalfClose() = 0;
  // Ends the connection after what was sent so far; with a reset, at once.
  virtual void Close() = 0;
  virtual void Reset() = 0;
  // Runs `task` on the server's thread after `delay`.
  virtual void After(std::chrono::milliseconds delay, std::function<void()> task) = 0;
  // Runs `task` on the server's thread when the connection is gone, or at once if it is.
  virtual void OnGone(std::function<void()> task) = 0;
};

class TestingServer {
 public:
  // Called on the server's thread for each request.
  using Handler = std::function<void(std::shared_ptr<TestingExchange>)>;

  static Result<std::unique_ptr<TestingServer>> Start(TestingServerOptions options,
                                                      Handler handler);
  ~TestingServer();
  std::uint16_t port() const;
  // Closes every connection; new ones are taken.
  void CloseConnections();
  // Closes everything and joins the thread; the port is free then. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit TestingServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aliquot::http
