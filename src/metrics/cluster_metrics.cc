// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "metrics/cluster_metrics.h"

namespace aliquot::metrics {

ClusterMetrics::ClusterMetrics(Registry& registry)
    : watch_up(registry.AddGauge({"aliquot_cluster_watch_up",
                                  "1 while a watch on the API server works, else 0.",
                                  {"watch"}})),
      config_refusals(registry.AddCounter(
          {"aliquot_config_refusals_total",
           "Configurations that were refused, by reason; each change of a problem counts.",
           {"reason"}})),
      withdrawn(
          registry.AddGauge({"aliquot_withdrawn",
                             "1 while the cluster wants this node to advertise nothing, else 0.",
                             {}})),
      labels(registry.AddGauge(
          {"aliquot_node_labels", "Labels of feature discovery, by who keeps them.", {"state"}})),
      label_writes(registry.AddCounter(
          {"aliquot_node_label_writes_total", "Writes of node labels.", {"result"}})),
      pod_resources_up(
          registry.AddGauge({"aliquot_pod_resources_up",
                             "1 while the kubelet says which container holds what, else 0.",
                             {}})),
      container_replicas(registry.AddGauge(
          {"aliquot_container_replicas",
           "Replicas of a device that a container holds; 1 for a device that is not shared.",
           {"namespace", "pod", "container", "resource", "device", "gpu"}})),
      container_rows_dropped(registry.AddGauge(
          {"aliquot_container_rows_dropped",
           "Rows left out of aliquot_container_replicas because there are too many.",
           {}})) {}

}  // namespace aliquot::metrics
