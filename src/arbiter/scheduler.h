// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace aliquot::arbiter {

using Nanos = std::chrono::nanoseconds;

enum class TenantClass : std::uint8_t {
  kNormal,
  kLatency,     // admitted at once while it keeps within its share
  kBestEffort,  // only what nobody else wants
};

enum class ComputeMode : std::uint8_t {
  kFair,    // at least the share, and what others leave
  kCapped,  // never more than weight / whole of the GPU, idle or not
  kOff,     // never held back
};

struct ComputeSpec {
  std::uint32_t weight = 1;  // replicas held; at least 1
  std::uint32_t whole = 1;   // replicas the GPU has; only kCapped needs it
  TenantClass tenant_class = TenantClass::kNormal;
  ComputeMode mode = ComputeMode::kFair;
  Nanos quantum{0};  // longest turn under contention; 0 = Tuning::turn

  friend bool operator==(const ComputeSpec&, const ComputeSpec&) = default;
};

// What one process says about itself on one GPU. Hints: whatever they claim, the sum of what all
// processes are charged is the time the GPU was busy, and nobody can be made to wait for ever.
struct ProcessSample {
  bool in_flight = false;       // work was submitted that has not completed
  bool want = false;            // a thread waits for its gate or its in-flight cap
  Nanos in_flight_estimate{0};  // predicted GPU time of what is in flight
  Nanos completed{0};           // GPU time of all completed work so far; only grows
  bool blocked = false;         // a thread waits for what is in flight, or wants
  // How long ago it had waited for everything and began nothing since; 0: it has, or unknown.
  Nanos rested{0};
  std::uint64_t launches = 0;  // pieces of work submitted so far: any change means that it works
};

struct Gate {
  bool open = true;
  // The process shall ring when it next has work: nobody looks at its status page meanwhile.
  bool ring = true;
  // GPU time the process may have in flight, or two pieces of up to a third more; one larger than
  // that goes alone. 0 = no cap.
  Nanos cap{0};

  friend bool operator==(const Gate&, const Gate&) = default;
};

// Constants of the algorithm; docs/arbiter.md says where each comes from.
struct Tuning {
  Nanos turn = std::chrono::milliseconds(5);
  Nanos lead = std::chrono::milliseconds(3);
  Nanos lag = std::chrono::microseconds(1500);
  Nanos grace = std::chrono::microseconds(300);
  Nanos bridge = std::chrono::microseconds(50);  // shorter rests are not worth a switch
  Nanos drain = std::chrono::milliseconds(20);
  Nanos early_grant = std::chrono::microseconds(80);
  Nanos cap_alone = std::chrono::milliseconds(4);
  Nanos cap_shared = std::chrono::milliseconds(1);
  Nanos cap_gappy = std::chrono::microseconds(400);
  Nanos cap_latency = std::chrono::microseconds(500);
  Nanos latency_burst = std::chrono::milliseconds(50);
  Nanos capped_burst = std::chrono::milliseconds(5);
  Nanos forget = std::chrono::milliseconds(50);       // idle for so long = no longer active
  Nanos content = std::chrono::milliseconds(20);      // not held up for so long = no claim
  Nanos recent = std::chrono::milliseconds(100);      // caps remember others for at most so long,
  Nanos recent_least = std::chrono::milliseconds(8);  // and for at least so long,
  int recent_rests = 4;                               // and for so many of their longest rests
  Nanos habit = std::chrono::seconds(1);              // time constant of what their longest rest is
  Nanos residence = std::chrono::seconds(1);          // in flight for so long = persistent kernel
  Nanos slice = std::chrono::microseconds(2048);      // the hardware's time slice
  Nanos classify = std::chrono::milliseconds(10);     // time constant of "backlogged"
  double backlogged_above = 0.97;
  double backlogged_until = 0.93;  // who was, stays so down to this: samples scatter
  double gappy_below = 0.9;        // processes, among siblings
  // Held up by others: threads wait for longer than by so much of what the tenant is charged.
  double hindered_above = 1.3;
  Nanos poll_busy = std::chrono::microseconds(200);
  Nanos poll_hand_over = std::chrono::microseconds(30);
  Nanos poll_alone = std::chrono::milliseconds(10);
};

