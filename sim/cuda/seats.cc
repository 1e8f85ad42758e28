// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/seats.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "base/file.h"
#include "base/unique_fd.h"

namespace aliquot::sim::cuda {
namespace {

constexpr char kMagic[16] = "aliquot-seats-1";
constexpr std::uint32_t kNobody = 0xFFFFFFFF;
// How long after the end of a turn others begin to ask whether its holder is alive.
constexpr std::int64_t kGraceWall = 3'000'000;

}  // namespace

// Everything below is shared by processes that may die at any instruction. Each field is valid on
// its own: a half-done change leaves at worst a turn that its holder does not know of, which ends
// like that of a dead holder, or a wish that its owner repeats.
struct SeatTable::SeatState {
  std::atomic<std::uint32_t> used;
  std::uint32_t engine;
  SeatOwner owner;
  std::atomic<std::uint32_t> word;  // futex
  std::uint32_t wanting;
  DeviceTime since;
  std::atomic<DeviceTime> busy;
  std::atomic<std::uint64_t> turns;
};

struct SeatTable::EngineState {
  std::uint32_t used;
  EngineKey key;
  std::uint32_t holder;  // seat, or kNobody
  std::uint32_t last;    // seat that ran last
  DeviceTime turn_end;
  DeviceTime free_at;
};

struct SeatTable::Region {
  char magic[16];
  std::uint64_t scale_ppm;
  pthread_mutex_t mutex;
  EngineState engines[kMaxEngines];
  SeatState seats[kMaxSeats];
};

class SeatTable::Lock {
 public:
  explicit Lock(Region* region) : region_(region) {
    if (::pthread_mutex_lock(&region_->mutex) == EOWNERDEAD) {
      ::pthread_mutex_consistent(&region_->mutex);
    }
  }
  ~Lock() {
    ::pthread_mutex_unlock(&region_->mutex);
    // Only now: whom it wakes may run at once, and would find the mutex taken.
    if (wake_ != nullptr) Wake(*wake_);
  }
  void WakeAfter(SeatState* seat) { wake_ = seat; }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Region* region_;
  SeatState* wake_ = nullptr;
};

SeatTable::SeatTable(Region* region, IsAlive is_alive)
    : region_(region), is_alive_(std::move(is_alive)), clock_(region->scale_ppm) {}

SeatTable::~SeatTable() { ::munmap(region_, sizeof(Region)); }

Result<std::unique_ptr<SeatTable>> SeatTable::Open(const std::string& directory,
                                                   std::uint64_t scale_ppm, IsAlive is_alive) {
  const auto initialise = [&](Region* region) {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&region->mutex, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
    region->scale_ppm = scale_ppm;
    std::atomic_thread_fence(std::memory_order_release);
    std::memcpy(region->magic, kMagic, sizeof(kMagic));
  };
  if (directory.empty()) {
    void* memory =
        ::mmap(nullptr, sizeof(Region), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return ErrnoError("simulated GPU seats", errno);
    initialise(static_cast<Region*>(memory));
    return std::unique_ptr<SeatTable>(
        new SeatTable(static_cast<Region*>(memory), std::move(is_alive)));
  }
  const std::string path = directory + "/gpu-seats";
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!fd.valid()) return ErrnoError(fmt::format("simulated GPU seats: open {}", path), errno);
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoError(fmt::format("simulated GPU seats: lock {}", path), errno);
  }
  if (::ftruncate(fd.get(), sizeof(Region)) != 0) {
    return ErrnoError(fmt::format("simulated GPU seats: size {}", path), errno);
  }
  void* memory = ::mmap(nullptr, sizeof(Region), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) {
    return ErrnoError(fmt::format("simulated GPU seats: map {}", path), errno);
  }
  auto* region = static_cast<Region*>(memory);
  if (std::memcmp(region->magic, kMagic, sizeof(kMagic)) != 0) {
    std::memset(memory, 0, sizeof(Region));
    initialise(region);
  }
  // The mapping keeps the open file alive, and with it the lock.
  ::flock(fd.get(), LOCK_UN);
  return std::unique_ptr<SeatTable>(new SeatTable(region, std::move(is_alive)));
}

