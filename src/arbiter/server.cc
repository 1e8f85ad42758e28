// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "arbiter/server_state.h"
#include "base/file.h"

namespace aliquot::arbiter {
namespace {

// Well below ALIQUOT_HEARTBEAT_MS, so that a late wake-up does not count as death.
constexpr int kBeatMs = 25;
constexpr int kBacklog = 128;

std::uint64_t NewEpoch() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(now.count()) ^ static_cast<std::uint64_t>(::getpid()) << 48;
}

Status CheckSpec(const GrantSpec& spec) {
  if (spec.id.empty()) return Error{Code::kInvalidArgument, "a grant without an id"};
  if (spec.devices.empty() || spec.devices.size() > ALIQUOT_WIRE_GPUS) {
    return Error{Code::kInvalidArgument,
                 fmt::format("grant \"{}\" has {} devices, expected 1 to {}", spec.id,
                             spec.devices.size(), ALIQUOT_WIRE_GPUS)};
  }
  std::set<std::string> seen;
  for (const DeviceShare& device : spec.devices) {
    if (device.uuid.empty() || !seen.insert(device.uuid).second) {
      return Error{Code::kInvalidArgument,
                   fmt::format("grant \"{}\" names device \"{}\" twice or not at all", spec.id,
                               device.uuid)};
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(Options options, const Logger& log) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoError("cannot create an epoll descriptor", errno);
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) return ErrnoError("cannot create an eventfd", errno);
  Result<std::unique_ptr<ArbiterThread>> arbiter = ArbiterThread::Start(options.tuning);
  if (!arbiter.ok()) return arbiter.error();
  std::unique_ptr<Server> server(
      new Server(std::move(options), log, *std::move(arbiter), std::move(epoll), std::move(stop)));
  if (Status s = server->Watch(server->stop_.get(), WatchNumber(Watched::kControl, 0)); !s.ok()) {
    return s.error();
  }
  server->spare_.Reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  server->thread_ = std::thread([raw = server.get()] { raw->Run(); });
  return server;
}

Server::Server(Options options, const Logger& log, std::unique_ptr<ArbiterThread> arbiter,
               UniqueFd epoll, UniqueFd stop)
    : options_(std::move(options)),
      log_(log),
      arbiter_(std::move(arbiter)),
      epoll_(std::move(epoll)),
      stop_(std::move(stop)),
      epoch_(NewEpoch()) {}

Server::~Server() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

Status Server::Watch(int fd, std::uint64_t what) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = what;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoError("cannot watch a descriptor", errno);
  }
  return {};
}

