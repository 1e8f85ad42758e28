// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "controller/controller_metrics.h"
#include "controller/feed.h"
#include "controller/plan.h"
#include "controller/retries.h"
#include "kube/client.h"

namespace aliquot::controller {

struct ControllerOptions {
  std::string ns;                            // where the agent and the ConfigMaps are
  std::string daemon_set = "aliquot-agent";  // of the agent
  std::string agent_selector =               // of its pods
      "app.kubernetes.io/name=aliquot,app.kubernetes.io/component=agent";
};

// What the status page shows of the reconciliation.
struct ControllerStatus {
  Assessment assessment;
  std::vector<std::string> policies;           // all, by name
  std::string without_effect;                  // of the active policy's spec
  std::map<std::string, std::string> outages;  // watches that do not work, by what they watch
  std::map<std::string, std::string> errors;   // reads and writes that keep failing
  std::size_t nodes = 0;                       // all of the cluster
  std::size_t writes_pending = 0;
};

// Brings nodes' labels and policies' status to what Plan says, and keeps them there: watches, plans
// again after every change, writes the difference. Writes nothing while nothing changes. Lives on
// the executor, constructor and destructor included.
class Controller {
 public:
  struct Dependencies {
    kube::Client& client;
    Executor& executor;
    const Clock& clock;
    const Logger& log;
    ControllerMetrics& metrics;
    std::function<void(const Notice&)> tell;               // records an Event
    std::function<void(const ControllerStatus&)> publish;  // after every plan
  };

  Controller(ControllerOptions options, Dependencies dependencies);
  // Stops watching; answers to writes under way are dropped.
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

 private:
  // A burst of changes is one; the first waits no longer than this either.
  static constexpr std::chrono::milliseconds kSettle{50};
  // Counts in a condition's message may lag so far behind.
  static constexpr std::chrono::seconds kQuietStatus{5};
  static constexpr std::chrono::seconds kTrim{2};
  static constexpr std::size_t kWritesAtOnce = 16;

  void StartWatches();
  Feed::Takers PolicyTakers();
  Feed::Takers NodeTakers();
  Feed::Takers DaemonSetTakers();
  Feed::Takers PodTakers();
  Feed::Takers ConfigMapTakers(const std::string& name);
  // Watches exactly these.
  void WatchConfigMaps(const std::vector<std::string>& names);
  bool Synced() const;

  void Schedule(Clock::Duration delay = kSettle);
  void Reconcile();
  void WriteStatus(const StatusWrite& write);
  void WriteNodes(std::vector<NodeWrite> writes);
  void PumpNodes();
  void Tell(const std::vector<Notice>& notices);
  void Publish(const Assessment& assessment);
  // Notes that `what` is at `version` now; whether that ends a wait for it.
  bool Arrived(const std::string& what, const std::string& version);
  // Whether a write that was planned from this version is worth sending.
  bool Worthwhile(const std::string& what, const std::string& version) const;
  void Answered(const std::string& what, const std::string& version, const char* kind,
                const Status& status);

  const ControllerOptions options_;
  const Dependencies deps_;
  Observed observed_;
  Retries retries_;
  std::map<std::string, std::string> written_;  // what was written, from which version
  std::set<std::string> under_way_;
  std::deque<NodeWrite> queue_;
  std::set<Notice> told_;
  std::map<std::string, Clock::TimePoint> status_written_;  // by policy
  Executor::TimerId timer_ = 0;
  Clock::TimePoint due_;
  Executor::TimerId trim_timer_ = 0;
  std::map<std::string, Feed> feeds_;         // by plural
  std::map<std::string, Feed> config_feeds_;  // by ConfigMap
  const std::shared_ptr<int> alive_ =
      std::make_shared<int>(0);  // answers after our end are dropped
};

}  // namespace aliquot::controller
