// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_source.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <utility>

#include "agent/json_path.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

// Less than the API server sends: a Node's list of images alone is larger than all the agent keeps.
// Who wrote what is of interest of a Node only.
kube::Object Trim(kube::Object object, bool with_owners) {
  json::value* metadata = object.if_contains("metadata");
  if (!with_owners && metadata != nullptr && metadata->is_object()) {
    metadata->get_object().erase("managedFields");
    metadata->get_object().erase("annotations");
  }
  if (const json::value* conditions = Find(object, {"status", "conditions"})) {
    json::value kept = *conditions;
    object["status"] = {{"conditions", std::move(kept)}};
  } else {
    object.erase("status");
  }
  return object;
}

kube::Selection Only(const kube::Resource& resource, const std::string& ns,
                     const std::string& name) {
  return {resource, ns, {}, "metadata.name=" + name};
}

// What of a Node is worth a look: not the heartbeats of its conditions.
kube::Object WithoutHeartbeats(kube::Object node) {
  if (json::object* metadata = node.contains("metadata") ? node["metadata"].if_object() : nullptr) {
    metadata->erase("resourceVersion");
    if (json::value* managers = metadata->if_contains("managedFields");
        managers != nullptr && managers->is_array()) {
      for (json::value& manager : managers->get_array()) {
        if (manager.is_object()) manager.get_object().erase("time");
      }
    }
  }
  if (const json::value* found = Find(node, {"status", "conditions"}); found && found->is_array()) {
    json::array conditions = found->get_array();
    for (json::value& condition : conditions) {
      if (condition.is_object()) condition.get_object().erase("lastHeartbeatTime");
    }
    node["status"] = {{"conditions", std::move(conditions)}};
  }
  return node;
}

}  // namespace

ObservedObjects::ObservedObjects(kube::Client& client, Executor& executor,
                                 kube::Selection selection, std::function<void()> changed)
    : with_owners_(selection.resource == kube::kNodes), changed_(std::move(changed)) {
  watch_ = client.StartWatch(std::move(selection), executor, *this);
}

const kube::Object* ObservedObjects::Find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &found->second;
}

void ObservedObjects::Put(kube::Object object) {
  std::string name = FindText(object, {"metadata", "name"});
  by_name_.insert_or_assign(std::move(name), Trim(std::move(object), with_owners_));
}

void ObservedObjects::OnSync(std::vector<kube::Object> objects) {
  by_name_.clear();
  for (kube::Object& object : objects) Put(std::move(object));
  synced_ = true;
  error_.reset();
  changed_();
}

void ObservedObjects::OnUpdate(kube::Object object) {
  Put(std::move(object));
  changed_();
}

void ObservedObjects::OnDelete(kube::Object object) {
  by_name_.erase(FindText(object, {"metadata", "name"}));
  changed_();
}

void ObservedObjects::OnUnavailable(const Error& error) {
  error_ = error;
  changed_();
}

ClusterSource::ClusterSource(kube::Client& client, Executor& executor, const Logger& log,
                             WishOptions options, ClusterListener& listener)
    : client_(client),
      executor_(executor),
      log_(log),
      options_(std::move(options)),
      listener_(listener),
      node_(client, executor, Only(kube::kNodes, {}, options_.node), [this] { Changed(); }),
      policies_(client, executor, {kube::kClusterPolicies, {}, {}, {}}, [this] { Changed(); }) {
  patience_timer_ = executor_.PostAfter(kPatience, [this] {
    patience_timer_ = 0;
    TellSilence();
  });
}

ClusterSource::~ClusterSource() {
  *alive_ = false;
  executor_.Cancel(patience_timer_);
  executor_.Cancel(kind_timer_);
}

const kube::Object* ClusterSource::node() const { return node_.Find(options_.node); }

// A burst of events, such as the first answers, is looked at once.
void ClusterSource::Changed() {
  if (std::exchange(evaluating_, true)) return;
  executor_.Post([this, alive = alive_] {
    if (!*alive) return;
    evaluating_ = false;
    Evaluate();
  });
}