Status Server::Listen(Grant& grant) {
  const std::string& directory = grant.spec.directory;
  const UniqueFd folder(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return ErrnoError("cannot open the grant directory " + directory, errno);
  grant.listener.Reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!grant.listener.valid()) return ErrnoError("cannot create a socket", errno);
  // Bound by way of the open directory, as socket addresses are too short for many paths, and put
  // in place in one step, so that a process never finds none.
  const std::string fresh = std::string(ALIQUOT_GRANT_SOCKET) + ".new";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", folder.get(), fresh);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ::unlinkat(folder.get(), fresh.c_str(), 0);
  if (::bind(grant.listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return ErrnoError("cannot bind a socket in " + directory, errno);
  }
  // Any user of the container may connect; which container it is, is the directory's matter.
  if (::fchmodat(folder.get(), fresh.c_str(), 0666, 0) != 0 ||
      ::listen(grant.listener.get(), kBacklog) != 0 ||
      ::renameat(folder.get(), fresh.c_str(), folder.get(), ALIQUOT_GRANT_SOCKET) != 0) {
    const int error = errno;
    ::unlinkat(folder.get(), fresh.c_str(), 0);
    return ErrnoError("cannot listen in " + directory, error);
  }
  return Watch(grant.listener.get(), WatchNumber(Watched::kListener, grant.number));
}

ComputeSpec Server::ComputeOf(const GrantSpec& spec, const DeviceShare& device) const {
  ComputeSpec compute;
  compute.weight = device.weight;
  compute.whole = device.whole;
  compute.tenant_class = spec.tenant_class;
  compute.mode = spec.compute;
  compute.quantum = spec.quantum;
  return compute;
}

Status Server::AddGrant(const GrantSpec& spec) {
  if (Status s = CheckSpec(spec); !s.ok()) return s;
  std::lock_guard lock(mutex_);
  if (grants_.contains(spec.id)) {
    return Error{Code::kAlreadyExists, fmt::format("grant \"{}\" is served already", spec.id)};
  }
  auto grant = std::make_unique<Grant>(spec, next_id_++, options_.ledger);
  if (Status s = Listen(*grant); !s.ok()) return s;
  for (const DeviceShare& device : spec.devices) {
    arbiter_->SetTenant(device.uuid, grant->number, ComputeOf(spec, device));
  }
  grants_[spec.id] = std::move(grant);
  return {};
}

Status Server::UpdateGrant(const GrantSpec& spec) {
  if (Status s = CheckSpec(spec); !s.ok()) return s;
  std::lock_guard lock(mutex_);
  const auto entry = grants_.find(spec.id);
  if (entry == grants_.end()) {
    return Error{Code::kNotFound, fmt::format("no grant \"{}\" is served", spec.id)};
  }
  Grant& grant = *entry->second;
  const bool same_devices =
      std::equal(spec.devices.begin(), spec.devices.end(), grant.spec.devices.begin(),
                 grant.spec.devices.end(),
                 [](const DeviceShare& a, const DeviceShare& b) { return a.uuid == b.uuid; });
  if (!same_devices) {
    return Error{Code::kInvalidArgument,
                 fmt::format("grant \"{}\" cannot change its devices while it lives", spec.id)};
  }
  const std::string directory = grant.spec.directory;
  grant.spec = spec;
  grant.spec.directory = directory;
  grant.memory.SetLimits(spec.devices);
  for (const DeviceShare& device : spec.devices) {
    arbiter_->SetTenant(device.uuid, grant.number, ComputeOf(spec, device));
  }
  RetryPending(grant, MonotonicNow());
  grant.memory.Publish();
  return {};
}

void Server::RemoveGrant(const std::string& id) {
  std::lock_guard lock(mutex_);
  const auto entry = grants_.find(id);
  if (entry == grants_.end()) return;
  Grant& grant = *entry->second;
  const std::vector<std::uint64_t> ids(grant.sessions.begin(), grant.sessions.end());
  for (const std::uint64_t session : ids) Drop(session);
  for (const DeviceShare& device : grant.spec.devices) {
    arbiter_->RemoveTenant(device.uuid, grant.number);
  }
  ::unlink((grant.spec.directory + "/" ALIQUOT_GRANT_SOCKET).c_str());
  grants_.erase(entry);
}

void Server::SetDeviceMemory(const DeviceMemory& memory) {
  std::lock_guard lock(mutex_);
  const Nanos now = MonotonicNow();
  for (auto& [id, grant] : grants_) {
    grant->memory.Reconcile(memory);
    for (std::uint32_t gpu = 0; gpu < grant->spec.devices.size(); ++gpu) {
      for (const std::uint64_t size : grant->memory.TakeContextSizes(gpu)) {
        context_bytes_[grant->spec.devices[gpu].uuid] = size;
      }
    }
    RetryPending(*grant, now);
    grant->memory.Publish();
  }
}

std::vector<GrantUsage> Server::Snapshot() const {
  std::lock_guard lock(mutex_);
  std::vector<GrantUsage> all;
  for (const auto& [id, grant] : grants_) {
    GrantUsage usage;
    usage.id = id;
    for (std::uint32_t i = 0; i < grant->spec.devices.size(); ++i) {
      const Ledger& ledger = grant->memory.ledger(i);
      const std::string& uuid = grant->spec.devices[i].uuid;
      usage.devices.push_back({uuid, ledger.limit(), ledger.charged(), ledger.debts(),
                               ledger.peak(), ledger.denied(), arbiter_->UseOf(uuid, grant->number),
                               arbiter_->Active(uuid, grant->number)});
    }
    for (const std::uint64_t number : grant->sessions) {
      const Session& session = *sessions_.at(number);
      if (!session.greeted || !session.uses_gpu) continue;
      ProcessUsage process{static_cast<std::uint32_t>(session.pid),
                           session.container_pid,
                           session.uid,
                           session.name,
                           {}};
      for (std::uint32_t i = 0; i < grant->spec.devices.size(); ++i) {
        process.used.push_back(grant->memory.ledger(i).used(number));
      }
      usage.processes.push_back(std::move(process));
    }
    all.push_back(std::move(usage));
  }
  return all;
}

int Server::TimeoutMs(Nanos now) {
  bool anybody = false;
  for (const auto& [id, session] : sessions_) anybody |= session->greeted;
  std::optional<Nanos> next;
  if (anybody) next = now + std::chrono::milliseconds(kBeatMs);
  for (const auto& [id, grant] : grants_) {
    const std::optional<Nanos> expiry = grant->memory.next_expiry();
    if (expiry) next = std::min(next.value_or(*expiry), *expiry);
    for (const Pending& pending : grant->pending) {
      next = std::min(next.value_or(pending.deadline), pending.deadline);
    }
  }
  if (!next) return -1;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*next - now).count();
  return static_cast<int>(std::clamp<std::int64_t>(wait, 0, 60'000));
}

void Server::Beat() {
  for (auto& [id, session] : sessions_) {
    if (session->greeted) session->pages->Beat();
  }
}

void Server::ServeDue(Nanos now) {
  for (auto& [id, grant] : grants_) {
    const bool expired = grant->memory.next_expiry().value_or(Nanos::max()) <= now;
    const bool due = std::any_of(grant->pending.begin(), grant->pending.end(),
                                 [now](const Pending& pending) { return pending.deadline <= now; });
    if (!expired && !due) continue;
    grant->memory.Expire(now);
    RetryPending(*grant, now);
    grant->memory.Publish();
  }
}

void Server::Run() {
  ::prctl(PR_SET_NAME, "aliquot-grants", 0, 0, 0);
  std::array<epoll_event, 64> events;
  int timeout = -1;
  Nanos beat{0};
  while (true) {
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    for (int i = 0; i < count; ++i) Handle(events[static_cast<std::size_t>(i)].data.u64);
    const Nanos now = MonotonicNow();
    ServeDue(now);
    if (now - beat >= std::chrono::milliseconds(kBeatMs - 1)) {
      Beat();
      beat = now;
    }
    timeout = TimeoutMs(now);
  }
}

void Server::Handle(std::uint64_t what) {
  const std::uint64_t id = what >> 2;
  switch (static_cast<Watched>(what & 3)) {
    case Watched::kControl: {
      std::uint64_t count;
      [[maybe_unused]] const auto read = ::read(stop_.get(), &count, sizeof count);
      return;
    }
    case Watched::kListener:
      for (auto& [name, grant] : grants_) {
        if (grant->number == id) return Accept(*grant);
      }
      return;
    case Watched::kSocket: {
      // An event of the same round may have ended it.
      const auto entry = sessions_.find(id);
      if (entry != sessions_.end()) Receive(*entry->second);
      return;
    }
    case Watched::kProcess:
      return Drop(id);
  }
}

}  // namespace aliquot::arbiter
