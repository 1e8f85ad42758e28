// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_flow.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace aliquot::agent {
namespace {

// Whether everything that `affected` wants kept back is.
bool Covers(const WithheldGpus& withheld, const WithheldGpus& affected) {
  return std::all_of(affected.begin(), affected.end(), [&](const auto& gpu) {
    const auto held = withheld.find(gpu.first);
    return held != withheld.end() && std::includes(gpu.second.begin(), gpu.second.end(),
                                                   held->second.begin(), held->second.end());
  });
}

}  // namespace

std::string_view ToString(MigState state) {
  switch (state) {
    case MigState::kNone:
      return "";
    case MigState::kPending:
      return "pending";
    case MigState::kRebooting:
      return "rebooting";
    case MigState::kSuccess:
      return "success";
    case MigState::kFailed:
      return "failed";
  }
  return "";
}

std::string_view MigFlow::phase() const {
  switch (phase_) {
    case Phase::kSettled:
      return "settled";
    case Phase::kLooking:
      return "looking";
    case Phase::kClearing:
      return "waiting for clients";
    case Phase::kStopping:
      return "stopping host clients";
    case Phase::kApplying:
      return "applying";
    case Phase::kStarting:
      return "starting host clients";
    case Phase::kRebooting:
      return "rebooting";
  }
  return "";
}

std::optional<MigFlow::Target> MigFlow::Wanted() const {
  if (!inputs_.label || inputs_.held) return {};
  return Target{*inputs_.label, inputs_.layouts, inputs_.allow_reboot};
}

void MigFlow::WakeAt(Clock::TimePoint when) {
  orders_.wake = orders_.wake ? std::min(*orders_.wake, when) : when;
}

const MigOrders& MigFlow::Observe(const MigInputs& inputs, Clock::TimePoint now) {
  inputs_ = inputs;
  Advance(now);
  return orders_;
}

void MigFlow::Advance(Clock::TimePoint now) {
  orders_.wake.reset();
  switch (phase_) {
    case Phase::kSettled:
      AdvanceSettled(now);
      break;
    case Phase::kClearing:
      AdvanceClearing(now);
      break;
    case Phase::kApplying:
      if (!deadline_) break;
      if (now < *deadline_) {
        WakeAt(*deadline_);
        break;
      }
      deadline_.reset();
      orders_.state = MigState::kFailed;
      orders_.reason = "the driver does not return from the change; it goes on if it does";
      break;
    case Phase::kRebooting:
      if (Superseded() && Wanted()) {
        Look();
      } else if (deadline_ && now >= *deadline_) {
        Settle(Failed("the node did not reboot, though it was told to"), now);
      } else if (deadline_) {
        WakeAt(*deadline_);
      }
      break;
    case Phase::kLooking:
    case Phase::kStopping:
    case Phase::kStarting:
      break;
  }
}

void MigFlow::AdvanceSettled(Clock::TimePoint now) {
  const auto wanted = Wanted();
  if (!wanted) {
    target_.reset();
    if (!inputs_.held) {
      orders_.state = MigState::kNone;
      orders_.reason.clear();
    }
    // Nothing is in progress, so nobody is paused or stopped for it, whoever began it.
    orders_.clients = MigOrders::Clients::kRunning;
    if (!clients_stopped_) return;
    if (retry_at_ && now < *retry_at_) return WakeAt(*retry_at_);
    return Settle({}, now);
  }
  const bool changed = wanted != target_ || (inputs_.gpus != looked_at_gpus_ && !change_failed_);
  if (changed || (retry_at_ && now >= *retry_at_)) {
    if (wanted != target_) failures_ = 0;
    Look();
  } else if (retry_at_) {
    WakeAt(*retry_at_);
  }
}

void MigFlow::AdvanceClearing(Clock::TimePoint now) {
  if (Superseded()) {
    if (Wanted()) return Look();
    return Settle({}, now);
  }
  const bool clear = inputs_.withdrawn && inputs_.clients_left && inputs_.clients_left->empty();
  if (clear) {
    if (!grace_until_) grace_until_ = now + policy_.grace;
    if (now >= *grace_until_) {
      cleared_ = true;
      return Start(Phase::kLooking, MigJob::kLook);
    }
    WakeAt(*grace_until_);
    return;
  }
  grace_until_.reset();
  if (now < *deadline_) return WakeAt(*deadline_);
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(policy_.clients_deadline);
  std::string why = fmt::format("after {} minutes ", minutes.count());
  if (!inputs_.withdrawn) {
    why += "the kubelet still has not been told that the devices are gone";
  } else if (!inputs_.clients_left) {
    why += "it is not known whether the paused clients of the GPUs have left";
  } else {
    why += "paused clients of the GPUs are still there: " + *inputs_.clients_left;
  }
  Settle(Failed(std::move(why)), now);
}

void MigFlow::Start(Phase phase, MigJob job) {
  phase_ = phase;
  orders_.job = job;
  ++orders_.job_number;
  orders_.wake.reset();
  if (job == MigJob::kLook) {
    looked_at_gpus_ = inputs_.gpus;
    retry_at_.reset();
  }
}

void MigFlow::Look() {
  target_ = Wanted();
  cleared_ = false;
  deadline_.reset();
  change_failed_ = false;
  Start(Phase::kLooking, MigJob::kLook);
}

