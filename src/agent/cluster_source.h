// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/cluster_wish.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "kube/client.h"

namespace aliquot::agent {

// One watch and what it has seen, trimmed to what the agent reads. Confined to its executor.
class ObservedObjects final : public kube::WatchHandler {
 public:
  // `changed` runs after every change of anything below.
  ObservedObjects(kube::Client& client, Executor& executor, kube::Selection selection,
                  std::function<void()> changed);

  bool synced() const { return synced_; }
  // Why the watch does not work at present.
  const std::optional<Error>& error() const { return error_; }
  const std::map<std::string, kube::Object>& by_name() const { return by_name_; }
  // Null if there is no such object.
  const kube::Object* Find(const std::string& name) const;

 private:
  void OnSync(std::vector<kube::Object> objects) override;
  void OnUpdate(kube::Object object) override;
  void OnDelete(kube::Object object) override;
  void OnUnavailable(const Error& error) override;
  void Put(kube::Object object);

  const bool with_owners_;
  const std::function<void()> changed_;
  bool synced_ = false;
  std::optional<Error> error_;
  std::map<std::string, kube::Object> by_name_;
  std::unique_ptr<kube::Watch> watch_;  // last: gone before what its calls touch
};

class ClusterListener {
 public:
  virtual ~ClusterListener() = default;
  // The cluster wants something else than before, or says so for the first time.
  virtual void OnWish(const Wish& wish) = 0;
  // The agent's own Node changed, in metadata or in a condition; null once it does not exist.
  virtual void OnNode(const kube::Object* node) = 0;
  // The first wish takes long, or cannot be had for the present. Called once.
  virtual void OnClusterSilent(const std::string& why) = 0;
};

// Watches what says how this node is to be served: its own Node, the ClusterPolicies, and the one
// ConfigMap that the active policy names. Nothing else, and no ConfigMap while none is named. An
// API server that goes away changes nothing. Confined to `executor`, also its construction and
// destruction.
class ClusterSource {
 public:
  // How long the first answers may take until the listener hears of it.
  static constexpr std::chrono::seconds kPatience{3};
  // An API server that starts may not know its own kinds for a moment. Policies that were there
  // count as deleted only when their kind has been unknown for so long.
  static constexpr std::chrono::seconds kKindGone{30};

  struct WatchStatus {
    std::string what;   // "node", "clusterpolicies", "configmap"
    std::string name;   // of the one object; empty for a kind
    std::string error;  // empty while the watch works
    bool synced = false;
  };

  // All references must outlive the source.
  ClusterSource(kube::Client& client, Executor& executor, const Logger& log, WishOptions options,
                ClusterListener& listener);
  ~ClusterSource();
  ClusterSource(const ClusterSource&) = delete;
  ClusterSource& operator=(const ClusterSource&) = delete;

  std::vector<WatchStatus> watches() const;
  const kube::Object* node() const;

 private:
  void Changed();
  void Evaluate();
  // Absent while the answer is not known.
  std::optional<Policy> CurrentPolicy();
  // Follows the ConfigMap that `policy` names. Absent in the outer sense: not known yet.
  std::optional<std::optional<Configs>> CurrentConfigs(const Policy& policy);
  void TellNode();
  void TellSilence();

  kube::Client& client_;
  Executor& executor_;
  const Logger& log_;
  const WishOptions options_;
  ClusterListener& listener_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // seen by late tasks
  bool evaluating_ = false;                                           // a task is posted
  bool kind_gone_ = false;
  Executor::TimerId kind_timer_ = 0;
  Executor::TimerId patience_timer_ = 0;
  bool told_silence_ = false;
  bool told_node_ = false;
  std::optional<kube::Object> told_node_as_;
  std::optional<Wish> wish_;
  std::string config_map_;
  ObservedObjects node_;
  ObservedObjects policies_;
  std::unique_ptr<ObservedObjects> configs_;
};

}  // namespace aliquot::agent
