// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/agent_rig.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "http/test_client.h"

namespace aliquot::bench {
namespace {

namespace fs = std::filesystem;

// A number of a "Key:   123 kB" file of /proc; 0 if it has none.
std::size_t Field(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) {
      return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10);
    }
  }
  return 0;
}

}  // namespace

void Require(bool condition, const std::string& what) {
  if (condition) return;
  fmt::print(stderr, "failed: {}\n", what);
  std::exit(1);
}

std::string NewDirectory() {
  std::string name = (fs::temp_directory_path() / "aliquot-bench-XXXXXX").string();
  Require(::mkdtemp(name.data()) != nullptr, "a directory in " + name);
  return name;
}

Usage Usage::Of(pid_t pid) {
  const std::string proc = fmt::format("/proc/{}", pid);
  Usage usage;
  usage.rss_kib = Field(proc + "/status", "VmRSS");
  usage.anonymous_kib = Field(proc + "/status", "RssAnon");
  usage.pss_kib = Field(proc + "/smaps_rollup", "Pss");
  usage.threads = Field(proc + "/status", "Threads");
  usage.descriptors =
      static_cast<std::size_t>(std::distance(fs::directory_iterator(proc + "/fd"), {}));
  for (const auto& task : fs::directory_iterator(proc + "/task")) {
    std::uint64_t ns = 0;
    std::ifstream(task.path() / "schedstat") >> ns;
    usage.cpu_ns += ns;
  }
  return usage;
}

AgentRig::AgentRig(Options options) : options_(std::move(options)) {
  directory_ = NewDirectory();
  fs::create_directories(directory_ + "/device-plugins");
  fs::create_directories(sim_state());
  if (!options_.config.empty()) WriteConfig(options_.config);
  rpc::KubeletStandin::Options standin;
  standin.directory = directory_ + "/device-plugins";
  auto kubelet = rpc::KubeletStandin::Start(std::move(standin));
  Require(kubelet.ok(), "the kubelet stand-in");
  kubelet_ = std::move(*kubelet);
}

AgentRig::~AgentRig() {
  if (agent_) Stop();
  kubelet_.reset();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void AgentRig::Start() {
  std::vector<std::string> arguments = {"agent",
                                        "--kubelet-socket",
                                        directory_ + "/device-plugins/kubelet.sock",
                                        "--cdi-root",
                                        directory_ + "/cdi",
                                        "--state-dir",
                                        directory_ + "/state",
                                        "--run-dir",
                                        directory_ + "/run",
                                        "--listen",
                                        "127.0.0.1:0"};
  if (!options_.node.empty()) arguments.insert(arguments.end(), {"--node", options_.node});
  if (!options_.config.empty()) {
    arguments.insert(arguments.end(), {"--config-file", directory_ + "/config.yaml"});
  }
  arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
  auto agent = cli::ChildProcess::Start(arguments, {{"ALIQUOT_SIM_STATE", sim_state()}},
                                        directory_ + "/agent.log", options_.agent);
  Require(agent.ok(), agent.ok() ? "" : agent.error().message);
  agent_ = std::move(*agent);
}

void AgentRig::Stop() {
  const int status = agent_->Stop();
  agent_.reset();
  port_ = 0;
  Require(status == 0, fmt::format("the agent ended with status {}", status));
}

void AgentRig::WriteConfig(const std::string& text) {
  Require(WriteFileAtomically(directory_ + "/config.yaml", text).ok(), "writing the configuration");
}

void AgentRig::Await(const std::string& resource, std::size_t count) {
  const bool seen = kubelet_->WaitFor(
      [&](const rpc::StandinState& state) { return state.allocatable(resource) == count; });
  if (seen) return;
  const auto log = ReadFile(directory_ + "/agent.log");
  agent_.reset();  // exiting does not end it
  Require(false, fmt::format("{} of {} at the stand-in; the agent's log:\n{}", count, resource,
                             log.ok() ? *log : ""));
}

std::string AgentRig::Page(const std::string& path) {
  if (port_ == 0) {
    const auto log = ReadFile(directory_ + "/agent.log");
    const std::string text = log.ok() ? *log : "";
    const std::size_t at = text.find(" port=", text.rfind("status pages served"));
    Require(at != std::string::npos, "the port of the status pages is not in the log:\n" + text);
    port_ = static_cast<std::uint16_t>(std::strtoul(text.c_str() + at + 6, nullptr, 10));
  }
  std::string answer = http::Fetch(port_, path);
  Require(answer.starts_with("HTTP/1.1 200"), path + ": " + answer);
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

std::string TimeSlicing(std::size_t replicas, bool renamed) {
  return fmt::format(
      "version: v1\n"
      "sharing:\n"
      "  timeSlicing:\n"
      "    renameByDefault: {}\n"
      "    resources:\n"
      "    - name: nvidia.com/gpu\n"
      "      replicas: {}\n",
      renamed, replicas);
}

double Milliseconds(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace aliquot::bench
