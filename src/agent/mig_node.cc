// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_node.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "agent/cluster_wish.h"
#include "agent/mig_records.h"
#include "base/text.h"
#include "mig/boot_restore.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

// A pause between two tries of a patch, and between two looks at who is still there.
constexpr seconds kPatchRetry{5};
constexpr seconds kClientsPace{2};
// How long a reboot waits for the label to say so, lest nobody knows why the node went.
constexpr seconds kRebootNotice{30};

const char* EventReason(MigState state) {
  switch (state) {
    case MigState::kPending:
      return "MigConfigPending";
    case MigState::kRebooting:
      return "MigConfigRebooting";
    case MigState::kSuccess:
      return "MigConfigApplied";
    default:
      return "MigConfigFailed";
  }
}

bool IsDriverJob(MigJob job) { return job == MigJob::kLook || job == MigJob::kApply; }

}  // namespace

MigNode::MigNode(MigOptions options, Dependencies dependencies)
    : options_(std::move(options)),
      dependencies_(std::move(dependencies)),
      flow_(options_.policy, RebootedFor(options_.state_dir, options_.boot_id),
            dependencies_.host.stopped()),
      rebooted_(HasRebootRecord(options_.state_dir)),
      events_(dependencies_.client, dependencies_.executor, dependencies_.clock,
              {.component = "aliquot-agent", .instance = options_.node}),
      source_(options_.layouts, dependencies_.client, dependencies_.executor,
              [this](MigLayouts layouts) {
                layouts_ = std::move(layouts);
                ++layouts_generation_;
                Wake();
              }),
      clients_source_({options_.layouts.config_map_namespace, "clients.yaml", "GPU clients"},
                      dependencies_.client, dependencies_.executor,
                      [this](const std::string& origin, const Result<std::string>& text) {
                        if (!text.ok()) return SetHostClients(text.error());
                        auto units = ParseGpuClients(*text);
                        SetHostClients(units.ok() ? std::move(units) : units.error().In(origin));
                      }) {}

MigNode::~MigNode() {
  dependencies_.executor.Cancel(timer_);
  dependencies_.executor.Cancel(pace_timer_);
}

void MigNode::ReloadFile() { source_.Reload(); }

void MigNode::SetWish(const MigWish& wish) {
  if (wish_ == wish) return;
  wish_ = wish;
  source_.Follow(wish.config_map);
  FollowHostClients();
  Wake();
}

void MigNode::FollowHostClients() {
  const bool stop = wish_->stop_host_clients.value_or(false);
  clients_source_.Follow(stop ? wish_->clients_map : "");
  if (!stop) return SetHostClients(std::vector<std::string>());
  if (wish_->clients_map.empty()) SetHostClients(options_.host_clients);
}

void MigNode::SetHostClients(Result<std::vector<std::string>> units) {
  // What failed for want of them is worth another look.
  if (host_clients_ && !host_clients_->ok() && units.ok()) ++layouts_generation_;
  host_clients_ = std::move(units);
  Wake();
}

void MigNode::OnNode(const kube::Object& node) {
  Labels labels = LabelsOf(node);
  if (labels_ == labels) return;
  labels_ = std::move(labels);
  Wake();
}

void MigNode::OnGpusChanged() {
  ++gpus_generation_;
  Wake();
}

Executor::Task MigNode::Guarded(std::function<void()> task) {
  return [alive = std::weak_ptr<int>(alive_), task = std::move(task)] {
    if (alive.lock()) task();
  };
}

void MigNode::Wake() {
  if (std::exchange(wake_pending_, true)) return;
  dependencies_.executor.Post(Guarded([this] {
    wake_pending_ = false;
    Sync();
  }));
}

void MigNode::WakeAfter(Clock::Duration delay) {
  dependencies_.executor.PostAfter(delay, Guarded([this] { Wake(); }));
}

