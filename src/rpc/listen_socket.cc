// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/listen_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/file.h"
#include "rpc/socket_path.h"

namespace aliquot::rpc {
namespace {

Status CheckPath(const std::string& path) {
  if (path.size() > kMaxSocketPath) {
    return Error{Code::kInvalidArgument,
                 fmt::format("socket path \"{}\" has {} bytes, at most {} are possible; use a "
                             "shorter directory",
                             path, path.size(), kMaxSocketPath)};
  }
  const std::string directory = path.substr(0, path.find_last_of('/'));
  struct stat info{};
  if (::stat(directory.c_str(), &info) != 0) {
    return ErrnoError(
        fmt::format("socket directory \"{}\" cannot be used; is the kubelet's device plugin "
                    "directory mounted there",
                    directory),
        errno);
  }
  if (!S_ISDIR(info.st_mode)) {
    return Error{Code::kFailedPrecondition,
                 fmt::format("socket directory \"{}\" is not a directory", directory)};
  }
  if (::lstat(path.c_str(), &info) == 0) {
    return Error{Code::kAlreadyExists,
                 fmt::format("\"{}\" exists already and is not ours ({}); remove it", path,
                             S_ISSOCK(info.st_mode) ? "a socket" : "not a socket")};
  }
  return {};
}

}  // namespace

Result<ListenSocket> ListenSocket::Bind(const std::string& path) {
  if (Status checked = CheckPath(path); !checked.ok()) return checked.error();
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError("cannot create a unix socket", errno);
  // Linux gives the file the mode the socket has at bind time, so there is no moment in which
  // others may connect.
  if (::fchmod(fd.get(), 0600) != 0) return ErrnoError("cannot set a socket's mode", errno);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoError(fmt::format("cannot bind \"{}\"", path), errno);
  }
  ListenSocket socket(std::move(fd), path);
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0) {  // else somebody removed it already: not Present
    socket.device_ = info.st_dev;
    socket.inode_ = info.st_ino;
  }
  if (::listen(socket.fd(), 16) != 0) {
    return ErrnoError(fmt::format("cannot listen on \"{}\"", path), errno);
  }
  return socket;
}

ListenSocket& ListenSocket::operator=(ListenSocket&& other) noexcept {
  if (this == &other) return *this;
  Unlink();
  fd_ = std::move(other.fd_);
  path_ = std::move(other.path_);
  device_ = other.device_;
  inode_ = other.inode_;
  return *this;
}

ListenSocket::~ListenSocket() { Unlink(); }

bool ListenSocket::Present() const {
  struct stat info{};
  return fd_.valid() && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ &&
         info.st_ino == inode_;
}

void ListenSocket::Unlink() {
  if (Present()) ::unlink(path_.c_str());
}

}  // namespace aliquot::rpc
