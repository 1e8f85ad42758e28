// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/node_shares.h"

#include <utility>

#include "grants/arbiter_server.h"

namespace aliquot::agent {

NodeShares::NodeShares(ShareOptions options, Executor& executor, const Clock& clock,
                       const Logger& log, metrics::Registry& registry,
                       std::function<void()> changed, std::function<void(const PodNews&)> tell)
    : metrics_(registry) {
  // On the arbiter's thread; families may be used by any.
  const auto on_event = [this, &executor](const arbiter::GrantEvent& event) {
    metrics_.CountEvent(grants::NameOf(event.kind));
    if (event.kind != arbiter::GrantEvent::Kind::kMisbehaved) return;
    executor.Post([this, event] {
      shares_->OnMisbehaved(event.grant, static_cast<pid_t>(event.pid), event.detail);
    });
  };
  const auto make_server = [on_event, &log] { return grants::ArbiterServer::Start(on_event, log); };
  shares_ = std::make_unique<EnforcedShares>(
      std::move(options), EnforcedShares::Dependencies{clock, log, metrics_, std::move(changed),
                                                       std::move(tell), make_server});
}

}  // namespace aliquot::agent
