// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Figures of the device plugin over real gRPC against the kubelet stand-in, printed as a table.
//
//   deviceplugin_bench idle RESOURCES DEVICES   resident memory of the plugin side alone
//   deviceplugin_bench latency                  Allocate, list updates, restarts
//   deviceplugin_bench soak RESTARTS CHANGES    growth of memory, threads and descriptors
//   deviceplugin_bench serve DIRECTORY          serves 80 devices until standard input ends, for
//                                               any kubelet that has its socket in DIRECTORY
//
// The stand-in runs in the same process, except in "idle", where nothing connects.
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"
#include "deviceplugin/serving_node.h"
#include "rpc/kubelet_standin.h"

namespace aliquot::deviceplugin {
namespace {

using rpc::KubeletStandin;
using rpc::StandinState;
using SteadyClock = std::chrono::steady_clock;

constexpr char kGpu[] = "nvidia.com/gpu";

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = "/tmp/aliquot-bench-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// One number of /proc/self/status.
std::size_t ProcStatus(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":"))
      return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10);
  }
  return 0;
}

struct Usage {
  std::size_t rss_kib = ProcStatus("VmRSS");
  std::size_t threads = ProcStatus("Threads");
  std::size_t descriptors = static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
};

void Print(const std::string& label, const Usage& usage) {
  fmt::print("{:<28} {:>8} KiB {:>4} threads {:>4} descriptors\n", label, usage.rss_kib,
             usage.threads, usage.descriptors);
}

