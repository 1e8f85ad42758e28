// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "controller/replica.h"
#include "kube/client.h"

namespace aliquot::controller {

struct ServiceOptions {
  ReplicaOptions replica;
  std::string listen_address;     // of the status pages; empty = none
  std::uint16_t listen_port = 0;  // 0 = any free one
};

// The controller's process: a Replica and its status pages. One executor thread owns the state.
class Service {
 public:
  // `clock` and `log` must outlive it. Fails if the status address cannot be had; a cluster that
  // does not answer is no failure but a state.
  static Result<std::unique_ptr<Service>> Start(ServiceOptions options,
                                                std::unique_ptr<kube::Client> client,
                                                const Clock& clock, const Logger& log);
  // Stops; a lease that is held is given up, so that the other replica need not wait.
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Of the status pages; 0 if there are none.
  std::uint16_t port() const;

 private:
  class Impl;
  explicit Service(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aliquot::controller
