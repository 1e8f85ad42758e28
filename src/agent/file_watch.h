// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "base/status.h"
#include "base/unique_fd.h"

namespace aliquot::agent {

// Says when the content under a path may have changed: written in place, replaced by rename, its
// symlink or a directory of it swapped (how the kubelet updates a mounted ConfigMap), created or
// removed. It may call without a change, never misses one that lasts; readers compare content.
class FileWatch {
 public:
  // `on_change` runs on the watch's own thread and must not block. The path need not exist yet.
  // Fails if the kernel grants no inotify instance.
  static Result<std::unique_ptr<FileWatch>> Start(std::string path,
                                                  std::function<void()> on_change);
  ~FileWatch();  // stops and joins

  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  FileWatch(std::string path, std::function<void()> on_change, UniqueFd inotify, UniqueFd stop);
  void Run();
  // Watches every directory that a lookup of the path passes now; returns false if that changed
  // nothing.
  bool Rearm();

  const std::string path_;
  const std::function<void()> on_change_;
  const UniqueFd inotify_;
  const UniqueFd stop_;  // eventfd
  std::set<int> watches_;
  std::thread thread_;
};

}  // namespace aliquot::agent
