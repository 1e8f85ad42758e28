// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/executor.h"
#include "base/log.h"
#include "kube/client.h"

namespace aliquot::agent {

// Takes back what this agent said about a node that has no GPU any more: its labels of feature
// discovery, and gpu.present. Three requests at most, once; the connection is given up afterwards.
// Confined to the executor.
class IdleNode {
 public:
  using Connect = std::function<Result<std::unique_ptr<kube::Client>>()>;

  IdleNode(Executor& executor, const Logger& log, Connect connect, std::string node)
      : executor_(executor), log_(log), connect_(std::move(connect)), node_(std::move(node)) {}

  // Tries, unless it succeeded before or is trying.
  void Clean();

 private:
  void OnNode(Result<kube::Object> node);
  void OnWritten(const Status& status);

  Executor& executor_;
  const Logger& log_;
  const Connect connect_;
  const std::string node_;
  std::unique_ptr<kube::Client> client_;  // while trying; drops what is under way when it goes
  int writes_ = 0;                        // under way
  bool failed_ = false;
  bool clean_ = false;
};

}  // namespace aliquot::agent
