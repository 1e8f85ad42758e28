// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Who may submit: turns among backlogged tenants, light ones as long as they do not lead, and one
// that lags alone until it caught up.
#include <algorithm>

#include "arbiter/scheduler.h"

namespace aliquot::arbiter {
namespace {

double Ns(Nanos time) { return static_cast<double>(time.count()); }

}  // namespace

bool Scheduler::Backlogged(const Tenant& tenant) const {
  return tenant.active && tenant.backlogged;
}

int Scheduler::Level() const {
  for (const auto& [id, tenant] : tenants_) {
    if (tenant.spec.tenant_class == TenantClass::kBestEffort || tenant.throttled ||
        tenant.spec.mode == ComputeMode::kOff) {
      continue;
    }
    if (AtWork(tenant)) return 0;
  }
  return 1;
}

bool Scheduler::Runs(const Tenant& tenant, int level) const {
  if (tenant.spec.mode == ComputeMode::kOff || tenant.throttled) return false;
  return level == 1 || tenant.spec.tenant_class != TenantClass::kBestEffort;
}

// Latency tenants go ahead of everybody as long as that keeps within their share: when one gets too
// far ahead it counts as normal until it no longer leads at all.
void Scheduler::ChooseLatency() {
  latency_.reset();
  for (auto& [id, tenant] : tenants_) {
    if (tenant.spec.tenant_class != TenantClass::kLatency || !Runs(tenant, 0)) continue;
    std::optional<double> least;
    for (const auto& [other_id, other] : tenants_) {
      if (other_id == id || !other.active || !Runs(other, 0)) continue;
      least = std::min(least.value_or(other.v), other.v);
    }
    const double credit = tenant.over_burst ? 0 : Ns(tuning_.latency_burst) / tenant.spec.weight;
    tenant.over_burst = least && tenant.v > *least + credit;
    if (tenant.over_burst) continue;
    // Within a request its host may need longer than usual for the next launch, and whoever gets in
    // there stays for a slice.
    if (AtWork(tenant) && (!latency_ || tenant.v < tenants_.at(*latency_).v)) latency_ = id;
  }
}

void Scheduler::ChooseCatchUp(int level) {
  const auto behind = [&](TenantId id, double by_ns) {
    const Tenant& tenant = tenants_.at(id);
    return std::any_of(tenants_.begin(), tenants_.end(), [&](const auto& entry) {
      const Tenant& other = entry.second;
      return entry.first != id && other.active && Runs(other, level) &&
             other.v > tenant.v + by_ns / tenant.spec.weight;
    });
  };
  // Nobody catches up past one that waits and lags behind it.
  const auto overtakes = [&](TenantId id) {
    const Tenant& tenant = tenants_.at(id);
    return std::any_of(tenants_.begin(), tenants_.end(), [&](const auto& entry) {
      const Tenant& other = entry.second;
      return entry.first != id && other.wants && Runs(other, level) &&
             other.v + Ns(tuning_.lead) / other.spec.weight < tenant.v;
    });
  };
  if (catch_up_) {
    const Tenant& tenant = tenants_.at(*catch_up_);
    if (!Expected(tenant) || !Runs(tenant, level) || !behind(*catch_up_, 0) ||
        overtakes(*catch_up_)) {
      catch_up_.reset();
    }
  }
  if (catch_up_) return;
  for (const auto& [id, tenant] : tenants_) {
    if (!tenant.active || (turns_ && Backlogged(tenant)) || !Runs(tenant, level)) continue;
    if (!Expected(tenant) || !Hindered(tenant)) continue;
    if (!behind(id, Ns(tuning_.lag)) || overtakes(id)) continue;
    if (!catch_up_ || tenant.v < tenants_.at(*catch_up_).v) catch_up_ = id;
  }
}

bool Scheduler::TakesTurns(const Process& process, int level) const {
  const Tenant& tenant = tenants_.at(process.tenant);
  return Backlogged(tenant) && Runs(tenant, level);
}

// Least served tenant for its weight, within it the least served process: the number of processes
// makes no difference.
bool Scheduler::Before(const Process& a, const Process& b) const {
  if (a.tenant != b.tenant) return tenants_.at(a.tenant).v < tenants_.at(b.tenant).v;
  if (Gappy(a) != Gappy(b)) return Gappy(b);  // busy ones first: the others come along
  return a.service < b.service;
}

// A tenant that is led goes before all rules, one that follows after them.
bool Scheduler::MayPick(const Process& process) const {
  if (led_) return process.tenant == *led_;
  return !tenants_.at(process.tenant).follows;
}

// The holder's turn ends early when another is led, or when it is no longer led itself.
bool Scheduler::MustYield(const Process& holder, int level) const {
  const bool led = led_ == holder.tenant;
  if (led || (!led_ && !tenants_.at(holder.tenant).follows)) return false;
  return std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
    const Process& process = entry.second;
    return process.sample.want && TakesTurns(process, level) && MayPick(process);
  });
}

