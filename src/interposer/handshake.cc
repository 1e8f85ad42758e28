// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/handshake.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "interposer/libc.h"

#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#endif
#ifndef F_SEAL_SHRINK
#define F_SEAL_SHRINK 2
#endif

namespace aliquot::interposer {
namespace {

constexpr size_t kPage = 4096;

constexpr uint32_t RoundedToPages(size_t size) {
  return static_cast<uint32_t>((size + kPage - 1) / kPage * kPage);
}

int Connect(const char* directory) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t length = ::strlen(directory);
  const char kName[] = "/" ALIQUOT_GRANT_SOCKET;
  if (length + sizeof(kName) > sizeof(address.sun_path)) {
    Log("the path of %s is too long for a socket", directory);
    return -1;
  }
  ::memcpy(address.sun_path, directory, length);
  ::memcpy(address.sun_path + length, kName, sizeof(kName));
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  // Bounds connect while the agent's backlog is full, and sends while it does not read.
  const timeval timeout = {ALIQUOT_HELLO_MS / 1000, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  ::close(fd);
  return -1;
}

bool SayHello(int fd, const HandshakeRequest& request) {
  aliquot_hello hello = {};
  hello.header = {ALIQUOT_HELLO, sizeof(hello), 1};
  hello.magic = ALIQUOT_WIRE_MAGIC;
  hello.version = ALIQUOT_WIRE_VERSION;
  hello.role = request.role;
  hello.pid = static_cast<uint32_t>(::getpid());
  hello.monotonic_ns = NowNs();
  hello.gpu_count = request.share->gpu_count;
  hello.former_epoch = request.former->agent_epoch;
  hello.former_process_id = request.former->process_id;
  if (ReadWhole("/proc/self/comm", hello.name, sizeof(hello.name)) > 0) {
    hello.name[::strcspn(hello.name, "\n")] = '\0';
  }
  ::memcpy(hello.held, request.held, sizeof(hello.held));
  return ::send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(hello));
}

struct Answer {
  union {
    aliquot_header header;
    aliquot_welcome welcome;
    aliquot_refuse refuse;
    char room[ALIQUOT_FRAME_MAX];
  };
  int fds[2];
  size_t count;
};

void CloseAll(Answer* answer) {
  for (size_t i = 0; i < answer->count; ++i) ::close(answer->fds[i]);
  answer->count = 0;
}

// Takes every descriptor that came, wanted or not.
void TakeDescriptors(msghdr* message, Answer* answer) {
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      ::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      if (answer->count < 2) {
        answer->fds[answer->count++] = fd;
      } else {
        ::close(fd);
      }
    }
  }
}

bool HearWelcome(int fd, Answer* answer) {
  pollfd waiting = {fd, POLLIN, 0};
  if (::poll(&waiting, 1, ALIQUOT_HELLO_MS) != 1) return false;
  iovec part = {answer->room, sizeof(answer->room)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 4)];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t got = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < static_cast<ssize_t>(sizeof(aliquot_header))) return false;
  TakeDescriptors(&message, answer);
  if (answer->header.type == ALIQUOT_REFUSE && got == sizeof(aliquot_refuse)) {
    Log("the agent refuses: reason %u, it speaks version %u", answer->refuse.reason,
        answer->refuse.version);
    return false;
  }
  return answer->header.type == ALIQUOT_WELCOME && got == sizeof(aliquot_welcome) &&
         answer->count == 2;
}

// A descriptor of at least `size` bytes that nobody can shrink under us.
void* Map(int fd, size_t size, int protection) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return nullptr;
  const off_t length = ::lseek(fd, 0, SEEK_END);
  if (length < 0 || static_cast<size_t>(length) < size) return nullptr;
  void* page = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  return page == MAP_FAILED ? nullptr : page;
}

bool MapPages(const Share& share, const Answer& answer, HandshakeResult* result) {
  const aliquot_welcome& welcome = answer.welcome;
  const size_t control_size = RoundedToPages(sizeof(aliquot_control));
  const size_t status_size = RoundedToPages(sizeof(aliquot_status));
  if (welcome.version != ALIQUOT_WIRE_VERSION || welcome.gpu_count != share.gpu_count ||
      welcome.control_size < control_size || welcome.status_size < status_size) {
    return false;
  }
  for (unsigned i = 0; i < share.gpu_count; ++i) {
    if (::memcmp(welcome.uuid[i], share.gpu[i].uuid, 16) != 0) return false;
  }
  void* control = Map(answer.fds[0], control_size, PROT_READ);
  void* status = Map(answer.fds[1], status_size, PROT_READ | PROT_WRITE);
  result->control = static_cast<const aliquot_control*>(control);
  result->status = static_cast<aliquot_status*>(status);
  if (control != nullptr && status != nullptr && result->control->magic == ALIQUOT_WIRE_MAGIC &&
      result->control->version == ALIQUOT_WIRE_VERSION) {
    return true;
  }
  if (control != nullptr) ::munmap(control, control_size);
  if (status != nullptr) ::munmap(status, status_size);
  return false;
}

}  // namespace

bool Shake(const HandshakeRequest& request, HandshakeResult* result) {
  const int saved = errno;
  const int fd = Connect(request.share->directory);
  bool done = false;
  if (fd >= 0) {
    Answer answer = {};
    if (SayHello(fd, request) && HearWelcome(fd, &answer)) {
      done = MapPages(*request.share, answer, result);
      if (!done) Log("the agent's pages are not as they should be");
    }
    CloseAll(&answer);
  }
  if (done) {
    result->socket = fd;
    aliquot_status* status = result->status;
    status->magic = ALIQUOT_WIRE_MAGIC;
    status->version = ALIQUOT_WIRE_VERSION;
    status->size = sizeof(aliquot_status);
  } else if (fd >= 0) {
    ::close(fd);
  }
  errno = saved;
  return done;
}

}  // namespace aliquot::interposer
