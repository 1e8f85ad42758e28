// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/agent_process.h"
#include "rpc/kubelet_standin.h"

namespace aliquot::bench {

// Ends the program with a message unless `condition`.
void Require(bool condition, const std::string& what);

// A new temporary directory, which the caller removes.
std::string NewDirectory();

// What the kernel says of a process.
struct Usage {
  std::size_t rss_kib = 0;        // VmRSS
  std::size_t anonymous_kib = 0;  // RssAnon: the part that is not files
  std::size_t pss_kib = 0;        // files counted by the share of those who map them
  std::size_t threads = 0;
  std::size_t descriptors = 0;
  std::uint64_t cpu_ns = 0;  // of all threads that live, since their start

  static Usage Of(pid_t pid);
};

// The real agent as a process of its own on a SIMULATED node, the kubelet stand-in in this one, and
// a temporary directory with everything they make.
class AgentRig {
 public:
  struct Options {
    std::string agent;                   // path of the program
    std::string node = "a100-40gb-x8";   // empty = this machine
    std::string config;                  // text of the configuration file; empty = none
    std::vector<std::string> arguments;  // added to the agent's
  };

  explicit AgentRig(Options options);
  ~AgentRig();
  AgentRig(const AgentRig&) = delete;
  AgentRig& operator=(const AgentRig&) = delete;

  // Starts the agent; it must not be running.
  void Start();
  // Ends it and checks that it ended well.
  void Stop();
  void WriteConfig(const std::string& text);
  // Waits until the stand-in has `count` healthy devices of `resource`; ends the program with the
  // agent's log if that does not come.
  void Await(const std::string& resource, std::size_t count);

  rpc::KubeletStandin& kubelet() { return *kubelet_; }
  Usage usage() const { return Usage::Of(agent_->pid()); }
  std::string sim_state() const { return directory_ + "/sim"; }
  // The body of a status page.
  std::string Page(const std::string& path);

 private:
  const Options options_;
  std::string directory_;
  std::unique_ptr<rpc::KubeletStandin> kubelet_;
  std::unique_ptr<cli::ChildProcess> agent_;
  std::uint16_t port_ = 0;  // of the status pages; 0 = not known yet
};

// A time-slicing configuration of all GPUs.
std::string TimeSlicing(std::size_t replicas, bool renamed = false);

// How long `run` takes, in ms.
double Milliseconds(const std::function<void()>& run);

}  // namespace aliquot::bench
