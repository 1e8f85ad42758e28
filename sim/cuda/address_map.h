// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace aliquot::sim::cuda {

struct Context;
struct Pool;

// A range of addresses that the driver knows: an allocation, a mapping, a registration.
struct Range {
  enum class Kind {
    kDevice,  // cuMemAlloc and friends
    kManaged,
    kHost,        // cuMemAllocHost, cuMemHostAlloc
    kRegistered,  // cuMemHostRegister
    kReserved,    // cuMemAddressReserve
    kMapped,      // cuMemMap, within a kReserved
    kPool,        // cuMemAllocAsync
    kImported,    // cuIpcOpenMemHandle
    kGraph,       // a graph's allocation node
  };

  Kind kind = Kind::kDevice;
  std::uintptr_t base = 0;
  std::uint64_t bytes = 0;         // as asked for
  std::uint64_t mapped_bytes = 0;  // of `block`, when it has one to itself
  std::uintptr_t block = 0;        // start of the block it lies in
  std::uint64_t block_bytes = 0;
  std::uint64_t offset = 0;  // of the block in the arena
  std::uint64_t id = 0;      // buffer id, unique in the process
  int device = 0;
  Context* context = nullptr;  // only compared and handed back, never looked into
  std::shared_ptr<Pool> pool;
  unsigned flags = 0;        // as given to the call
  std::uint64_t handle = 0;  // kMapped: the memory mapped here
  bool sync_memops = false;

  bool on_device() const { return kind != Kind::kHost && kind != Kind::kRegistered; }
  bool accessible() const { return kind != Kind::kReserved; }
};

// All ranges of the process by address. Thread-safe.
class AddressMap {
 public:
  // Gives the range a fresh id.
  void Add(Range range);
  // The range that starts at `base`, taken out. Mapped ranges lie above reserved ones; `kinds`
  // says which to look at.
  std::optional<Range> Take(std::uintptr_t base, std::initializer_list<Range::Kind> kinds);
  // The range that contains `address`; a mapping rather than the reservation around it.
  std::optional<Range> Find(std::uintptr_t address) const;
  // Whether all of [address, address + bytes) can be copied from and to: within one range, or in
  // neighbouring mappings.
  bool Covers(std::uintptr_t address, std::uint64_t bytes) const;
  // Every range of a context, taken out.
  std::vector<Range> TakeAllOf(const Context* context);
  void SetSyncMemops(std::uintptr_t address, bool on);

 private:
  mutable std::mutex mutex_;
  std::map<std::uintptr_t, Range> ranges_;  // all but reservations
  std::map<std::uintptr_t, Range> reservations_;
  std::uint64_t next_id_ = 1;
};

}  // namespace aliquot::sim::cuda