void ClusterSource::Evaluate() {
  if (node_.synced()) TellNode();
  const std::optional<Policy> policy = CurrentPolicy();
  const auto configs = policy ? CurrentConfigs(*policy) : std::nullopt;
  if (!node_.synced() || !configs) {
    if (node_.error() || policies_.error() || (configs_ && configs_->error())) TellSilence();
    return;
  }
  const kube::Object* node = this->node();
  if (node == nullptr && wish_) return;  // deleted below us, as while it is registered anew
  Wish wish =
      MakeWish(options_, node == nullptr ? std::map<std::string, std::string>() : LabelsOf(*node),
               *policy, *configs);
  if (node == nullptr) {
    wish.config.refusal = Refusal{"NodeNotFound", "node " + options_.node, "does not exist",
                                  "give the node's name by --node-name or NODE_NAME"};
  }
  executor_.Cancel(patience_timer_);
  told_silence_ = true;  // of no interest any more
  if (wish_ == wish) return;
  if (!wish_ || wish_->policy_problems != wish.policy_problems) {
    for (const std::string& problem : wish.policy_problems) {
      log_.Warning("part of the policy is not taken",
                   {{"policy", wish.policy}, {"problem", problem}});
    }
  }
  wish_ = std::move(wish);
  listener_.OnWish(*wish_);
}

std::optional<Policy> ClusterSource::CurrentPolicy() {
  const bool unknown_kind = policies_.error() && policies_.error()->code == Code::kNotFound;
  if (!unknown_kind) {
    executor_.Cancel(std::exchange(kind_timer_, 0));
    kind_gone_ = false;
    if (!policies_.synced()) return {};
  } else if (!kind_gone_ && wish_ && !wish_->policy.empty()) {
    if (kind_timer_ == 0) {
      kind_timer_ = executor_.PostAfter(kKindGone, [this] {
        kind_gone_ = true;
        Evaluate();
      });
    }
  } else {
    return Policy();
  }
  const kube::Object* active = ActivePolicy(policies_.by_name());
  return active == nullptr ? Policy() : ReadPolicy(*active);
}

std::optional<std::optional<Configs>> ClusterSource::CurrentConfigs(const Policy& policy) {
  if (config_map_ != policy.config_map || (configs_ == nullptr && !policy.config_map.empty())) {
    config_map_ = policy.config_map;
    configs_.reset();
    if (!config_map_.empty()) {
      configs_ = std::make_unique<ObservedObjects>(
          client_, executor_, Only(kube::kConfigMaps, options_.ns, config_map_),
          [this] { Changed(); });
    }
  }
  if (configs_ == nullptr) return std::optional<Configs>();
  if (!configs_->synced()) {
    const auto& error = configs_->error();
    const bool refused =
        error && (error->code == Code::kPermissionDenied || error->code == Code::kUnauthenticated);
    // A server that is away says nothing about the ConfigMap; one that refuses does.
    if (!refused) return {};
    return std::optional<Configs>(*error);
  }
  const kube::Object* object = configs_->Find(config_map_);
  if (object == nullptr) return std::optional<Configs>(Error{Code::kNotFound, ""});
  return std::optional<Configs>(ConfigsOf(*object));
}

void ClusterSource::TellNode() {
  const kube::Object* node = this->node();
  std::optional<kube::Object> now;
  if (node != nullptr) now = WithoutHeartbeats(*node);
  if (told_node_ && told_node_as_ == now) return;
  told_node_ = true;
  told_node_as_ = std::move(now);
  listener_.OnNode(told_node_as_ ? &*told_node_as_ : nullptr);
}

void ClusterSource::TellSilence() {
  if (std::exchange(told_silence_, true)) return;
  std::string why = "the API server does not answer";
  for (const ObservedObjects* observed : {&node_, &policies_, configs_.get()}) {
    if (observed == nullptr || !observed->error()) continue;
    why = observed->error()->message;
    break;
  }
  log_.Warning("the cluster does not say what to serve", {{"error", why}});
  listener_.OnClusterSilent(why);
}

std::vector<ClusterSource::WatchStatus> ClusterSource::watches() const {
  const auto status = [](std::string what, std::string name, const ObservedObjects& observed) {
    return WatchStatus{std::move(what), std::move(name),
                       observed.error() ? observed.error()->message : std::string(),
                       observed.synced()};
  };
  std::vector<WatchStatus> all = {status("node", options_.node, node_),
                                  status("clusterpolicies", "", policies_)};
  if (configs_) all.push_back(status("configmap", options_.ns + "/" + config_map_, *configs_));
  return all;
}

}  // namespace aliquot::agent
