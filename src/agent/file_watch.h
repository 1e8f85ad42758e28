// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/fd_poller.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace aliquot::agent {

// Says when the content under a path may have changed: written in place, replaced by rename, its
// symlink or a directory of it swapped (how the kubelet updates a mounted ConfigMap), created or
// removed. It may call without a change, never misses one that lasts; readers compare content.
class FileWatch {
 public:
  // `on_change` runs on the poller's thread and must not block. The path need not exist yet.
  // `poller` must outlive the watch. Fails if the kernel grants no inotify instance.
  static Result<std::unique_ptr<FileWatch>> Start(FdPoller& poller, std::string path,
                                                  std::function<void()> on_change);
  // Afterwards no call is in progress or comes.
  ~FileWatch();

  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  FileWatch(FdPoller& poller, std::string path, std::function<void()> on_change, UniqueFd inotify);
  void OnReadable();
  // Watches every directory that a lookup of the path passes now; returns false if that changed
  // nothing.
  bool Rearm();

  FdPoller& poller_;
  const std::string path_;
  const std::function<void()> on_change_;
  const UniqueFd inotify_;
  std::set<int> watches_;
};

}  // namespace aliquot::agent
