// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/testing/client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace aliquot::arbiter::testing {
namespace {

constexpr int kPatienceMs = 10'000;

template <typename T>
T Frame(std::uint16_t type, std::uint32_t id) {
  T frame{};
  frame.header = {type, sizeof(T), id};
  return frame;
}

}  // namespace

std::unique_ptr<Client> Client::Connect(const std::string& directory) {
  const UniqueFd folder(::open(directory.c_str(), O_PATH | O_CLOEXEC));
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path =
      "/proc/self/fd/" + std::to_string(folder.get()) + "/" ALIQUOT_GRANT_SOCKET;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return nullptr;
  }
  return std::unique_ptr<Client>(new Client(std::move(socket)));
}

Client::~Client() {
  if (control_ != nullptr) ::munmap(const_cast<aliquot_control*>(control_), sizeof *control_);
  if (status_ != nullptr) ::munmap(status_, sizeof *status_);
}

bool Client::SendRaw(const void* data, std::size_t size) {
  return ::send(socket_.get(), data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

std::uint16_t Client::Receive() {
  pollfd ready{socket_.get(), POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) return 0;
  iovec part{answer_, sizeof answer_};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  if (size < static_cast<ssize_t>(sizeof(aliquot_header))) return 0;
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr) {
    int fds[2];
    std::memcpy(fds, CMSG_DATA(rights), sizeof fds);
    control_fd_.Reset(fds[0]);
    status_fd_.Reset(fds[1]);
  }
  return reinterpret_cast<const aliquot_header*>(answer_)->type;
}

bool Client::HungUp() {
  // Answers that were under way may come first.
  for (int i = 0; i < 10'000; ++i) {
    if (Receive() == 0) {
      pollfd ready{socket_.get(), POLLIN, 0};
      return ::poll(&ready, 1, 0) == 1;
    }
  }
  return false;
}

std::uint16_t Client::Hello(std::uint32_t role, std::uint64_t held, std::uint64_t former_epoch,
                            std::uint64_t former_process) {
  auto hello = Frame<aliquot_hello>(ALIQUOT_HELLO, next_id_++);
  hello.magic = ALIQUOT_WIRE_MAGIC;
  hello.version = ALIQUOT_WIRE_VERSION;
  hello.role = role;
  hello.pid = static_cast<std::uint32_t>(::getpid());
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  hello.monotonic_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  hello.former_epoch = former_epoch;
  hello.former_process_id = former_process;
  std::strcpy(hello.name, "client");
  hello.held[0] = held;
  if (!SendRaw(&hello, sizeof hello)) return 0;
  const std::uint16_t type = Receive();
  if (type != ALIQUOT_WELCOME) return type;
  std::memcpy(&welcome_, answer_, sizeof welcome_);
  void* control =
      ::mmap(nullptr, welcome_.control_size, PROT_READ, MAP_SHARED, control_fd_.get(), 0);
  void* status = ::mmap(nullptr, welcome_.status_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                        status_fd_.get(), 0);
  if (control == MAP_FAILED || status == MAP_FAILED) return 0;
  control_ = static_cast<const aliquot_control*>(control);
  status_ = static_cast<aliquot_status*>(status);
  return type;
}

std::optional<std::uint64_t> Client::Reserve(std::uint32_t gpu, std::uint64_t bytes,
                                             std::uint64_t credit, std::uint32_t kind) {
  auto request = Frame<aliquot_reserve>(ALIQUOT_RESERVE, next_id_++);
  request.gpu = gpu;
  request.kind = kind;
  request.bytes = bytes;
  request.credit = credit;
  if (!SendRaw(&request, sizeof request) || Receive() != ALIQUOT_GRANT) return std::nullopt;
  const auto* grant = reinterpret_cast<const aliquot_grant*>(answer_);
  __atomic_fetch_add(&status_->gpu[gpu].credit, grant->credit, __ATOMIC_RELAXED);
  return grant->bytes;
}

void Client::Release(std::uint32_t gpu, std::uint64_t bytes) {
  auto amount = Frame<aliquot_amount>(ALIQUOT_RELEASE, 0);
  amount.gpu = gpu;
  amount.bytes = bytes;
  SendRaw(&amount, sizeof amount);
}

void Client::Charge(std::uint32_t gpu, std::uint64_t bytes) {
  auto amount = Frame<aliquot_amount>(ALIQUOT_CHARGE, 0);
  amount.gpu = gpu;
  amount.bytes = bytes;
  SendRaw(&amount, sizeof amount);
}

void Client::Ring(std::uint16_t type, std::uint32_t gpu) {
  auto bell = Frame<aliquot_doorbell>(type, 0);
  bell.gpu = gpu;
  SendRaw(&bell, sizeof bell);
}

std::vector<aliquot_process> Client::List(std::uint32_t gpu) {
  auto list = Frame<aliquot_list>(ALIQUOT_LIST, next_id_++);
  list.gpu = gpu;
  if (!SendRaw(&list, sizeof list) || Receive() != ALIQUOT_PROCESSES) return {};
  const auto* answer = reinterpret_cast<const aliquot_processes*>(answer_);
  return {answer->entry, answer->entry + answer->count};
}

}  // namespace aliquot::arbiter::testing