MigInputs MigNode::Inputs() const {
  MigInputs inputs;
  inputs.label = WantedMigConfig(*labels_);
  inputs.held = !wish_->enabled || !driver_thread_;
  inputs.allow_reboot = wish_->allow_reboot;
  inputs.layouts = layouts_generation_;
  inputs.gpus = gpus_generation_;
  if (!host_clients_->ok()) inputs.host_clients_problem = host_clients_->error().message;
  const MigOrders& orders = flow_.orders();
  inputs.withdrawn = withheld_ == orders.withheld && dependencies_.lists_sent();
  if (orders.clients == MigOrders::Clients::kPaused &&
      LabelChanges(*labels_, orders, options_.clients).empty()) {
    inputs.clients_left = PausedLabels(*labels_).empty() ? std::string() : clients_left_;
  }
  return inputs;
}

void MigNode::Sync() {
  if (!labels_ || !wish_ || !layouts_ || !host_clients_ || gpus_generation_ == 0) return;
  const MigInputs inputs = Inputs();
  followed_ = inputs.label.value_or("");
  flow_.Observe(inputs, dependencies_.clock.Now());
  CarryOut();
}

void MigNode::CarryOut() {
  const MigOrders& orders = flow_.orders();
  if (orders.withheld != withheld_) {
    withheld_ = orders.withheld;
    dependencies_.withhold(withheld_);
    Wake();
  }
  PatchLabels();
  ListClients();
  Announce();
  StartJob();
  dependencies_.executor.Cancel(std::exchange(timer_, 0));
  if (orders.wake) {
    const auto delay = std::max(*orders.wake - dependencies_.clock.Now(), Clock::Duration::zero());
    timer_ = dependencies_.executor.PostAfter(delay, Guarded([this] { Sync(); }));
  }
  if (!WantedMigConfig(*labels_) && wish_->enabled) {
    if (Status gone = mig::ForgetLayout(options_.state_dir); !gone.ok()) {
      dependencies_.log.Warning("cannot forget the MIG layout", {{"cause", gone.error().message}});
    }
  }
  MigStatus now = status();
  if (now == told_) return;
  told_ = std::move(now);
  if (dependencies_.changed) dependencies_.changed();
}

void MigNode::PatchLabels() {
  if (patching_) return;
  const auto changes = LabelChanges(*labels_, flow_.orders(), options_.clients);
  if (changes.empty()) return;
  json::object labels;
  for (const auto& [key, value] : changes) {
    labels[key] = value ? json::value(*value) : json::value(nullptr);
  }
  patching_ = true;
  const auto alive = std::weak_ptr<int>(alive_);
  dependencies_.client.Patch(
      {kube::kNodes, "", options_.node, ""}, kube::PatchType::kMerge,
      json::object{{"metadata", json::object{{"labels", std::move(labels)}}}},
      dependencies_.executor, [this, alive](Result<kube::Object> node) {
        if (!alive.lock()) return;
        patching_ = false;
        if (node.ok()) {
          OnNode(*node);
          Wake();
          return;
        }
        dependencies_.log.Warning("node labels not written", {{"cause", node.error().message}});
        WakeAfter(kPatchRetry);
      });
}

void MigNode::ListClients() {
  const MigOrders& orders = flow_.orders();
  if (orders.clients != MigOrders::Clients::kPaused) clients_left_.reset();
  const std::set<std::string> paused = PausedLabels(*labels_);
  const bool all_paused = LabelChanges(*labels_, orders, options_.clients).empty();
  const bool known = clients_left_ && clients_left_->empty();
  if (orders.clients != MigOrders::Clients::kPaused || !all_paused || paused.empty() || known ||
      listing_) {
    return;
  }
  listing_ = true;
  kube::Selection selection;
  selection.resource = kube::kPods;
  selection.field_selector = "spec.nodeName=" + options_.node;
  const auto alive = std::weak_ptr<int>(alive_);
  dependencies_.client.List(selection, dependencies_.executor,
                            [this, alive, paused](Result<std::vector<kube::Object>> pods) {
                              if (!alive.lock()) return;
                              if (pods.ok()) {
                                clients_left_ = Join(PodsSelectedBy(*pods, paused), ", ");
                              } else {
                                dependencies_.log.Warning("pods of the node not listed",
                                                          {{"cause", pods.error().message}});
                              }
                              if (clients_left_ && clients_left_->empty()) {
                                listing_ = false;
                                Wake();
                                return;
                              }
                              pace_timer_ =
                                  dependencies_.executor.PostAfter(kClientsPace, Guarded([this] {
                                                                     listing_ = false;
                                                                     Wake();
                                                                   }));
                            });
}