std::vector<SeatUse> SeatTable::Uses() {
  std::vector<SeatUse> uses;
  for (SeatState& seat : region_->seats) {
    if (seat.used.load() == 0) continue;
    uses.push_back({seat.owner, region_->engines[seat.engine].key, seat.busy.load(),
                    seat.turns.load(), seat.wanting != 0});
  }
  return uses;
}

bool SeatTable::Alive(SeatState& seat) { return seat.used.load() != 0 && is_alive_(seat.owner); }

Result<unsigned> SeatTable::Take(const EngineKey& key, const SeatOwner& owner) {
  const Lock lock(region_);
  EngineState* engine = nullptr;
  for (EngineState& candidate : region_->engines) {
    if (candidate.used != 0 && candidate.key == key) engine = &candidate;
  }
  if (engine == nullptr) {
    engine = std::find_if(std::begin(region_->engines), std::end(region_->engines),
                          [](const EngineState& e) { return e.used == 0; });
    if (engine == std::end(region_->engines)) {
      return Error{Code::kResourceExhausted, "all engines of the simulated node are in use"};
    }
    *engine = {};
    engine->key = key;
    engine->holder = kNobody;
    engine->last = kNobody;
    engine->used = 1;
  }
  for (const bool reclaim : {false, true}) {
    for (unsigned index = 0; index < kMaxSeats; ++index) {
      SeatState& seat = region_->seats[index];
      if (seat.used.load() != 0 && !(reclaim && !Alive(seat))) continue;
      seat.used.store(0);
      seat.engine = static_cast<std::uint32_t>(engine - region_->engines);
      seat.owner = owner;
      seat.wanting = 0;
      seat.busy.store(0);
      seat.turns.store(0);
      seat.used.store(1);
      for (EngineState& other : region_->engines) {
        if (other.last == index) other.last = kNobody;
      }
      return index;
    }
  }
  return Error{Code::kResourceExhausted, "all seats of the simulated node are in use"};
}

void SeatTable::Wake(SeatState& seat) {
  seat.word.fetch_add(1);
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&seat.word), FUTEX_WAKE, INT_MAX, nullptr,
            nullptr, 0);
}

void SeatTable::Give(EngineState& engine, unsigned index, DeviceTime start) {
  if (engine.last != index && engine.last != kNobody) start += kSwitchCost;
  engine.turn_end = start + kTurn;
  engine.free_at = start;
  engine.last = index;
  engine.holder = index;
  region_->seats[index].turns.fetch_add(1);
}

void SeatTable::PassOn(Lock& lock, EngineState& engine, unsigned engine_index, DeviceTime at) {
  const unsigned after = engine.holder == kNobody ? 0 : engine.holder + 1;
  engine.holder = kNobody;
  engine.free_at = at;
  // In order of places, first among those who were waiting at `at`, else who came first after it.
  std::optional<unsigned> next;
  for (unsigned step = 0; step < kMaxSeats; ++step) {
    const unsigned index = (after + step) % kMaxSeats;
    SeatState& seat = region_->seats[index];
    if (seat.used.load() == 0 || seat.engine != engine_index || seat.wanting == 0) continue;
    if (!Alive(seat)) {
      seat.wanting = 0;
      seat.used.store(0);
      continue;
    }
    if (seat.since <= at) {
      next = index;
      break;
    }
    if (!next || seat.since < region_->seats[*next].since) next = index;
  }
  if (!next) return;
  SeatState& seat = region_->seats[*next];
  Give(engine, *next, std::max(at, seat.since));
  lock.WakeAfter(&seat);
}

Result<std::unique_ptr<Seat>> Seat::Take(SeatTable& table, const EngineKey& engine,
                                         const SeatOwner& owner) {
  Result<unsigned> index = table.Take(engine, owner);
  if (!index.ok()) return index.error();
  return std::unique_ptr<Seat>(new Seat(table, *index));
}

