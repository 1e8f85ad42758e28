// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/scheduler.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace aliquot::arbiter {
namespace {

double Ns(Nanos time) { return static_cast<double>(time.count()); }

}  // namespace

void Scheduler::SetTenant(TenantId id, const ComputeSpec& spec) {
  auto [entry, added] = tenants_.try_emplace(id);
  Tenant& tenant = entry->second;
  tenant.spec = spec;
  tenant.spec.weight = std::max(1u, spec.weight);
  tenant.spec.whole = std::max(tenant.spec.weight, spec.whole);
  if (added) tenant.tokens = Ns(tuning_.capped_burst);
}

void Scheduler::RemoveTenant(TenantId id) {
  std::vector<ProcessId> gone;
  for (const auto& [process_id, process] : processes_) {
    if (process.tenant == id) gone.push_back(process_id);
  }
  for (const ProcessId process_id : gone) RemoveProcess(process_id);
  tenants_.erase(id);
  if (latency_ == id) latency_.reset();
  if (catch_up_ == id) catch_up_.reset();
  if (led_ == id) led_.reset();
}

void Scheduler::AddProcess(ProcessId id, TenantId tenant) {
  if (!tenants_.contains(tenant)) return;
  Process process;
  process.tenant = tenant;
  process.progress = now_;
  // Within the tenant it starts level with its most modest sibling: no credit for being new.
  bool first = true;
  for (const auto& [other_id, other] : processes_) {
    if (other.tenant != tenant) continue;
    process.service = first ? other.service : std::min(process.service, other.service);
    first = false;
  }
  processes_.insert_or_assign(id, process);
}

void Scheduler::RemoveProcess(ProcessId id) {
  processes_.erase(id);
  if (holder_ == id) Grant(std::nullopt);
}

void Scheduler::Observe(ProcessId id, const ProcessSample& sample) {
  const auto entry = processes_.find(id);
  if (entry == processes_.end()) return;
  Process& process = entry->second;
  ProcessSample checked = sample;
  // What a status page may claim is bounded: time does not run backwards, and nothing is larger
  // than a persistent kernel.
  checked.completed = std::max(checked.completed, process.sample.completed);
  checked.in_flight_estimate = std::clamp(checked.in_flight_estimate, Nanos(0), tuning_.residence);
  if (!checked.in_flight) checked.in_flight_estimate = Nanos(0);
  if (!checked.in_flight || checked.completed > process.sample.completed ||
      !process.sample.in_flight) {
    process.progress = now_;
    process.persistent = false;
  }
  process.launched |= checked.launches != process.sample.launches;
  process.sample = checked;
}

void Scheduler::Step(Nanos now) {
  if (!started_) {
    now_ = now;
    started_ = true;
  }
  const Nanos span = std::max(now - now_, Nanos(0));
  now_ = std::max(now, now_);
  Charge(Ns(span));
  Classify(span);
  RefillTokens(Ns(span));

  const int level = Level();
  ChooseLatency();
  ChooseCatchUp(level);
  ChooseTurn(level);
  SetGates(level, span);
  SetNextStep();
  for (auto& [id, process] : processes_) {
    process.was_in_flight = process.sample.in_flight;
    process.persistent = process.sample.in_flight && now_ - process.progress > tuning_.residence;
  }
}

