// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/enforced_shares.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "grants/libraries.h"

namespace aliquot::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The kubelet's list is cheap but for a node full of pods, and nothing depends on knowing at once.
constexpr seconds kHeldInterval{10};
// A pod shows up in the list as soon as its admission is through.
constexpr seconds kHeldSoon{1};
constexpr seconds kProcessInterval{1};

std::string RecordDirectory(const ShareOptions& options) { return options.state_dir + "/grants"; }
std::string LiveDirectory(const ShareOptions& options) { return options.run_dir + "/grants"; }
std::string LibraryDirectory(const ShareOptions& options) { return options.state_dir + "/lib"; }

bool HasRecords(const ShareOptions& options) {
  std::error_code error;
  const std::filesystem::directory_iterator first(RecordDirectory(options), error);
  return !error && first != std::filesystem::directory_iterator();
}

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

metrics::GrantSample SampleOf(const grants::GrantRow& row) {
  metrics::GrantSample sample;
  const grants::Holder holder = row.grant.holder.value_or(grants::Holder{});
  sample.grant = row.grant.id;
  sample.pod_namespace = holder.pod_namespace;
  sample.pod = holder.pod;
  sample.container = holder.container;
  sample.resource = row.grant.resource;
  sample.device = row.device.uuid;
  sample.gpu = row.device.gpu_uuid;
  sample.tier = "interposer";
  sample.weight_ratio = static_cast<double>(row.device.held) / row.device.of;
  sample.limit_bytes = row.limit_bytes;
  sample.charged_bytes = row.use.charged_bytes;
  sample.peak_bytes = row.use.peak_bytes;
  sample.driver_bytes = row.seen_bytes;
  sample.sessions = row.sessions;
  sample.denied = row.use.denied;
  sample.used_seconds = Seconds(row.use.used);
  sample.granted_seconds = Seconds(row.use.granted);
  sample.waited_seconds = Seconds(row.use.waited);
  return sample;
}

}  // namespace

EnforcedShares::EnforcedShares(ShareOptions options, Dependencies dependencies)
    : options_(std::move(options)),
      dependencies_(std::move(dependencies)),
      store_(RecordDirectory(options_), LiveDirectory(options_)),
      processes_(options_.proc, LiveDirectory(options_)) {
  // Containers of a former run need the agent whatever the configuration says now.
  if (!HasRecords(options_)) return;
  if (Status started = StartManager(); !started.ok()) {
    dependencies_.log.Error("grants of a former run not served",
                            {{"error", started.error().message}});
  }
}

Status EnforcedShares::StartManager() {
  if (!server_) {
    auto server = dependencies_.make_server();
    if (!server.ok()) return server.error();
    server_ = *std::move(server);
  }
  if (!manager_) {
    manager_ = std::make_unique<grants::GrantManager>(grants::GrantManager::Dependencies{
        dependencies_.clock, dependencies_.log, store_, *server_, processes_, grants::RandomId,
        [this](const grants::Report& report) { OnViolation(report); }});
  }
  if (manager_->error().empty()) return {};
  if (Status started = manager_->Start(); !started.ok()) return started;
  Publish();
  return {};
}

Status EnforcedShares::Prepare() {
  Status status = grants::InstallLibraries(options_.library_dir, LibraryDirectory(options_));
  if (status.ok()) status = StartManager();
  const std::string former =
      std::exchange(error_, status.ok() ? std::string() : status.error().message);
  if (!status.ok() && error_ != former) {
    dependencies_.log.Error("shares cannot be enforced", {{"error", error_}});
  }
  if (status.ok() && isolation_) manager_->SetIsolation(isolation_);
  return status;
}

void EnforcedShares::SetConfig(const config::Config& config) {
  isolation_ = config.sharing.isolation;
  if (isolation_ && !isolation_->active()) isolation_.reset();
  wanted_ = isolation_.has_value();
  // What goes wrong is kept in error_, and tried again at the next Issue.
  if (wanted_) {
    (void)Prepare();
  } else {
    error_.clear();
    if (manager_) manager_->SetIsolation(std::nullopt);
  }
  Publish();
}