// What a tenant or a process got so far, for metrics.
struct ComputeUse {
  Nanos used{0};     // GPU time charged
  Nanos granted{0};  // time its gate was open while it had work
  Nanos waited{0};   // time it had work and its gate was closed
  Nanos counted{0};  // time in which its processes had to tell of their work: a cap was on
};

// Divides the time of one GPU among tenants by weight, whatever their number of processes or kernel
// lengths, without wasting time nobody uses. Pure: no clock, no threads; times are on any monotonic
// scale that the caller keeps to. Not thread-safe.
//
// Call Observe for every process that may have changed (those told to ring have not until they do),
// then Step, then bring the gates into force and come back at next_step, or when a process rings.
class Scheduler {
 public:
  using TenantId = std::uint64_t;
  using ProcessId = std::uint64_t;

  explicit Scheduler(Tuning tuning = {}) : tuning_(tuning) {}

  // Adds a tenant or changes its spec; what it used stays.
  void SetTenant(TenantId tenant, const ComputeSpec& spec);
  // Forgets the tenant and its processes. Unknown ids are ignored.
  void RemoveTenant(TenantId tenant);
  // The tenant must exist. Process ids are unique over all tenants.
  void AddProcess(ProcessId process, TenantId tenant);
  // A process that died, whatever it held. Unknown ids are ignored.
  void RemoveProcess(ProcessId process);

  // The newest sample of a process. Unknown ids are ignored.
  void Observe(ProcessId process, const ProcessSample& sample);
  // Charges the time since the last Step and decides anew. Time never goes backwards.
  void Step(Nanos now);

  // In force until the next Step. An unknown process is told to go ahead.
  Gate GateOf(ProcessId process) const;
  // When to Step again though nobody rings; none = when somebody does.
  std::optional<Nanos> next_step() const { return next_step_; }

  // For tenants of several GPUs, whose turns begin together on all of them: see AlignTurns. A
  // tenant that follows here gets a turn when it is led, or when nobody else wants one. `led` is
  // the tenant to have the turn now, as soon as what runs has drained; none = by the rules.
  void SetFollows(TenantId tenant, bool follows);
  void Lead(std::optional<TenantId> tenant) { led_ = tenant; }
  std::optional<TenantId> led() const { return led_; }
  // Whether the tenant is one of several that take turns here.
  bool TakesTurnsHere(TenantId tenant) const;

  ComputeUse UseOf(TenantId tenant) const;
  // Has work, or had within Tuning::forget.
  bool Active(TenantId tenant) const;
  // The tenant whose turn it is, among backlogged ones; none without contention.
  std::optional<TenantId> turn() const;

 private:
  struct Tenant {
    ComputeSpec spec;
    double v = 0;             // service / weight, ns
    double backlog = 0;       // moving share of time with work in flight or waiting
    bool backlogged = false;  // that was high, and is not yet low
    double tokens = 0;        // kCapped: ns it may still use
    bool throttled = false;   // kCapped: used up its tokens
    bool over_burst = false;  // kLatency: too far ahead, counts as normal
    bool follows = false;     // takes its turns when led
    bool active = false;
    bool wants = false;  // by the newest samples of its processes
    bool in_flight = false;
    bool pauses = false;  // has no work, for less than Tuning::bridge
    bool blocked = false;
    bool open = false;   // the gate of one of its processes
    double waits = 0;    // moving share of time with a thread blocked
    double served = 0;   // moving share of time that was charged
    double charged = 0;  // since the last Step, ns
    Nanos last_hindered{0};
    Nanos last_work = -std::chrono::hours(24);
    bool launched = false;  // since the last Step
    Nanos last_launch = -std::chrono::hours(24);
    double gap = 0;     // moving mean of how long it rests between two works, ns
    double rest = 0;    // the longest of its recent rests that were not absences, ns
    bool gappy = true;  // not backlogged when it last worked
    ComputeUse use;
  };
  struct Process {
    TenantId tenant = 0;
    ProcessSample sample;
    bool launched = false;       // since the last Step
    bool was_in_flight = false;  // at the last Step
    double duty = 1;             // moving share of its open time with work in flight or waiting
    double service = 0;          // charged, ns
    double accounted = 0;        // up to where sample.completed plus in flight was charged, ns
    Nanos progress{0};           // when something last completed or nothing was in flight
    bool persistent = false;     // in flight for longer than anybody waits
    Gate gate;
  };
  struct Claim {
    Process* process;
    double limit_ns;
  };

