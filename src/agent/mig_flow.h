// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace aliquot::agent {

// GPUs that are being changed, by UUID, each with those of its devices that stay and so go on being
// offered. Everything else on them is kept from the kubelet.
using WithheldGpus = std::map<std::string, std::set<std::string>>;

// The value of the node label nvidia.com/mig.config.state; kNone is its absence.
enum class MigState { kNone, kPending, kRebooting, kSuccess, kFailed };
// "pending", ...; empty for kNone.
std::string_view ToString(MigState state);

struct MigPolicy {
  // How long clients of the GPUs that were asked to leave may take. As NVIDIA's mig-manager.
  Clock::Duration clients_deadline = std::chrono::minutes(5);
  // Between the kubelet's having been told that devices are gone and the look that counts: an
  // allocation that was under way then shows in the kubelet's list of pods.
  Clock::Duration grace = std::chrono::seconds(1);
  // Whoever uses a device that is in the way tells nobody when he leaves.
  Clock::Duration holders_poll = std::chrono::seconds(10);
  // What failed is tried again after this, then twice as long, up to the cap.
  Clock::Duration retry_min = std::chrono::seconds(30);
  Clock::Duration retry_cap = std::chrono::minutes(10);
  // A change, or a reboot, that takes longer is shown as failed, so that nobody waits for ever.
  Clock::Duration apply_deadline = std::chrono::minutes(10);
  Clock::Duration reboot_deadline = std::chrono::minutes(10);
};

// What the flow decides by, as last seen.
struct MigInputs {
  std::optional<std::string> label;  // nvidia.com/mig.config; absent: nothing is wanted
  bool held = false;                 // somebody wants nothing to be begun: all stays as it is
  bool allow_reboot = false;         // WITH_REBOOT
  std::uint64_t layouts = 0;         // counts changes of the layout configurations
  std::uint64_t gpus = 0;            // counts changes of what the driver shows
  bool withdrawn = false;            // the kubelet was told of all that MigOrders::withheld says
  // The clients in MigOrders::Clients::kPaused that are still there, for people; empty if none is,
  // absent if that is not known yet.
  std::optional<std::string> clients_left;
  // Why it is not known which clients of the host to stop; empty if it is. Nothing is begun then.
  std::string host_clients_problem;
};

// What one look at the GPUs with the wanted layout in mind found.
struct MigLook {
  Status planned;         // why there is no way to it
  bool changes = false;   // something has to be done
  std::string blocked;    // what is in use and in the way, and who holds it; empty if nothing is
  std::string plan;       // for people, what will be done; also announces resets
  WithheldGpus affected;  // what the change touches
};

// How a change ended.
struct MigApplied {
  Status done;
  bool needs_reboot = false;  // the rest is done after one; `done` is ok
};

enum class MigJob {
  kNone,
  kLook,
  kStopClients,   // of the host: its services, and the hooks before a change
  kApply,         // what the last look planned
  kStartClients,  // as stopped
  kReboot,
};

// What is to be done now. All but the job are levels: true until told otherwise.
struct MigOrders {
  enum class Clients { kAsTheyAre, kPaused, kRunning };

  MigJob job = MigJob::kNone;
  std::uint64_t job_number = 0;   // another one means another job
  bool may_reboot = false;        // what MigJob::kApply may leave to a reboot
  std::optional<MigState> state;  // kNone: no label; absent: as it is
  std::string reason;             // of the state, for people
  WithheldGpus withheld;
  Clients clients = Clients::kAsTheyAre;  // those that run as pods
  std::optional<Clock::TimePoint> wake;   // Observe again then, at the latest
};

// From the label of a node to the layout of its GPUs: which step is next. Knows no driver and no
// cluster: it is told what there is and what became of a job, and says what to do. One job at a
// time; the newest label wins, and those between are never applied.
//
//   settled ─► look ─► clear ─► look ─► stop clients ─► apply ─► start clients ─► settled
//                │                 │                      └─► reboot
//                └─► settled       └─► settled (blocked, or as wanted)
//
// The second look is the one that counts: by then the kubelet hands out nothing that goes, so
// nobody can come between plan and change.
class MigFlow {
 public:
  // `rebooted_for`: the label for which the node was rebooted last, if it did reboot; a mode that
  // does not change then does not cause another. `clients_stopped`: host clients were left stopped.
  MigFlow(MigPolicy policy, std::string rebooted_for, bool clients_stopped)
      : policy_(policy),
        rebooted_for_(std::move(rebooted_for)),
        clients_stopped_(clients_stopped) {}

  const MigOrders& Observe(const MigInputs& inputs, Clock::TimePoint now);
  // What became of the job. A job that was lost (its thread is gone) is kUnavailable.
  const MigOrders& OnLook(const MigLook& look, Clock::TimePoint now);
  const MigOrders& OnApplied(const MigApplied& applied, Clock::TimePoint now);
  const MigOrders& OnClientsStopped(const Status& stopped, Clock::TimePoint now);
  const MigOrders& OnClientsStarted(const Status& started, Clock::TimePoint now);
  const MigOrders& OnRebootOrdered(const Status& ordered, Clock::TimePoint now);

  const MigOrders& orders() const { return orders_; }
  // "settled", "looking", ...: for people.
  std::string_view phase() const;

 private:
  enum class Phase { kSettled, kLooking, kClearing, kStopping, kApplying, kStarting, kRebooting };
  struct Target {
    std::string label;
    std::uint64_t layouts = 0;
    bool allow_reboot = false;  // what failed without may work with it
    friend bool operator==(const Target&, const Target&) = default;
  };
  // How an attempt ends.
  struct Outcome {
    MigState state = MigState::kNone;
    std::string reason;
    std::optional<Clock::Duration> retry;
  };

  void Advance(Clock::TimePoint now);
  void AdvanceSettled(Clock::TimePoint now);
  void AdvanceClearing(Clock::TimePoint now);
  void Start(Phase phase, MigJob job);
  void Look();
  void Apply(Clock::TimePoint now);
  // Ends the attempt; first gives back what was taken from the host.
  void Settle(Outcome outcome, Clock::TimePoint now);
  void Show(const Outcome& outcome, Clock::TimePoint now);
  Outcome Failed(std::string reason);
  std::optional<Target> Wanted() const;
  bool Superseded() const { return Wanted() != target_; }
  void WakeAt(Clock::TimePoint when);

  const MigPolicy policy_;
  std::string rebooted_for_;
  bool clients_stopped_;
  MigInputs inputs_;
  MigOrders orders_;
  Phase phase_ = Phase::kSettled;
  std::optional<Target> target_;      // of the attempt in progress, or the last one
  std::uint64_t looked_at_gpus_ = 0;  // MigInputs::gpus of the last look
  bool change_failed_ = false;        // the last attempt failed after it had begun to change
  bool cleared_ = false;              // nobody can begin to use what is withheld
  std::optional<Clock::TimePoint> deadline_;  // of the phase
  std::optional<Clock::TimePoint> grace_until_;
  std::optional<Clock::TimePoint> retry_at_;
  Outcome outcome_;        // to be shown once the host has its clients back
  unsigned failures_ = 0;  // in a row, for the same target
};

}  // namespace aliquot::agent