void MigNode::Announce() {
  const MigOrders& orders = flow_.orders();
  if (!orders.state) return;
  if (announced_ == orders.state && announced_reason_ == orders.reason) return;
  const auto now = dependencies_.clock.WallNow();
  // What the label says already was announced when it came to say so.
  const auto shown = labels_->find(kMigStateLabel);
  const bool old_news = !announced_ && orders.state == MigState::kSuccess &&
                        shown != labels_->end() && shown->second == ToString(MigState::kSuccess);
  if (announced_ != orders.state) since_ = now;
  announced_ = orders.state;
  announced_reason_ = orders.reason;
  if (orders.state == MigState::kSuccess && std::exchange(rebooted_, false)) {
    RemoveRebootRecord(options_.state_dir);
  }
  if (old_news || orders.state == MigState::kNone) return;
  const bool warning = orders.state == MigState::kFailed;
  const std::string label = WantedMigConfig(*labels_).value_or("");
  if (warning) {
    dependencies_.log.Warning("MIG configuration failed",
                              {{"config", label}, {"reason", orders.reason}});
  } else {
    dependencies_.log.Info("MIG configuration", {{"config", label},
                                                 {"state", std::string(ToString(*orders.state))},
                                                 {"reason", orders.reason}});
  }
  // By its name in the place of a uid, as the kubelet writes Events of Nodes.
  events_.Record({"v1", "Node", "", options_.node, options_.node},
                 warning ? kube::EventType::kWarning : kube::EventType::kNormal,
                 EventReason(*orders.state),
                 fmt::format("MIG configuration \"{}\": {}", label, orders.reason));
}

template <typename T>
std::function<void(T)> MigNode::JobDone(std::function<void(T)> report) {
  return [alive = std::weak_ptr<int>(alive_), this, &executor = dependencies_.executor,
          number = job_number_, report = std::move(report)](T outcome) {
    executor.Post([alive, this, number, report, outcome = std::move(outcome)] {
      if (!alive.lock() || !job_running_ || job_number_ != number) return;
      job_running_ = false;
      report(outcome);
      Wake();
    });
  };
}

void MigNode::StartJob() {
  const MigOrders& orders = flow_.orders();
  if (orders.job == MigJob::kNone || orders.job_number == job_number_) return;
  if (orders.job == MigJob::kReboot) return StartReboot();
  job_number_ = orders.job_number;
  job_running_ = true;
  const auto now = [this] { return dependencies_.clock.Now(); };
  switch (orders.job) {
    case MigJob::kLook:
      if (!dependencies_.list_pods) return StartLook({});
      dependencies_.list_pods(JobPods());
      break;
    case MigJob::kApply:
      StartApply();
      break;
    case MigJob::kStopClients:
      dependencies_.host.StopClients(
          host_clients_->ok() ? **host_clients_ : std::vector<std::string>(), planned_.changes_mode,
          JobDone<Status>([this, now](Status s) { flow_.OnClientsStopped(s, now()); }));
      break;
    case MigJob::kStartClients:
      dependencies_.host.StartClients(
          JobDone<Status>([this, now](Status s) { flow_.OnClientsStarted(s, now()); }));
      break;
    case MigJob::kReboot:
    case MigJob::kNone:
      break;
  }
}

std::function<void(Result<PodsByDevice>)> MigNode::JobPods() {
  return [alive = std::weak_ptr<int>(alive_), this, &executor = dependencies_.executor,
          number = job_number_](Result<PodsByDevice> pods) {
    executor.Post([alive, this, number, pods = std::move(pods)] {
      if (!alive.lock() || !job_running_ || job_number_ != number) return;
      if (!pods.ok()) {
        dependencies_.log.Warning("the kubelet does not say which pods hold devices",
                                  {{"cause", pods.error().message}});
      }
      StartLook(pods.ok() ? *pods : PodsByDevice());
    });
  };
}

