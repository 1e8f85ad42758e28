// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/tenant_memory.h"

#include <algorithm>
#include <utility>

namespace aliquot::arbiter {

TenantMemory::TenantMemory(const std::vector<DeviceShare>& devices, Ledger::Settings settings) {
  for (const DeviceShare& device : devices) {
    uuids_.push_back(device.uuid);
    ledgers_.emplace_back(device.memory_limit, settings);
    physical_.emplace_back();
  }
}

void TenantMemory::SetLimits(const std::vector<DeviceShare>& devices) {
  for (std::size_t i = 0; i < ledgers_.size() && i < devices.size(); ++i) {
    ledgers_[i].SetLimit(devices[i].memory_limit);
  }
}

void TenantMemory::AddProcess(std::uint64_t process, std::uint32_t pid,
                              std::shared_ptr<Pages> pages, std::span<const std::uint64_t> held) {
  for (std::size_t i = 0; i < ledgers_.size(); ++i) {
    ledgers_[i].AddProcess(process, pid, i < held.size() ? held[i] : 0);
  }
  processes_[process] = {std::move(pages)};
}

void TenantMemory::AddObserver(std::uint64_t session, std::shared_ptr<Pages> pages) {
  observers_[session] = std::move(pages);
}

void TenantMemory::RemoveProcess(std::uint64_t process, Nanos now) {
  for (std::uint32_t gpu = 0; gpu < ledgers_.size(); ++gpu) {
    ReadCredits(gpu);
    ledgers_[gpu].RemoveProcess(process, now);
  }
  processes_.erase(process);
  observers_.erase(process);
}

void TenantMemory::ReadCredits(std::uint32_t gpu) {
  for (const auto& [id, process] : processes_) {
    ledgers_[gpu].SetCredit(id, process.pages->Credit(gpu));
  }
}

void TenantMemory::Revoke(std::uint64_t first, std::uint32_t gpu, std::uint64_t bytes) {
  bytes -= RevokeFrom(first, gpu, bytes);
  for (const auto& [id, process] : processes_) {
    if (bytes != 0) bytes -= RevokeFrom(id, gpu, bytes);
  }
}

std::uint64_t TenantMemory::RevokeFrom(std::uint64_t id, std::uint32_t gpu, std::uint64_t most) {
  const auto process = processes_.find(id);
  if (process == processes_.end()) return 0;
  Ledger& ledger = ledgers_[gpu];
  Pages& pages = *process->second.pages;
  // A page may claim more credit than the process ever got: only what it holds can be taken.
  const std::uint64_t taken = pages.TakeCredit(gpu, std::min(most, ledger.held(id)));
  ledger.SetCredit(id, pages.Credit(gpu));
  ledger.Release(id, taken);
  return taken;
}

Reservation TenantMemory::Reserve(std::uint64_t process, std::uint32_t gpu, std::uint64_t bytes,
                                  std::uint64_t credit, bool context) {
  ReadCredits(gpu);
  Reservation answer = ledgers_[gpu].Reserve(process, bytes, credit, context);
  // A process may use its credit up while we ask for it, so a second look may find less.
  for (int i = 0; i < 4 && answer.outcome == Reservation::Outcome::kRevoke; ++i) {
    Revoke(process, gpu, answer.shortfall);
    answer = ledgers_[gpu].Reserve(process, bytes, credit, context);
  }
  if (answer.outcome == Reservation::Outcome::kRevoke) {
    answer.outcome = Reservation::Outcome::kWait;
  }
  return answer;
}

bool TenantMemory::Release(std::uint64_t process, std::uint32_t gpu, std::uint64_t bytes) {
  return ledgers_[gpu].Release(process, bytes);
}

void TenantMemory::Charge(std::uint64_t process, std::uint32_t gpu, std::uint64_t bytes) {
  ledgers_[gpu].Charge(process, bytes);
}

void TenantMemory::Reconcile(const DeviceMemory& memory) {
  for (std::uint32_t gpu = 0; gpu < ledgers_.size(); ++gpu) {
    if (uuids_[gpu] != memory.uuid) continue;
    physical_[gpu] = {memory.total, memory.free};
    ReadCredits(gpu);
    ledgers_[gpu].Reconcile(memory.used_by_pid, memory.taken);
  }
}

void TenantMemory::Expire(Nanos now) {
  for (Ledger& ledger : ledgers_) ledger.Expire(now);
}

std::optional<Nanos> TenantMemory::next_expiry() const {
  std::optional<Nanos> next;
  for (const Ledger& ledger : ledgers_) {
    const std::optional<Nanos> at = ledger.next_expiry();
    if (at) next = std::min(next.value_or(*at), *at);
  }
  return next;
}

void TenantMemory::Publish() {
  for (std::uint32_t gpu = 0; gpu < ledgers_.size(); ++gpu) {
    const Ledger& ledger = ledgers_[gpu];
    MemorySnapshot snapshot;
    snapshot.limit = ledger.limit();
    snapshot.physical_free = physical_[gpu].free;
    snapshot.physical_total = physical_[gpu].total;
    snapshot.credit_target = ledger.credit_target();
    snapshot.offline = ledger.offline();
    snapshot.process_count = static_cast<std::uint32_t>(processes_.size());
    for (const auto& [id, process] : processes_) {
      snapshot.outside = ledger.outside(id);
      snapshot.held = ledger.held(id);
      process.pages->SetMemory(gpu, snapshot);
    }
    for (const auto& [id, pages] : observers_) {
      snapshot.outside = ledger.outside(id);
      snapshot.held = 0;
      pages->SetMemory(gpu, snapshot);
    }
  }
}

std::vector<std::uint64_t> TenantMemory::TakeContextSizes(std::uint32_t gpu) {
  return ledgers_[gpu].TakeContextSizes();
}

}  // namespace aliquot::arbiter
