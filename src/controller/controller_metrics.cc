// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/controller_metrics.h"

namespace aliquot::controller {
namespace {

using std::chrono::duration;

// Values of gpu_operator_reconciliation_status. Source: NVIDIA GPU operator, operator metrics.
constexpr double kReady = 1;
constexpr double kNotReady = 0;

}  // namespace

ControllerMetrics::ControllerMetrics(metrics::Registry& registry)
    : build_info_(registry.AddGauge({"aliquot_build_info", "Always 1.", {"version"}})),
      leader_(registry.AddGauge(
          {"aliquot_controller_leader", "1 if this replica is the one that acts.", {}})),
      gpu_nodes_(registry.AddGauge({"gpu_operator_gpu_nodes_total", "Nodes with GPUs.", {}})),
      status_(registry.AddGauge({"gpu_operator_reconciliation_status",
                                 "1 if the active ClusterPolicy is ready, 0 if not.",
                                 {}})),
      reconciliations_(registry.AddCounter(
          {"gpu_operator_reconciliation_total", "Times the policy was looked at.", {}})),
      failed_(registry.AddCounter({"gpu_operator_reconciliation_failed_total",
                                   "Times the policy could not be fulfilled as written.",
                                   {}})),
      last_success_(registry.AddGauge({"gpu_operator_reconciliation_last_success_ts_seconds",
                                       "When the policy was last found fulfilled.",
                                       {}})),
      nfd_(registry.AddGauge({"gpu_operator_reconciliation_has_nfd_labels",
                              "1 if Node Feature Discovery labels some node.",
                              {}})),
      nodes_(registry.AddGauge({"aliquot_controller_nodes", "Nodes of the cluster.", {}})),
      nodes_by_state_(registry.AddGauge(
          {"aliquot_controller_gpu_nodes", "Nodes with GPUs by how they do.", {"state"}})),
      nodes_by_mig_state_(registry.AddGauge(
          {"aliquot_controller_mig_nodes", "Nodes by the state of their MIG layout.", {"state"}})),
      problems_(registry.AddGauge(
          {"aliquot_controller_problems", "What keeps the policy from being ready.", {"scope"}})),
      watch_up_(registry.AddGauge(
          {"aliquot_controller_watch_up", "1 while this watch works.", {"resource"}})),
      writes_(registry.AddCounter(
          {"aliquot_controller_writes_total", "Writes to the API server.", {"kind", "result"}})),
      plan_duration_(registry.AddHistogram(
          {"aliquot_controller_plan_duration_seconds", "Time to make a plan.", {}},
          {0.0001, 0.001, 0.01, 0.1, 1})) {}

void ControllerMetrics::SetBuild(const std::string& version) { build_info_.Set(1, {version}); }

void ControllerMetrics::SetLeader(bool leader) { leader_.Set(leader ? 1 : 0); }

void ControllerMetrics::SetAssessment(const Assessment& assessment, std::size_t nodes,
                                      std::chrono::nanoseconds took,
                                      std::chrono::system_clock::time_point now) {
  const auto count = [](std::size_t n) { return static_cast<double>(n); };
  const NodeCounts& counts = assessment.counts;
  plan_duration_.Observe(duration<double>(took).count());
  nodes_.Set(count(nodes));
  if (assessment.active.empty()) return;
  reconciliations_.Increment();
  const bool ready = assessment.problems.empty();
  std::size_t whole = 0;
  std::size_t of_nodes = 0;
  bool failed = false;
  for (const Problem& problem : assessment.problems) {
    failed = failed || problem.state.empty();
    ++(problem.node.empty() ? whole : of_nodes);
  }
  if (failed) failed_.Increment();
  status_.Set(ready ? kReady : kNotReady);
  if (ready) last_success_.Set(duration<double>(now.time_since_epoch()).count());
  gpu_nodes_.Set(count(counts.gpu()));
  nfd_.Set(assessment.nfd ? 1 : 0);
  problems_.Replace({{{"policy"}, count(whole)}, {{"node"}, count(of_nodes)}});
  nodes_by_state_.Replace({{{"serving"}, count(counts.serving)},
                           {{"starting"}, count(counts.starting)},
                           {{"refusing"}, count(counts.refusing)},
                           {{"unreachable"}, count(counts.unreachable)},
                           {{"paused"}, count(counts.paused)},
                           {{"opted-out"}, count(counts.opted_out)}});
  const auto mig = [&](MigState state) {
    return count(counts.mig[static_cast<std::size_t>(state)]);
  };
  nodes_by_mig_state_.Replace({{{"pending"}, mig(MigState::kPending)},
                               {{"rebooting"}, mig(MigState::kRebooting)},
                               {{"success"}, mig(MigState::kSuccess)},
                               {{"failed"}, mig(MigState::kFailed)}});
}

void ControllerMetrics::ClearAssessment() {
  for (metrics::Gauge* gauge : {&gpu_nodes_, &status_, &nfd_, &nodes_, &nodes_by_state_,
                                &nodes_by_mig_state_, &problems_, &watch_up_}) {
    gauge->Replace({});
  }
}

void ControllerMetrics::CountWrite(const std::string& kind, bool ok) {
  writes_.Increment({kind, ok ? "ok" : "failed"});
}

void ControllerMetrics::SetWatch(const std::string& what, bool works) {
  watch_up_.Set(works ? 1 : 0, {what});
}

}  // namespace aliquot::controller