void MigNode::StartLook(PodsByDevice pods) {
  MigRequest request{WantedMigConfig(*labels_).value_or(""), *layouts_, std::move(pods),
                     options_.state_dir, options_.boot_id};
  auto planned = std::make_shared<MigPlanned>();
  auto done = JobDone<std::shared_ptr<MigPlanned>>([this](const std::shared_ptr<MigPlanned>& p) {
    planned_ = std::move(*p);
    flow_.OnLook(planned_.look, dependencies_.clock.Now());
  });
  gpu::DriverJob job;
  job.run = [planned, request = std::move(request), &log = dependencies_.log](
                const Result<const gpu::NvmlApi*>& api, const auto&) {
    if (!api.ok()) {
      planned->look.planned = api.error();
      return;
    }
    auto driver = mig::NvmlMigDriver::Open(**api);
    if (driver.ok()) {
      *planned = LookAtMig(**driver, request, log);
    } else {
      planned->look.planned = driver.error();
    }
  };
  job.done = [planned, done] { done(planned); };
  if (!dependencies_.drive(std::move(job))) LoseJob();
}

void MigNode::StartApply() {
  const MigApplyOptions options{options_.state_dir, options_.allow_reset,
                                flow_.orders().may_reboot};
  auto applied = std::make_shared<MigApplied>();
  auto done = JobDone<std::shared_ptr<MigApplied>>([this](const std::shared_ptr<MigApplied>& a) {
    flow_.OnApplied(*a, dependencies_.clock.Now());
  });
  gpu::DriverJob job;
  job.alone = planned_.changes_mode;
  job.run = [applied, options, plan = planned_.plan, host = options_.driver_host,
             &log = dependencies_.log](const Result<const gpu::NvmlApi*>& api,
                                       const auto& breathe) {
    if (!api.ok()) {
      applied->done = api.error();
      return;
    }
    auto driver = mig::NvmlMigDriver::Open(**api, host);
    if (driver.ok()) {
      *applied = ApplyMig(**driver, plan, options, log, breathe);
    } else {
      applied->done = driver.error();
    }
  };
  job.done = [applied, done] { done(applied); };
  if (!dependencies_.drive(std::move(job))) LoseJob();
}

// The label says so first: it is how the flow is followed from outside while the node is away.
void MigNode::StartReboot() {
  const Clock::TimePoint now = dependencies_.clock.Now();
  if (!reboot_at_) reboot_at_ = now + kRebootNotice;
  const auto state = labels_->find(kMigStateLabel);
  const bool shown = state != labels_->end() && state->second == ToString(MigState::kRebooting);
  if (!shown && now < *reboot_at_) return WakeAfter(seconds(1));
  reboot_at_.reset();
  job_number_ = flow_.orders().job_number;
  job_running_ = true;
  auto done =
      JobDone<Status>([this](Status s) { flow_.OnRebootOrdered(s, dependencies_.clock.Now()); });
  const Status kept =
      RecordReboot(options_.state_dir, options_.boot_id, WantedMigConfig(*labels_).value_or(""));
  if (!kept.ok()) return done(kept);  // else it might reboot again and again
  rebooted_ = true;
  dependencies_.log.Warning("rebooting the node", {{"because", flow_.orders().reason}});
  dependencies_.host.Reboot(std::move(done));
}

void MigNode::OnDriverThread(bool there) {
  driver_thread_ = there;
  LoseJob();
  Wake();
}

void MigNode::LoseJob() {
  const MigJob job = flow_.orders().job;
  if (!job_running_ || !IsDriverJob(job)) return;
  job_running_ = false;
  const Error lost{Code::kUnavailable, "the driver was let go meanwhile"};
  if (job == MigJob::kLook) {
    MigLook look;
    look.planned = lost;
    flow_.OnLook(look, dependencies_.clock.Now());
  } else {
    flow_.OnApplied({lost}, dependencies_.clock.Now());
  }
  Wake();
}

MigStatus MigNode::status() const {
  const MigOrders& orders = flow_.orders();
  MigStatus status;
  status.label = followed_;
  if (orders.state) status.state = ToString(*orders.state);
  status.phase = flow_.phase();
  status.reason = orders.reason;
  if (layouts_) {
    status.layouts = layouts_->origin.empty() ? "derived from the GPUs" : layouts_->origin;
  }
  status.since = since_;
  for (const auto& [gpu, devices] : orders.withheld) status.withheld.insert(gpu);
  return status;
}

}  // namespace aliquot::agent
