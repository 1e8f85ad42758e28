// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/agent_fixture.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "http/test_client.h"

namespace aliquot::tests {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::chrono::milliseconds kPace{10};

}  // namespace

bool Eventually(const std::function<bool()>& condition, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(kPace);
  }
  return true;
}

std::string SharedBy(int replicas, const std::string& resource) {
  return fmt::format(
      "version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - name: {}\n      replicas: {}\n",
      resource, replicas);
}

TemporaryDirectory::TemporaryDirectory() {
  char name[] = "/tmp/aliquot-test-XXXXXX";
  path_ = ::mkdtemp(name);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

AgentProcess::AgentProcess(std::string directory, std::string name)
    : directory_(std::move(directory)), log_path_(directory_ + "/" + name + ".log") {}

void AgentProcess::Start(const std::string& node, const std::vector<std::string>& arguments,
                         std::map<std::string, std::string> environment) {
  std::vector<std::string> all = {"agent",
                                  "--config-file=" + directory_ + "/config.yaml",
                                  "--kubelet-socket=" + directory_ + "/device-plugins/kubelet.sock",
                                  "--cdi-root=" + directory_ + "/cdi",
                                  "--state-dir=" + directory_ + "/state",
                                  "--run-dir=" + directory_ + "/run",
                                  "--listen=127.0.0.1:0",
                                  "--health-settle=0.3",
                                  "--poll-interval=0.1",
                                  "--node=" + node};
  all.insert(all.end(), arguments.begin(), arguments.end());
  environment["ALIQUOT_SIM_STATE"] = directory_ + "/sim";
  const std::size_t before = Log().size();
  auto child = cli::ChildProcess::Start(all, environment, log_path_, ALIQUOT_PROGRAM);
  ASSERT_TRUE(child.ok()) << child.error().message;
  child_ = *std::move(child);
  const std::string served = "port=";
  std::size_t at = std::string::npos;
  ASSERT_TRUE(Eventually([&] {
    const std::string log = Log();
    const std::size_t line = log.find("status pages served", before);
    if (line != std::string::npos) at = log.find(served, line);
    return (at != std::string::npos && log.find('\n', at) != std::string::npos) || !running();
  })) << Log();
  ASSERT_NE(at, std::string::npos) << "the agent ended: " << Log();
  SetPort(static_cast<std::uint16_t>(std::stoi(Log().substr(at + served.size()))));
}

void AgentProcess::Kill() {
  Signal(SIGKILL);
  child_->Wait();
}

void AgentProcess::Signal(int number) const { ASSERT_EQ(::kill(child_->pid(), number), 0); }

std::string AgentProcess::Log() const {
  const auto log = ReadFile(log_path_);
  return log.ok() ? *log : std::string();
}

bool AgentProcess::AwaitLog(const std::string& text) const {
  return Eventually([&] { return Log().find(text) != std::string::npos; });
}

AgentPages::Answer AgentPages::Get(const std::string& path) const {
  const std::string whole = http::Fetch(port_, path);
  const std::size_t head = whole.find("\r\n\r\n");
  if (!whole.starts_with("HTTP/1.1 ") || head == std::string::npos) return {};
  return {std::stoi(whole.substr(9, 3)), whole.substr(head + 4)};
}

json::value AgentPages::Status() const {
  const Answer answer = Get("/statusz");
  EXPECT_EQ(answer.status, 200);
  std::error_code failure;
  json::value value = json::parse(answer.body, failure);
  EXPECT_FALSE(failure) << answer.body;
  return value;
}

bool AgentPages::AwaitStatus(const std::string& pointer, const json::value& wanted) const {
  return Eventually([&] {
    const json::value status = Status();
    std::error_code missing;
    const json::value* found = status.find_pointer(pointer, missing);
    return found != nullptr && *found == wanted;
  });
}

double AgentPages::Metric(const std::string& name_and_labels) const {
  for (const std::string& line : Split(Get("/metrics").body, '\n')) {
    if (line.starts_with(name_and_labels + " ")) {
      return std::stod(line.substr(name_and_labels.size()));
    }
  }
  return -1;
}

bool AgentPages::AwaitMetric(const std::string& name_and_labels, double wanted) const {
  return Eventually([&] { return Metric(name_and_labels) == wanted; });
}

AgentTest::AgentTest() : agent_(directory_.path(), "agent") {
  fs::create_directory(Path("device-plugins"));
  fs::create_directory(Path("pod-resources"));
  Configure("version: v1\n");
}

AgentTest::~AgentTest() {
  // A driver that hangs would keep the agent from ending in time.
  if (sim_) sim_->Reset();
  if (HasFailure()) std::cerr << "--- the agent's log ---\n" << agent_.Log() << "---\n";
}

void AgentTest::Configure(const std::string& text) const {
  ASSERT_TRUE(WriteFileAtomically(Path("config.yaml"), text).ok());
}

sim::Control& AgentTest::Simulate(const std::string& node) {
  if (!sim_) {
    auto control = sim::Control::Open(Path("sim"), node);
    EXPECT_TRUE(control.ok()) << control.error().message;
    sim_ = *std::move(control);
  }
  return *sim_;
}

void AgentTest::StartKubelet() {
  auto kubelet =
      rpc::KubeletStandin::Start({.directory = Path("device-plugins"),
                                  .pod_resources_socket = Path("pod-resources/kubelet.sock")});
  ASSERT_TRUE(kubelet.ok()) << kubelet.error().message;
  kubelet_ = *std::move(kubelet);
}

void AgentTest::StartAgent(const std::vector<std::string>& arguments,
                           std::map<std::string, std::string> environment) {
  agent_.Start(Simulate().node().name, arguments, std::move(environment));
}

void AgentTest::StartAll(std::size_t devices, const std::vector<std::string>& arguments,
                         std::map<std::string, std::string> environment) {
  StartKubelet();
  StartAgent(arguments, std::move(environment));
  ASSERT_TRUE(Shows(devices));
}

bool AgentTest::Shows(std::size_t capacity, std::size_t allocatable, const std::string& resource) {
  return kubelet_->WaitFor(
      [&](const rpc::StandinState& state) {
        return state.capacity(resource) == capacity && state.allocatable(resource) == allocatable;
      },
      std::chrono::seconds(30));
}

rpc::StandinResource AgentTest::Resource(const std::string& name) const {
  const rpc::StandinState state = kubelet_->state();
  const auto found = state.resources.find(name);
  return found == state.resources.end() ? rpc::StandinResource() : found->second;
}

std::vector<std::string> AgentTest::Healthy(const std::string& resource) const {
  std::vector<std::string> ids;
  for (const rpc::DeviceEntry& device : Resource(resource).devices) {
    if (device.healthy) ids.push_back(device.id);
  }
  return ids;
}

std::vector<std::string> AgentTest::Sockets() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(Path("device-plugins"))) {
    const std::string name = entry.path().filename();
    if (name.starts_with("nvidia-")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace aliquot::tests
