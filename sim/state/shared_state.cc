// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/state/shared_state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/file.h"

namespace aliquot::sim {
namespace {

constexpr std::uint32_t kLayoutVersion = 2;
constexpr char kMagic[16] = "aliquot-sim-st\n";

std::string StatePath(const std::string& directory) { return directory + "/state"; }

}  // namespace

// The file, byte for byte. `magic` is written last, so a file without it was never finished.
struct SharedState::Region {
  char magic[16];
  std::uint32_t layout_version;
  std::uint32_t node_bytes;
  std::uint64_t region_bytes;
  pthread_mutex_t mutex;
  std::atomic<std::uint32_t> changes;  // futex word
  // Which of `states` is current. A writer fills the other one and then flips this.
  std::atomic<std::uint32_t> current;
  NodeState states[2];
  char node[kMaxNodeBytes];
};

// Holds the region's mutex. The mutex is robust: if its holder died, the next one carries on, and
// since updates happen in the state that is not current there is nothing to repair.
class SharedState::Lock {
 public:
  explicit Lock(Region* region) : region_(region) {
    if (::pthread_mutex_lock(&region_->mutex) == EOWNERDEAD) {
      ::pthread_mutex_consistent(&region_->mutex);
    }
  }
  ~Lock() { ::pthread_mutex_unlock(&region_->mutex); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Region* region_;
};

namespace {

// Holds the lock on a whole file. It must be given back by name: a mapping keeps the open file,
// and with it the lock, alive after the descriptor is closed.
class FileLock {
 public:
  FileLock(int fd, int operation) : fd_(fd) {
    while (::flock(fd_, operation) != 0) {
      if (errno != EINTR) {
        held_ = false;
        return;
      }
    }
  }
  ~FileLock() {
    if (held_) ::flock(fd_, LOCK_UN);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool held() const { return held_; }

 private:
  int fd_;
  bool held_ = true;
};

// Fills a zeroed region.
template <typename Region>
void Initialise(Region* region, const std::string& node_text, const NodeState& initial) {
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  ::pthread_mutex_init(&region->mutex, &attributes);
  ::pthread_mutexattr_destroy(&attributes);
  region->layout_version = kLayoutVersion;
  region->region_bytes = sizeof(Region);
  region->node_bytes = static_cast<std::uint32_t>(node_text.size());
  std::memcpy(region->node, node_text.data(), node_text.size());
  region->states[0] = initial;
  // Keeps the compiler from writing the magic earlier. Other processes look only under the file
  // lock, which orders the rest.
  std::atomic_signal_fence(std::memory_order_release);
  std::memcpy(region->magic, kMagic, sizeof(kMagic));
}

template <typename Region>
Status CheckHeader(const Region& region, const std::string& directory) {
  if (region.layout_version != kLayoutVersion || region.region_bytes != sizeof(Region) ||
      region.node_bytes > sizeof(region.node)) {
    return Error{Code::kFailedPrecondition,
                 fmt::format("simulated state in {} was written by another version of Aliquot; "
                             "remove {} once nothing uses it",
                             directory, StatePath(directory))};
  }
  return {};
}

}  // namespace

SharedState::SharedState(Region* region, bool shared, UniqueFd slots)
    : region_(region), shared_(shared), slots_(std::move(slots)) {}

SharedState::~SharedState() { ::munmap(region_, sizeof(Region)); }

Result<std::unique_ptr<SharedState>> SharedState::CreatePrivate(const std::string& node_text,
                                                                const NodeState& initial) {
  void* memory =
      ::mmap(nullptr, sizeof(Region), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return ErrnoError("simulated state", errno);
  auto* region = static_cast<Region*>(memory);
  Initialise(region, node_text.substr(0, kMaxNodeBytes), initial);
  return std::unique_ptr<SharedState>(new SharedState(region, false, UniqueFd()));
}

Result<std::unique_ptr<SharedState>> SharedState::Open(const std::string& directory,
                                                       const std::string& node_text,
                                                       const NodeState& initial) {
  const auto fail = [&](const char* what, const std::string& path) {
    return ErrnoError(fmt::format("simulated state: cannot {} {}", what, path), errno);
  };
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) return fail("create", directory);
  const std::string path = StatePath(directory);
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!fd.valid()) return fail("open", path);
  const std::string slots_path = directory + "/process-locks";
  UniqueFd slots(::open(slots_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!slots.valid()) return fail("open", slots_path);
  // Only one opener looks and fills at a time; a killed one gives the lock back.
  const FileLock lock(fd.get(), LOCK_EX);
  if (!lock.held()) return fail("lock", path);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail("stat", path);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < sizeof(Region) && ::ftruncate(fd.get(), sizeof(Region)) != 0) {
    return fail("size", path);
  }
  void* memory = ::mmap(nullptr, sizeof(Region), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return fail("map", path);
  auto* region = static_cast<Region*>(memory);
  auto state = std::unique_ptr<SharedState>(new SharedState(region, true, std::move(slots)));
  if (std::memcmp(region->magic, kMagic, sizeof(kMagic)) != 0) {
    if (size > sizeof(Region)) {
      return Error{Code::kFailedPrecondition,
                   fmt::format("simulated state: {} is not a state file", path)};
    }
    std::memset(memory, 0, sizeof(Region));
    Initialise(region, node_text, initial);
    return state;
  }
  if (Status s = CheckHeader(*region, directory); !s.ok()) return s.error();
  if (std::string_view(region->node, region->node_bytes) != node_text) {
    return Error{Code::kFailedPrecondition,
                 fmt::format("simulated state in {} belongs to another node; name that node, or "
                             "another directory",
                             directory)};
  }
  return state;
}

Result<std::string> SharedState::NodeText(const std::string& directory) {
  const std::string path = StatePath(directory);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(fmt::format("no simulated state in {}: cannot open {}", directory, path),
                      errno);
  }
  // Waits for an opener that is filling the file.
  const FileLock lock(fd.get(), LOCK_SH);
  if (!lock.held()) return ErrnoError(fmt::format("cannot lock {}", path), errno);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return ErrnoError(path, errno);
  void* memory = MAP_FAILED;
  if (static_cast<std::size_t>(status.st_size) >= sizeof(Region)) {
    memory = ::mmap(nullptr, sizeof(Region), PROT_READ, MAP_SHARED, fd.get(), 0);
  }
  if (memory == MAP_FAILED) {
    return Error{Code::kNotFound, fmt::format("no simulated state in {}", directory)};
  }
  const auto* region = static_cast<const Region*>(memory);
  Result<std::string> text =
      Error{Code::kNotFound, fmt::format("no simulated state in {}", directory)};
  if (std::memcmp(region->magic, kMagic, sizeof(kMagic)) == 0) {
    const Status header = CheckHeader(*region, directory);
    if (header.ok()) {
      text = std::string(region->node, region->node_bytes);
    } else {
      text = header.error();
    }
  }
  ::munmap(memory, sizeof(Region));
  return text;
}

void SharedState::Read(const std::function<void(const NodeState&)>& look) {
  const Lock lock(region_);
  look(region_->states[region_->current.load() & 1]);
}

bool SharedState::Write(const std::function<bool(NodeState&)>& change) {
  {
    const Lock lock(region_);
    const std::uint32_t current = region_->current.load() & 1;
    NodeState& next = region_->states[1 - current];
    next = region_->states[current];
    if (!change(next)) return false;
    region_->current.store(1 - current);
  }
  Poke();
  return true;
}

std::uint32_t SharedState::ChangeCount() const { return region_->changes.load(); }

void SharedState::WaitForChange(std::uint32_t seen,
                                std::optional<std::chrono::nanoseconds> timeout) {
  timespec limit{};
  if (timeout) {
    if (timeout->count() <= 0) return;
    limit.tv_sec = static_cast<time_t>(timeout->count() / 1'000'000'000);
    limit.tv_nsec = static_cast<long>(timeout->count() % 1'000'000'000);
  }
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&region_->changes), FUTEX_WAIT, seen,
            timeout ? &limit : nullptr, nullptr, 0);
}

void SharedState::Poke() {
  region_->changes.fetch_add(1);
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&region_->changes), FUTEX_WAKE, INT_MAX,
            nullptr, nullptr, 0);
}

bool SharedState::AcquireSlot(unsigned slot) {
  if (shared_) {
    // Locks of an open file description: gone when its last descriptor is, even after SIGKILL.
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = slot;
    lock.l_len = 1;
    if (::fcntl(slots_.get(), F_OFD_SETLK, &lock) != 0) return false;
  }
  own_[slot] = true;
  return true;
}

void SharedState::ReleaseSlot(unsigned slot) {
  if (shared_) {
    struct flock lock{};
    lock.l_type = F_UNLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = slot;
    lock.l_len = 1;
    ::fcntl(slots_.get(), F_OFD_SETLK, &lock);
  }
  own_[slot] = false;
}

bool SharedState::SlotOwned(unsigned slot) {
  if (own_[slot]) return true;
  if (!shared_) return false;
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = slot;
  lock.l_len = 1;
  return ::fcntl(slots_.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace aliquot::sim
