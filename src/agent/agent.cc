// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <fmt/format.h>
#include <malloc.h>

#include <filesystem>
#include <future>
#include <utility>

#include "agent/config_keeper.h"
#include "agent/containers.h"
#include "agent/file_watch.h"
#include "agent/gpu_wait.h"
#include "agent/idle_memory.h"
#include "agent/node_shares.h"
#include "agent/pages.h"
#include "agent/reconciler.h"
#include "agent/status_page.h"
#include "base/executor.h"
#include "base/fd_poller.h"
#include "cdi/writer.h"
#include "deviceplugin/directory_watch.h"
#include "deviceplugin/plugin_manager.h"
#include "metrics/agent_metrics.h"
#include "metrics/cluster_metrics.h"
#include "metrics/process.h"
#include "rpc/device_plugin_server.h"
#include "rpc/kubelet_client.h"
#include "rpc/pod_resources_client.h"
#include "rpc/socket_path.h"

namespace aliquot::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A burst of file events is one change.
constexpr milliseconds kSettle{20};
// The status page is made after every change, and this often for what changes by itself.
constexpr seconds kHeartbeat{5};

constexpr char kDefaultPluginDirectory[] = "/var/lib/kubelet/device-plugins";

cdi::Options CdiOptions(const config::AgentSettings& settings, const EnforcedShares& shares) {
  return {{settings.cdi_feature_flags.begin(), settings.cdi_feature_flags.end()},
          {settings.cdi_disable_hooks.begin(), settings.cdi_disable_hooks.end()},
          shares.libraries()};
}

}  // namespace

class Agent::Impl final : private gpu::GpuMonitorListener,
                          private deviceplugin::PluginObserver,
                          private ClusterMode::Listener {
 public:
  Impl(AgentOptions options, const Clock& clock, const Logger& log, const RecentLog& recent)
      : options_(std::move(options)),
        clock_(clock),
        log_(log),
        started_at_(clock.WallNow()),
        metrics_(registry_),
        cluster_metrics_(registry_),
        pages_(registry_, clock, log, recent),
        keeper_(options_.sources, options_.state_dir,
                options_.cluster ? ConfigKeeper::Mode::kCluster : ConfigKeeper::Mode::kFile, clock,
                log),
        cdi_files_(options_.cdi_root) {}
  ~Impl() override { Stop(); }

  Status Start();
  void Reload() {
    executor_.Post([this] { ReloadConfig(); });
  }
  bool Stop();
  std::uint16_t port() const { return pages_.port(); }

 private:
  // All on the executor.
  Status StartOrWait();
  Status StartServing();
  // Builds what talks to the kubelet.
  Status StartPlugins();
  void StartContainers();
  Status WatchConfig();
  Status StartCluster();
  Status StartMig();
  void StartMonitor();
  // The driver is let go while nothing is asked of it, so that it can be replaced or reset.
  void UpdateMonitor();
  void ReloadConfig();
  // Brings the node to the keeper's newest view, which is another one if `changed`.
  void OnConfigTried(bool changed);
  // The inventory or what is made of it changed.
  void OnDevicesChanged();
  void Publish();
  void Heartbeat();

  // From the driver thread.
  void OnInventory(std::shared_ptr<const gpu::Inventory> inventory) override;
  void OnDriverUnavailable(const Error& error) override;
  void OnDriverAvailable() override;
  void OnHealth(std::shared_ptr<const gpu::HealthSnapshot> health) override;
  void OnHang(const gpu::HangReport& report) override;
  void OnProcesses(std::shared_ptr<const gpu::ProcessSnapshot> processes) override;

  // On the executor.
  void OnAllocate(const std::string& resource, const std::vector<std::string>& ids,
                  Clock::Duration duration, bool ok) override;
  void OnPreferredAllocation(const std::string&, Clock::Duration, bool) override {}
  void OnListSent(const std::string& resource, std::size_t devices, std::size_t unhealthy) override;
  void OnRegistration(const std::string& resource, bool ok) override;

  // On the executor.
  void OnOffer(const ConfigOffer& offer) override { OnConfigTried(keeper_.Offer(offer)); }
  void OnLabelsSwitched() override { UpdateMonitor(); }
  void OnClusterSilent() override;
  void OnNode(const kube::Object* node) override;
  void OnMigWish(const MigWish& wish) override {
    if (mig_) mig_->SetWish(wish);
  }

  const AgentOptions options_;
  const Clock& clock_;
  const Logger& log_;
  const std::chrono::system_clock::time_point started_at_;
  metrics::Registry registry_;
  metrics::AgentMetrics metrics_;
  metrics::ClusterMetrics cluster_metrics_;
  Pages pages_;

  // Owned by the executor from here on.
  ConfigKeeper keeper_;
  cdi::SpecWriter cdi_files_;
  std::unique_ptr<FdPoller> poller_;
  std::unique_ptr<rpc::DevicePluginServers> transport_;
  std::unique_ptr<rpc::KubeletClient> registrar_;
  std::unique_ptr<deviceplugin::InotifyDirectory> directory_;
  std::optional<NodeShares> shares_;
  std::unique_ptr<deviceplugin::PluginManager> plugins_;
  std::optional<Reconciler> reconciler_;
  // That the monitor was started with.
  std::string driver_root_;
  std::string health_checks_;
  std::string driver_error_;
  std::optional<gpu::HangReport> hang_;
  std::unique_ptr<gpu::GpuMonitor> monitor_;
  std::vector<std::unique_ptr<gpu::GpuMonitor>> abandoned_;  // stuck in a driver

  std::unique_ptr<rpc::PodResourcesClient> pod_resources_;
  std::unique_ptr<Containers> containers_;
  std::unique_ptr<GpuWait> gpu_wait_;  // while there is no GPU
  std::unique_ptr<ClusterMode> cluster_;
  std::unique_ptr<MigMode> mig_;  // only in a cluster
  std::unique_ptr<FileWatch> config_watch_;
  bool reload_pending_ = false;
  bool lists_changed_ = false;  // since the last heartbeat
  bool stopped_ = false;
  bool stuck_ = false;
  ThreadExecutor executor_;  // last: stops before what its tasks use is gone
};

