// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_mode.h"

#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "config/diagnostic.h"
#include "labels/host_facts.h"
#include "labels/labels.h"

namespace aliquot::agent {
namespace {

// Events hold 1,024 bytes; what people read first should be all of it.
constexpr std::size_t kMostProblems = 3;
constexpr std::size_t kLongestMessage = 900;

// Nothing while there was no attempt.
std::optional<ConfigReport> ReportOf(const ConfigKeeper::View& view) {
  if (!view.failing) {
    if (!view.serving) return {};
    std::string what = view.path.empty() ? std::string("flags and defaults") : view.path;
    if (!view.withdrawn.empty()) {
      return ConfigReport{true, "Withdrawn", "nothing is advertised: " + view.withdrawn};
    }
    return ConfigReport{true, "ConfigApplied", what + " is in use"};
  }
  std::vector<std::string> problems;
  std::size_t more = 0;
  for (const config::Diagnostic& diagnostic : view.diagnostics) {
    if (diagnostic.severity != config::Severity::kError) continue;
    if (problems.size() == kMostProblems) {
      ++more;
    } else {
      problems.push_back(config::Format(diagnostic, view.path));
    }
  }
  std::string message = Join(problems, "; ");
  if (more > 0) message += fmt::format("; and {} more", more);
  if (message.size() > kLongestMessage) message = message.substr(0, kLongestMessage) + "...";
  message += view.serving ? "; the last good configuration stays in use"
                          : "; nothing is advertised until this is mended";
  return ConfigReport{false, view.reason, std::move(message)};
}

kube::EventOptions EventsOf(const WishOptions& options) {
  kube::EventOptions events;
  events.component = "aliquot-agent";
  events.instance = options.node;
  return events;
}

}  // namespace

ClusterMode::ClusterMode(Dependencies dependencies, std::unique_ptr<kube::Client> client,
                         const ClusterOptions& options)
    : dependencies_(dependencies),
      options_(options.wish),
      host_root_(options.host_root),
      client_(std::move(client)),
      events_(*client_, dependencies.executor, dependencies.clock, EventsOf(options_)),
      reporter_({dependencies.executor, dependencies.clock, *client_, options_.node,
                 [this](bool warning, const std::string& reason, const std::string& message) {
                   RecordEvent(warning, reason, message);
                 }}),
      publisher_({dependencies.executor, dependencies.clock, dependencies.log, *client_,
                  options_.node, options_.ns}),
      source_(*client_, dependencies.executor, dependencies.log, options_, *this) {
  // That this agent runs is because there are GPUs.
  reporter_.SetGpuPresent(true);
}

void ClusterMode::OnWish(const Wish& wish) {
  const bool another_offer = !wish_ || wish_->config != wish.config;
  const bool another_mig = !wish_ || wish_->mig != wish.mig;
  const bool needed_labels = needs_labels();
  wish_ = wish;
  silent_.clear();
  if (another_offer) dependencies_.listener.OnOffer(wish.config);
  if (another_mig) dependencies_.listener.OnMigWish(wish.mig);
  if (needed_labels != needs_labels()) dependencies_.listener.OnLabelsSwitched();
  PublishLabels();
}

void ClusterMode::OnNode(const kube::Object* node) {
  reporter_.OnNode(node);
  publisher_.OnNode(node);
  dependencies_.listener.OnNode(node);
}

void ClusterMode::OnClusterSilent(const std::string& why) {
  silent_ = why;
  dependencies_.listener.OnClusterSilent();
}

void ClusterMode::OnConfigTried(const ConfigKeeper::View& view) {
  dependencies_.metrics.withdrawn.Set(view.withdrawn.empty() ? 0 : 1);
  const std::optional<ConfigReport> report = ReportOf(view);
  if (!report || report_ == report) return;
  report_ = report;
  if (!report->accepted) dependencies_.metrics.config_refusals.Increment({report->reason});
  reporter_.SetReport(*report);
}

void ClusterMode::RecordEvent(bool warning, const std::string& reason, const std::string& message) {
  const kube::Object* node = source_.node();
  if (node == nullptr) return;
  // Objects of a list have no kind of their own.
  kube::EventSubject subject = kube::SubjectOf(*node);
  subject.api_version = "v1";
  subject.kind = "Node";
  events_.Record(subject, warning ? kube::EventType::kWarning : kube::EventType::kNormal, reason,
                 message);
}

void ClusterMode::TellPod(const PodNews& news) {
  const kube::EventSubject pod{"v1", "Pod", news.holder.pod_namespace, news.holder.pod,
                               news.pod_uid};
  events_.Record(pod, kube::EventType::kWarning, news.reason, news.message);
}

void ClusterMode::OnDevices(const std::shared_ptr<const gpu::Inventory>& inventory,
                            const std::shared_ptr<const share::Plan>& plan,
                            const ConfigKeeper::View& view) {
  labels_.reset();
  if (inventory && plan && view.serving) {
    labels::HostFactsReading host =
        labels::ReadHostFacts(host_root_, view.serving->flags.gfd_machine_type_file);
    // As of the configuration, not of this moment: a label that always changes is of no use.
    host.facts.timestamp =
        std::chrono::duration_cast<std::chrono::seconds>(view.applied_at->time_since_epoch())
            .count();
    labels_ = labels::NodeLabels(*inventory, *view.serving, *plan, host.facts);
    use_node_feature_ = view.serving->flags.use_node_feature_api;
  }
  PublishLabels();
}

void ClusterMode::PublishLabels() {
  LabelPublisher::Wanted wanted;
  wanted.use_node_feature = use_node_feature_;
  wanted.mode = wish_ ? wish_->labels : LabelMode::kHold;
  if (wanted.mode == LabelMode::kPublish) {
    if (labels_) {
      wanted.labels = *labels_;
    } else {
      wanted.mode = LabelMode::kHold;
    }
  }
  publisher_.Want(std::move(wanted));
}

void ClusterMode::PublishMetrics() {
  metrics::ClusterMetrics& metrics = dependencies_.metrics;
  metrics::Gauge::Samples watches;
  for (const ClusterSource::WatchStatus& watch : source_.watches()) {
    watches[{watch.what}] = watch.synced && watch.error.empty() ? 1 : 0;
  }
  metrics.watch_up.Replace(std::move(watches));
  const LabelPublisher::View labels = publisher_.view();
  metrics.labels.Set(static_cast<double>(labels.labels), {"published"});
  metrics.labels.Set(static_cast<double>(labels.kept_by_others.size()), {"kept_by_others"});
  metrics.label_writes.SetTotal(static_cast<double>(labels.writes - labels.failures), {"ok"});
  metrics.label_writes.SetTotal(static_cast<double>(labels.failures), {"failed"});
}

ClusterStatus ClusterMode::status() const {
  ClusterStatus status;
  status.node = options_.node;
  if (wish_) {
    status.policy = wish_->policy;
    status.policy_problems = wish_->policy_problems;
    status.label_mode = wish_->labels;
    status.labels_because = wish_->labels_because;
  }
  status.watches = source_.watches();
  status.silent = silent_;
  status.report = report_;
  status.report_error = reporter_.error();
  status.labels = publisher_.view();
  return status;
}

}  // namespace aliquot::agent