double Milliseconds(SteadyClock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// Percentiles of `run`'s duration, in ms.
template <typename F>
void Measure(const std::string& label, int times, F run) {
  std::vector<double> took;
  for (int i = 0; i < times; ++i) {
    const auto start = SteadyClock::now();
    run(i);
    took.push_back(Milliseconds(SteadyClock::now() - start));
  }
  std::sort(took.begin(), took.end());
  fmt::print("{:<44} n={:<6} p50 {:8.3f} ms  p99 {:8.3f} ms\n", label, times, took[took.size() / 2],
             took[took.size() * 99 / 100]);
}

void Require(bool condition, const char* what) {
  if (condition) return;
  fmt::print(stderr, "failed: {}\n", what);
  std::exit(1);
}

share::Plan PlanOf(int resources, int devices) {
  share::Plan plan;
  for (int i = 0; i < resources; ++i) {
    const unsigned replicas = devices >= 1000 ? 100 : devices >= 80 ? 10 : 1;
    plan.resources.push_back(
        ServingNode::Resource(i == 0 ? kGpu : fmt::format("nvidia.com/gpu-{}", i),
                              devices / static_cast<int>(replicas), replicas));
  }
  return plan;
}

bool AwaitAllocatable(KubeletStandin& kubelet, std::size_t allocatable) {
  return kubelet.WaitFor(
      [=](const StandinState& state) { return state.allocatable(kGpu) == allocatable; });
}

int Idle(int resources, int devices) {
  TemporaryDirectory directory;
  Print("process", {});
  ServingNode node(directory.path());
  Print("manager, no resource", {});
  node.Apply(PlanOf(resources, devices));
  Print(fmt::format("{} resources, {} devices each", resources, devices), {});
  ::malloc_trim(0);
  Print("  after malloc_trim", {});
  return 0;
}

int Serve(const std::string& directory) {
  ServingNode node(directory);
  node.Apply(PlanOf(1, 80));
  while (std::getchar() != EOF) {
  }
  for (const PluginStatus& plugin : node.status().plugins) {
    fmt::print("{} socket={} streams={} devices={} error=\"{}\" registration_error=\"{}\"\n",
               plugin.name, plugin.socket, plugin.streams, plugin.devices, plugin.error,
               plugin.registration_error);
  }
  return 0;
}

int Latency() {
  TemporaryDirectory directory;
  auto started = KubeletStandin::Start({.directory = directory.path()});
  Require(started.ok(), "stand-in");
  KubeletStandin& kubelet = **started;
  ServingNode node(directory.path());

  const auto start = SteadyClock::now();
  node.Apply(PlanOf(1, 80));
  Require(AwaitAllocatable(kubelet, 80), "registration");
  fmt::print("plan applied to list at the kubelet: {:.3f} ms\n",
             Milliseconds(SteadyClock::now() - start));
  Measure("preferred + allocate, 80 devices", 5000, [&](int) {
    Require(kubelet.Place("p", "c", kGpu, 1).ok(), "placement");
    kubelet.Remove("p");
  });
  Measure("allocate all, 80 devices", 2000, [&](int) {
    Require(kubelet.Place("p", "c", kGpu, 80).ok(), "placement");
    kubelet.Remove("p");
  });
  Measure("kubelet restart to list back", 200, [&](int) {
    Require(kubelet.Restart().ok(), "restart");
    Require(AwaitAllocatable(kubelet, 80), "registration");
  });

  node.Apply(PlanOf(1, 10'000));
  Require(AwaitAllocatable(kubelet, 10'000), "10,000 devices");
  Measure("preferred + allocate, 10,000 devices", 200, [&](int) {
    Require(kubelet.Place("p", "c", kGpu, 1).ok(), "placement");
    kubelet.Remove("p");
  });
  // A different GPU turns unhealthy each time, which is told at once.
  const share::PlannedResource gpus = ServingNode::Resource(kGpu, 100, 1);
  std::map<std::string, std::string> unhealthy;
  Measure("unhealthy to list received, 10,000 devices", 90, [&](int i) {
    unhealthy[gpus.devices[static_cast<std::size_t>(i)].gpu_uuid] = "xid";
    node.SetHealth(unhealthy);
    Require(AwaitAllocatable(kubelet, 10'000u - 100u * static_cast<unsigned>(i + 1)), "update");
  });
  return 0;
}

int Soak(int restarts, int changes) {
  TemporaryDirectory directory;
  auto started = KubeletStandin::Start({.directory = directory.path()});
  Require(started.ok(), "stand-in");
  KubeletStandin& kubelet = **started;
  ServingNode node(directory.path());
  node.Apply(PlanOf(2, 80));
  Require(AwaitAllocatable(kubelet, 80), "registration");

  const auto restart = [&](int times) {
    node.Apply(PlanOf(2, 80));
    for (int i = 0; i < times; ++i) {
      Require(kubelet.Restart().ok(), "restart");
      Require(kubelet.WaitFor([](const StandinState& state) {
        return state.allocatable(kGpu) == 80 && state.allocatable("nvidia.com/gpu-1") == 80;
      }),
              "registration");
    }
  };
  // Two resources come and go and change on every step.
  const auto change = [&](int times) {
    for (int i = 0; i < times; ++i) {
      share::Plan plan = PlanOf(1, 80);
      plan.resources.push_back(
          ServingNode::Resource(fmt::format("nvidia.com/gpu-{}", i % 2), 2, 1 + i % 7));
      plan.resources.push_back(ServingNode::Resource("nvidia.com/mig-1g.5gb", 1 + i % 5, 1));
      const std::string added = plan.resources[1].name;
      node.Apply(std::move(plan));
      Require(
          kubelet.WaitFor([&](const StandinState& state) { return state.allocatable(added) > 0; }),
          "change");
    }
  };
  restart(100);
  change(100);
  const Usage before;
  Print("after warming up", before);
  auto start = SteadyClock::now();
  restart(restarts);
  Print(fmt::format("after {} restarts", restarts), {});
  fmt::print("  {:.1f} s\n", Milliseconds(SteadyClock::now() - start) / 1000);
  start = SteadyClock::now();
  change(changes);
  Print(fmt::format("after {} plan changes", changes), {});
  fmt::print("  {:.1f} s\n", Milliseconds(SteadyClock::now() - start) / 1000);
  std::this_thread::sleep_for(std::chrono::seconds(1));  // the last servers wind down
  const Usage after;
  Print("a second later", after);
  Require(after.threads <= before.threads + 4, "threads grew");
  Require(after.descriptors <= before.descriptors + 8, "descriptors grew");
  Require(after.rss_kib <= before.rss_kib + 4096, "memory grew");
  return 0;
}

int Main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const auto number = [&](int index, int fallback) {
    if (argc <= index) return fallback;
    const auto value = ParseUnsigned(argv[index]);
    Require(value && *value <= 1'000'000, "arguments after the mode are numbers up to 1000000");
    return static_cast<int>(*value);
  };
  if (mode == "idle") return Idle(number(2, 1), number(3, 80));
  if (mode == "serve" && argc == 3) return Serve(argv[2]);
  if (mode == "latency") return Latency();
  if (mode == "soak") return Soak(number(2, 1000), number(3, 1000));
  fmt::print(stderr,
             "usage: deviceplugin_bench idle [RESOURCES [DEVICES]] | serve DIRECTORY | latency | "
             "soak [RESTARTS [CHANGES]]\n");
  return 2;
}

}  // namespace
}  // namespace aliquot::deviceplugin

int main(int argc, char** argv) { return aliquot::deviceplugin::Main(argc, argv); }