Status Agent::Impl::Start() {
  std::promise<Status> done;
  executor_.Post([&] { done.set_value(StartOrWait()); });
  if (Status started = done.get_future().get(); !started.ok()) return started;
  metrics::AddProcessMetrics(registry_, "/proc");
  return pages_.Start(options_.listen_address, options_.listen_port);
}

Status Agent::Impl::StartOrWait() {
  auto poller = FdPoller::Create();
  if (!poller.ok()) return poller.error();
  poller_ = std::move(*poller);
  metrics_.SetBuild(kVersion);
  const bool wait = options_.cluster && options_.wait_for_gpu &&
                    !HasNvidiaGpu(options_.cluster->host_root).value_or(true);
  if (!wait) {
    if (Status serving = StartServing(); !serving.ok()) return serving;
  } else {
    log_.Info("no NVIDIA GPU on the PCI bus; waiting for one");
    gpu_wait_ = std::make_unique<GpuWait>(*poller_, executor_, log_, *options_.cluster, [this] {
      log_.Info("an NVIDIA GPU appeared");
      gpu_wait_.reset();
      if (Status serving = StartServing(); !serving.ok()) {
        log_.Error("cannot serve", {{"error", serving.error().message}});
      }
      Publish();
    });
  }
  Heartbeat();
  return {};
}

Status Agent::Impl::StartServing() {
  if (Status plugins = StartPlugins(); !plugins.ok()) return plugins;
  if (Status watch = WatchConfig(); !watch.ok()) return watch;
  StartContainers();
  if (Status cluster = StartCluster(); !cluster.ok()) return cluster;
  if (!cluster_) ReloadConfig();
  UpdateMonitor();
  return {};
}

void Agent::Impl::StartContainers() {
  if (options_.pod_resources_socket.empty()) return;
  pod_resources_ = std::make_unique<rpc::PodResourcesClient>(options_.pod_resources_socket);
  containers_ = std::make_unique<Containers>(
      Containers::Dependencies{executor_, clock_, log_, cluster_metrics_,
                               [this](std::function<void(Result<Containers::Held>)> done) {
                                 pod_resources_->List("", std::move(done));
                               },
                               [this] {
                                 if (containers_->held()) (*shares_)->SetHeld(*containers_->held());
                                 Publish();
                               }});
  containers_->AskEvery((*shares_)->held_interval());
}

