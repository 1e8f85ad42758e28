// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/demo_story.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <ostream>

#include "base/file.h"
#include "base/text.h"
#include "cli/agent_process.h"
#include "rpc/kubelet_standin.h"

namespace aliquot::cli {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr char kGpu[] = "nvidia.com/gpu";
constexpr std::chrono::seconds kPatience{20};
// ECC page retirement recorded: the driver goes on, new work should wait.
constexpr unsigned kXid = 63;

constexpr char kPlainConfig[] = "version: v1\n";
constexpr char kSharedConfig[] =
    "version: v1\n"
    "sharing:\n"
    "  timeSlicing:\n"
    "    resources:\n"
    "    - name: nvidia.com/gpu\n"
    "      replicas: 10\n";
constexpr char kBrokenConfig[] =
    "version: v1\n"
    "sharing:\n"
    "  timeSlicing:\n"
    "    resources:\n"
    "    - name: nvidia.com/gpu\n"
    "      replicas: ten\n";

// A directory that goes with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "aliquot-demo-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Story {
 public:
  Story(const DemoOptions& options, std::ostream& out) : options_(options), out_(out) {}
  Status Tell();

 private:
  Status Begin();
  Status ShareByTen();
  Status PlaceContainers();
  Status BreakAndRecover();
  Status BreakConfiguration();
  Status End();

  void Title(const std::string& text) { out_ << fmt::format("\n{}. {}\n", ++step_, text); }
  void Say(const std::string& text) { out_ << "   " << text << '\n' << std::flush; }
  // The stand-in's view of the resource, as `kubectl describe node` would show it.
  void ShowNode();
  Status Await(const std::string& what,
               const std::function<bool(const rpc::StandinState&)>& wanted);
  Status Write(const char* text) { return WriteFileAtomically(config_, text); }
  Status Sim(const std::vector<std::string>& arguments);
  // Waits until the agent's log has a line with `text`; the lines from there back to `since`.
  Result<std::vector<std::string>> AwaitLog(const std::string& text, std::size_t since);
  std::size_t LogSize() const;
  Error WithLog(Error error) const;

  const DemoOptions& options_;
  std::ostream& out_;
  int step_ = 0;
  TemporaryDirectory directory_;
  std::string config_;
  std::string log_;
  std::unique_ptr<rpc::KubeletStandin> kubelet_;
  std::unique_ptr<ChildProcess> agent_;
  std::size_t gpus_ = 0;
};

void Story::ShowNode() {
  const rpc::StandinState state = kubelet_->state();
  Say(fmt::format("kubelet stand-in sees  {}: capacity {}, allocatable {}", kGpu,
                  state.capacity(kGpu), state.allocatable(kGpu)));
}

Status Story::Await(const std::string& what,
                    const std::function<bool(const rpc::StandinState&)>& wanted) {
  const auto began = steady_clock::now();
  if (!kubelet_->WaitFor(wanted, kPatience)) {
    return WithLog({Code::kDeadlineExceeded, "the stand-in has not seen " + what});
  }
  const auto took = std::chrono::duration<double, std::milli>(steady_clock::now() - began);
  Say(fmt::format("{} after {:.0f} ms", what, took.count()));
  return {};
}

Status Story::Sim(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"sim"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  Say("$ aliquot " + Join(all, " "));
  auto command = ChildProcess::Start(
      all, {{"ALIQUOT_SIM_STATE", directory_.path() + "/sim"}, {"ALIQUOT_SIM_NODE", options_.node}},
      log_);
  if (!command.ok()) return command.error();
  if (const int status = (*command)->Wait(); status != kExitDone) {
    return WithLog(
        {Code::kUnknown, fmt::format("aliquot {} failed with status {}", Join(all, " "), status)});
  }
  return {};
}

std::size_t Story::LogSize() const {
  const auto text = ReadFile(log_);
  return text.ok() ? text->size() : 0;
}

