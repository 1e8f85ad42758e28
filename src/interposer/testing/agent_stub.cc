// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/testing/agent_stub.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace aliquot::interposer::testing {
namespace {

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

constexpr std::size_t kControlSize = 8192;
constexpr std::size_t kStatusSize = sizeof(aliquot_status);

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

UniqueFd MemoryFile(const char* name, std::size_t size, void** page, int seals) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) Die("memfd");
  *page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (*page == MAP_FAILED) Die("mmap");
  if (::fcntl(fd.get(), F_ADD_SEALS, seals | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    Die("seals");
  }
  return fd;
}

void ParseUuid(const std::string& text, std::uint8_t* bytes) {
  std::string digits;
  for (const char c : text.substr(4)) {
    if (c != '-') digits.push_back(c);
  }
  for (std::size_t i = 0; i < 16; ++i) {
    bytes[i] = static_cast<std::uint8_t>(std::stoi(digits.substr(i * 2, 2), nullptr, 16));
  }
}

template <typename Frame>
void Send(int fd, Frame& frame, std::uint16_t type, std::uint32_t id) {
  frame.header = {type, sizeof(frame), id};
  ::send(fd, &frame, sizeof(frame), MSG_NOSIGNAL);
}

template <typename T>
void Store(T* word, T value) {
  __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

}  // namespace

AgentStub::AgentStub(Options options)
    : options_(std::move(options)),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      limit_(options_.limit),
      credit_target_(options_.credit_target),
      beating_(options_.beats) {
  static std::atomic<std::uint64_t> epoch{1};
  epoch_ = epoch++;
  const std::string share = options_.directory + "/" ALIQUOT_GRANT_SHARE;
  std::ofstream out(share);
  out << "version=1\ngpu=" << options_.uuid << " " << options_.limit << " 1\n";
  if (!options_.driver.empty()) out << "driver=" << options_.driver << "\n";
  if (!options_.nvml.empty()) out << "nvml=" << options_.nvml << "\n";
  out << options_.more;
  out.close();
  const std::string path = options_.directory + "/" ALIQUOT_GRANT_SOCKET;
  ::unlink(path.c_str());
  listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_.get(), 64) != 0) {
    Die("listen");
  }
  thread_ = std::thread([this] { Serve(); });
}

AgentStub::~AgentStub() {
  const std::uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof(one)) < 0) Die("eventfd");
  thread_.join();
  for (auto& [fd, session] : sessions_) {
    ::munmap(session->control, kControlSize);
    ::munmap(session->status, kStatusSize);
  }
}

std::uint64_t AgentStub::Total() const {
  std::uint64_t total = 0;
  for (const auto& [fd, session] : sessions_) total += session->held;
  return total;
}

std::uint64_t AgentStub::Charged() {
  std::lock_guard lock(mutex_);
  return Total();
}
std::uint64_t AgentStub::Peak() {
  std::lock_guard lock(mutex_);
  return peak_;
}
std::size_t AgentStub::Sessions() {
  std::lock_guard lock(mutex_);
  return sessions_.size();
}
int AgentStub::Hellos() { return Frames(ALIQUOT_HELLO); }
int AgentStub::Frames(std::uint16_t type) {
  std::lock_guard lock(mutex_);
  return frames_[type];
}
std::uint64_t AgentStub::LastHeld() {
  std::lock_guard lock(mutex_);
  return last_held_;
}
std::uint64_t AgentStub::Denied() {
  std::lock_guard lock(mutex_);
  return denied_;
}

void AgentStub::SetLimit(std::uint64_t limit) {
  std::lock_guard lock(mutex_);
  limit_ = limit;
  Publish();
}

void AgentStub::SetCreditTarget(std::uint64_t bytes) {
  std::lock_guard lock(mutex_);
  credit_target_ = bytes;
  Publish();
}

std::string AgentStub::Describe() {
  std::lock_guard lock(mutex_);
  std::ostringstream text;
  for (const auto& [fd, session] : sessions_) {
    text << "process " << session->pid << " holds " << session->held;
    if (session->status != nullptr) {
      const aliquot_status_gpu& gpu = session->status->gpu[0];
      text << ", uses " << __atomic_load_n(&gpu.used, __ATOMIC_RELAXED) << ", credit "
           << __atomic_load_n(&gpu.credit, __ATOMIC_RELAXED) << ", over "
           << __atomic_load_n(&gpu.over, __ATOMIC_RELAXED);
    }
    text << "\n";
  }
  return text.str();
}

void AgentStub::StopHeartbeat() {
  std::lock_guard lock(mutex_);
  beating_ = false;
}

const aliquot_status* AgentStub::Status() {
  std::lock_guard lock(mutex_);
  return sessions_.size() == 1 ? sessions_.begin()->second->status : nullptr;
}

