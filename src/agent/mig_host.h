// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "base/status.h"
#include "mig/hooks.h"

namespace aliquot::agent {

// What a change of MIG needs of the machine beside the driver. `done` is called once, on any
// thread. One call at a time.
class MigHost {
 public:
  using Done = std::function<void(Status)>;

  virtual ~MigHost() = default;
  // Whether clients are stopped, perhaps by a process before this one that died.
  virtual bool stopped() const = 0;
  // Stops what uses the GPUs outside of Kubernetes: those of these systemd units that run. `mode`:
  // some GPU changes its MIG mode.
  virtual void StopClients(std::vector<std::string> units, bool mode, Done done) = 0;
  // Starts again what StopClients stopped, also after a failure of it.
  virtual void StartClients(Done done) = 0;
  // Success means that the node will go down at any moment.
  virtual void Reboot(Done done) = 0;
};

// A file of GPU clients, version v1 of mig-manager's format: the host's systemd services.
Result<std::vector<std::string>> ParseGpuClients(const std::string& text);
// Those that NVIDIA's gpu-operator stops where nobody named others.
std::vector<std::string> UsualGpuClients();

// Runs programs of the host, on a thread of its own that starts with the first of them. Which
// services were stopped is kept in a file, so that they are started again whatever happens to this
// process.
class HostPrograms final : public MigHost {
 public:
  struct Options {
    std::string state_dir;
    // Runs a program of the host and waits for the status it ends with. Empty: there is no host
    // that anything could be done to, and `units` are always empty.
    std::function<Result<int>(const std::vector<std::string>&)> on_host;
    std::vector<std::string> reboot_command;  // on the host; empty: a reboot is impossible
    mig::HooksFile hooks;                     // run beside this program
    std::map<std::string, std::string> hook_environment;
  };
  // Runs one hook and waits for it; mig::RunProgram, but for tests.
  using RunHook = std::function<Status(const mig::Hook& hook)>;

  HostPrograms(Options options, const Logger& log, RunHook run_hook = mig::RunProgram)
      : options_(std::move(options)), log_(log), run_hook_(std::move(run_hook)) {}

  bool stopped() const override;
  void StopClients(std::vector<std::string> units, bool mode, Done done) override;
  void StartClients(Done done) override;
  void Reboot(Done done) override;

 private:
  Status StopNow(const std::vector<std::string>& units, bool mode) const;
  Status StartNow() const;
  Result<std::vector<std::string>> Recorded() const;
  Result<std::vector<std::string>> RunningOf(const std::vector<std::string>& units) const;
  Status RunHooks(const std::vector<mig::Hook>& hooks) const;
  Status OnHost(const std::vector<std::string>& command) const;
  std::string RecordPath() const { return options_.state_dir + "/mig-stopped-services"; }

  const Options options_;
  const Logger& log_;
  const RunHook run_hook_;
  std::optional<ThreadExecutor> thread_;
};

}  // namespace aliquot::agent