  // scheduler_charge.cc
  void Charge(double span_ns);
  void ChargeOverlap(const std::vector<Process*>& busy, double span_ns);
  double Divide(std::vector<Claim>& claims, double span_ns);
  void ChargeTo(Process& process, double span_ns);
  double Chargeable(const Process& process) const;
  bool Overdue(const Process& process, int contexts) const;

  void Classify(Nanos span);
  void Lift(Tenant& tenant);
  void RefillTokens(double span_ns);
  double Rate(const Tenant& tenant) const;
  void SetGates(int level, Nanos span);
  Nanos CapOf(const Process& process) const;
  bool MayReturn(const Tenant& tenant) const;
  void SetNextStep();
  bool Recently(const Tenant& tenant, Nanos span) const { return now_ - tenant.last_work < span; }
  // It has work or launched some a moment ago: what hosts launch slowly is done before anybody
  // looks.
  bool AtWork(const Tenant& tenant) const;
  // It has work, or its next work is so near that waiting for it costs less than switching.
  bool Expected(const Tenant& tenant) const;
  bool Pauses(const Process& process) const;
  // Others take of the GPU what it could use at once: not so if its own pace is what limits it.
  bool Hindered(const Tenant& tenant) const;

  // scheduler_turns.cc. Level 0: best-effort tenants wait; 1: nobody else wants the GPU.
  int Level() const;
  bool Runs(const Tenant& tenant, int level) const;
  bool Backlogged(const Tenant& tenant) const;
  void ChooseLatency();
  void ChooseCatchUp(int level);
  void ChooseTurn(int level);
  bool TakesTurns(const Process& process, int level) const;
  std::optional<ProcessId> Pick(int level, std::optional<ProcessId> except) const;
  bool MayPick(const Process& process) const;
  bool MustYield(const Process& holder, int level) const;
  bool Before(const Process& a, const Process& b) const;
  bool Gappy(const Process& process) const;
  bool InTurn(ProcessId id, const Process& process) const;
  void Grant(std::optional<ProcessId> process);
  Nanos TurnOf(ProcessId process) const;
  bool Drained(const Process& process) const;
  bool TurnDrained() const;
  bool Leads(TenantId tenant, int level) const;
  bool Open(ProcessId id, const Process& process, int level) const;

  const Tuning tuning_;
  std::map<TenantId, Tenant> tenants_;
  std::map<ProcessId, Process> processes_;
  Nanos now_{0};
  bool started_ = false;
  std::optional<Nanos> next_step_;
  std::uint64_t jitter_ = 1;

  std::optional<TenantId> latency_;   // admitted ahead of everybody
  std::optional<TenantId> catch_up_;  // alone until it no longer lags
  std::optional<TenantId> led_;       // shall have the turn
  bool turns_ = false;                // backlogged processes take turns
  std::optional<ProcessId> holder_;   // whose turn it is
  Nanos turn_start_{0};
  std::optional<Nanos> closing_;      // the holder's gate closed then; its work drains
  std::optional<Nanos> holder_idle_;  // the holder has had no work since then
};

}  // namespace aliquot::arbiter
