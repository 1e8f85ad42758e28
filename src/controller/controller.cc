// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/controller.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include "controller/json_path.h"
#include "kube/time.h"

namespace aliquot::controller {
namespace {

namespace json = boost::json;

std::string NameOf(const kube::Object& object) { return TextAt(object, {"metadata", "name"}); }

std::string StatusOf(const std::string& policy) { return "status of ClusterPolicy " + policy; }

// Keeps `map[name]` equal to `value`; whether it had to be changed.
template <typename Map, typename T>
bool Keep(Map& map, std::string name, T value) {
  const auto [at, added] = map.try_emplace(std::move(name));
  if (!added && at->second == value) return false;
  at->second = std::move(value);
  return true;
}

}  // namespace

Controller::Controller(ControllerOptions options, Dependencies dependencies)
    : options_(std::move(options)), deps_(std::move(dependencies)) {
  observed_.ns = options_.ns;
  observed_.daemon_set_name = options_.daemon_set;
  StartWatches();
}

Controller::~Controller() {
  deps_.executor.Cancel(timer_);
  deps_.executor.Cancel(trim_timer_);
}

void Controller::StartWatches() {
  const auto start = [this](kube::Selection selection, Feed::Takers takers) {
    const std::string plural = selection.resource.plural;
    Feed& feed =
        feeds_.try_emplace(plural, std::move(takers), [this] { Schedule(); }).first->second;
    feed.Start(deps_.client, std::move(selection), deps_.executor);
  };
  start({kube::kClusterPolicies, "", "", ""}, PolicyTakers());
  start({kube::kNodes, "", "", "", NodeExcerpt}, NodeTakers());
  start({kube::kDaemonSets, options_.ns, "", "metadata.name=" + options_.daemon_set},
        DaemonSetTakers());
  start({kube::kPods, options_.ns, options_.agent_selector, "", AgentPodExcerpt}, PodTakers());
}

Feed::Takers Controller::PolicyTakers() {
  Feed::Takers takers;
  takers.update = [this](const kube::Object& object) {
    Policy policy = ReadPolicy(object);
    std::string name = policy.name;
    Arrived(StatusOf(name), policy.version);
    observed_.policies.insert_or_assign(std::move(name), std::move(policy));
    return true;
  };
  takers.remove = [this](const kube::Object& object) {
    const std::string name = NameOf(object);
    written_.erase(StatusOf(name));
    retries_.Succeeded(StatusOf(name));
    status_written_.erase(name);
    return observed_.policies.erase(name) > 0;
  };
  takers.sync = [this, update = takers.update](const std::vector<kube::Object>& objects) {
    observed_.policies.clear();
    for (const kube::Object& object : objects) update(object);
    return true;
  };
  return takers;
}

Feed::Takers Controller::NodeTakers() {
  Feed::Takers takers;
  takers.update = [this](const kube::Object& object) {
    const auto [at, added] = observed_.nodes.try_emplace(NameOf(object));
    at->second.version = TextAt(object, {"metadata", "resourceVersion"});
    const bool awaited = Arrived("node " + at->first, at->second.version);
    NodeFacts facts = ReadNode(object);
    const bool differs = added || at->second.facts != facts;
    at->second.facts = std::move(facts);
    return differs || awaited;
  };
  takers.remove = [this](const kube::Object& object) {
    const std::string name = NameOf(object);
    retries_.Succeeded("node " + name);
    written_.erase("node " + name);
    return observed_.nodes.erase(name) > 0;
  };
  takers.sync = [this, update = takers.update](std::vector<kube::Object> objects) {
    observed_.nodes.clear();
    for (kube::Object& object : objects) {
      update(object);
      object.clear();
    }
    return true;
  };
  return takers;
}

Feed::Takers Controller::DaemonSetTakers() {
  Feed::Takers takers;
  takers.update = [this](const kube::Object& object) {
    std::optional<DaemonSet> read = ReadDaemonSet(object);
    return std::exchange(observed_.daemon_set, read) != read;
  };
  takers.remove = [this](const kube::Object&) {
    observed_.daemon_set.reset();
    return true;
  };
  takers.sync = [this, update = takers.update](const std::vector<kube::Object>& objects) {
    observed_.daemon_set.reset();
    for (const kube::Object& object : objects) update(object);
    return true;
  };
  return takers;
}

Feed::Takers Controller::PodTakers() {
  Feed::Takers takers;
  takers.update = [this](const kube::Object& object) {
    return Keep(observed_.agents, NameOf(object), ReadAgentPod(object));
  };
  takers.remove = [this](const kube::Object& object) {
    return observed_.agents.erase(NameOf(object)) > 0;
  };
  takers.sync = [this, update = takers.update](const std::vector<kube::Object>& objects) {
    observed_.agents.clear();
    for (const kube::Object& object : objects) update(object);
    return true;
  };
  return takers;
}

Feed::Takers Controller::ConfigMapTakers(const std::string& name) {
  Feed::Takers takers;
  takers.update = [this, name](const kube::Object& object) {
    return Keep(observed_.config_maps, name, std::optional(ReadConfigMap(object)));
  };
  takers.remove = [this, name](const kube::Object&) {
    return Keep(observed_.config_maps, name, std::optional<ConfigKeys>());
  };
  takers.sync = [this, name, update = takers.update](const std::vector<kube::Object>& objects) {
    observed_.config_maps[name].reset();
    for (const kube::Object& object : objects) update(object);
    return true;
  };
  return takers;
}

void Controller::WatchConfigMaps(const std::vector<std::string>& names) {
  const std::set<std::string> wanted(names.begin(), names.end());
  for (auto at = config_feeds_.begin(); at != config_feeds_.end();) {
    if (wanted.contains(at->first)) {
      ++at;
      continue;
    }
    observed_.config_maps.erase(at->first);
    at = config_feeds_.erase(at);
  }
  for (const std::string& name : wanted) {
    const auto [at, added] =
        config_feeds_.try_emplace(name, ConfigMapTakers(name), [this] { Schedule(); });
    if (!added) continue;
    at->second.Start(deps_.client, {kube::kConfigMaps, options_.ns, "", "metadata.name=" + name},
                     deps_.executor);
  }
}

bool Controller::Synced() const {
  return std::all_of(feeds_.begin(), feeds_.end(),
                     [](const auto& feed) { return feed.second.synced(); });
}

void Controller::Schedule(Clock::Duration delay) {
  const Clock::TimePoint due = deps_.clock.Now() + delay;
  if (timer_ != 0) {
    if (due_ <= due) return;
    deps_.executor.Cancel(timer_);
  }
  due_ = due;
  timer_ = deps_.executor.PostAfter(delay, [this] {
    timer_ = 0;
    Reconcile();
  });
}

void Controller::Reconcile() {
  const Clock::TimePoint began = deps_.clock.Now();
  observed_.errors = retries_.Persistent();
  for (const auto& [name, feed] : config_feeds_) {
    if (!feed.synced() && !feed.outage().empty()) {
      observed_.errors["configmap " + name] = feed.outage();
    }
  }
  queue_.clear();  // planned anew; two plans for thousands of nodes would be in memory at once
  Actions actions = Plan(observed_, kube::FormatTime(deps_.clock.WallNow()));
  WatchConfigMaps(actions.config_maps);
  // Half of the picture would be told as trouble.
  if (!Synced()) return Publish({});
  deps_.metrics.SetAssessment(actions.assessment, observed_.nodes.size(), deps_.clock.Now() - began,
                              deps_.clock.WallNow());
  std::set<std::string> wanted;
  for (const NodeWrite& write : actions.nodes) wanted.insert("node " + write.name);
  for (const StatusWrite& write : actions.statuses) wanted.insert(StatusOf(write.policy));
  if (retries_.KeepOnly(wanted)) Schedule();
  for (const StatusWrite& write : actions.statuses) WriteStatus(write);
  WriteNodes(std::move(actions.nodes));
  Tell(actions.notices);
  Publish(actions.assessment);
  // Objects that pass through are many times what is kept of them; once it is quiet, the memory
  // they took goes back to the system.
  deps_.executor.Cancel(trim_timer_);
  trim_timer_ = deps_.executor.PostAfter(kTrim, [] { ::malloc_trim(0); });
  if (const auto next = retries_.Next(deps_.clock.Now())) {
    Schedule(*next - deps_.clock.Now());
  }
}

bool Controller::Arrived(const std::string& what, const std::string& version) {
  const auto written = written_.find(what);
  if (written == written_.end() || written->second == version) return false;
  written_.erase(written);
  return true;
}

bool Controller::Worthwhile(const std::string& what, const std::string& version) const {
  const auto written = written_.find(what);
  const bool news_on_the_way = written != written_.end() && written->second == version;
  return !news_on_the_way && !under_way_.contains(what) && retries_.May(what, deps_.clock.Now());
}

void Controller::WriteStatus(const StatusWrite& write) {
  const std::string what = StatusOf(write.policy);
  if (!Worthwhile(what, write.version)) return;
  const auto last = status_written_.find(write.policy);
  if (!write.urgent && last != status_written_.end()) {
    const Clock::Duration since = deps_.clock.Now() - last->second;
    if (since < kQuietStatus) return Schedule(kQuietStatus - since);
  }
  status_written_[write.policy] = deps_.clock.Now();
  under_way_.insert(what);
  json::value patch = {{"metadata", {{"resourceVersion", write.version}}},
                       {"status", write.status}};
  deps_.client.Patch({kube::kClusterPolicies, "", write.policy, "status"}, kube::PatchType::kMerge,
                     std::move(patch), deps_.executor,
                     [this, alive = std::weak_ptr(alive_), what,
                      version = write.version](const Result<kube::Object>& result) {
                       if (alive.expired()) return;
                       Answered(what, version, "status", result.status());
                     });
}

void Controller::WriteNodes(std::vector<NodeWrite> writes) {
  queue_.assign(std::make_move_iterator(writes.begin()), std::make_move_iterator(writes.end()));
  PumpNodes();
}

void Controller::PumpNodes() {
  while (!queue_.empty() && under_way_.size() < kWritesAtOnce) {
    const NodeWrite write = std::move(queue_.front());
    queue_.pop_front();
    const std::string what = "node " + write.name;
    if (!Worthwhile(what, write.version)) continue;
    under_way_.insert(what);
    json::object labels;
    for (const auto& [key, value] : write.labels) {
      labels[key] = value ? json::value(*value) : json::value(nullptr);
    }
    json::value patch = {
        {"metadata", {{"resourceVersion", write.version}, {"labels", std::move(labels)}}}};
    deps_.client.Patch({kube::kNodes, "", write.name, ""}, kube::PatchType::kMerge,
                       std::move(patch), deps_.executor,
                       [this, alive = std::weak_ptr(alive_), what,
                        version = write.version](const Result<kube::Object>& result) {
                         if (alive.expired()) return;
                         Answered(what, version, "node", result.status());
                         PumpNodes();
                       });
  }
}

void Controller::Answered(const std::string& what, const std::string& version, const char* kind,
                          const Status& status) {
  under_way_.erase(what);
  // Somebody was faster, or it is gone: the watch will tell, and the plan will be made from that.
  const bool overtaken = !status.ok() && (status.error().code == Code::kAborted ||
                                          status.error().code == Code::kNotFound);
  deps_.metrics.CountWrite(kind, status.ok() || overtaken);
  if (status.ok() || overtaken) {
    retries_.Succeeded(what);
    written_[what] = version;
    Schedule();
    return;
  }
  deps_.log.Warning("cannot write", {{"what", what}, {"error", status.error().message}});
  retries_.Failed(what, status.error().message, deps_.clock.Now());
  Schedule();
}

void Controller::Tell(const std::vector<Notice>& notices) {
  std::set<Notice> now(notices.begin(), notices.end());
  for (const Notice& notice : now) {
    if (!told_.contains(notice)) deps_.tell(notice);
  }
  told_ = std::move(now);
}

void Controller::Publish(const Assessment& assessment) {
  ControllerStatus status;
  status.assessment = assessment;
  for (const auto& [name, policy] : observed_.policies) status.policies.push_back(name);
  if (const Policy* active = ActivePolicy(observed_.policies)) {
    status.without_effect = active->without_effect;
  }
  const auto add = [&](const std::string& what, const Feed& feed) {
    deps_.metrics.SetWatch(what, feed.synced() && feed.outage().empty());
    if (!feed.outage().empty()) status.outages[what] = feed.outage();
  };
  for (const auto& [plural, feed] : feeds_) add(plural, feed);
  for (const auto& [name, feed] : config_feeds_) {
    if (!feed.outage().empty()) status.outages["configmap " + name] = feed.outage();
  }
  status.errors = observed_.errors;
  status.nodes = observed_.nodes.size();
  status.writes_pending = queue_.size() + under_way_.size();
  deps_.publish(status);
}

}  // namespace aliquot::controller
