// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/replica.h"

#include <utility>

namespace aliquot::controller {

Result<std::unique_ptr<Replica>> Replica::Start(ReplicaOptions options, Dependencies dependencies) {
  std::unique_ptr<Replica> replica(new Replica(std::move(options), std::move(dependencies)));
  if (Status competing = replica->Compete(); !competing.ok()) return competing.error();
  return replica;
}

Replica::Replica(ReplicaOptions options, Dependencies dependencies)
    : options_(std::move(options)), deps_(std::move(dependencies)) {
  status_.version = options_.version;
  status_.identity = options_.identity;
  status_.started_at = deps_.clock.WallNow();
  kube::EventOptions events;
  events.component = "aliquot-controller";
  events.instance = options_.identity;
  events_.emplace(deps_.client, deps_.executor, deps_.clock, std::move(events));
}

Replica::~Replica() = default;

Status Replica::Compete() {
  deps_.metrics.SetLeader(false);
  deps_.publish(status_);
  if (options_.lease.empty()) {
    Lead();
    return {};
  }
  kube::LeaseOptions lease;
  lease.ns = options_.controller.ns;
  lease.name = options_.lease;
  lease.identity = options_.identity;
  kube::LeaderElection::Callbacks callbacks;
  callbacks.started = [this] { Lead(); };
  callbacks.stopped = [this] { Follow(); };
  callbacks.changed = [this](const std::string& holder) {
    status_.leader = holder;
    deps_.publish(status_);
  };
  auto election = kube::LeaderElection::Create(deps_.client, deps_.executor, deps_.clock,
                                               std::move(lease), std::move(callbacks));
  if (!election.ok()) return election.error();
  election_ = std::move(*election);
  election_->Start();
  return {};
}

void Replica::Lead() {
  if (controller_) return;
  deps_.log.Info("this replica acts", {{"identity", options_.identity}});
  deps_.metrics.SetLeader(true);
  status_.leading = true;
  status_.leader = options_.identity;
  controller_.emplace(
      options_.controller,
      Controller::Dependencies{deps_.client, deps_.executor, deps_.clock, deps_.log, deps_.metrics,
                               [this](const Notice& notice) { Tell(notice); },
                               [this](const ControllerStatus& status) {
                                 status_.controller = status;
                                 deps_.publish(status_);
                               }});
  deps_.publish(status_);
}

void Replica::Follow() {
  if (!controller_) return;
  deps_.log.Info("this replica acts no more", {{"identity", options_.identity}});
  controller_.reset();
  status_.leading = false;
  status_.leader.clear();
  status_.controller.reset();
  deps_.metrics.SetLeader(false);
  deps_.metrics.ClearAssessment();
  deps_.publish(status_);
}

void Replica::Stop(std::function<void()> done) {
  if (election_) return election_->Stop(std::move(done));
  Follow();
  done();
}

void Replica::Tell(const Notice& notice) {
  events_->Record({"nvidia.com/v1", "ClusterPolicy", "", notice.policy, notice.uid},
                  notice.warning ? kube::EventType::kWarning : kube::EventType::kNormal,
                  notice.reason, notice.message);
}

}  // namespace aliquot::controller