std::optional<cdi::ShareLibraries> EnforcedShares::libraries() const {
  if (!wanted_ || !error_.empty()) return std::nullopt;
  const std::string directory = LibraryDirectory(options_) + "/";
  return cdi::ShareLibraries{directory + grants::kCudaLibrary, directory + grants::kNvmlLibrary,
                             grants::kContainerDriver};
}

Result<std::optional<grants::Injection>> EnforcedShares::Issue(
    const share::PlannedResource& resource, const std::vector<std::string>& ids,
    const gpu::Inventory& inventory, bool over_driver) {
  if (!wanted_) return std::optional<grants::Injection>();
  if (!error_.empty()) {
    if (Status ready = Prepare(); !ready.ok()) return ready.error().In("enforced shares");
  }
  grants::GrantManager::Request request{resource, ids, inventory, "", ""};
  if (over_driver) {
    request.driver_library = fmt::format("{}/libcuda.so.1", grants::kContainerDriver);
    request.nvml_library = fmt::format("{}/libnvidia-ml.so.1", grants::kContainerDriver);
  }
  auto grant = manager_->Allocate(request);
  if (!grant.ok()) return grant.error();
  if (!grant->has_value()) return std::optional<grants::Injection>();
  Publish();
  return std::optional(
      grants::Inject(manager_->LiveDirectory((*grant)->id), LibraryDirectory(options_)));
}

Clock::Duration EnforcedShares::process_interval() const {
  return manager_ && !manager_->empty() ? kProcessInterval : Clock::Duration::zero();
}

void EnforcedShares::SetProcesses(const gpu::ProcessSnapshot& snapshot) {
  if (!manager_ || manager_->empty()) return;
  manager_->SetProcesses(snapshot);
  Publish();
}

std::vector<grants::GrantRow> EnforcedShares::rows() const {
  return manager_ ? manager_->Rows() : std::vector<grants::GrantRow>();
}

Clock::Duration EnforcedShares::held_interval() const {
  if (!manager_ || manager_->empty()) return Clock::Duration::zero();
  return manager_->HasUnidentified() ? kHeldSoon : kHeldInterval;
}

void EnforcedShares::SetHeld(const std::vector<rpc::HeldDevices>& held) {
  if (!manager_ || manager_->empty()) return;
  std::vector<grants::HeldIds> ids;
  for (const rpc::HeldDevices& one : held) {
    ids.push_back({{one.pod_namespace, one.pod, one.container}, one.resource, one.ids});
  }
  manager_->SetHeld(ids);
  Publish();
}

void EnforcedShares::OnViolation(const grants::Report& report) {
  const grants::Holder holder = report.holder.value_or(grants::Holder{});
  dependencies_.metrics.CountViolation(
      holder.pod_namespace, holder.pod, holder.container, report.violation.device,
      grants::NameOf(report.violation.kind), report.killed ? "killed" : "reported");
  if (!report.holder) return;
  dependencies_.tell({holder, report.pod_uid, "GpuShareViolated", grants::Describe(report)});
}

void EnforcedShares::OnMisbehaved(const std::string& grant, pid_t pid, const std::string& detail) {
  for (const grants::GrantRow& row : rows()) {
    if (row.grant.id != grant || !row.grant.holder) continue;
    return dependencies_.tell(
        {*row.grant.holder, processes_.PodOf(pid).value_or(std::string()), "GpuShareTampered",
         fmt::format("process {} of container {} was cut off from its share: {}", pid,
                     row.grant.holder->container, detail)});
  }
}

void EnforcedShares::Publish() {
  if (manager_) {
    std::vector<metrics::GrantSample> samples;
    for (const grants::GrantRow& row : manager_->Rows()) samples.push_back(SampleOf(row));
    dependencies_.metrics.Set(samples, manager_->foreign_bytes());
  }
  dependencies_.changed();
}

}  // namespace aliquot::agent