std::optional<Scheduler::ProcessId> Scheduler::Pick(int level,
                                                    std::optional<ProcessId> except) const {
  // With a latency tenant about, only one process may have work left over from an earlier turn:
  // each more would take a slice of the GPU away from it.
  bool latency = false, residue = false;
  for (const auto& [id, process] : processes_) {
    latency |= tenants_.at(process.tenant).spec.tenant_class == TenantClass::kLatency;
    residue |= id != holder_ && process.sample.in_flight && !process.persistent &&
               TakesTurns(process, level);
  }
  std::optional<ProcessId> best;
  bool best_first = false;
  for (const auto& [id, process] : processes_) {
    if (id == except || (except && InTurn(id, process)) || !process.sample.want ||
        !TakesTurns(process, level))
      continue;
    if (latency && residue && !process.sample.in_flight) continue;
    const bool first = MayPick(process);
    const bool better =
        !best || (first != best_first ? first : Before(process, processes_.at(*best)));
    if (!better) continue;
    best = id;
    best_first = first;
  }
  return best;
}

void Scheduler::Grant(std::optional<ProcessId> process) {
  holder_ = process;
  turn_start_ = now_;
  closing_.reset();
  holder_idle_.reset();
}

Nanos Scheduler::TurnOf(ProcessId process) const {
  const Nanos quantum = tenants_.at(processes_.at(process).tenant).spec.quantum;
  return quantum > Nanos(0) ? quantum : tuning_.turn;
}

// A turn belongs to one busy process, since switching between two costs time; siblings that leave
// the GPU idle in between have it together with that one, or they would waste their tenant's turn.
bool Scheduler::InTurn(ProcessId id, const Process& process) const {
  if (!holder_) return false;
  return id == holder_ || (process.tenant == processes_.at(*holder_).tenant && Gappy(process));
}

bool Scheduler::Gappy(const Process& process) const { return process.duty < tuning_.gappy_below; }

bool Scheduler::TurnDrained() const {
  const std::uint64_t tenant = processes_.at(*holder_).tenant;
  return std::all_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
    return entry.second.tenant != tenant || Drained(entry.second);
  });
}

bool Scheduler::Drained(const Process& process) const {
  return !process.sample.in_flight || process.persistent ||
         process.sample.in_flight_estimate <= tuning_.early_grant ||
         now_ - *closing_ > tuning_.drain;
}

void Scheduler::ChooseTurn(int level) {
  int tenants = 0, backlogged = 0;
  bool latency = false;
  for (const auto& [id, tenant] : tenants_) tenants += tenant.active && Runs(tenant, level) ? 1 : 0;
  for (const auto& [id, process] : processes_) {
    latency |= tenants_.at(process.tenant).spec.tenant_class == TenantClass::kLatency;
    // A holder that pauses keeps its turn for a while: see below.
    const bool works = process.sample.want || process.sample.in_flight || id == holder_;
    backlogged += works && TakesTurns(process, level) ? 1 : 0;
  }
  // A latency tenant that rests shall find one process at work when it comes back, not all.
  turns_ = (tenants > 1 || latency) && backlogged > 1;
  if (!turns_ || (holder_ && !TakesTurns(processes_.at(*holder_), level))) Grant(std::nullopt);
  if (!turns_) return;
  if (!holder_) {
    Grant(Pick(level, std::nullopt));
    return;
  }
  const Process& holder = processes_.at(*holder_);
  if (closing_) {
    if (TurnDrained()) Grant(Pick(level, std::nullopt));
    return;
  }
  const bool works = std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
    return InTurn(entry.first, entry.second) &&
           (entry.second.sample.want || entry.second.sample.in_flight);
  });
  if (works) {
    holder_idle_.reset();
  } else if (!holder_idle_) {
    holder_idle_ = now_;
  }
  const std::optional<ProcessId> next = Pick(level, holder_);
  if (!next) return;
  // Between processes of one tenant nothing is lost to others by a turn that ends too soon.
  const Nanos grace = processes_.at(*next).tenant == holder.tenant ? tuning_.bridge : tuning_.grace;
  const bool gone = (holder_idle_ && now_ - *holder_idle_ >= grace) || MustYield(holder, level);
  if (led_ == holder.tenant && !holder_idle_) return;
  if (!gone && now_ - turn_start_ < TurnOf(*holder_)) return;
  if (!gone && Before(holder, processes_.at(*next))) {
    turn_start_ = now_;  // still the least served: on it goes
  } else {
    closing_ = now_;
    if (TurnDrained()) Grant(next);
  }
}

bool Scheduler::Leads(TenantId id, int level) const {
  const Tenant& tenant = tenants_.at(id);
  const double lead = Ns(tuning_.lead) / tenant.spec.weight;
  return std::any_of(tenants_.begin(), tenants_.end(), [&](const auto& entry) {
    const Tenant& other = entry.second;
    return entry.first != id && other.active && other.wants && Runs(other, level) &&
           tenant.v > other.v + lead;
  });
}

bool Scheduler::Open(ProcessId id, const Process& process, int level) const {
  const Tenant& tenant = tenants_.at(process.tenant);
  if (tenant.spec.mode == ComputeMode::kOff) return true;
  if (!Runs(tenant, level)) return false;
  const bool first = tenant.spec.tenant_class == TenantClass::kLatency && !tenant.over_burst;
  if (latency_) return first;
  if (catch_up_) return process.tenant == *catch_up_;
  if (turns_ && TakesTurns(process, level)) return InTurn(id, process) && !closing_;
  return !Leads(process.tenant, level);
}

}  // namespace aliquot::arbiter
