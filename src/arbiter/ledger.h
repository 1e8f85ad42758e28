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

// Answer to a reservation.
struct Reservation {
  enum class Outcome : std::uint8_t {
    kGranted,
    kRevoke,  // `shortfall` bytes or more are held as unused credit: take it back, ask again
    kWait,    // memory of a dead process is about to return: ask again when it did or time is up
    kDenied,  // the tenant's limit
  };
  Outcome outcome = Outcome::kDenied;
  std::uint64_t bytes = 0;      // granted for the need
  std::uint64_t credit = 0;     // granted on top
  std::uint64_t shortfall = 0;  // missing, unless granted
};

// Memory of one tenant on one GPU, in bytes. A process *holds* what it was granted less what it
// released; part of that may be unused credit. What NVML sees beyond that is its overhead, and what
// a dead process held is a debt until the driver has given it back. The sum is what is charged, and
// nothing is granted that would bring it above the limit. Pure: times come from the caller. Not
// thread-safe.
class Ledger {
 public:
  using ProcessId = std::uint64_t;

  struct Settings {
    // A debt is forgiven after so long when nobody says that the memory returned.
    Nanos debt_bound = std::chrono::seconds(5);
    std::uint64_t most_credit = std::uint64_t{64} << 20;  // per process
    // A context is on its way for so long: what NVML shows of it meanwhile is not all.
    Nanos context_start = std::chrono::seconds(3);
  };

  explicit Ledger(std::uint64_t limit) : Ledger(limit, Settings()) {}
  Ledger(std::uint64_t limit, Settings settings) : limit_(limit), settings_(settings) {}

  // 0: not limited. A limit below what is charged takes nothing away; it refuses what comes.
  void SetLimit(std::uint64_t limit) { limit_ = limit; }

  // `pid` as NVML tells it. `held`: what it already holds, after a restart of ours; a fact that is
  // not refused. A known id starts anew.
  void AddProcess(ProcessId process, std::uint32_t pid, std::uint64_t held);
  // What it held becomes a debt. Unknown ids are ignored.
  void RemoveProcess(ProcessId process, Nanos now);

  // `bytes` are needed, `credit` welcome on top; `context` says that they are for a context, whose
  // true size NVML settles later. Unknown processes are denied.
  Reservation Reserve(ProcessId process, std::uint64_t bytes, std::uint64_t credit, bool context);
  // The process was told no.
  void CountDenied() { ++denied_; }
  // Bytes it holds no more. False, and everything released, if it did not hold that much.
  bool Release(ProcessId process, std::uint64_t bytes);
  // Bytes it turned out to hold already; never refused.
  void Charge(ProcessId process, std::uint64_t bytes);
  // The unused credit it claims to have; at most what it holds counts.
  void SetCredit(ProcessId process, std::uint64_t credit);

  // What NVML says each pid uses on this GPU, `taken` at that time; absent pids use nothing.
  // Overhead rises at once and falls with the second sample that says so, but not while a context
  // of the process is being made. Debts of pids that are gone are forgiven.
  void Reconcile(const std::map<std::uint32_t, std::uint64_t>& used_by_pid, Nanos taken);
  // Forgives debts that are too old.
  void Expire(Nanos now);
  // When Expire has something to do.
  std::optional<Nanos> next_expiry() const;

  std::uint64_t limit() const { return limit_; }
  std::uint64_t charged() const;
  std::uint64_t peak() const { return peak_; }
  std::uint64_t denied() const { return denied_; }  // reservations refused for the limit
  std::uint64_t debts() const;
  std::uint64_t held(ProcessId process) const;
  // Charged to the process: what it holds without unused credit, and its overhead.
  std::uint64_t used(ProcessId process) const;
  // Charged to the tenant beyond what `process` holds, others' unused credit left out.
  std::uint64_t outside(ProcessId process) const;
  // Unused credit a process may keep; 0 near the limit, where every allocation is asked for.
  std::uint64_t credit_target() const;
  // What may be taken while nobody answers, per process.
  std::uint64_t offline() const;
  // Sizes NVML found for contexts that were reserved, since the last call.
  std::vector<std::uint64_t> TakeContextSizes();

 private:
  struct Process {
    std::uint32_t pid = 0;
    std::uint64_t held = 0;
    std::uint64_t credit = 0;
    std::uint64_t context = 0;  // of held, reserved for contexts by guess
    // NVML's figure less what is used; below zero where a context took less than was guessed.
    std::int64_t overhead = 0;
    std::optional<std::int64_t> lower;  // what the former sample would have let it fall to
    // Range of `held - credit` since the last sample: NVML looked somewhere in between.
    std::uint64_t least_used = 0;
    std::uint64_t most_used = 0;
    bool context_settled = false;
    std::uint64_t context_seen = 0;  // `context` at the last sample,
    Nanos context_since{0};          // and since when it is that
  };
  struct Debt {
    std::uint32_t pid;
    std::uint64_t bytes;
    Nanos since;
  };

  static std::uint64_t ChargedTo(const Process& process);
  static std::uint64_t Used(const Process& process) { return process.held - process.credit; }
  static void NoteUse(Process& process);
  void ReconcileProcess(Process& process, std::uint64_t nvml, Nanos taken);
  void NotePeak();
  std::uint64_t Credit() const;

  std::uint64_t limit_;
  Settings settings_;
  std::map<ProcessId, Process> processes_;
  std::vector<Debt> debts_;
  std::vector<std::uint64_t> context_sizes_;
  std::uint64_t peak_ = 0;
  std::uint64_t denied_ = 0;
};

}  // namespace aliquot::arbiter
