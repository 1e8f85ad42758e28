// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd_poller.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace aliquot::deviceplugin {

// Tells one socket from another one made later at the same path. The inode alone would not do:
// tmpfs gives a freed number to the next file.
struct SocketIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  long long changed_ns = 0;  // status change time

  friend bool operator==(const SocketIdentity&, const SocketIdentity&) = default;
};

// The directory where the kubelet and the plugins meet, looked at level by level: a change is only
// a hint to look again, so that no missed, merged or misread event matters.
class KubeletDirectory {
 public:
  virtual ~KubeletDirectory() = default;
  // `changed` is called on any thread when there may be something new to see; at most one caller.
  // Must not block.
  virtual void Watch(std::function<void()> changed) = 0;
  // Stops calling; afterwards no call is in progress.
  virtual void Unwatch() = 0;
  // The kubelet's socket as it is now; nothing while there is none. Also renews the watches, so
  // that what happens after it was called is told. On one thread.
  virtual std::optional<SocketIdentity> LookAtKubelet() = 0;
};

// With inotify on the directories of the kubelet's socket and of our own, or on their nearest
// existing parents while they do not exist.
class InotifyDirectory final : public KubeletDirectory {
 public:
  // Absolute paths; an empty `kubelet_socket` means that nobody registers and LookAtKubelet sees
  // nothing. `poller` must outlive this object.
  static Result<std::unique_ptr<InotifyDirectory>> Open(FdPoller& poller,
                                                        std::string kubelet_socket,
                                                        std::string socket_directory);
  ~InotifyDirectory() override;

  void Watch(std::function<void()> changed) override;
  void Unwatch() override;
  std::optional<SocketIdentity> LookAtKubelet() override;

 private:
  InotifyDirectory(FdPoller& poller, UniqueFd inotify, std::string kubelet_socket,
                   std::vector<std::string> directories);
  void Renew();
  void Drain();

  FdPoller& poller_;
  const UniqueFd inotify_;
  const std::string kubelet_socket_;
  const std::vector<std::string> directories_;
  std::vector<int> watches_;  // sorted, no repetitions
  std::function<void()> changed_;
};

}  // namespace aliquot::deviceplugin
