// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "metrics/registry.h"

namespace aliquot::metrics {

// The agent's metrics about the cluster it is in, declared in one place. docs/metrics.md describes
// each; a test compares the two. Thread-safe as the families are. `registry` must outlive it.
class ClusterMetrics {
 public:
  explicit ClusterMetrics(Registry& registry);

  Gauge& watch_up;                // watch: node | clusterpolicies | configmap
  Counter& config_refusals;       // reason
  Gauge& withdrawn;               // 1 while nothing is to be advertised
  Gauge& labels;                  // state: published | kept_by_others
  Counter& label_writes;          // result: ok | failed
  Gauge& pod_resources_up;        // 1 while the kubelet says who holds what
  Gauge& container_replicas;      // namespace, pod, container, resource, device, gpu
  Gauge& container_rows_dropped;  // rows of the above beyond the bound
};

}  // namespace aliquot::metrics
