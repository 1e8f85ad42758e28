// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/gang.h"

#include <algorithm>
#include <optional>

namespace aliquot::arbiter {

bool AlignTurns(Scheduler::TenantId tenant, std::span<Scheduler* const> gpus) {
  const auto leader = std::find_if(
      gpus.begin(), gpus.end(), [&](const Scheduler* gpu) { return gpu->TakesTurnsHere(tenant); });
  const bool has_turn = leader != gpus.end() && (*leader)->turn() == tenant;
  bool changed = false;
  for (auto gpu = gpus.begin(); gpu != gpus.end(); ++gpu) {
    const bool follows = leader != gpus.end() && gpu != leader;
    (*gpu)->SetFollows(tenant, follows);
    const bool led = follows && has_turn;
    // Another gang may be led here by a leader of its own: it ends by itself.
    if (led && !(*gpu)->led()) {
      (*gpu)->Lead(tenant);
      changed = true;
    } else if (!led && (*gpu)->led() == tenant) {
      (*gpu)->Lead(std::nullopt);
      changed = true;
    }
  }
  return changed;
}

}  // namespace aliquot::arbiter
