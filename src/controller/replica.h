// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "base/status.h"
#include "controller/controller.h"
#include "controller/status_page.h"
#include "kube/client.h"
#include "kube/events.h"
#include "kube/lease.h"

namespace aliquot::controller {

struct ReplicaOptions {
  ControllerOptions controller;
  std::string version;
  std::string identity;                      // of this replica: the pod's name
  std::string lease = "aliquot-controller";  // of the replica that acts; empty: this one acts
};

// One replica of the controller: competes for the lease and has a Controller while it holds it. A
// replica that waits watches nothing and keeps nothing of the cluster. Lives on the executor.
class Replica {
 public:
  struct Dependencies {
    kube::Client& client;
    Executor& executor;
    const Clock& clock;
    const Logger& log;
    ControllerMetrics& metrics;
    std::function<void(const ServiceStatus&)> publish;  // after every change
  };

  // kInvalidArgument if the options cannot work.
  static Result<std::unique_ptr<Replica>> Start(ReplicaOptions options, Dependencies dependencies);
  // A lease that is held runs out by itself.
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Ends acting and gives the lease up, so that another replica need not wait; `done` runs when
  // that is answered. Call once.
  void Stop(std::function<void()> done);

 private:
  Replica(ReplicaOptions options, Dependencies dependencies);
  Status Compete();
  void Lead();
  void Follow();
  void Tell(const Notice& notice);

  const ReplicaOptions options_;
  const Dependencies deps_;
  ServiceStatus status_;
  std::optional<kube::EventRecorder> events_;
  std::optional<Controller> controller_;
  std::unique_ptr<kube::LeaderElection> election_;
};

}  // namespace aliquot::controller