Seat::~Seat() {
  SeatTable::Lock lock(table_.region_);
  SeatTable::SeatState& seat = table_.region_->seats[index_];
  SeatTable::EngineState& engine = table_.region_->engines[seat.engine];
  seat.wanting = 0;
  if (engine.holder == index_) table_.PassOn(lock, engine, seat.engine, table_.clock_.Now());
  seat.used.store(0);
}

std::optional<Seat::Turn> Seat::Acquire(DeviceTime since) {
  SeatTable::Lock lock(table_.region_);
  SeatTable::SeatState& seat = table_.region_->seats[index_];
  SeatTable::EngineState& engine = table_.region_->engines[seat.engine];
  if (seat.wanting == 0) {
    seat.since = since;
    seat.wanting = 1;
  }
  if (engine.holder == kNobody) {
    table_.Give(engine, index_, std::max(engine.free_at, seat.since));
  } else if (engine.holder != index_) {
    const std::int64_t late =
        DeviceClock::WallNow() - table_.clock_.ToWall(engine.turn_end) - kGraceWall;
    const bool gone = late >= 0 && !table_.Alive(table_.region_->seats[engine.holder]);
    if (gone || late >= kOverrunWall - kGraceWall) {
      // The turn counts as used up; an overrunning holder asks again when it wakes.
      SeatTable::SeatState& holder = table_.region_->seats[engine.holder];
      holder.wanting = 0;
      if (gone) holder.used.store(0);
      table_.PassOn(lock, engine, seat.engine, engine.turn_end);
    }
  }
  if (engine.holder == index_) {
    patience_wall_ = kNever;
    return Turn{engine.free_at, engine.turn_end};
  }
  patience_wall_ = std::max(table_.clock_.ToWall(engine.turn_end) + kGraceWall,
                            DeviceClock::WallNow() + kGraceWall);
  return std::nullopt;
}

std::optional<Seat::Turn> Seat::Continue(DeviceTime at) {
  SeatTable::Lock lock(table_.region_);
  SeatTable::SeatState& seat = table_.region_->seats[index_];
  SeatTable::EngineState& engine = table_.region_->engines[seat.engine];
  seat.since = at;
  seat.wanting = 1;
  if (engine.holder == index_) table_.PassOn(lock, engine, seat.engine, at);
  if (engine.holder == index_) return Turn{engine.free_at, engine.turn_end};
  patience_wall_ = table_.clock_.ToWall(engine.turn_end) + kGraceWall;
  return std::nullopt;
}

void Seat::Release(DeviceTime at) {
  SeatTable::Lock lock(table_.region_);
  SeatTable::SeatState& seat = table_.region_->seats[index_];
  SeatTable::EngineState& engine = table_.region_->engines[seat.engine];
  seat.wanting = 0;
  patience_wall_ = kNever;
  if (engine.holder == index_) table_.PassOn(lock, engine, seat.engine, at);
}

void Seat::AddBusy(DeviceTime amount) {
  table_.region_->seats[index_].busy.fetch_add(amount, std::memory_order_relaxed);
}

std::uint32_t Seat::Word() const { return table_.region_->seats[index_].word.load(); }

void Seat::Wait(std::uint32_t seen, DeviceTime until) {
  const std::int64_t wall = std::min(table_.clock_.ToWall(until), patience_wall_);
  timespec limit{};
  limit.tv_sec = static_cast<time_t>(wall / 1'000'000'000);
  limit.tv_nsec = static_cast<long>(wall % 1'000'000'000);
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&table_.region_->seats[index_].word),
            FUTEX_WAIT_BITSET, seen, wall == kNever ? nullptr : &limit, nullptr,
            FUTEX_BITSET_MATCH_ANY);
}

void Seat::Wake() { SeatTable::Wake(table_.region_->seats[index_]); }

}  // namespace aliquot::sim::cuda