void Scheduler::Classify(Nanos span) {
  for (auto& [id, tenant] : tenants_) {
    tenant.wants = tenant.in_flight = tenant.pauses = tenant.blocked = tenant.open = false;
    tenant.launched = false;
  }
  for (auto& [id, process] : processes_) {
    Tenant& tenant = tenants_.at(process.tenant);
    tenant.wants |= process.sample.want;
    tenant.in_flight |= process.sample.in_flight;
    tenant.pauses |= Pauses(process);
    tenant.blocked |= process.sample.blocked || process.sample.want;
    tenant.open |= process.gate.open;
    tenant.launched |= std::exchange(process.launched, false);
  }
  const double alpha = 1 - std::exp(-Ns(span) / Ns(tuning_.classify));
  const double fade = std::exp(-Ns(span) / Ns(tuning_.habit));
  for (auto& [id, process] : processes_) {
    const bool works = process.sample.want || process.sample.in_flight || Pauses(process);
    if (process.gate.open) process.duty += ((works ? 1.0 : 0.0) - process.duty) * alpha;
  }
  for (auto& [id, tenant] : tenants_) {
    if (tenant.throttled) tenant.wants = false;
    const bool works = tenant.wants || tenant.in_flight;
    tenant.rest *= fade;
    if (tenant.launched) tenant.last_launch = now_;
    if ((works || tenant.launched) && !tenant.active) Lift(tenant);
    if (works) {
      const Nanos rested = now_ - tenant.last_work - span;
      if (rested > Nanos(0)) {
        const double gap = std::min(Ns(rested), Ns(tuning_.turn));
        tenant.gap += (gap - tenant.gap) / 8;
        if (rested < tuning_.forget) tenant.rest = std::max(tenant.rest, Ns(rested));
      }
      tenant.last_work = now_;
    }
    tenant.active = Recently(tenant, tuning_.forget) || now_ - tenant.last_launch < tuning_.forget;
    // Whoever is shut out while another catches up looks as if it had work all the time.
    if (!tenant.throttled && (tenant.open || !catch_up_)) {
      const double busy = works || tenant.pauses ? 1 : 0;
      tenant.backlog += (busy - tenant.backlog) * alpha;
      tenant.backlogged = tenant.backlog >
                          (tenant.backlogged ? tuning_.backlogged_until : tuning_.backlogged_above);
    }
    const double charged = std::exchange(tenant.charged, 0.0);
    if (span > Nanos(0) && tenant.open) {
      tenant.waits += ((tenant.blocked ? 1.0 : 0.0) - tenant.waits) * alpha;
      tenant.served += (charged / Ns(span) - tenant.served) * alpha;
    }
    if (!tenant.open || Hindered(tenant) || catch_up_ == id) tenant.last_hindered = now_;
    if (tenant.active && now_ - tenant.last_hindered >= tuning_.content) Lift(tenant);
    // One that rests is what it was when it worked: a neighbour that stopped for good must not
    // look like one that will be back in a moment.
    if (works) tenant.gappy = !Backlogged(tenant);
  }
}

// Who comes back has no credit saved up beyond a moment, however long it was away; nor has one that
// could have had more and did not take it.
void Scheduler::Lift(Tenant& tenant) {
  std::optional<double> least;
  for (const auto& [id, other] : tenants_) {
    if (&other == &tenant || !other.active || other.spec.mode == ComputeMode::kOff) continue;
    if (other.spec.tenant_class == TenantClass::kBestEffort &&
        tenant.spec.tenant_class != TenantClass::kBestEffort) {
      continue;
    }
    least = std::min(least.value_or(other.v), other.v);
  }
  if (least) tenant.v = std::max(tenant.v, *least - Ns(tuning_.lag) / tenant.spec.weight);
}

void Scheduler::RefillTokens(double span_ns) {
  const double burst = Ns(tuning_.capped_burst);
  for (auto& [id, tenant] : tenants_) {
    if (tenant.spec.mode != ComputeMode::kCapped) {
      tenant.throttled = false;
      continue;
    }
    tenant.tokens = std::min(burst, tenant.tokens + span_ns * Rate(tenant));
    // Opening for less than this would only cost context switches.
    tenant.throttled = tenant.tokens <= (tenant.throttled ? burst / 10 : 0.0);
  }
}

bool Scheduler::Pauses(const Process& process) const {
  return process.sample.rested > Nanos(0) && process.sample.rested < tuning_.bridge;
}

bool Scheduler::Hindered(const Tenant& tenant) const {
  return Backlogged(tenant) || tenant.waits > tuning_.hindered_above * tenant.served + 0.02;
}

bool Scheduler::AtWork(const Tenant& tenant) const {
  return tenant.wants || tenant.in_flight || Recently(tenant, tuning_.grace) ||
         now_ - tenant.last_launch < tuning_.grace;
}

bool Scheduler::Expected(const Tenant& tenant) const {
  if (tenant.wants || tenant.in_flight) return true;
  return tenant.gap < Ns(tuning_.grace) && Recently(tenant, tuning_.grace);
}

double Scheduler::Rate(const Tenant& tenant) const {
  return static_cast<double>(tenant.spec.weight) / tenant.spec.whole;
}

Gate Scheduler::GateOf(ProcessId id) const {
  const auto entry = processes_.find(id);
  return entry == processes_.end() ? Gate{} : entry->second.gate;
}

ComputeUse Scheduler::UseOf(TenantId id) const {
  const auto entry = tenants_.find(id);
  return entry == tenants_.end() ? ComputeUse{} : entry->second.use;
}

bool Scheduler::Active(TenantId id) const {
  const auto entry = tenants_.find(id);
  return entry != tenants_.end() && entry->second.active;
}