void AgentStub::SetGate(std::uint32_t bits, std::uint32_t cap_us, std::uint32_t flags,
                        std::uint32_t doorbells) {
  std::lock_guard lock(mutex_);
  gate_.gate = (gate_.gate & ~(ALIQUOT_GATE_EPOCH - 1)) + ALIQUOT_GATE_EPOCH + bits;
  gate_.cap_us = cap_us;
  gate_.flags = flags;
  gate_.doorbells = doorbells;
  for (auto& [fd, session] : sessions_) ApplyGate(*session);
}

void AgentStub::ApplyGate(Session& session) {
  if (session.control == nullptr) return;
  aliquot_gate* gate = &session.control->gpu[0].gate;
  Store(&gate->cap_us, gate_.cap_us);
  Store(&gate->flags, gate_.flags);
  Store(&gate->duty_permille, options_.duty_permille);
  Store(&gate->doorbells, gate_.doorbells);
  const bool bits = (gate_.gate & (ALIQUOT_GATE_CLOSED | ALIQUOT_GATE_SHARED)) != 0;
  if (bits) __atomic_store_n(&session.control->attention, 1u, __ATOMIC_RELEASE);
  __atomic_store_n(&gate->gate, gate_.gate, __ATOMIC_RELEASE);
  if (!bits) __atomic_store_n(&session.control->attention, 0u, __ATOMIC_RELEASE);
  ::syscall(SYS_futex, &gate->gate, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

void AgentStub::Publish() {
  const std::uint64_t total = Total();
  peak_ = std::max(peak_, total);
  for (auto& [fd, session] : sessions_) {
    if (session->control == nullptr) continue;
    aliquot_memory* memory = &session->control->gpu[0].memory;
    std::uint64_t outside = 0;
    for (auto& [other_fd, other] : sessions_) {
      if (other_fd == fd || other->status == nullptr) continue;
      const std::uint64_t credit = __atomic_load_n(&other->status->gpu[0].credit, __ATOMIC_RELAXED);
      outside += other->held - std::min(other->held, credit);
    }
    Store(&memory->seq, memory->seq + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    Store(&memory->limit, limit_);
    Store(&memory->outside, outside);
    Store(&memory->held, session->held);
    Store(&memory->physical_free, UINT64_MAX);
    Store(&memory->credit_target, credit_target_);
    Store(&memory->offline, options_.offline);
    __atomic_store_n(&memory->seq, memory->seq + 1, __ATOMIC_RELEASE);
  }
}

void AgentStub::Serve() {
  while (true) {
    std::vector<pollfd> watched = {{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    {
      std::lock_guard lock(mutex_);
      for (const auto& [fd, session] : sessions_) watched.push_back({fd, POLLIN, 0});
    }
    ::poll(watched.data(), watched.size(), 20);
    std::lock_guard lock(mutex_);
    if (watched[0].revents != 0) return;
    if (watched[1].revents != 0) Accept();
    for (std::size_t i = 2; i < watched.size(); ++i) {
      if (watched[i].revents == 0) continue;
      const auto found = sessions_.find(watched[i].fd);
      while (found != sessions_.end() && Hear(*found->second)) {
        pollfd more = {watched[i].fd, POLLIN, 0};
        if (::poll(&more, 1, 0) <= 0) break;
      }
    }
    for (auto it = sessions_.begin(); it != sessions_.end();) {
      const bool gone = !it->second->socket.valid();
      if (gone && it->second->control != nullptr) {
        ::munmap(it->second->control, kControlSize);
        ::munmap(it->second->status, kStatusSize);
      }
      it = gone ? sessions_.erase(it) : std::next(it);
      if (gone) Publish();
    }
    ++beat_;
    for (auto& [fd, session] : sessions_) {
      if (beating_ && session->control != nullptr) Store(&session->control->heartbeat, beat_);
    }
  }
}

void AgentStub::Accept() {
  const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  sessions_[fd] = std::make_unique<Session>();
  sessions_[fd]->socket = UniqueFd(fd);
}

bool AgentStub::Hear(Session& session) {
  if (!session.socket.valid()) return false;
  alignas(8) char frame[ALIQUOT_FRAME_MAX];
  const ssize_t got = ::recv(session.socket.get(), frame, sizeof(frame), 0);
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0 || !Answer(session, frame, static_cast<std::size_t>(got))) {
    session.socket.Reset();
    return false;
  }
  return true;
}

bool AgentStub::Answer(Session& session, const char* frame, std::size_t size) {
  aliquot_header header;
  if (size < sizeof(header)) return false;
  std::memcpy(&header, frame, sizeof(header));
  if (header.size != size) return false;
  ++frames_[header.type];
  const auto* amount = reinterpret_cast<const aliquot_amount*>(frame);
  switch (header.type) {
    case ALIQUOT_HELLO:
      if (size == sizeof(aliquot_hello))
        Welcome(session, *reinterpret_cast<const aliquot_hello*>(frame));
      return size == sizeof(aliquot_hello);
    case ALIQUOT_RESERVE:
      if (size == sizeof(aliquot_reserve))
        Reserve(session, *reinterpret_cast<const aliquot_reserve*>(frame));
      return size == sizeof(aliquot_reserve);
    case ALIQUOT_LIST:
      if (size == sizeof(aliquot_list))
        List(session, *reinterpret_cast<const aliquot_list*>(frame));
      return size == sizeof(aliquot_list);
    case ALIQUOT_RELEASE:
      if (size != sizeof(aliquot_amount) || amount->bytes > session.held) return false;
      session.held -= amount->bytes;
      Publish();
      return true;
    case ALIQUOT_CHARGE:
      if (size != sizeof(aliquot_amount)) return false;
      session.held += amount->bytes;
      Publish();
      return true;
    default:
      return header.type >= ALIQUOT_WANT && header.type <= ALIQUOT_EVENT;
  }
}

void AgentStub::Welcome(Session& session, const aliquot_hello& hello) {
  void* control = nullptr;
  void* status = nullptr;
  const UniqueFd control_fd = MemoryFile("control", kControlSize, &control, F_SEAL_FUTURE_WRITE);
  const UniqueFd status_fd = MemoryFile("status", kStatusSize, &status, 0);
  session.control = static_cast<aliquot_control*>(control);
  session.status = static_cast<aliquot_status*>(status);
  session.pid = hello.pid;
  session.held = hello.held[0];
  last_held_ = hello.held[0];
  session.control->magic = ALIQUOT_WIRE_MAGIC;
  session.control->version = ALIQUOT_WIRE_VERSION;
  session.control->size = kControlSize;
  session.control->gpu_count = 1;
  session.control->process_id = static_cast<std::uint64_t>(session.socket.get());
  session.control->agent_epoch = epoch_;
  session.control->stall_ms = options_.stall_ms;
  if (options_.duty_permille != 0) session.control->policy = ALIQUOT_POLICY_SELF_PACE;
  ApplyGate(session);
  Publish();
  aliquot_welcome welcome = {};
  welcome.header = {ALIQUOT_WELCOME, sizeof(welcome), hello.header.id};
  welcome.version = ALIQUOT_WIRE_VERSION;
  welcome.gpu_count = 1;
  welcome.process_id = session.control->process_id;
  welcome.agent_epoch = epoch_;
  welcome.control_size = kControlSize;
  welcome.status_size = kStatusSize;
  ParseUuid(options_.uuid, welcome.uuid[0]);
  const int fds[2] = {control_fd.get(), status_fd.get()};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(fds))] = {};
  iovec part = {&welcome, sizeof(welcome)};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof(room);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(fds));
  std::memcpy(CMSG_DATA(rights), fds, sizeof(fds));
  ::sendmsg(session.socket.get(), &message, MSG_NOSIGNAL);
}

void AgentStub::TakeBackCredit() {
  for (auto& [fd, session] : sessions_) {
    if (session->status == nullptr) continue;
    const std::uint64_t credit =
        __atomic_exchange_n(&session->status->gpu[0].credit, std::uint64_t{0}, __ATOMIC_ACQ_REL);
    session->held -= std::min(session->held, credit);
  }
}

void AgentStub::Reserve(Session& session, const aliquot_reserve& request) {
  const std::uint64_t need =
      request.kind == ALIQUOT_KIND_CONTEXT && request.bytes == 0 ? options_.context : request.bytes;
  if (limit_ != 0 && Total() + need > limit_) TakeBackCredit();
  if (limit_ != 0 && Total() + need > limit_) {
    ++denied_;
    aliquot_deny deny = {};
    deny.charged = Total();
    deny.limit = limit_;
    Publish();
    Send(session.socket.get(), deny, ALIQUOT_DENY, request.header.id);
    return;
  }
  aliquot_grant grant = {};
  grant.bytes = need;
  if (limit_ == 0 || Total() + need + request.credit <= limit_) {
    grant.credit = std::min(request.credit, credit_target_);
  }
  session.held += grant.bytes + grant.credit;
  Publish();
  Send(session.socket.get(), grant, ALIQUOT_GRANT, request.header.id);
}

void AgentStub::List(Session& session, const aliquot_list& request) {
  aliquot_processes answer = {};
  for (const auto& [fd, other] : sessions_) {
    if (other->held == 0) continue;
    const std::uint32_t index = answer.total++;
    if (index < request.first || answer.count == ALIQUOT_LIST_ENTRIES) continue;
    answer.entry[answer.count++] = {other->pid, 0, other->held};
  }
  Send(session.socket.get(), answer, ALIQUOT_PROCESSES, request.header.id);
}

}  // namespace aliquot::interposer::testing