Status Agent::Impl::StartPlugins() {
  const std::string socket = keeper_.settings().kubelet_socket;
  const std::string directory = socket.empty()
                                    ? kDefaultPluginDirectory
                                    : std::filesystem::path(socket).parent_path().string();
  auto watch = deviceplugin::InotifyDirectory::Open(*poller_, socket, directory);
  if (!watch.ok()) return watch.error();
  directory_ = std::move(*watch);
  rpc::RemoveStaleSockets(directory);
  transport_ =
      std::make_unique<rpc::DevicePluginServers>(*poller_, directory, rpc::NewInstanceId());
  if (!socket.empty()) registrar_ = std::make_unique<rpc::KubeletClient>(socket);
  const auto changed = [this] {
    if (monitor_) monitor_->WatchProcesses((*shares_)->process_interval());
    if (containers_) containers_->AskEvery((*shares_)->held_interval());
    if (reconciler_) Publish();
  };
  const auto tell = [this](const PodNews& news) {
    if (cluster_) cluster_->TellPod(news);
  };
  shares_.emplace(options_.shares, executor_, clock_, log_, registry_, changed, tell);
  plugins_ =
      std::make_unique<deviceplugin::PluginManager>(deviceplugin::PluginManager::Dependencies{
          executor_, clock_, log_, *transport_, registrar_.get(), *directory_, this});
  reconciler_.emplace(Reconciler::Dependencies{log_, *plugins_, cdi_files_, metrics_, **shares_});
  return {};
}

Status Agent::Impl::StartCluster() {
  if (!options_.cluster) return {};
  auto client = options_.cluster->connect();
  if (!client.ok()) return client.error();
  cluster_ = std::make_unique<ClusterMode>(
      ClusterMode::Dependencies{executor_, clock_, log_, cluster_metrics_,
                                static_cast<ClusterMode::Listener&>(*this)},
      *std::move(client), *options_.cluster);
  return StartMig();
}

Status Agent::Impl::StartMig() {
  if (!options_.mig) return {};
  MigAgentOptions mig = *options_.mig;
  mig.node.node = options_.cluster->wish.node;
  mig.node.layouts.config_map_namespace = options_.cluster->wish.ns;
  const auto drive = [this](gpu::DriverJob job) {
    if (monitor_) monitor_->Run(std::move(job));
    return monitor_ != nullptr;
  };
  const auto withhold = [this](const WithheldGpus& withheld) {
    reconciler_->SetWithheld(withheld);
    // Labels tell what is offered, and the inventory may have been read while it was withheld.
    if (withheld.empty()) OnDevicesChanged();
  };
  mig_ = std::make_unique<MigMode>(
      std::move(mig),
      MigMode::Agent{executor_, clock_, log_, cluster_->client(), pod_resources_.get(), drive,
                     withhold, [this] { return plugins_->lists_sent(); }, [this] { Publish(); }});
  return mig_->WatchFile(*poller_);
}

Status Agent::Impl::WatchConfig() {
  const std::string path = config::ConfigFilePath(options_.sources);
  if (path.empty()) return {};
  auto watch = FileWatch::Start(*poller_, path, [this] {
    executor_.Post([this] {
      if (std::exchange(reload_pending_, true)) return;
      executor_.PostAfter(kSettle, [this] {
        reload_pending_ = false;
        ReloadConfig();
      });
    });
  });
  if (!watch.ok()) return watch.error();
  config_watch_ = std::move(*watch);
  return {};
}

