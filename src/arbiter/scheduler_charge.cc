// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Who is charged for the time that passed. The sum of all charges is the time the GPU was busy: one
// process alone pays all of it whatever it claims, and where several overlap their own estimates
// only decide how that time is divided.
#include <algorithm>
#include <cmath>
#include <limits>

#include "arbiter/scheduler.h"

namespace aliquot::arbiter {
namespace {

double Ns(Nanos time) { return static_cast<double>(time.count()); }

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

}  // namespace

// Work that was submitted and not charged yet, finished or not, ns.
double Scheduler::Chargeable(const Process& process) const {
  return Ns(process.sample.completed) + Ns(process.sample.in_flight_estimate) - process.accounted;
}

// In flight for longer than sharing the GPU explains: its estimate must be wrong.
bool Scheduler::Overdue(const Process& process, int contexts) const {
  if (!process.sample.in_flight) return false;
  const double slice = Ns(tuning_.slice);
  const double slices = 1 + std::ceil(Ns(process.sample.in_flight_estimate) / slice);
  return Ns(now_ - process.progress) > slice * (1 + slices * contexts * 1.1);
}

void Scheduler::ChargeTo(Process& process, double span_ns) {
  if (span_ns <= 0) return;
  Tenant& tenant = tenants_.at(process.tenant);
  process.service += span_ns;
  process.accounted += span_ns;
  tenant.v += span_ns / tenant.spec.weight;
  tenant.tokens -= span_ns;
  tenant.charged += span_ns;
  tenant.use.used += Nanos(static_cast<std::int64_t>(span_ns));
}

// Divides `span_ns` equally, nobody getting more than its limit; returns what is left over.
double Scheduler::Divide(std::vector<Claim>& claims, double span_ns) {
  std::sort(claims.begin(), claims.end(),
            [](const Claim& a, const Claim& b) { return a.limit_ns < b.limit_ns; });
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const double equal = span_ns / static_cast<double>(claims.size() - i);
    const double part = std::min(claims[i].limit_ns, equal);
    ChargeTo(*claims[i].process, part);
    span_ns -= std::max(part, 0.0);
  }
  return span_ns;
}

void Scheduler::Charge(double span_ns) {
  std::vector<Process*> busy;
  for (auto& [id, process] : processes_) {
    if (process.was_in_flight || process.sample.in_flight || Chargeable(process) > 0) {
      busy.push_back(&process);
    }
  }
  double idle = span_ns;
  if (busy.size() == 1) {
    Process& process = *busy.front();
    const bool throughout = process.was_in_flight && process.sample.in_flight;
    const double used = throughout ? span_ns : std::min(span_ns, Chargeable(process));
    ChargeTo(process, used);
    idle -= std::max(used, 0.0);
  } else if (!busy.empty()) {
    ChargeOverlap(busy, span_ns);
    idle = 0;
  }
  // What the GPU was kept idle for one tenant is that tenant's time.
  if (const auto kept_for = latency_ ? latency_ : catch_up_) {
    Tenant& tenant = tenants_.at(*kept_for);
    tenant.v += idle / tenant.spec.weight;
    tenant.tokens -= idle;
  }
  const bool alone = busy.size() <= 1;
  for (auto& [id, process] : processes_) {
    const double done = Ns(process.sample.completed);
    const double all = done + Ns(process.sample.in_flight_estimate);
    const double least = alone ? done : done - Ns(tuning_.turn);
    process.accounted = std::clamp(process.accounted, std::min(least, all), all);
  }
}

void Scheduler::ChargeOverlap(const std::vector<Process*>& busy, double span_ns) {
  // What has completed was certainly executed.
  std::vector<Claim> claims;
  for (Process* process : busy) {
    const double done = Ns(process->sample.completed) - process->accounted;
    if (done > 0) claims.push_back({process, done});
  }
  double left = Divide(claims, span_ns);
  // What is in flight may have been, up to its estimate as long as that can be true.
  claims.clear();
  const int contexts = static_cast<int>(busy.size());
  for (Process* process : busy) {
    if (!process->sample.in_flight) continue;
    const double limit = Overdue(*process, contexts) ? kNoLimit : Chargeable(*process);
    if (limit > 0) claims.push_back({process, limit});
  }
  left = Divide(claims, left);
  // The GPU was busy with somebody who underestimated; who, nobody knows.
  claims.clear();
  for (Process* process : busy) {
    if (process->was_in_flight && process->sample.in_flight) claims.push_back({process, kNoLimit});
  }
  Divide(claims, left);
}

}  // namespace aliquot::arbiter
