// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "agent/repeated_write.h"
#include "base/clock.h"
#include "base/executor.h"
#include "kube/client.h"

namespace aliquot::agent {

// How the node stands to what the cluster asks of it.
struct ConfigReport {
  bool accepted = false;
  std::string reason;   // "ConfigApplied", "ConfigKeyNotFound", ...
  std::string message;  // for people

  friend bool operator==(const ConfigReport&, const ConfigReport&) = default;
};

// Says on the Node what became of the configuration, where administrators and dashboards look:
//   - the condition AliquotConfigured, as `kubectl describe node` and kube-state-metrics show it;
//   - the annotation labels::kConfigRefused while something is refused, which the controller
//     collects;
//   - an Event for every change.
// It also keeps labels::kGpuPresent where Node Feature Discovery does not look. Everything
// is written when it differs from what the Node shows, and rate limited. Confined to the executor.
class NodeReporter {
 public:
  static constexpr char kCondition[] = "AliquotConfigured";

  struct Dependencies {
    Executor& executor;
    const Clock& clock;
    kube::Client& client;
    std::string node;
    // Records an Event on the Node; repeated ones are the callee's to put together.
    std::function<void(bool warning, const std::string& reason, const std::string& message)> record;
  };

  explicit NodeReporter(Dependencies dependencies);

  void SetReport(ConfigReport report);
  void SetGpuPresent(bool present);
  // The Node as it is; null if it does not exist, and then nothing is written.
  void OnNode(const kube::Object* node);

  // Why something could not be written; empty if it could.
  std::string error() const;

 private:
  bool ConditionNeeded() const;
  void WriteCondition(std::function<void(Status)> done);
  bool MarksNeeded() const;
  void WriteMarks(std::function<void(Status)> done);

  const Dependencies dependencies_;
  std::optional<ConfigReport> report_;
  std::optional<bool> present_;
  std::optional<kube::Object> node_;
  RepeatedWrite condition_;
  RepeatedWrite marks_;
};

}  // namespace aliquot::agent
