// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "agent/cluster_wish.h"
#include "agent/repeated_write.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "kube/client.h"

namespace aliquot::agent {

// Keeps the node's labels of feature discovery: on the Node, by server-side apply as field manager
// kManager; or, where Node Feature Discovery is installed and the configuration allows it, in a
// NodeFeature object, from which NFD labels the Node. Only labels that it produces, or once did,
// are touched. Labels that somebody changes or removes are put back, ever more slowly if that goes
// on; labels that NFD keeps for another feature discovery are left alone and reported. Nothing is
// taken away when the agent ends. Confined to the executor.
class LabelPublisher {
 public:
  static constexpr char kManager[] = "aliquot-labels";

  using Labels = std::map<std::string, std::string>;

  // The NodeFeature object of a node. Source: NVIDIA gpu-feature-discovery.
  static kube::Ref FeatureRef(const std::string& ns, const std::string& node) {
    return {kube::kNodeFeatures, ns, "nvidia-features-for-" + node, ""};
  }

  struct Wanted {
    LabelMode mode = LabelMode::kHold;
    Labels labels;                 // under kPublish
    bool use_node_feature = true;  // if there is such a kind

    friend bool operator==(const Wanted&, const Wanted&) = default;
  };
  struct Dependencies {
    Executor& executor;
    const Clock& clock;
    const Logger& log;
    kube::Client& client;
    std::string node;
    std::string ns;  // of the NodeFeature object
  };
  struct View {
    std::string target;  // "node" or "nodefeature <namespace>/<name>"; empty: none yet
    std::size_t labels = 0;
    // Labels that somebody else keeps with another value, and who.
    std::map<std::string, std::string> kept_by_others;
    std::string error;  // of the newest write; empty if it succeeded
    std::uint64_t writes = 0;
    std::uint64_t failures = 0;
  };

  explicit LabelPublisher(Dependencies dependencies);

  void Want(Wanted wanted);
  // The Node as it is; null if it does not exist.
  void OnNode(const kube::Object* node);
  View view() const;

 private:
  using Done = std::function<void(Status)>;
  // The NodeFeature object of this node, as last seen or written.
  struct Feature {
    bool kind_exists = false;
    bool exists = false;
    bool ours = false;  // our manager wrote it
    std::string other;  // who else keeps its labels
    Labels labels;
  };

  kube::Ref FeatureRef() const { return FeatureRef(dependencies_.ns, dependencies_.node); }
  bool ToFeature() const;
  bool Needed() const;
  // What the Node itself shall have from us.
  Labels ForNode() const;
  bool NodeWrong() const;
  bool FeatureWrong() const;
  void Write(Done done);
  void LookForFeature(Done done);
  void WriteWhatIsWrong(Done done);
  void ApplyToNode(Done done);
  void ApplyFeature(Done done);
  void ReportOthers();

  const Dependencies dependencies_;
  Wanted wanted_;
  bool node_exists_ = false;
  Labels on_node_;
  std::map<std::string, std::set<std::string>> owners_;
  Labels others_;  // label → manager
  std::optional<Feature> feature_;
  bool node_complete_ = false;  // the Node has had all labels since the newest look
  bool nfd_labels_ = false;     // Node Feature Discovery labels the Node
  RepeatedWrite write_;
};

}  // namespace aliquot::agent
