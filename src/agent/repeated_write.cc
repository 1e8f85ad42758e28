// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/repeated_write.h"

#include <algorithm>
#include <utility>

namespace aliquot::agent {

void RepeatedWrite::Check() {
  if (in_flight_ || timer_ != 0 || !dependencies_.needed()) return;
  const Clock::TimePoint now = dependencies_.clock.Now();
  const bool fresh = writes_ == 0 || now - last_write_ >= kLongestDelay + delay_;
  if (fresh) {
    delay_ = {};
    in_vain_ = 0;
  }
  if (const auto wait = last_write_ + delay_ - now; !fresh && wait > Clock::Duration::zero()) {
    timer_ = dependencies_.executor.PostAfter(wait, [this] {
      timer_ = 0;
      Check();
    });
    return;
  }
  if (!fresh) ++in_vain_;
  delay_ = std::clamp<Clock::Duration>(2 * delay_, kFirstDelay, kLongestDelay);
  last_write_ = now;
  in_flight_ = true;
  ++writes_;
  dependencies_.write([this, alive = alive_](Status status) {
    if (*alive) OnWritten(status);
  });
}

void RepeatedWrite::Changed() {
  if (error_.empty() && delay_ > kFirstDelay) {
    delay_ = kFirstDelay;
    dependencies_.executor.Cancel(std::exchange(timer_, 0));
  }
  Check();
}

void RepeatedWrite::OnWritten(const Status& status) {
  in_flight_ = false;
  error_ = status.ok() ? std::string() : status.error().message;
  if (!status.ok()) ++failures_;
  // The watch may show the effect after the answer; the delay covers that.
  Check();
}

}  // namespace aliquot::agent
