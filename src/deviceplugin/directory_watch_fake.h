// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "deviceplugin/directory_watch.h"

namespace aliquot::deviceplugin {

// A directory whose kubelet comes and goes on command. Not thread-safe.
class FakeKubeletDirectory final : public KubeletDirectory {
 public:
  // A kubelet (re)starts: a new socket. Silent if nobody shall be told, as when an event is lost.
  void KubeletAppears(bool tell = true) {
    kubelet_ = SocketIdentity{1, next_++, 0};
    if (tell) Tell();
  }
  void KubeletLeaves() {
    kubelet_.reset();
    Tell();
  }
  void Tell() {
    if (changed_) changed_();
  }

  void Watch(std::function<void()> changed) override { changed_ = std::move(changed); }
  void Unwatch() override { changed_ = nullptr; }
  std::optional<SocketIdentity> LookAtKubelet() override { return kubelet_; }

 private:
  std::optional<SocketIdentity> kubelet_;
  ino_t next_ = 1;
  std::function<void()> changed_;
};

}  // namespace aliquot::deviceplugin
