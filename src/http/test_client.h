// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: a blocking client that can also misbehave.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace aliquot::http {

class TestClient {
 public:
  explicit TestClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    timeval limit = {10, 0};  // a hung server fails a test instead of the run
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
        (errno == EINTR && FinishConnecting());
  }

  bool connected() const { return connected_; }

  void Send(const std::string& bytes) const {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      sent += static_cast<std::size_t>(n);
    }
  }
  void CloseSending() const { ::shutdown(fd_.get(), SHUT_WR); }

  // Until the server closes.
  std::string ReadAll() const { return ReadUntil(""); }
  // Until the text so far ends with `end`, or the server closes.
  std::string ReadUntil(const std::string& end) const {
    std::string out;
    char buffer[4096];
    while (end.empty() || !out.ends_with(end)) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      out.append(buffer, static_cast<std::size_t>(n));
    }
    return out;
  }

 private:
  // A signal (libFuzzer's timer sends one every few seconds) ends the wait, not the connecting.
  bool FinishConnecting() const {
    pollfd poll_fd = {fd_.get(), POLLOUT, 0};
    while (::poll(&poll_fd, 1, -1) < 0) {
      if (errno != EINTR) return false;
    }
    int error = 0;
    socklen_t size = sizeof(error);
    return ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }

  UniqueFd fd_;
  bool connected_ = false;
};

// The whole answer, headers too.
inline std::string Fetch(std::uint16_t port, const std::string& target,
                         const std::string& method = "GET") {
  const TestClient client(port);
  client.Send(method + " " + target + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  return client.ReadAll();
}

}  // namespace aliquot::http
