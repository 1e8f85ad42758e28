// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/config_map_key.h"
#include "agent/mig_flow.h"
#include "agent/mig_host.h"
#include "agent/mig_job.h"
#include "agent/mig_labels.h"
#include "agent/mig_layouts.h"
#include "agent/mig_status.h"
#include "agent/mig_wish.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "gpu/gpu_observer.h"
#include "kube/client.h"
#include "kube/events.h"
#include "mig/nvml_driver.h"

namespace aliquot::agent {

struct MigOptions {
  std::string node;  // name of the Node object
  // The ConfigMap is that of the wish.
  MigLayoutSource::Options layouts;
  // The last parts of the labels nvidia.com/gpu.deploy.* whose pods must leave for a change. The
  // reference's list without device-plugin and gpu-feature-discovery, which this agent is.
  std::set<std::string> clients = {"dcgm", "dcgm-exporter", "nvsm", "client"};
  // Systemd units of the host that are stopped for a change, if the wish says so and names none.
  std::vector<std::string> host_clients;
  MigPolicy policy;
  bool allow_reset = true;
  std::string state_dir;  // of the journal, the layout for the next boot and what was stopped
  std::string boot_id;    // names this boot; empty if it is not known
  mig::NvmlMigDriver::Host driver_host;
};

// "namespace/name" of pods by the device they were given.
using PodsByDevice = std::map<std::string, std::vector<std::string>>;

// Brings the GPUs of this node to the layout that its label nvidia.com/mig.config names, and says
// in nvidia.com/mig.config.state, in Events and here what became of it. MigFlow decides; this sees
// and does. Level-triggered: a new one continues where the last was killed. Confined to the
// executor.
class MigNode {
 public:
  struct Dependencies {
    Executor& executor;
    const Clock& clock;
    const Logger& log;
    kube::Client& client;
    MigHost& host;
    // Does a job on the driver thread; false if there is none, because the driver was let go.
    std::function<bool(gpu::DriverJob)> drive;
    // Has these kept from the kubelet from now on.
    std::function<void(const WithheldGpus&)> withhold;
    // Whether the kubelet was told the newest list of every resource.
    std::function<bool()> lists_sent;
    // Asks the kubelet who was given what; `done` runs on any thread. May be empty.
    std::function<void(std::function<void(Result<PodsByDevice>)> done)> list_pods;
    // The status changed; may be empty.
    std::function<void()> changed;
  };

  MigNode(MigOptions options, Dependencies dependencies);
  ~MigNode();
  MigNode(const MigNode&) = delete;
  MigNode& operator=(const MigNode&) = delete;

  // What the cluster wants of the flow. Nothing is done before the first.
  void SetWish(const MigWish& wish);
  // The Node as the cluster has it. Nothing is done before the first.
  void OnNode(const kube::Object& node);
  // The driver shows something else than before, has come or has gone. Nothing is done before the
  // first.
  void OnGpusChanged();
  // A list was sent to the kubelet.
  void OnListSent() { Wake(); }
  // The driver thread ended, and `there` is another one or not: a job of the former will not end.
  void OnDriverThread(bool there);
  // Reads the file with layout configurations again.
  void ReloadFile();

  MigStatus status() const;

 private:
  void FollowHostClients();
  void SetHostClients(Result<std::vector<std::string>> units);
  void Wake();
  void Sync();
  MigInputs Inputs() const;
  // Brings everything but the job to what the orders say.
  void CarryOut();
  void PatchLabels();
  void ListClients();
  void Announce();
  void StartJob();
  void StartLook(PodsByDevice pods);
  void StartApply();
  void StartReboot();
  void LoseJob();
  std::function<void(Result<PodsByDevice>)> JobPods();
  // `task`, if this is still there then.
  Executor::Task Guarded(std::function<void()> task);
  // Wakes no later than in `delay`.
  void WakeAfter(Clock::Duration delay);
  // Runs `report` on the executor with the outcome of the job in progress, and goes on.
  template <typename T>
  std::function<void(T)> JobDone(std::function<void(T)> report);

  const MigOptions options_;
  const Dependencies dependencies_;
  // Seen by late tasks, which find it expired once this is gone.
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  MigFlow flow_;
  std::optional<MigWish> wish_;

  std::optional<Labels> labels_;       // of the Node; absent until seen
  std::optional<MigLayouts> layouts_;  // absent until the source told of any
  std::uint64_t layouts_generation_ = 0;
  std::optional<Result<std::vector<std::string>>> host_clients_;  // units; absent until known
  std::uint64_t gpus_generation_ = 0;
  bool driver_thread_ = true;
  std::optional<std::string> clients_left_;

  WithheldGpus withheld_;
  std::uint64_t job_number_ = 0;  // begun
  bool job_running_ = false;
  MigPlanned planned_;
  bool rebooted_ = false;  // there is a record of a reboot
  std::optional<Clock::TimePoint> reboot_at_;
  bool patching_ = false;
  bool listing_ = false;
  bool wake_pending_ = false;
  Executor::TimerId timer_ = 0;
  Executor::TimerId pace_timer_ = 0;

  kube::EventRecorder events_;
  std::optional<MigState> announced_;
  std::string announced_reason_;
  std::optional<std::chrono::system_clock::time_point> since_;
  std::string followed_;  // the configuration that the flow was last told of
  MigStatus told_;        // of the last call of `changed`
  MigLayoutSource source_;
  ConfigMapKey clients_source_;
};

}  // namespace aliquot::agent
