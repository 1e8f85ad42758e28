// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Sends arbitrary bytes to the HTTP server: it must answer or close, and go on serving.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/server.h"
#include "http/test_client.h"

namespace {

std::unique_ptr<aliquot::http::Server> StartServer() {
  aliquot::http::Routes routes;
  routes["/"] = [](const aliquot::http::Request& request) {
    return aliquot::http::Response{200, "text/plain", request.query + request.body};
  };
  auto server = aliquot::http::Server::Start({}, std::move(routes));
  if (!server.ok()) std::abort();
  return *std::move(server);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::unique_ptr<aliquot::http::Server> server = StartServer();
  const aliquot::http::TestClient client(server->port());
  if (!client.connected()) std::abort();
  client.Send(std::string(reinterpret_cast<const char*>(data), size));
  client.CloseSending();
  client.ReadAll();
  return 0;
}
