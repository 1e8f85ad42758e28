// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "controller/plan.h"
#include "metrics/registry.h"

namespace aliquot::controller {

// Every metric of the controller; docs/controller.md describes each, a test compares the two. Those
// that begin with gpu_operator_ have the names and meanings of NVIDIA's operator. Thread-safe as
// the families are. `registry` must outlive it.
class ControllerMetrics {
 public:
  explicit ControllerMetrics(metrics::Registry& registry);

  void SetBuild(const std::string& version);
  // After a plan. `took` is the time to make it; `now` the wall clock.
  void SetAssessment(const Assessment& assessment, std::size_t nodes, std::chrono::nanoseconds took,
                     std::chrono::system_clock::time_point now);
  // `kind`: "node" or "status".
  void CountWrite(const std::string& kind, bool ok);
  void SetLeader(bool leader);
  // Of the other replica, which knows nothing: rows about the cluster go from the page.
  void ClearAssessment();
  void SetWatch(const std::string& what, bool works);

 private:
  metrics::Gauge& build_info_;
  metrics::Gauge& leader_;
  metrics::Gauge& gpu_nodes_;
  metrics::Gauge& status_;
  metrics::Counter& reconciliations_;
  metrics::Counter& failed_;
  metrics::Gauge& last_success_;
  metrics::Gauge& nfd_;
  metrics::Gauge& nodes_;
  metrics::Gauge& nodes_by_state_;
  metrics::Gauge& nodes_by_mig_state_;
  metrics::Gauge& problems_;
  metrics::Gauge& watch_up_;
  metrics::Counter& writes_;
  metrics::Histogram& plan_duration_;
};

}  // namespace aliquot::controller