const MigOrders& MigFlow::OnLook(const MigLook& look, Clock::TimePoint now) {
  orders_.job = MigJob::kNone;
  if (Superseded()) {
    Wanted() ? Look() : Settle({}, now);
  } else if (!look.planned.ok()) {
    Settle(Failed(look.planned.error().message), now);
  } else if (!look.changes) {
    rebooted_for_.clear();
    Settle({MigState::kSuccess,
            fmt::format("the GPUs have the MIG configuration \"{}\"", target_->label),
            {}},
           now);
  } else if (!look.blocked.empty()) {
    Settle({MigState::kFailed, look.blocked, policy_.holders_poll}, now);
  } else if (!inputs_.host_clients_problem.empty()) {
    Settle(Failed(inputs_.host_clients_problem), now);
  } else {
    orders_.state = MigState::kPending;
    orders_.reason = look.plan;
    if (cleared_ && Covers(orders_.withheld, look.affected)) {
      clients_stopped_ = true;
      Start(Phase::kStopping, MigJob::kStopClients);
      return orders_;
    }
    orders_.withheld = look.affected;
    orders_.clients = MigOrders::Clients::kPaused;
    // What was seen so far is of the devices that were withheld before.
    inputs_.withdrawn = false;
    inputs_.clients_left.reset();
    if (!deadline_) deadline_ = now + policy_.clients_deadline;
    grace_until_.reset();
    phase_ = Phase::kClearing;
    orders_.wake = deadline_;
  }
  return orders_;
}

const MigOrders& MigFlow::OnClientsStopped(const Status& stopped, Clock::TimePoint now) {
  orders_.job = MigJob::kNone;
  if (!stopped.ok()) {
    Settle(Failed(stopped.error().message), now);
  } else if (Superseded()) {
    Wanted() ? Look() : Settle({}, now);
  } else {
    orders_.may_reboot = inputs_.allow_reboot && rebooted_for_ != target_->label;
    Start(Phase::kApplying, MigJob::kApply);
    deadline_ = now + policy_.apply_deadline;
    orders_.wake = deadline_;
  }
  return orders_;
}

const MigOrders& MigFlow::OnApplied(const MigApplied& applied, Clock::TimePoint now) {
  orders_.job = MigJob::kNone;
  deadline_.reset();
  const bool again = target_ && rebooted_for_ == target_->label;
  if (Superseded() && Wanted()) {
    Look();
  } else if (applied.done.error().code == Code::kAborted && failures_ == 0) {
    ++failures_;  // the GPUs are not as planned for; once, that is no failure yet
    Look();
  } else if (!applied.done.ok()) {
    change_failed_ = true;
    Settle(Failed((again ? "the MIG mode did not change though the node was rebooted: " : "") +
                  applied.done.error().message),
           now);
  } else if (applied.needs_reboot) {
    orders_.state = MigState::kRebooting;
    orders_.reason = "the MIG mode changes at a reboot of the node, which is allowed";
    Start(Phase::kRebooting, MigJob::kReboot);
  } else {
    rebooted_for_.clear();
    Settle({MigState::kSuccess,
            fmt::format("the GPUs have the MIG configuration \"{}\"", target_->label),
            {}},
           now);
  }
  return orders_;
}

const MigOrders& MigFlow::OnRebootOrdered(const Status& ordered, Clock::TimePoint now) {
  orders_.job = MigJob::kNone;
  if (ordered.ok()) {
    deadline_ = now + policy_.reboot_deadline;
    Advance(now);
  } else {
    Settle(Failed("cannot reboot the node: " + ordered.error().message), now);
  }
  return orders_;
}

MigFlow::Outcome MigFlow::Failed(std::string reason) {
  Clock::Duration retry = policy_.retry_min;
  for (unsigned i = 0; i < failures_ && retry < policy_.retry_cap; ++i) retry *= 2;
  ++failures_;
  return {MigState::kFailed, std::move(reason), std::min(retry, policy_.retry_cap)};
}

void MigFlow::Settle(Outcome outcome, Clock::TimePoint now) {
  deadline_.reset();
  if (!clients_stopped_) return Show(outcome, now);
  outcome_ = std::move(outcome);
  Start(Phase::kStarting, MigJob::kStartClients);
}

const MigOrders& MigFlow::OnClientsStarted(const Status& started, Clock::TimePoint now) {
  orders_.job = MigJob::kNone;
  clients_stopped_ = !started.ok();
  if (!started.ok()) {
    outcome_.reason +=
        fmt::format("{}{}", outcome_.reason.empty() ? "" : "; ", started.error().message);
    if (!outcome_.retry) outcome_.retry = policy_.retry_min;
  }
  Show(outcome_, now);
  return orders_;
}

void MigFlow::Show(const Outcome& outcome, Clock::TimePoint now) {
  phase_ = Phase::kSettled;
  orders_.withheld.clear();
  orders_.clients = MigOrders::Clients::kRunning;
  orders_.wake.reset();
  if (outcome.state == MigState::kSuccess) failures_ = 0;
  if (outcome.state != MigState::kNone) {
    orders_.state = outcome.state;
    orders_.reason = outcome.reason;
  }
  retry_at_.reset();
  if (outcome.retry) retry_at_ = now + *outcome.retry;
  AdvanceSettled(now);
}

}  // namespace aliquot::agent
