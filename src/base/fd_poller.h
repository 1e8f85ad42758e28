// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/status.h"
#include "base/unique_fd.h"

namespace aliquot {

// One thread that waits for descriptors (listening sockets, inotify) and says when one is readable.
// Thread-safe.
class FdPoller {
 public:
  static Result<std::unique_ptr<FdPoller>> Create();
  // Stops and joins. Nothing may be registered any more.
  ~FdPoller();
  FdPoller(const FdPoller&) = delete;
  FdPoller& operator=(const FdPoller&) = delete;

  // Calls `readable` on the poller's thread as long as `fd` has something to read. It must be short
  // and must not block: it holds up every other descriptor. `fd` stays open until Remove.
  Status Add(int fd, std::function<void()> readable);
  // Afterwards the callback neither runs nor will run, unless Remove is called from within it.
  // Unknown descriptors are ignored.
  void Remove(int fd);

 private:
  struct Entry {
    int fd;
    std::function<void()> readable;
  };

  FdPoller(UniqueFd epoll, UniqueFd stop);
  void Run();

  const UniqueFd epoll_;
  const UniqueFd stop_;  // eventfd; readable = the thread shall end
  // Held while a callback runs, which is what lets Remove promise that none is running; recursive
  // so that a callback may Remove.
  std::recursive_mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Entry>> entries_;  // by the number given to epoll
  std::uint64_t next_ = 1;                                   // 0 stands for stop_
  std::thread thread_;
};

}  // namespace aliquot