void Agent::Impl::UpdateMonitor() {
  const auto& config = keeper_.view().serving;
  const std::string root =
      config ? config->flags.container_driver_root : config::Flags().container_driver_root;
  const config::AgentSettings& settings = keeper_.settings();
  const std::string checks =
      settings.dp_disable_healthchecks + "/" + settings.dp_enable_healthchecks;
  const bool used = keeper_.view().withdrawn.empty() || (cluster_ && cluster_->needs_labels());
  const bool wanted = used && (config || !cluster_);
  if (monitor_ && wanted && driver_root_ == root && health_checks_ == checks) return;
  if (monitor_) {
    if (!monitor_->Stop()) abandoned_.push_back(std::move(monitor_));
    monitor_.reset();
    if (mig_) mig_->node().OnDriverThread(false);
    driver_error_.clear();
    metrics_.driver_up.Set(0);
  }
  if (!wanted) return reconciler_->ForgetDevices();
  driver_root_ = root;
  health_checks_ = checks;
  StartMonitor();
}

void Agent::Impl::StartMonitor() {
  gpu::MonitorOptions options = options_.monitor;
  std::vector<std::string> warnings;
  options.observer.policy =
      gpu::HealthPolicy::Parse(keeper_.settings().dp_disable_healthchecks,
                               keeper_.settings().dp_enable_healthchecks, warnings);
  for (const std::string& warning : warnings) {
    log_.Warning("health check setting skipped", {{"problem", warning}});
  }
  monitor_ = std::make_unique<gpu::GpuMonitor>(options_.open_driver(driver_root_), options, clock_,
                                               executor_, log_,
                                               static_cast<gpu::GpuMonitorListener&>(*this));
  monitor_->Start();
  monitor_->WatchProcesses((*shares_)->process_interval());
  if (mig_) mig_->node().OnDriverThread(true);
}

void Agent::Impl::ReloadConfig() {
  if (reconciler_) OnConfigTried(keeper_.Reload());
}

void Agent::Impl::OnConfigTried(bool changed) {
  const ConfigKeeper::View& view = keeper_.view();
  metrics_.CountConfigReload(!view.failing, clock_.WallNow());
  if (changed) {
    reconciler_->SetWithdrawn(view.withdrawn);
    UpdateMonitor();
    if (view.serving) {
      (*shares_)->SetConfig(*view.serving);
      reconciler_->SetConfig(view.serving, CdiOptions(keeper_.settings(), **shares_));
    }
    OnDevicesChanged();
  }
  if (cluster_) cluster_->OnConfigTried(view);
  Publish();
}

void Agent::Impl::OnDevicesChanged() {
  if (containers_) containers_->SetInventory(reconciler_->inventory());
  if (!cluster_) return;
  cluster_->OnDevices(reconciler_->inventory(), reconciler_->whole_plan(), keeper_.view());
}

void Agent::Impl::OnClusterSilent() {
  if (keeper_.ServeLastGood()) OnConfigTried(true);
  Publish();
}

void Agent::Impl::OnNode(const kube::Object* node) {
  if (mig_ && node != nullptr) mig_->node().OnNode(*node);
}

void Agent::Impl::Heartbeat() {
  pages_.Beat();
  Publish();
  // A plan and its list leave holes of their size behind; the node's memory is worth a walk through
  // the heap once it is quiet.
  if (std::exchange(lists_changed_, false)) ::malloc_trim(0);
  if (gpu_wait_) ReleaseIdleMemory();
  executor_.PostAfter(kHeartbeat, [this] { Heartbeat(); });
}

void Agent::Impl::Publish() {
  AgentStatus status;
  status.version = kVersion;
  status.started_at = started_at_;
  status.config = keeper_.view();
  if (mig_) status.mig = mig_->node().status();
  status.driver_error = driver_error_;
  status.hang = hang_;
  status.idle = gpu_wait_ != nullptr;
  if (cluster_) {
    cluster_->PublishMetrics();
    status.cluster = cluster_->status();
  }
  if (reconciler_) {
    status.inventory = reconciler_->inventory();
    status.health = reconciler_->health();
    status.plan = reconciler_->plan();
    status.cdi_error = reconciler_->cdi_error();
    status.plugins = plugins_->status();
    status.shares = (*shares_)->rows();
    status.shares_error = (*shares_)->error();
  }
  if (containers_) {
    status.held = containers_->held();
    status.held_error = containers_->error();
  }
  pages_.Publish(std::move(status));
}

