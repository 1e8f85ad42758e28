// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "controller/plan.h"
#include "kube/client.h"

namespace aliquot::controller {

// Events about objects without a namespace are kept in this one.
inline constexpr char kEventNamespace[] = "default";

// The Event (core/v1) that tells `notice`; `identity` is the replica that tells it. Its name is of
// the notice and the time, so that replicas never collide.
kube::Object PolicyEvent(const Notice& notice, const std::string& identity,
                         std::chrono::system_clock::time_point now);

}  // namespace aliquot::controller
