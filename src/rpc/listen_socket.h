// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace aliquot::rpc {

// A listening unix stream socket and its file, mode 0600. Binding ourselves rather than through
// gRPC lets us say why it failed, bind anew when the kubelet wipes its directory without ending
// streams in progress, and never remove a file that is not ours. Not thread-safe.
class ListenSocket {
 public:
  // Fails in plain words if the directory is missing, the path is longer than 107 bytes, or
  // anything that somebody else may own is at `path`.
  static Result<ListenSocket> Bind(const std::string& path);
  ListenSocket(ListenSocket&&) = default;
  ListenSocket& operator=(ListenSocket&& other) noexcept;
  // Removes the file if it is still the one made here.
  ~ListenSocket();

  int fd() const { return fd_.get(); }
  // False once the file was removed or replaced.
  bool Present() const;

 private:
  ListenSocket(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  void Unlink();

  UniqueFd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace aliquot::rpc
