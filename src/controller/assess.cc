// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/assess.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace aliquot::controller {
namespace {

constexpr char kPluginState[] = "state-device-plugin";
constexpr char kMigConfigKey[] = "config.yaml";
constexpr char kMigClientsKey[] = "clients.yaml";

class Assessor {
 public:
  Assessor(const Observed& observed, const Policy& active)
      : observed_(observed), active_(active), spec_(active.spec) {}

  Assessment Run() {
    result_.active = active_.name;
    result_.complete = true;
    for (const std::string& problem : active_.problems) Whole(problem);
    for (const auto& [what, error] : observed_.errors) Whole(error);
    JudgeDaemonSet();
    JudgeConfig();
    JudgeMigConfig();
    IndexPods();
    for (const auto& [name, node] : observed_.nodes) JudgeNode(name, node.facts);
    if (result_.counts.gpu() == 0) JudgeUnseenNodes();
    std::sort(result_.problems.begin(), result_.problems.end());
    result_.state = result_.problems.empty() ? "ready" : "notReady";
    return std::move(result_);
  }

 private:
  void Whole(std::string text) { result_.problems.push_back({"", "", std::move(text)}); }
  void OfAgent(std::string_view node, std::string text) {
    result_.problems.push_back({kPluginState, std::string(node), std::move(text)});
  }
  std::string Named(const std::string& config_map) const {
    return fmt::format("ConfigMap {}/{}", observed_.ns, config_map);
  }

  void JudgeDaemonSet() {
    const std::string name =
        fmt::format("DaemonSet {}/{}", observed_.ns, observed_.daemon_set_name);
    if (!observed_.daemon_set) {
      OfAgent("", name + " of the node agent does not exist; install the Helm chart completely");
    } else if (!observed_.daemon_set->observed) {
      OfAgent("", name + " was changed and has not been rolled out yet");
    }
  }

  // The keys of a ConfigMap that the policy names; null if it does not exist, which is noted, or
  // is not known yet.
  const ConfigKeys* Keys(const std::string& name, const char* field) {
    const auto found = observed_.config_maps.find(name);
    if (found == observed_.config_maps.end()) {
      result_.complete = observed_.errors.contains("configmap " + name);
      return nullptr;
    }
    if (found->second) return &*found->second;
    Whole(fmt::format("spec.{}: {} does not exist; create it or name another one", field,
                      Named(name)));
    return nullptr;
  }

  void JudgeConfig() {
    if (!spec_.device_plugin_enabled || spec_.config_name.empty()) return;
    keys_ = Keys(spec_.config_name, "devicePlugin.config.name");
    if (keys_ == nullptr) return;
    if (spec_.config_default.empty()) return;
    const auto found = keys_->find(spec_.config_default);
    if (found == keys_->end()) {
      Whole(fmt::format("spec.devicePlugin.config.default: {} has no key \"{}\"; {}",
                        Named(spec_.config_name), spec_.config_default, ListKeys(*keys_)));
    } else if (!found->second.empty()) {
      Whole(
          fmt::format("{}, key \"{}\": {}", Named(spec_.config_name), found->first, found->second));
    }
  }

  void JudgeMigConfig() {
    if (!spec_.mig_manager_enabled) return;
    JudgeKey(spec_.mig_config_name, "migManager.config.name", kMigConfigKey);
    JudgeKey(spec_.mig_clients_name, "migManager.gpuClientsConfig.name", kMigClientsKey);
  }

  // A ConfigMap that has to have one certain key, if it is named.
  void JudgeKey(const std::string& name, const char* field, const char* key) {
    const ConfigKeys* keys = name.empty() ? nullptr : Keys(name, field);
    if (keys == nullptr || keys->contains(key)) return;
    Whole(
        fmt::format("spec.{}: {} has no key \"{}\"; {}", field, Named(name), key, ListKeys(*keys)));
  }

  void IndexPods() {
    for (const auto& [name, pod] : observed_.agents) {
      if (pod.leaving || pod.node.empty()) continue;
      const AgentPod*& known = pods_[pod.node];
      if (known == nullptr || pod.ready) known = &pod;
    }
  }

  // Of the present template, as far as the cluster tells.
  bool Current(const AgentPod& pod) const {
    return !observed_.daemon_set || observed_.daemon_set->template_generation.empty() ||
           pod.template_generation.empty() ||
           pod.template_generation == observed_.daemon_set->template_generation;
  }

  void JudgeNode(const std::string& name, const NodeFacts& node) {
    NodeCounts& counts = result_.counts;
    result_.nfd = result_.nfd || node.nfd;
    ++counts.mig[static_cast<std::size_t>(node.mig_state)];
    if (!node.gpu()) return;
    if (!WantsAgent(node, spec_)) {
      ++counts.opted_out;
      return;
    }
    if (node.deploy[kPluginPart] == Deploy::kPaused) {
      ++counts.paused;
      return;
    }
    // A node that is down is its administrator's matter: with thousands of nodes there is always
    // one, and the policy would never be ready.
    if (!node.ready) {
      ++counts.unreachable;
      return;
    }
    const auto pod = pods_.find(name);
    if (pod == pods_.end()) {
      ++counts.starting;
      return OfAgent(name, "no agent runs there");
    }
    if (!pod->second->ready) {
      ++counts.starting;
      const std::string& trouble = pod->second->trouble;
      return OfAgent(name, "its agent is not ready" + (trouble.empty() ? "" : ": " + trouble));
    }
    if (!Current(*pod->second)) {
      ++counts.starting;
      return OfAgent(name, "its agent is of the former version");
    }
    if (std::string refusal = Refusal(node); !refusal.empty()) {
      ++counts.refusing;
      return OfAgent(name, std::move(refusal));
    }
    ++counts.serving;
  }

  std::string Refusal(const NodeFacts& node) const {
    if (!spec_.device_plugin_enabled) return {};
    if (keys_ != nullptr && !node.config_choice.empty()) {
      const auto found = keys_->find(node.config_choice);
      if (found == keys_->end()) {
        return fmt::format("label {}: {} has no key \"{}\"; {}", kConfigLabel,
                           Named(spec_.config_name), node.config_choice, ListKeys(*keys_));
      }
      if (!found->second.empty()) {
        return fmt::format("{}, key \"{}\": {}", Named(spec_.config_name), found->first,
                           found->second);
      }
    }
    return node.refusal;
  }

  // No GPU was found so far. It is too early to say that there is none while agents, who look for
  // them, are still starting.
  void JudgeUnseenNodes() {
    if (!observed_.daemon_set) return;
    std::int64_t looked = 0;
    for (const auto& [name, pod] : pods_) {
      const auto node = observed_.nodes.find(name);
      const bool down = node != observed_.nodes.end() && !node->second.facts.ready;
      if (pod->ready || down) ++looked;
    }
    if (looked < observed_.daemon_set->desired) {
      OfAgent("", fmt::format("{} of {} agents have looked for GPUs so far", looked,
                              observed_.daemon_set->desired));
    }
  }

  const Observed& observed_;
  const Policy& active_;
  const PolicySpec& spec_;
  const ConfigKeys* keys_ = nullptr;  // of the device plugin's ConfigMap, if it is known
  std::unordered_map<std::string_view, const AgentPod*> pods_;  // by node
  Assessment result_;
};

}  // namespace

Assessment Assess(const Observed& observed, const Policy& active) {
  return Assessor(observed, active).Run();
}

}  // namespace aliquot::controller
