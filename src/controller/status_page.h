// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "controller/controller.h"

namespace aliquot::controller {

// Everything the status page tells, as of one moment.
struct ServiceStatus {
  std::string version;
  std::string identity;  // of this replica
  std::chrono::system_clock::time_point started_at;
  bool leading = false;
  std::string leader;                          // who acts, as far as is known
  std::optional<ControllerStatus> controller;  // of the replica that acts
};

boost::json::value ToJson(const ServiceStatus& status);

}  // namespace aliquot::controller
