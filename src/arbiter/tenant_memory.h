// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arbiter/grant.h"
#include "arbiter/ledger.h"
#include "arbiter/pages.h"

namespace aliquot::arbiter {

// The memory side of one grant: a ledger per device, the processes' pages that show it, and the
// credit that processes hold in them. Not thread-safe: the server's lock is held.
class TenantMemory {
 public:
  TenantMemory(const std::vector<DeviceShare>& devices, Ledger::Settings settings);

  void SetLimits(const std::vector<DeviceShare>& devices);
  // `held`: per device, after a restart.
  void AddProcess(std::uint64_t process, std::uint32_t pid, std::shared_ptr<Pages> pages,
                  std::span<const std::uint64_t> held);
  // A session that only asks: it is told what processes are, and holds nothing. What NVML says of
  // its pid belongs to the session with which that process uses CUDA.
  void AddObserver(std::uint64_t session, std::shared_ptr<Pages> pages);
  // A process or an observer.
  void RemoveProcess(std::uint64_t process, Nanos now);

  // Takes back unused credit, the process's own first, before it refuses or asks to wait.
  Reservation Reserve(std::uint64_t process, std::uint32_t gpu, std::uint64_t bytes,
                      std::uint64_t credit, bool context);
  void CountDenied(std::uint32_t gpu) { ledgers_[gpu].CountDenied(); }
  // False if it did not hold that much.
  bool Release(std::uint64_t process, std::uint32_t gpu, std::uint64_t bytes);
  void Charge(std::uint64_t process, std::uint32_t gpu, std::uint64_t bytes);
  void Reconcile(const DeviceMemory& memory);
  void Expire(Nanos now);
  std::optional<Nanos> next_expiry() const;

  // Writes what changed to all pages.
  void Publish();

  const Ledger& ledger(std::uint32_t gpu) const { return ledgers_[gpu]; }
  std::uint32_t gpu_count() const { return static_cast<std::uint32_t>(ledgers_.size()); }
  // Sizes of contexts seen on a device since the last call.
  std::vector<std::uint64_t> TakeContextSizes(std::uint32_t gpu);

 private:
  struct Process {
    std::shared_ptr<Pages> pages;
  };
  struct Physical {
    std::uint64_t total = 0;
    std::uint64_t free = UINT64_MAX;
  };

  void ReadCredits(std::uint32_t gpu);
  void Revoke(std::uint64_t first, std::uint32_t gpu, std::uint64_t bytes);
  std::uint64_t RevokeFrom(std::uint64_t process, std::uint32_t gpu, std::uint64_t most);

  std::vector<std::string> uuids_;
  std::vector<Ledger> ledgers_;
  std::vector<Physical> physical_;
  std::map<std::uint64_t, Process> processes_;
  std::map<std::uint64_t, std::shared_ptr<Pages>> observers_;
};

}  // namespace aliquot::arbiter
