// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "arbiter/arbiter_thread.h"
#include "arbiter/frames.h"
#include "arbiter/grant.h"
#include "arbiter/tenant_memory.h"
#include "base/log.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace aliquot::arbiter {

// Serves the grants of one node: a socket in each grant's directory, a session per process, the
// memory ledgers, and through ArbiterThread the gates of all GPUs. Whoever can open a grant's
// socket may connect; identity is what the kernel says (SO_PEERCRED, pidfd), everything in frames
// and status pages is a claim. docs/wire-protocol.md is the protocol.
//
// All methods are thread-safe. Callbacks run on the server's own thread with its lock held: they
// must be short and must not call back.
class Server {
 public:
  struct Options {
    Tuning tuning;
    Ledger::Settings ledger;
    // What processes do when the agent is gone: run freely, or keep to their share by themselves.
    bool self_pace = false;
    // Whether this process belongs to the grant's container. Null: whoever can connect does.
    std::function<bool(pid_t pid, uid_t uid, const std::string& grant)> admit;
    std::function<void(const GrantEvent&)> on_event;  // may be null
    std::uint32_t most_processes = 512;               // sessions per grant
    std::uint32_t most_frames_per_second = 20000;     // per session
    // What a context is reserved at until one was seen on the GPU, bytes. The largest measured:
    // 524 MiB on an H200 with driver 580.
    std::uint64_t context_bytes = std::uint64_t{528} << 20;
    // How long a reservation may wait for memory of dead processes.
    Nanos reserve_wait = std::chrono::seconds(2);
  };

  // `log` must outlive the server.
  static Result<std::unique_ptr<Server>> Start(Options options, const Logger& log);
  // Hangs up on everybody. Grant directories and sockets stay: processes wait there for the next
  // server.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Makes `spec.directory`/socket, replacing one that is there, and serves it. kAlreadyExists for a
  // known id, kInvalidArgument for a spec nobody could use.
  Status AddGrant(const GrantSpec& spec);
  // New limits, weights, class, mode or quantum for a running container; devices stay the same.
  // kNotFound, kInvalidArgument.
  Status UpdateGrant(const GrantSpec& spec);
  // Hangs up on its processes, forgets its memory and removes the socket, not the directory.
  // Unknown ids are ignored.
  void RemoveGrant(const std::string& id);

  // Newest figures of NVML for one device. Call about once a second for each shared device.
  void SetDeviceMemory(const DeviceMemory& memory);

  // In order of id.
  std::vector<GrantUsage> Snapshot() const;
  ArbiterThread::Counters counters() const { return arbiter_->counters(); }

 private:
  struct Grant;
  struct Session;
  // A reservation that waits for memory to come back.
  struct Pending {
    std::uint64_t session;
    aliquot_reserve request;
    Nanos deadline;
  };

  Server(Options options, const Logger& log, std::unique_ptr<ArbiterThread> arbiter, UniqueFd epoll,
         UniqueFd stop);

  Status Listen(Grant& grant);
  Status Watch(int fd, std::uint64_t what);
  void Run();
  int TimeoutMs(Nanos now);
  void Beat();
  void ServeDue(Nanos now);
  void Handle(std::uint64_t what);
  ComputeSpec ComputeOf(const GrantSpec& spec, const DeviceShare& device) const;

  // server_sessions.cc
  void Accept(Grant& grant);
  void TurnAway(Grant& grant);
  void Receive(Session& session);
  bool WithinRate(Session& session, Nanos now);
  void Dispatch(Session& session, const Frame& frame, std::uint16_t type);
  void Welcome(Session& session, const aliquot_hello& hello);
  void Refuse(Session& session, std::uint32_t id, std::uint32_t reason);
  bool Send(Session& session, const void* frame, std::size_t size, const int* fds = nullptr,
            std::size_t fd_count = 0);
  // Ends a session; its process and what it held with it.
  void Drop(std::uint64_t session);
  void Misbehaved(Session& session, const std::string& what);
  void Report(const Session& session, GrantEvent::Kind kind, std::uint32_t device,
              std::uint64_t value, std::string detail);
  // server_memory.cc
  void OnReserve(Session& session, const aliquot_reserve& request);
  Reservation::Outcome TryReserve(Session& session, const aliquot_reserve& request, bool may_wait);
  void OnAmount(Session& session, const aliquot_amount& amount, std::uint16_t type);
  void OnList(Session& session, const aliquot_list& request);
  void RetryPending(Grant& grant, Nanos now);
  std::uint64_t ContextBytes(const std::string& uuid) const;

  const Options options_;
  const Logger& log_;
  const std::unique_ptr<ArbiterThread> arbiter_;
  const UniqueFd epoll_;
  const UniqueFd stop_;        // eventfd: something changed, or the thread shall end
  const std::uint64_t epoch_;  // tells processes that this is another server than before
  mutable std::mutex mutex_;   // guards what follows: API callers and the thread
  UniqueFd spare_;             // closed to turn somebody away when descriptors run out
  std::map<std::string, std::unique_ptr<Grant>> grants_;
  std::map<std::uint64_t, std::unique_ptr<Session>> sessions_;
  std::map<std::string, std::uint64_t> context_bytes_;  // by device
  std::uint64_t next_id_ = 1;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace aliquot::arbiter
