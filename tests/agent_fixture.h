// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <boost/json/value.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/agent_process.h"
#include "rpc/kubelet_standin.h"
#include "sim/control/control.h"

namespace aliquot::tests {

inline constexpr char kGpu[] = "nvidia.com/gpu";

// Looks at `condition` again and again until it holds. For what tells nobody when it changes: a
// log, a status page. False if it did not within `patience`.
bool Eventually(const std::function<bool()>& condition,
                std::chrono::seconds patience = std::chrono::seconds(30));

// A configuration that shares `resource` by time-slicing.
std::string SharedBy(int replicas, const std::string& resource = kGpu);

// A directory under /tmp that goes with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What an agent serves over HTTP.
class AgentPages {
 public:
  void SetPort(std::uint16_t port) { port_ = port; }

  // The status code and the body of a page; 0 if nobody answers.
  struct Answer {
    int status = 0;
    std::string body;
  };
  Answer Get(const std::string& path) const;
  // /statusz.
  boost::json::value Status() const;
  // Waits until the value at `pointer` (RFC 6901) of /statusz is `wanted`.
  bool AwaitStatus(const std::string& pointer, const boost::json::value& wanted) const;
  // The value of a metric, given with its labels as on the page; -1 if there is none.
  double Metric(const std::string& name_and_labels) const;
  bool AwaitMetric(const std::string& name_and_labels, double wanted) const;

 private:
  std::uint16_t port_ = 0;
};

// The agent as a process of its own, started as users start it: on the simulated node whose state
// is in <directory>/sim, with everything else in `directory` too.
class AgentProcess : public AgentPages {
 public:
  // `name` tells agents of one directory apart.
  AgentProcess(std::string directory, std::string name);

  // Starts the process and waits until its pages are served. `arguments` are added to the usual
  // ones.
  void Start(const std::string& node, const std::vector<std::string>& arguments = {},
             std::map<std::string, std::string> environment = {});
  // SIGTERM and wait; the exit status.
  int Stop() { return child_->Stop(); }
  // SIGKILL and wait.
  void Kill();
  void Signal(int number) const;
  bool running() { return child_ != nullptr && child_->Running(); }
  cli::ChildProcess& child() { return *child_; }

  // Everything logged so far, over all starts.
  std::string Log() const;
  bool AwaitLog(const std::string& text) const;

 private:
  const std::string directory_;
  const std::string log_path_;
  std::unique_ptr<cli::ChildProcess> child_;
};

// A simulated node with a kubelet stand-in and an agent, in directories of their own. When a test
// fails, the agent's log is printed.
class AgentTest : public testing::Test {
 protected:
  AgentTest();
  ~AgentTest() override;

  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  // Replaces the configuration file.
  void Configure(const std::string& text) const;

  // The simulation, made on first use. StartAgent makes it too.
  sim::Control& Simulate(const std::string& node = "t4-x4");
  sim::Control& sim() { return *sim_; }
  std::string GpuUuid(std::size_t gpu) { return sim().node().gpus.at(gpu).uuid; }

  void StartKubelet();
  void StartAgent(const std::vector<std::string>& arguments = {},
                  std::map<std::string, std::string> environment = {});
  // Kubelet, agent, and all `devices` of nvidia.com/gpu advertised.
  void StartAll(std::size_t devices, const std::vector<std::string>& arguments = {},
                std::map<std::string, std::string> environment = {});

  // Waits until the kubelet shows `capacity` devices of the resource, `allocatable` of them
  // healthy.
  bool Shows(std::size_t capacity, std::size_t allocatable, const std::string& resource = kGpu);
  bool Shows(std::size_t capacity) { return Shows(capacity, capacity); }
  rpc::StandinResource Resource(const std::string& name = kGpu) const;
  // The ids of the resource's healthy devices.
  std::vector<std::string> Healthy(const std::string& resource = kGpu) const;
  std::vector<std::string> Sockets() const;

  TemporaryDirectory directory_;
  std::unique_ptr<sim::Control> sim_;
  std::unique_ptr<rpc::KubeletStandin> kubelet_;
  AgentProcess agent_;
};

}  // namespace aliquot::tests
