// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/executor.h"
#include "base/fd_poller.h"
#include "base/unique_fd.h"

namespace aliquot::agent {

// Whether this machine has an NVIDIA GPU on its PCI bus: a function of vendor 10de and class 0300
// (VGA controller) or 0302 (3D controller). No driver, no Node Feature Discovery. `root` stands for
// "/". Absent if that cannot be told, because there is no sysfs, or a PCI bus is not how this
// machine would have its GPU (WSL).
std::optional<bool> HasNvidiaGpu(const std::string& root);

// Waits on a machine without a GPU for one to come: told by the kernel when the PCI bus changes
// and, where it cannot be, looking every minute. Costs next to nothing meanwhile. Confined to the
// executor.
class GpuPresence {
 public:
  static constexpr std::chrono::seconds kInterval{60};

  // `appeared` is called once. `idle` is called at once and then at every look that finds none.
  GpuPresence(FdPoller& poller, Executor& executor, std::string root,
              std::function<void()> appeared, std::function<void()> idle);
  ~GpuPresence();
  GpuPresence(const GpuPresence&) = delete;
  GpuPresence& operator=(const GpuPresence&) = delete;

 private:
  void Listen();
  void Look();

  FdPoller& poller_;
  Executor& executor_;
  const std::string root_;
  const std::function<void()> appeared_;
  const std::function<void()> idle_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // seen by late tasks
  Executor::TimerId timer_ = 0;
  UniqueFd uevents_;
};

}  // namespace aliquot::agent
