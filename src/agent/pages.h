// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/recent_log.h"
#include "agent/status_page.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "http/published.h"
#include "http/server.h"
#include "metrics/registry.h"

namespace aliquot::agent {

// The agent's pages: /metrics, /healthz, /readyz and /statusz. Handlers run on the HTTP thread and
// read what was published; they wait for nothing.
class Pages {
 public:
  // All must outlive it.
  Pages(metrics::Registry& registry, const Clock& clock, const Logger& log, const RecentLog& recent)
      : registry_(registry), clock_(clock), log_(log), recent_(recent) {}

  // Serves, unless `address` is empty. Fails if the address is taken.
  Status Start(const std::string& address, std::uint16_t port);
  void Stop();
  // 0 if nothing is served.
  std::uint16_t port() const { return http_ ? http_->port() : 0; }

  // From the executor: what the pages show from now on, and that the executor still runs.
  void Publish(AgentStatus status) { status_.Set(std::move(status)); }
  void Beat() { last_beat_.store(clock_.Now().time_since_epoch().count()); }

 private:
  http::Response Health() const;
  http::Response Ready() const;

  metrics::Registry& registry_;
  const Clock& clock_;
  const Logger& log_;
  const RecentLog& recent_;
  http::Published<AgentStatus> status_;
  std::atomic<Clock::Duration::rep> last_beat_{0};
  std::unique_ptr<http::Server> http_;
};

}  // namespace aliquot::agent
