// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interposer/handshake.h"
#include "interposer/ledger.h"
#include "interposer/share_file.h"
#include "interposer/watcher.h"

namespace aliquot::interposer {
namespace {

constexpr uint64_t kMillisecond = 1000000u;
constexpr uint64_t kFirstWaitMs = 2000;
// Where the application hardly ever closes descriptors it does not know.
constexpr int kLowestDescriptor = 500;

const aliquot_control kNoControl = {};
aliquot_status g_own_status;

}  // namespace

const aliquot_control* current_control = &kNoControl;
aliquot_status* current_status = &g_own_status;

namespace {

// The number stays the same when the session is opened again, so that a thread that just read it
// never writes to what the application opened in its place.
int g_socket = -1;
uint32_t g_connected = 0;  // futex word of AwaitAgent
uint32_t g_tried = 0;
uint32_t g_next_id = 0;
bool g_fork_handled = false;
Mutex g_open_lock;     // one at a time opens the session
Mutex g_request_lock;  // one request at a time

// The child has no session. Only what a fork child may do: no memory, no locks of others.
void AfterForkInChild() {
  const int fd = Load(&g_socket);
  if (fd >= 0) ::close(fd);
  Store(&g_socket, -1);
  Store(&g_connected, 0u);
  Store(&g_tried, 0u);
  StoreRelease(&current_control, &kNoControl);
  StoreRelease(&current_status, &g_own_status);
  g_open_lock.Forget();
  g_request_lock.Forget();
  ForgetHeld();
  ForgetWatcher();
}

int InstallSocket(int fd) {
  const int old = Load(&g_socket);
  if (old >= 0) {
    ::dup3(fd, old, O_CLOEXEC);
    ::close(fd);
    return old;
  }
  const int high = ::fcntl(fd, F_DUPFD_CLOEXEC, kLowestDescriptor);
  if (high >= 0) ::close(fd);
  return high >= 0 ? high : fd;
}

void Install(const void* what) {
  const auto* result = static_cast<const HandshakeResult*>(what);
  Store(&g_socket, InstallSocket(result->socket));
  StoreRelease(&current_control, result->control);
  StoreRelease(&current_status, result->status);
  StoreRelease(&g_connected, 1u);
}

// With g_open_lock held.
bool Open() {
  HandshakeResult result = {};
  HandshakeRequest request = {&GrantedShare(), kRole, Load(&current_control), {}};
  Locked lock(&g_request_lock);
  BeginHandOver(request.held);
  if (!Shake(request, &result)) return false;
  EndHandOver(&Install, &result);
  FutexWake(&g_connected, 1 << 30);
  Log("session %llu of agent %llx", static_cast<unsigned long long>(result.control->process_id),
      static_cast<unsigned long long>(result.control->agent_epoch));
  return true;
}

void Lost() {
  if (__atomic_exchange_n(&g_connected, 0u, __ATOMIC_ACQ_REL) != 0) Log("the agent hung up");
}

// Whether the other side still has the socket open, found out without waiting.
bool PeerThere() {
  pollfd waiting = {Load(&g_socket), 0, 0};
  return waiting.fd >= 0 && ::poll(&waiting, 1, 0) == 0;
}

// Waits for the frame that answers `id`; others are late answers to requests nobody waits for.
bool Hear(uint32_t id, aliquot_header* answer, size_t room, uint64_t deadline) {
  while (true) {
    const uint64_t now = NowNs();
    if (now >= deadline) return false;
    pollfd waiting = {Load(&g_socket), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>((deadline - now) / kMillisecond) + 1);
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    const ssize_t got = ::recv(waiting.fd, answer, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) {
      Lost();
      return false;
    }
    if (static_cast<size_t>(got) < sizeof(aliquot_header) || answer->size != got) return false;
    if (answer->id == id) return true;
  }
}

}  // namespace

bool AgentConnected() { return LoadAcquire(&g_connected) != 0; }

bool SessionOpened() { return Control() != &kNoControl; }

bool Reopen() {
  Locked lock(&g_open_lock);
  return AgentConnected() || Open();
}

int WatchedSocket() { return Load(&g_socket); }

void NoteHangUp() { Lost(); }

bool EnsureSession() {
  if (LoadAcquire(&g_tried) != 0) {
    if (!kWatched && (!AgentConnected() || !PeerThere())) {
      Lost();
      Reopen();
    }
    return SessionOpened();
  }
  const Share& share = GrantedShare();
  if (!share.present || share.gpu_count == 0) {
    StoreRelease(&g_tried, 1u);
    return false;
  }
  Locked lock(&g_open_lock);
  if (Load(&g_tried) != 0) return SessionOpened();
  if (!g_fork_handled) {
    g_fork_handled = true;
    ::pthread_atfork(nullptr, nullptr, &AfterForkInChild);
  }
  const uint64_t deadline = NowNs() + kFirstWaitMs * kMillisecond;
  uint32_t never = 0;
  while (!Open() && NowNs() < deadline && kWatched) {
    FutexWait(&never, 0, 50 * kMillisecond, false);
  }
  if (!AgentConnected()) Log("no agent behind %s", share.directory);
  if (kWatched) StartWatcher();
  StoreRelease(&g_tried, 1u);
  return SessionOpened();
}

bool Ask(aliquot_header* request, uint16_t type, size_t size, aliquot_header* answer, size_t room,
         uint64_t milliseconds) {
  if (!AgentConnected()) return false;
  const uint64_t deadline = NowNs() + milliseconds * kMillisecond;
  Locked lock(&g_request_lock);
  request->type = type;
  request->size = static_cast<uint16_t>(size);
  request->id = ++g_next_id == 0 ? ++g_next_id : g_next_id;
  // The socket's send timeout bounds this (see Shake).
  if (::send(Load(&g_socket), request, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) {
    if (errno != EAGAIN) Lost();
    return false;
  }
  return Hear(request->id, answer, room, deadline);
}

bool Tell(aliquot_header* frame, uint16_t type, size_t size) {
  if (!AgentConnected()) return false;
  frame->type = type;
  frame->size = static_cast<uint16_t>(size);
  frame->id = 0;
  const int saved = errno;
  const ssize_t sent = ::send(Load(&g_socket), frame, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN) Lost();
  errno = saved;
  return sent == static_cast<ssize_t>(size);
}

bool AwaitAgent(uint64_t milliseconds) {
  const uint64_t deadline = NowNs() + milliseconds * kMillisecond;
  while (!AgentConnected()) {
    const uint64_t now = NowNs();
    if (now >= deadline) return false;
    FutexWait(&g_connected, 0, deadline - now, false);
  }
  return true;
}

}  // namespace aliquot::interposer
