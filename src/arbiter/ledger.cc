// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/ledger.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace aliquot::arbiter {
namespace {

// Claims come from outside: sums of them stop at this, far above any memory there is.
constexpr std::uint64_t kMost = std::uint64_t{1} << 60;

std::uint64_t Sum(std::uint64_t a, std::uint64_t b) {
  return std::min(kMost, std::min(kMost, a) + std::min(kMost, b));
}

std::uint64_t Less(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

}  // namespace

void Ledger::AddProcess(ProcessId id, std::uint32_t pid, std::uint64_t held) {
  Process process;
  process.pid = pid;
  process.held = std::min(held, kMost);
  process.least_used = process.most_used = process.held;
  // A process that lost its session and came back says itself what it holds.
  std::erase_if(debts_, [pid](const Debt& debt) { return debt.pid == pid; });
  processes_.insert_or_assign(id, process);
  NotePeak();
}

void Ledger::RemoveProcess(ProcessId id, Nanos now) {
  const auto entry = processes_.find(id);
  if (entry == processes_.end()) return;
  const std::uint64_t bytes = Less(ChargedTo(entry->second), entry->second.credit);
  if (bytes > 0) debts_.push_back({entry->second.pid, bytes, now});
  processes_.erase(entry);
}

Reservation Ledger::Reserve(ProcessId id, std::uint64_t bytes, std::uint64_t credit, bool context) {
  const auto entry = processes_.find(id);
  if (entry == processes_.end()) return {};
  Process& process = entry->second;
  Reservation answer;
  const std::uint64_t before = charged();
  if (limit_ != 0 && Sum(before, bytes) > limit_) {
    answer.shortfall = Sum(before, bytes) - limit_;
    // Its own credit too: it is told that this is free.
    if (bytes <= limit_ && Credit() >= answer.shortfall) {
      answer.outcome = Reservation::Outcome::kRevoke;
    } else if (bytes <= limit_ && Sum(debts(), Credit()) >= answer.shortfall) {
      answer.outcome = Reservation::Outcome::kWait;
    }
    return answer;
  }
  answer.outcome = Reservation::Outcome::kGranted;
  answer.bytes = bytes;
  process.held = Sum(process.held, bytes);
  if (context) process.context = Sum(process.context, bytes);
  const std::uint64_t room = Less(credit_target(), process.credit);
  answer.credit = std::min(credit, room);
  process.held = Sum(process.held, answer.credit);
  process.credit = Sum(process.credit, answer.credit);
  NoteUse(process);
  NotePeak();
  return answer;
}

bool Ledger::Release(ProcessId id, std::uint64_t bytes) {
  const auto entry = processes_.find(id);
  if (entry == processes_.end()) return false;
  Process& process = entry->second;
  const bool honest = bytes <= process.held;
  process.held = Less(process.held, bytes);
  process.credit = std::min(process.credit, process.held);
  process.context = std::min(process.context, process.held);
  NoteUse(process);
  return honest;
}

void Ledger::Charge(ProcessId id, std::uint64_t bytes) {
  const auto entry = processes_.find(id);
  if (entry == processes_.end()) return;
  entry->second.held = Sum(entry->second.held, bytes);
  NoteUse(entry->second);
  NotePeak();
}

void Ledger::SetCredit(ProcessId id, std::uint64_t credit) {
  const auto entry = processes_.find(id);
  if (entry == processes_.end()) return;
  entry->second.credit = std::min(credit, entry->second.held);
  NoteUse(entry->second);
}

void Ledger::NoteUse(Process& process) {
  process.least_used = std::min(process.least_used, Used(process));
  process.most_used = std::max(process.most_used, Used(process));
}

// NVML looked at some moment since the last sample, so what it saw beyond the process's own figure
// lies between two bounds. Only what is beyond doubt changes anything.
void Ledger::ReconcileProcess(Process& process, std::uint64_t nvml, Nanos taken) {
  if (process.context != process.context_seen) {
    process.context_seen = process.context;
    process.context_since = taken;
  }
  const bool starting =
      process.context > 0 && taken - process.context_since < settings_.context_start;
  const auto seen = static_cast<std::int64_t>(std::min(nvml, kMost));
  const std::int64_t floor = -static_cast<std::int64_t>(process.context);
  const std::int64_t low = std::max(floor, seen - static_cast<std::int64_t>(process.most_used));
  const std::int64_t high = std::max(floor, seen - static_cast<std::int64_t>(process.least_used));
  if (process.overhead < low) {
    process.overhead = low;
    process.lower.reset();
  } else if (process.overhead > high) {
    if (process.lower && !starting) process.overhead = std::max(high, *process.lower);
    process.lower = high;
  } else {
    process.lower.reset();
  }
  // With nothing moving, what is neither used otherwise nor expected is the contexts.
  if (process.context > 0 && !process.context_settled && !starting && low == high &&
      process.overhead == low && seen > 0) {
    const std::int64_t size = static_cast<std::int64_t>(process.context) + low;
    if (size > 0) context_sizes_.push_back(static_cast<std::uint64_t>(size));
    process.context_settled = true;
  }
  process.least_used = process.most_used = Used(process);
}

void Ledger::Reconcile(const std::map<std::uint32_t, std::uint64_t>& used_by_pid, Nanos taken) {
  // A process with two copies of the interposer has two sessions, and NVML one figure for both.
  std::map<std::uint32_t, std::uint64_t> told;
  for (const auto& [id, process] : processes_) told[process.pid] += Used(process);
  for (auto& [id, process] : processes_) {
    const auto used = used_by_pid.find(process.pid);
    const std::uint64_t others = told.at(process.pid) - Used(process);
    ReconcileProcess(process, used == used_by_pid.end() ? 0 : Less(used->second, others), taken);
  }
  std::erase_if(debts_, [&](Debt& debt) {
    const auto used = used_by_pid.find(debt.pid);
    if (used != used_by_pid.end()) {
      debt.bytes = std::min(debt.bytes, used->second);
      debt.since = std::max(debt.since, taken);
      return false;
    }
    return taken > debt.since;
  });
  NotePeak();
}

void Ledger::Expire(Nanos now) {
  std::erase_if(debts_, [&](const Debt& debt) { return now - debt.since >= settings_.debt_bound; });
}

std::optional<Nanos> Ledger::next_expiry() const {
  std::optional<Nanos> next;
  for (const Debt& debt : debts_) {
    const Nanos at = debt.since + settings_.debt_bound;
    next = std::min(next.value_or(at), at);
  }
  return next;
}

std::uint64_t Ledger::ChargedTo(const Process& process) {
  if (process.overhead >= 0) {
    return Sum(process.held, static_cast<std::uint64_t>(process.overhead));
  }
  return Less(process.held, static_cast<std::uint64_t>(-process.overhead));
}

std::uint64_t Ledger::charged() const {
  std::uint64_t sum = debts();
  for (const auto& [id, process] : processes_) sum = Sum(sum, ChargedTo(process));
  return sum;
}

std::uint64_t Ledger::debts() const {
  std::uint64_t sum = 0;
  for (const Debt& debt : debts_) sum = Sum(sum, debt.bytes);
  return sum;
}

std::uint64_t Ledger::held(ProcessId id) const {
  const auto entry = processes_.find(id);
  return entry == processes_.end() ? 0 : entry->second.held;
}

std::uint64_t Ledger::used(ProcessId id) const {
  const auto entry = processes_.find(id);
  return entry == processes_.end() ? 0 : Less(ChargedTo(entry->second), entry->second.credit);
}

std::uint64_t Ledger::outside(ProcessId id) const {
  const auto entry = processes_.find(id);
  const std::uint64_t own = entry == processes_.end() ? 0 : entry->second.credit;
  return Less(charged(), Sum(held(id), Less(Credit(), own)));
}

std::uint64_t Ledger::Credit() const {
  std::uint64_t sum = 0;
  for (const auto& [id, process] : processes_) sum = Sum(sum, process.credit);
  return sum;
}

std::uint64_t Ledger::credit_target() const {
  if (limit_ == 0) return settings_.most_credit;
  const std::uint64_t target = std::min(settings_.most_credit, limit_ / 64);
  const std::uint64_t free = Less(limit_, charged());
  return free > 2 * target * std::max<std::uint64_t>(1, processes_.size()) ? target : 0;
}

std::uint64_t Ledger::offline() const {
  if (limit_ == 0) return kMost;
  return Less(limit_, charged()) / std::max<std::uint64_t>(1, processes_.size());
}

std::vector<std::uint64_t> Ledger::TakeContextSizes() { return std::exchange(context_sizes_, {}); }

void Ledger::NotePeak() { peak_ = std::max(peak_, charged()); }

}  // namespace aliquot::arbiter