std::optional<Scheduler::TenantId> Scheduler::turn() const {
  if (!holder_) return std::nullopt;
  return processes_.at(*holder_).tenant;
}

void Scheduler::SetFollows(TenantId id, bool follows) {
  const auto entry = tenants_.find(id);
  if (entry != tenants_.end()) entry->second.follows = follows;
}

bool Scheduler::TakesTurnsHere(TenantId id) const {
  const auto entry = tenants_.find(id);
  return turns_ && entry != tenants_.end() && Backlogged(entry->second);
}

void Scheduler::SetGates(int level, Nanos span) {
  std::map<TenantId, bool> open_now;
  std::set<TenantId> counted;
  for (auto& [id, process] : processes_) {
    Tenant& tenant = tenants_.at(process.tenant);
    if (process.sample.want || process.sample.in_flight)
      open_now[process.tenant] |= process.gate.open;
    if (process.gate.cap > Nanos(0)) counted.insert(process.tenant);
    // A request shall be known of when it begins, not when somebody next looks.
    const bool rings = tenant.spec.tenant_class == TenantClass::kLatency && !AtWork(tenant);
    process.gate = {Open(id, process, level), rings || !tenant.active, CapOf(process)};
  }
  for (const TenantId id : counted) tenants_.at(id).use.counted += span;
  for (const auto& [id, open] : open_now) {
    Tenant& tenant = tenants_.at(id);
    (open ? tenant.use.granted : tenant.use.waited) += span;
  }
}

// It rests, but no longer than it is used to: room has to be kept for it. Beyond that it has most
// likely stopped, and its neighbours may as well have their full depth again.
bool Scheduler::MayReturn(const Tenant& tenant) const {
  const Nanos habit(static_cast<std::int64_t>(tuning_.recent_rests * tenant.rest));
  return Recently(tenant, std::clamp(habit, tuning_.recent_least, tuning_.recent));
}

Nanos Scheduler::CapOf(const Process& process) const {
  const Tenant& own = tenants_.at(process.tenant);
  if (own.spec.mode == ComputeMode::kOff) return Nanos(0);
  bool shared = false, recent = false, gappy = false, latency = false;
  for (const auto& [id, process_of] : processes_) {
    if (process_of.tenant == process.tenant) continue;
    const Tenant& other = tenants_.at(process_of.tenant);
    shared = true;
    latency |= other.spec.tenant_class == TenantClass::kLatency;
    if (!MayReturn(other)) continue;
    recent = true;
    gappy |= other.gappy && other.spec.tenant_class != TenantClass::kBestEffort;
  }
  const bool capped = own.spec.mode == ComputeMode::kCapped;
  if (!shared) return capped ? tuning_.cap_shared : Nanos(0);
  const bool first = own.spec.tenant_class == TenantClass::kLatency;
  Nanos cap = recent || capped ? tuning_.cap_shared : tuning_.cap_alone;
  if (!first && gappy) cap = tuning_.cap_gappy;
  if (!first && (latency || own.spec.tenant_class == TenantClass::kBestEffort)) {
    cap = std::min(cap, tuning_.cap_latency);
  }
  return cap;
}

void Scheduler::SetNextStep() {
  next_step_.reset();
  int active = 0;
  bool capped = false;
  for (const auto& [id, tenant] : tenants_) {
    if (!tenant.active && !tenant.throttled) continue;
    ++active;
    capped |= tenant.spec.mode == ComputeMode::kCapped;
  }
  if (active == 0) return;
  Nanos wait = tuning_.poll_alone;
  if (active > 1 || capped) {
    // Jitter, so that sampling never falls into step with a loop of the same period.
    jitter_ = jitter_ * 6364136223846793005u + 1442695040888963407u;
    const double factor = 0.75 + 0.5 * static_cast<double>(jitter_ >> 40) / (1 << 24);
    wait = Nanos(static_cast<std::int64_t>(Ns(tuning_.poll_busy) * factor));
    if (holder_ && !closing_) {
      const Nanos left = turn_start_ + TurnOf(*holder_) - now_;
      if (left > Nanos(0)) wait = std::min(wait, std::max(left, tuning_.poll_hand_over));
    }
  }
  if (closing_ || holder_idle_ || catch_up_ || (active > 1 && latency_)) {
    wait = tuning_.poll_hand_over;
  }
  next_step_ = now_ + wait;
}

}  // namespace aliquot::arbiter
