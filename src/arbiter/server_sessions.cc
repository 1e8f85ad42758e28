// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Sessions: who connects, what they send, how they end.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "arbiter/server_state.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // Linux 6.5
#endif

namespace aliquot::arbiter {
namespace {

// Frames of one session handled before others get their turn.
constexpr int kFramesAtOnce = 64;

UniqueFd ProcessOf(int socket, pid_t pid) {
  int fd = -1;
  socklen_t size = sizeof fd;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0) return UniqueFd(fd);
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

template <typename T>
T Answer(std::uint16_t type, std::uint32_t id) {
  T frame{};
  frame.header = {type, sizeof(T), id};
  return frame;
}

}  // namespace

void Server::Accept(Grant& grant) {
  // Bounded, so that a crowd at one socket does not hold up everybody else.
  for (int i = 0; i < kFramesAtOnce; ++i) {
    UniqueFd socket(
        ::accept4(grant.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      if (errno == EMFILE || errno == ENFILE) TurnAway(grant);
      if (errno != ECONNABORTED && errno != EINTR) return;
      continue;
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) continue;
    auto session = std::make_unique<Session>();
    session->id = next_id_++;
    session->grant = &grant;
    session->process = ProcessOf(socket.get(), peer.pid);
    session->pid = peer.pid;
    session->uid = peer.uid;
    session->socket = std::move(socket);
    session->frames = options_.most_frames_per_second;
    session->refilled = MonotonicNow();
    // Twice as many may be connected as may have a session: a few that are refused politely.
    const bool crowded = grant.sessions.size() >= 2 * options_.most_processes;
    if (crowded || !session->process.valid()) continue;
    if (options_.admit && !options_.admit(peer.pid, peer.uid, grant.spec.id)) {
      Report(*session, GrantEvent::Kind::kTurnedAway, 0, 0, "not of this container");
      continue;
    }
    if (!Watch(session->socket.get(), WatchNumber(Watched::kSocket, session->id)).ok() ||
        !Watch(session->process.get(), WatchNumber(Watched::kProcess, session->id)).ok()) {
      continue;
    }
    grant.sessions.insert(session->id);
    sessions_[session->id] = std::move(session);
  }
}

// Without a descriptor nobody can be accepted, and the one in the queue would wake us for ever.
void Server::TurnAway(Grant& grant) {
  spare_.Reset();
  UniqueFd(::accept4(grant.listener.get(), nullptr, nullptr, SOCK_CLOEXEC)).Reset();
  spare_.Reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  log_.Warning("no descriptors left for a process of a container", {{"grant", grant.spec.id}});
}

bool Server::WithinRate(Session& session, Nanos now) {
  const double most = options_.most_frames_per_second;
  const double seconds = std::chrono::duration<double>(now - session.refilled).count();
  session.refilled = now;
  session.frames = std::min(most, session.frames + seconds * most) - 1;
  return session.frames >= 0;
}

void Server::Receive(Session& session) {
  const std::uint64_t id = session.id;
  std::array<std::byte, ALIQUOT_FRAME_MAX + 1> buffer;
  for (int i = 0; i < kFramesAtOnce; ++i) {
    const ssize_t size = ::recv(session.socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return Drop(id);
    if (!WithinRate(session, MonotonicNow())) {
      return Misbehaved(
          session, fmt::format("more than {} frames in a second", options_.most_frames_per_second));
    }
    const std::span<const std::byte> bytes(buffer.data(), static_cast<std::size_t>(size));
    const Result<Frame> frame = ParseFrame(bytes);
    if (!frame.ok()) {
      if (frame.error().code == Code::kFailedPrecondition && !session.greeted) {
        Refuse(session, RequestId(bytes), ALIQUOT_REFUSE_VERSION);
        return Drop(id);
      }
      return Misbehaved(session, frame.error().message);
    }
    aliquot_header header;
    std::memcpy(&header, buffer.data(), sizeof header);
    Dispatch(session, *frame, header.type);
    if (!sessions_.contains(id)) return;
  }
}

void Server::Dispatch(Session& session, const Frame& frame, std::uint16_t type) {
  if (const auto* hello = std::get_if<aliquot_hello>(&frame)) {
    if (session.greeted) return Misbehaved(session, "a second hello");
    return Welcome(session, *hello);
  }
  if (!session.greeted) return Misbehaved(session, "a frame before hello");
  const std::uint32_t gpus = session.grant->memory.gpu_count();
  const std::uint32_t gpu = std::visit(
      [](const auto& f) -> std::uint32_t {
        if constexpr (requires { f.gpu; }) return f.gpu;
        return 0;
      },
      frame);
  if (gpu >= gpus) {
    return Misbehaved(session, fmt::format("gpu {} of a grant with {}", gpu, gpus));
  }
  if (const auto* reserve = std::get_if<aliquot_reserve>(&frame)) {
    OnReserve(session, *reserve);
  } else if (const auto* list = std::get_if<aliquot_list>(&frame)) {
    OnList(session, *list);
  } else if (const auto* amount = std::get_if<aliquot_amount>(&frame)) {
    OnAmount(session, *amount, type);
  } else if (std::holds_alternative<aliquot_doorbell>(frame)) {
    arbiter_->Ring(session.grant->spec.devices[gpu].uuid);
  } else if (const auto* event = std::get_if<aliquot_event>(&frame)) {
    const GrantEvent::Kind kind =
        event->code == ALIQUOT_EVENT_GATE_TIME_OUT ? GrantEvent::Kind::kGateTimeOut
        : event->code == ALIQUOT_EVENT_RAN_FREE    ? GrantEvent::Kind::kRanFree
                                                   : GrantEvent::Kind::kNoMarkers;
    Report(session, kind, gpu, event->value, {});
  }
}

void Server::Refuse(Session& session, std::uint32_t id, std::uint32_t reason) {
  auto refuse = Answer<aliquot_refuse>(ALIQUOT_REFUSE, id);
  refuse.reason = reason;
  refuse.version = ALIQUOT_WIRE_VERSION;
  Send(session, &refuse, sizeof refuse);
}

void Server::Welcome(Session& session, const aliquot_hello& hello) {
  Grant& grant = *session.grant;
  const auto& devices = grant.spec.devices;
  // The session a process lost is over as soon as it opens another.
  const auto former = sessions_.find(hello.former_process_id);
  if (hello.former_epoch == epoch_ && former != sessions_.end() &&
      former->second->grant == &grant && former->second->pid == session.pid &&
      former->first != session.id) {
    Drop(former->first);
  }
  const auto greeted = std::count_if(grant.sessions.begin(), grant.sessions.end(),
                                     [&](auto id) { return sessions_.at(id)->greeted; });
  if (greeted >= options_.most_processes) {
    return Refuse(session, hello.header.id, ALIQUOT_REFUSE_FULL);
  }
  const auto gpus = static_cast<std::uint32_t>(devices.size());
  Pages::Descriptors descriptors;
  Result<std::unique_ptr<Pages>> pages = Pages::Create(
      session.id, epoch_, gpus, options_.self_pace ? ALIQUOT_POLICY_SELF_PACE : ALIQUOT_POLICY_OPEN,
      descriptors);
  if (!pages.ok()) {
    log_.Warning("cannot make pages for a process",
                 {{"grant", grant.spec.id}, {"error", pages.error().message}});
    return Refuse(session, hello.header.id, ALIQUOT_REFUSE_BUSY);
  }
  session.pages = *std::move(pages);
  session.pages->SetClock(Nanos(static_cast<std::int64_t>(hello.monotonic_ns & INT64_MAX)),
                          MonotonicNow());
  session.greeted = true;
  session.uses_gpu = hello.role == ALIQUOT_ROLE_CUDA;
  session.container_pid = hello.pid;
  session.name = hello.name;
  if (session.uses_gpu) {
    grant.memory.AddProcess(session.id, static_cast<std::uint32_t>(session.pid), session.pages,
                            hello.held);
  } else {
    grant.memory.AddObserver(session.id, session.pages);
  }
  grant.memory.Publish();
  auto welcome = Answer<aliquot_welcome>(ALIQUOT_WELCOME, hello.header.id);
  welcome.version = ALIQUOT_WIRE_VERSION;
  welcome.gpu_count = gpus;
  welcome.process_id = session.id;
  welcome.agent_epoch = epoch_;
  welcome.control_size = (sizeof(aliquot_control) + 4095) / 4096 * 4096;
  welcome.status_size = (sizeof(aliquot_status) + 4095) / 4096 * 4096;
  for (std::uint32_t i = 0; i < gpus; ++i) {
    const auto bytes = UuidBytes(devices[i].uuid);
    std::copy(bytes.begin(), bytes.end(), welcome.uuid[i]);
  }
  const int fds[] = {descriptors.control.get(), descriptors.status.get()};
  const std::uint64_t id = session.id;
  if (!Send(session, &welcome, sizeof welcome, fds, 2)) return Drop(id);
  if (!session.uses_gpu) return;
  for (std::uint32_t i = 0; i < gpus; ++i) {
    arbiter_->AddProcess(devices[i].uuid, grant.number, id, session.pages, i);
  }
}

bool Server::Send(Session& session, const void* frame, std::size_t size, const int* fds,
                  std::size_t fd_count) {
  iovec part{const_cast<void*>(frame), size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  if (fd_count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
  }
  // A process that does not read its answers is no reason to wait.
  return ::sendmsg(session.socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(size);
}

void Server::Drop(std::uint64_t id) {
  const auto entry = sessions_.find(id);
  if (entry == sessions_.end()) return;
  const std::unique_ptr<Session> session = std::move(entry->second);
  sessions_.erase(entry);
  Grant& grant = *session->grant;
  grant.sessions.erase(id);
  std::erase_if(grant.pending, [id](const Pending& pending) { return pending.session == id; });
  if (!session->greeted) return;
  for (const DeviceShare& device : grant.spec.devices) {
    arbiter_->RemoveProcess(device.uuid, id);
  }
  const Nanos now = MonotonicNow();
  grant.memory.RemoveProcess(id, now);
  RetryPending(grant, now);
  grant.memory.Publish();
}

void Server::Misbehaved(Session& session, const std::string& what) {
  Report(session, GrantEvent::Kind::kMisbehaved, 0, 0, what);
  Drop(session.id);
}

void Server::Report(const Session& session, GrantEvent::Kind kind, std::uint32_t device,
                    std::uint64_t value, std::string detail) {
  if (!options_.on_event) return;
  options_.on_event({kind, session.grant->spec.id, static_cast<std::uint32_t>(session.pid), device,
                     value, std::move(detail)});
}

}  // namespace aliquot::arbiter
