// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "agent/enforced_shares.h"
#include "base/executor.h"

namespace aliquot::agent {

// Enforced shares with the arbiter and the metrics they need, as the agent wires them. Confined to
// the executor, or used before it runs.
class NodeShares {
 public:
  // `executor` must have stopped before this ends; `clock`, `registry` and `log` must outlive it.
  NodeShares(ShareOptions options, Executor& executor, const Clock& clock, const Logger& log,
             metrics::Registry& registry, std::function<void()> changed,
             std::function<void(const PodNews&)> tell);

  EnforcedShares* operator->() const { return shares_.get(); }
  EnforcedShares& operator*() const { return *shares_; }

 private:
  metrics::GrantMetrics metrics_;
  std::unique_ptr<EnforcedShares> shares_;
};

}  // namespace aliquot::agent
