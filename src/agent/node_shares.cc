// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/node_shares.h"

#include <utility>

#include "grants/arbiter_server.h"

namespace aliquot::agent {

NodeShares::NodeShares(ShareOptions options, const Clock& clock, const Logger& log,
                       metrics::Registry& registry, std::function<void()> changed)
    : metrics_(registry) {
  const auto make_server = [this, &log] {
    // On the arbiter's thread; families may be used by any.
    return grants::ArbiterServer::Start(
        [this](const arbiter::GrantEvent& event) {
          metrics_.CountEvent(grants::NameOf(event.kind));
        },
        log);
  };
  shares_ = std::make_unique<EnforcedShares>(
      std::move(options),
      EnforcedShares::Dependencies{clock, log, metrics_, std::move(changed), make_server});
}

}  // namespace aliquot::agent
