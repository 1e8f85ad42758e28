// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "sim/cuda/device_clock.h"

namespace aliquot::sim::cuda {

// What NVIDIA's driver 580 showed on an H200 when contexts of several processes were backlogged:
// turns of about 2 ms, and a loss per change of context that makes 1.6 ms bursts of two processes
// add up to 92.8 % of what one gets alone.
inline constexpr DeviceTime kTurn = 2'000'000;
inline constexpr DeviceTime kSwitchCost = 125'000;
// Real time that a holder may overrun its turn before somebody else ends it. A process that is
// stopped or starved keeps the GPU no longer than this.
inline constexpr std::int64_t kOverrunWall = 50'000'000;
inline constexpr unsigned kMaxSeats = 512;
inline constexpr unsigned kMaxEngines = 256;

// A set of SMs that contexts take turns on: a whole GPU, or a compute instance of a MIG GPU.
struct EngineKey {
  std::uint32_t gpu = 0;
  std::uint32_t gi = 0xFFFFFFFF;
  std::uint32_t ci = 0xFFFFFFFF;

  friend bool operator==(const EngineKey&, const EngineKey&) = default;
};

// The owner of a seat, as its process entry in the node's state. A seat whose owner is gone is
// free, whatever it says.
struct SeatOwner {
  std::uint32_t process_slot = 0;
  std::uint32_t pid = 0;
  std::uint64_t process_serial = 0;
};

// What one seat had so far, for tests and tools.
struct SeatUse {
  SeatOwner owner;
  EngineKey engine;
  DeviceTime busy = 0;      // GPU time its kernels were resident
  std::uint64_t turns = 0;  // how often it got the GPU
  bool wanting = false;
};

// The turns of all contexts of a node, in a file mapped by every process that uses the GPUs, or in
// memory of this process alone. There is no daemon: who ends a turn gives the next one, and who
// waits in vain for a holder that died or overran takes it away. Turns are counted in simulated
// time and follow each other without gaps while several contexts want the GPU, so shares do not
// depend on how late a process woke up. Thread-safe. Nothing here blocks but Wait.
class SeatTable {
 public:
  using IsAlive = std::function<bool(const SeatOwner&)>;

  // `directory` empty: private. `scale_ppm` counts only for the first opener of a directory.
  static Result<std::unique_ptr<SeatTable>> Open(const std::string& directory,
                                                 std::uint64_t scale_ppm, IsAlive is_alive);
  ~SeatTable();
  SeatTable(const SeatTable&) = delete;
  SeatTable& operator=(const SeatTable&) = delete;

  const DeviceClock& clock() const { return clock_; }
  // Takes no lock, so it answers even while a stopped process holds it; a seat that changes hands
  // at this moment may look half one, half the other.
  std::vector<SeatUse> Uses();

 private:
  friend class Seat;
  struct Region;
  struct SeatState;
  struct EngineState;
  class Lock;
  SeatTable(Region* region, IsAlive is_alive);
  Result<unsigned> Take(const EngineKey& engine, const SeatOwner& owner);
  void Give(EngineState& engine, unsigned index, DeviceTime start);
  // Ends the running turn at `at` and gives the next; nobody wants it: the engine is free.
  void PassOn(Lock& lock, EngineState& engine, unsigned engine_index, DeviceTime at);
  bool Alive(SeatState& seat);
  static void Wake(SeatState& seat);

  Region* region_;
  IsAlive is_alive_;
  DeviceClock clock_;
};

// One context's place at an engine. Used by one thread, except Wake. Freed on destruction.
class Seat {
 public:
  struct Turn {
    DeviceTime start = 0;  // kernels may run from here; may lie ahead or behind
    DeviceTime end = 0;
  };

  // kResourceExhausted if all seats are taken. `table` must outlive the seat.
  static Result<std::unique_ptr<Seat>> Take(SeatTable& table, const EngineKey& engine,
                                            const SeatOwner& owner);
  ~Seat();
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  // Asks for the GPU, with work since `since`. Nothing: others have it; Wait and ask again.
  std::optional<Turn> Acquire(DeviceTime since);
  // At the end of a turn, with more to do: a longer turn if nobody else wants the GPU, else
  // nothing, and the wish for another turn stands.
  std::optional<Turn> Continue(DeviceTime at);
  // Nothing left to do since `at`.
  void Release(DeviceTime at);
  void AddBusy(DeviceTime amount);

  // The word that Wait watches; read it before looking whether there is something to do.
  std::uint32_t Word() const;
  // Sleeps until Wake, a turn, `until`, or (with a wish standing) the time to look after a holder
  // that overran.
  void Wait(std::uint32_t seen, DeviceTime until);
  // From any thread.
  void Wake();

 private:
  Seat(SeatTable& table, unsigned index) : table_(table), index_(index) {}

  SeatTable& table_;
  const unsigned index_;
  std::int64_t patience_wall_ = kNever;
};

}  // namespace aliquot::sim::cuda
