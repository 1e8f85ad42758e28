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
// discovery, on the Node or in a NodeFeature object, and gpu.present. Five requests at most, once;
// the connection is given up afterwards. While Node Feature Discovery says that there is a GPU,
// gpu.present is not the agent's to change; then this tries again when it is called again.
// Confined to the executor.
class IdleNode {
 public:
  using Connect = std::function<Result<std::unique_ptr<kube::Client>>()>;

  // `ns` is where NodeFeature objects are.
  IdleNode(Executor& executor, const Logger& log, Connect connect, std::string node, std::string ns)
      : executor_(executor),
        log_(log),
        connect_(std::move(connect)),
        node_(std::move(node)),
        ns_(std::move(ns)) {}

  // Tries, unless there is nothing left to do or it is trying.
  void Clean();

 private:
  void OnNode(Result<kube::Object> node);
  void OnFeature(const Result<kube::Object>& feature);
  void OnWritten(const Status& status);

  Executor& executor_;
  const Logger& log_;
  const Connect connect_;
  const std::string node_;
  const std::string ns_;
  std::unique_ptr<kube::Client> client_;  // while trying; drops what is under way when it goes
  int under_way_ = 0;                     // requests
  bool again_ = false;                    // something is left to do
  bool clean_ = false;
};

}  // namespace aliquot::agent
