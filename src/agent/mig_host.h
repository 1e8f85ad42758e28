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
  // Stops what uses the GPUs outside of Kubernetes; `mode`: some GPU changes its MIG mode.
  virtual void StopClients(bool mode, Done done) = 0;
  // Starts again what StopClients stopped, also after a failure of it.
  virtual void StartClients(Done done) = 0;
  // Success means that the node will go down at any moment.
  virtual void Reboot(Done done) = 0;
};

// A file of GPU clients, version v1 of mig-manager's format: the host's systemd services.
Result<std::vector<std::string>> ParseGpuClients(const std::string& text);

// Runs programs of the host, on a thread of its own that starts with the first of them. Which
// services were stopped is kept in a file, so that they are started again whatever happens to this
// process.
class HostPrograms final : public MigHost {
 public:
  struct Options {
    std::string state_dir;
    // What makes a command line one of the host's; empty: it is run as it is. In a container the
    // namespaces of process 1 have to be entered, which takes hostPID and privilege.
    std::vector<std::string> prefix;
    std::vector<std::string> services;        // systemd units to be stopped
    std::vector<std::string> reboot_command;  // run with the prefix; empty: a reboot is impossible
    mig::HooksFile hooks;                     // run as they are
    std::map<std::string, std::string> hook_environment;
  };
  // Runs one program and waits for it; mig::RunProgram, but for tests.
  using Run = std::function<Status(const mig::Hook& program)>;

  HostPrograms(Options options, const Logger& log, Run run = mig::RunProgram)
      : options_(std::move(options)), log_(log), run_(std::move(run)) {}

  bool stopped() const override;
  void StopClients(bool mode, Done done) override;
  void StartClients(Done done) override;
  void Reboot(Done done) override;

 private:
  Status StopNow(bool mode) const;
  Status StartNow() const;
  Status RunOnHost(std::vector<std::string> command) const;
  std::string RecordPath() const { return options_.state_dir + "/mig-stopped-services"; }

  const Options options_;
  const Logger& log_;
  const Run run_;
  std::optional<ThreadExecutor> thread_;
};

}  // namespace aliquot::agent
