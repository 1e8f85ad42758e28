// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/pages.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <utility>

namespace aliquot::agent {
namespace {

constexpr std::chrono::seconds kStuck{30};
constexpr char kText[] = "text/plain; charset=utf-8";

}  // namespace

Status Pages::Start(const std::string& address, std::uint16_t port) {
  if (address.empty()) return {};
  http::ServerOptions options;
  options.address = address;
  options.port = port;
  http::Routes routes;
  routes["/metrics"] = [this](const http::Request&) {
    return http::Response{200, metrics::kContentType, registry_.Text()};
  };
  routes["/healthz"] = [this](const http::Request&) { return Health(); };
  routes["/readyz"] = [this](const http::Request&) { return Ready(); };
  routes["/statusz"] = [this](const http::Request&) {
    const auto status = status_.Get();
    return http::Response{200, "application/json",
                          boost::json::serialize(ToJson(*status, recent_.Lines())) + "\n"};
  };
  auto server = http::Server::Start(std::move(options), std::move(routes));
  if (!server.ok()) return server.error();
  http_ = std::move(*server);
  log_.Info("status pages served", {{"address", address}, {"port", fmt::to_string(http_->port())}});
  return {};
}

void Pages::Stop() {
  if (http_) http_->Stop();
}

http::Response Pages::Health() const {
  const Clock::TimePoint beat{Clock::Duration(last_beat_.load())};
  if (clock_.Now() - beat < kStuck) return {200, kText, "ok\n"};
  return {503, kText, "the agent's main thread does not respond\n"};
}

http::Response Pages::Ready() const {
  const std::string reason = status_.Get()->NotReady();
  if (reason.empty()) return {200, kText, "ok\n"};
  return {503, kText, reason + "\n"};
}

}  // namespace aliquot::agent
