// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "metrics/registry.h"

namespace aliquot::metrics {

// One device of one container with an enforced share.
struct GrantSample {
  std::string grant;          // id
  std::string pod_namespace;  // these three are empty until the kubelet has told
  std::string pod;
  std::string container;
  std::string resource;
  std::string device;
  std::string gpu;
  std::string tier;
  double weight_ratio = 0;                   // part of the device's time, 0 to 1
  std::optional<std::uint64_t> limit_bytes;  // absent: memory is not limited
  std::uint64_t charged_bytes = 0;
  std::uint64_t peak_bytes = 0;
  std::uint64_t driver_bytes = 0;
  std::uint64_t sessions = 0;
  // Totals.
  std::uint64_t denied = 0;
  double used_seconds = 0;
  double granted_seconds = 0;
  double waited_seconds = 0;
};

// What enforced shares promise and what became of it, by container. docs/metrics.md describes each;
// a test compares the two. Thread-safe as the families are. `registry` must outlive it.
class GrantMetrics {
 public:
  explicit GrantMetrics(Registry& registry);

  // Exactly these containers from now on. `foreign`: by device, memory held there by processes of
  // no container with a share. One caller at a time.
  void Set(const std::vector<GrantSample>& samples,
           const std::map<std::string, std::uint64_t>& foreign);
  // `outcome`: reported, killed.
  void CountViolation(const std::string& pod_namespace, const std::string& pod,
                      const std::string& container, const std::string& device,
                      const std::string& kind, const std::string& outcome);
  // Something a container's process reported or did; `kind` as docs/metrics.md lists them.
  void CountEvent(const std::string& kind);

 private:
  Gauge& info_;
  Gauge& weight_;
  Gauge& limit_;
  Gauge& charged_;
  Gauge& peak_;
  Gauge& driver_;
  Gauge& sessions_;
  Gauge& foreign_;
  Counter& denied_;
  Counter& used_;
  Counter& granted_;
  Counter& waited_;
  Counter& violations_;
  Counter& events_;
  std::set<LabelValues> counted_;  // label sets of the counters on the page
};

}  // namespace aliquot::metrics