void Agent::Impl::OnInventory(std::shared_ptr<const gpu::Inventory> inventory) {
  executor_.Post([this, inventory = std::move(inventory)] {
    if (!monitor_) return;  // let go meanwhile
    log_.Info("inventory changed",
              {{"gpus", fmt::to_string(inventory->gpus.size())},
               {"broken", fmt::to_string(inventory->broken.size())},
               {"driver", inventory->driver_version},
               {"simulated", inventory->simulated() ? inventory->simulated_node : "no"}});
    reconciler_->SetInventory(inventory);
    OnDevicesChanged();
    if (mig_) mig_->node().OnGpusChanged();
    Publish();
  });
}

void Agent::Impl::OnDriverUnavailable(const Error& error) {
  executor_.Post([this, error] {
    if (!monitor_) return;
    driver_error_ = error.message;
    metrics_.driver_up.Set(0);
    if (mig_) mig_->node().OnGpusChanged();
    Publish();
  });
}

void Agent::Impl::OnDriverAvailable() {
  executor_.Post([this] {
    if (!monitor_) return;
    driver_error_.clear();
    metrics_.driver_up.Set(1);
    if (mig_) mig_->node().OnGpusChanged();
    Publish();
  });
}

void Agent::Impl::OnHealth(std::shared_ptr<const gpu::HealthSnapshot> health) {
  executor_.Post([this, health = std::move(health)] {
    if (!monitor_) return;
    reconciler_->SetHealth(health);
    Publish();
  });
}

void Agent::Impl::OnHang(const gpu::HangReport& report) {
  hang_ = report.returned ? std::nullopt : std::optional(report);
  metrics_.nvml_hang.Set(report.returned ? 0
                                         : std::chrono::duration<double>(report.duration).count());
  Publish();
}

void Agent::Impl::OnProcesses(std::shared_ptr<const gpu::ProcessSnapshot> processes) {
  executor_.Post([this, processes = std::move(processes)] {
    if (monitor_) (*shares_)->SetProcesses(*processes);
  });
}

void Agent::Impl::OnAllocate(const std::string& resource, const std::vector<std::string>&,
                             Clock::Duration duration, bool ok) {
  metrics_.CountAllocation(resource, ok, duration);
  if (containers_) containers_->OnAllocated();
}

void Agent::Impl::OnListSent(const std::string& resource, std::size_t, std::size_t) {
  metrics_.list_updates.Increment({resource});
  lists_changed_ = true;
  if (mig_) mig_->node().OnListSent();
  executor_.Post([this] { Publish(); });
}

void Agent::Impl::OnRegistration(const std::string& resource, bool ok) {
  metrics_.registrations.Increment({resource, ok ? "ok" : "failed"});
  lists_changed_ = true;
  executor_.Post([this] { Publish(); });
}

bool Agent::Impl::Stop() {
  if (std::exchange(stopped_, true)) return !stuck_;
  pages_.Stop();
  std::promise<void> done;
  executor_.Post([&] {
    stuck_ = !abandoned_.empty();
    if (monitor_) stuck_ = !monitor_->Stop() || stuck_;
    gpu_wait_.reset();
    config_watch_.reset();
    mig_.reset();
    cluster_.reset();
    pod_resources_.reset();
    containers_.reset();
    done.set_value();
  });
  done.get_future().wait();
  // Drops what is still queued, which counts on everything below being there.
  executor_.Stop();
  reconciler_.reset();
  plugins_.reset();
  shares_.reset();
  registrar_.reset();
  transport_.reset();
  directory_.reset();
  return !stuck_;
}

Agent::Agent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::Start(AgentOptions options, const Clock& clock,
                                            const Logger& log, const RecentLog& recent) {
  auto impl = std::make_unique<Impl>(std::move(options), clock, log, recent);
  if (Status started = impl->Start(); !started.ok()) return started.error();
  return std::unique_ptr<Agent>(new Agent(std::move(impl)));
}

void Agent::Reload() { impl_->Reload(); }
bool Agent::Stop() { return impl_->Stop(); }
std::uint16_t Agent::port() const { return impl_->port(); }

}  // namespace aliquot::agent