Result<std::vector<std::string>> Story::AwaitLog(const std::string& text, std::size_t since) {
  const auto deadline = steady_clock::now() + kPatience;
  while (steady_clock::now() < deadline) {
    const auto log = ReadFile(log_);
    if (log.ok() && log->find(text, since) != std::string::npos) {
      return Split(Trim(std::string_view(*log).substr(since)), '\n');
    }
    ::usleep(20'000);
  }
  return WithLog({Code::kDeadlineExceeded, "the agent has not logged \"" + text + "\""});
}

Error Story::WithLog(Error error) const {
  const auto log = ReadFile(log_);
  if (log.ok()) error.message += "; the agent's log:\n" + *log;
  return error;
}

Status Story::Begin() {
  if (directory_.path().empty()) return Error{Code::kUnknown, "cannot make a directory in /tmp"};
  config_ = directory_.path() + "/config.yaml";
  log_ = directory_.path() + "/agent.log";
  const std::string plugins = directory_.path() + "/device-plugins";
  fs::create_directories(plugins);
  fs::create_directories(directory_.path() + "/sim");
  if (Status written = Write(kPlainConfig); !written.ok()) return written;

  Title(options_.real ? "The agent on this machine, and a stand-in for the kubelet"
                      : fmt::format("The agent on the SIMULATED node {}, and a stand-in for the "
                                    "kubelet",
                                    options_.node));
  rpc::KubeletStandin::Options standin;
  standin.directory = plugins;
  auto kubelet = rpc::KubeletStandin::Start(std::move(standin));
  if (!kubelet.ok()) return kubelet.error();
  kubelet_ = std::move(*kubelet);

  std::vector<std::string> arguments = {"agent",
                                        "--config-file",
                                        config_,
                                        "--kubelet-socket",
                                        plugins + "/kubelet.sock",
                                        "--cdi-root",
                                        directory_.path() + "/cdi",
                                        "--state-dir",
                                        directory_.path() + "/state",
                                        "--listen",
                                        "127.0.0.1:0",
                                        "--health-settle",
                                        "2",
                                        "--poll-interval",
                                        "0.5"};
  std::map<std::string, std::string> environment;
  if (!options_.real) {
    arguments.insert(arguments.end(), {"--node", options_.node});
    environment["ALIQUOT_SIM_STATE"] = directory_.path() + "/sim";
  }
  auto agent = ChildProcess::Start(arguments, environment, log_);
  if (!agent.ok()) return agent.error();
  agent_ = std::move(*agent);
  Say(fmt::format("agent started as process {}", agent_->pid()));
  Status seen = Await("whole GPUs advertised",
                      [](const rpc::StandinState& state) { return state.allocatable(kGpu) > 0; });
  if (!seen.ok()) return seen;
  gpus_ = kubelet_->state().capacity(kGpu);
  ShowNode();
  return {};
}

Status Story::ShareByTen() {
  Title("The configuration changes to ten replicas, while the agent runs");
  for (const std::string& line : Split(Trim(kSharedConfig), '\n')) Say("| " + line);
  if (Status written = Write(kSharedConfig); !written.ok()) return written;
  Status seen = Await("ten times as many advertised", [this](const rpc::StandinState& state) {
    return state.allocatable(kGpu) == 10 * gpus_;
  });
  if (!seen.ok()) return seen;
  ShowNode();
  const auto resource = kubelet_->state().resources.at(kGpu);
  Say(fmt::format("the same process {}; registered {} time(s) in all", agent_->pid(),
                  resource.registrations));
  if (resource.registrations != 1) {
    return Error{Code::kInternal, "a change of the list registered the resource again"};
  }
  return {};
}

Status Story::PlaceContainers() {
  Title("Containers that ask for 2 each");
  for (int i = 1; i <= 5; ++i) {
    const std::string pod = fmt::format("pod-{}", i);
    if (i == 5) Say("a fifth one:");
    const auto placed = kubelet_->Place(pod, "main", kGpu, 2);
    if (!placed.ok()) return WithLog(placed.error().In(pod));
    std::vector<std::string> environment;
    for (const auto& [name, value] : placed->allocation.envs) {
      environment.push_back(name + "=" + value);
    }
    Say(fmt::format("{}: placed, gets {}", pod, Join(environment, " ")));
  }
  const rpc::StandinResource resource = kubelet_->state().resources.at(kGpu);
  const std::size_t free = resource.allocatable() - resource.held_by.size();
  Say(free == 0 ? "a sixth one:" : fmt::format("one that asks for {}:", free + 2));
  const auto refused = kubelet_->Place("pod-6", "main", kGpu, free + 2);
  if (refused.ok()) return Error{Code::kInternal, "pod-6 was placed although nothing was left"};
  Say("pod-6: refused by the stand-in: " + refused.error().message);
  return {};
}

Status Story::BreakAndRecover() {
  Title("The GPU reports an error, and recovers");
  if (Status injected = Sim({"xid", "--gpu", "0", fmt::to_string(kXid)}); !injected.ok()) {
    return injected;
  }
  Status gone = Await("every replica of the GPU unhealthy", [this](const rpc::StandinState& state) {
    return state.allocatable(kGpu) == 10 * (gpus_ - 1) && state.capacity(kGpu) == 10 * gpus_;
  });
  if (!gone.ok()) return gone;
  ShowNode();
  Status back = Await("all of them back", [this](const rpc::StandinState& state) {
    return state.allocatable(kGpu) == 10 * gpus_;
  });
  if (!back.ok()) return back;
  ShowNode();
  return {};
}

Status Story::BreakConfiguration() {
  Title("The configuration breaks: replicas: ten");
  const std::size_t before = LogSize();
  if (Status written = Write(kBrokenConfig); !written.ok()) return written;
  const auto lines = AwaitLog("configuration refused", before);
  if (!lines.ok()) return lines.error();
  for (const std::string& line : *lines) {
    const std::size_t level = line.find(" ERROR ");
    if (level != std::string::npos) Say("agent:" + line.substr(level));
  }
  if (kubelet_->state().allocatable(kGpu) != 10 * gpus_) {
    return Error{Code::kInternal, "the broken configuration changed what is advertised"};
  }
  ShowNode();
  return {};
}

Status Story::End() {
  Title("The agent is asked to stop");
  const int status = agent_->Stop();
  if (status != 0) {
    return WithLog({Code::kInternal, fmt::format("the agent ended with status {}", status)});
  }
  return Await("everything withdrawn",
               [](const rpc::StandinState& state) { return state.allocatable(kGpu) == 0; });
}

Status Story::Tell() {
  const auto began = steady_clock::now();
  std::vector<Status (Story::*)()> steps = {&Story::Begin, &Story::ShareByTen,
                                            &Story::PlaceContainers};
  if (!options_.real) steps.push_back(&Story::BreakAndRecover);
  steps.push_back(&Story::BreakConfiguration);
  steps.push_back(&Story::End);
  for (const auto step : steps) {
    if (Status done = (this->*step)(); !done.ok()) return done.error().In("the demo failed");
  }
  out_ << fmt::format("\nDone in {:.1f} s. The kubelet was a stand-in{}.\n",
                      std::chrono::duration<double>(steady_clock::now() - began).count(),
                      options_.real ? "" : ", the GPU simulated; the agent was the real one");
  return {};
}

}  // namespace

Status TellStory(const DemoOptions& options, Console& console) {
  return Story(options, console.out).Tell();
}

}  // namespace aliquot::cli
