// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "agent/cluster_mode.h"
#include "agent/gpu_presence.h"
#include "agent/idle_node.h"
#include "base/executor.h"
#include "base/fd_poller.h"
#include "base/log.h"

namespace aliquot::agent {

// What the agent is on a node of a cluster without a GPU: it takes back what it said about one, and
// waits. Confined to the executor.
class GpuWait {
 public:
  // `appeared` is called once, in a task of its own that may destroy this.
  GpuWait(FdPoller& poller, Executor& executor, const Logger& log, const ClusterOptions& cluster,
          std::function<void()> appeared)
      : idle_(executor, log, cluster.connect, cluster.wish.node, cluster.wish.ns),
        presence_(poller, executor, cluster.host_root, std::move(appeared),
                  [this] { idle_.Clean(); }) {}

 private:
  IdleNode idle_;
  GpuPresence presence_;
};

}  // namespace aliquot::agent
