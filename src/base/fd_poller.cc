// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/fd_poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.h"

namespace aliquot {

Result<std::unique_ptr<FdPoller>> FdPoller::Create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoError("cannot create an epoll descriptor", errno);
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return ErrnoError("cannot create an eventfd", errno);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, stop.get(), &event) != 0) {
    return ErrnoError("cannot add the eventfd to epoll", errno);
  }
  return std::unique_ptr<FdPoller>(new FdPoller(std::move(epoll), std::move(stop)));
}

FdPoller::FdPoller(UniqueFd epoll, UniqueFd stop)
    : epoll_(std::move(epoll)), stop_(std::move(stop)), thread_([this] { Run(); }) {}

FdPoller::~FdPoller() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

Status FdPoller::Add(int fd, std::function<void()> readable) {
  std::lock_guard lock(mutex_);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = next_;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoError("cannot add a descriptor to epoll", errno);
  }
  entries_.emplace(next_++, std::make_shared<Entry>(Entry{fd, std::move(readable)}));
  return {};
}

void FdPoller::Remove(int fd) {
  std::lock_guard lock(mutex_);
  const auto it = std::find_if(entries_.begin(), entries_.end(),
                               [fd](const auto& entry) { return entry.second->fd == fd; });
  if (it == entries_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  entries_.erase(it);
}

void FdPoller::Run() {
  while (true) {
    epoll_event events[16];
    const int ready = ::epoll_wait(epoll_.get(), events, 16, -1);
    if (ready < 0 && errno != EINTR) return;  // only a closed descriptor, which we own
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.u64 == 0) return;
      std::lock_guard lock(mutex_);
      const auto it = entries_.find(events[i].data.u64);
      if (it == entries_.end()) continue;
      const std::shared_ptr<Entry> keep = it->second;  // the callback may Remove itself
      keep->readable();
    }
  }
}

}  // namespace aliquot
