// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// The figures of the agent as it runs: the real program as a process of its own on SIMULATED nodes,
// beside the kubelet stand-in in this process.
//
//   agent_bench [--agent PROGRAM] [PART]...
//
// Parts: binary, idle, cluster, start, allocate, update, change, soak, long-soak.
// One report line per figure; exit status 1 if a limit is broken. Without a part, all but the last.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "bench/agent_rig.h"
#include "bench/cluster_rig.h"
#include "bench/report.h"
#include "sim/control/control.h"

namespace aliquot::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kGpu[] = "nvidia.com/gpu";
constexpr char kRenamed[] = "nvidia.com/gpu.shared";
constexpr std::size_t kGpus = 8;
constexpr std::size_t kManyReplicas = 1250;  // 10,000 devices
constexpr char kClusterNode[] = "gpu-node.example.internal";
constexpr double kMiB = 1024;  // in KiB

std::string Title(std::size_t replicas) { return fmt::format("8 GPUs x {} replicas", replicas); }

void Pause(milliseconds time) { std::this_thread::sleep_for(time); }

void Binary(const std::string& agent, Report& report) {
  report.Section("One binary, stripped");
  const auto bytes = static_cast<double>(std::filesystem::file_size(agent));
  report.Line("size of " + agent, bytes / (1 << 20), 15, "MiB");
}

void IdleWith(const std::string& agent, std::size_t replicas, double limit_mib, Report& report) {
  AgentRig rig({.agent = agent, .config = TimeSlicing(replicas), .arguments = {}});
  rig.Start();
  rig.Await(kGpu, kGpus * replicas);
  Pause(seconds(5));
  const Usage before = rig.usage();
  Pause(seconds(20));
  const Usage after = rig.usage();
  const double rss = static_cast<double>(std::max(before.rss_kib, after.rss_kib)) / kMiB;
  report.Line(
      "resident memory, " + Title(replicas), rss, limit_mib, "MiB",
      fmt::format(" (Pss {:.1f}, not files {:.1f})", static_cast<double>(after.pss_kib) / kMiB,
                  static_cast<double>(after.anonymous_kib) / kMiB));
  report.Line("share of a core over 20 s, " + Title(replicas),
              static_cast<double>(after.cpu_ns - before.cpu_ns) / 20e9 * 100, 0.5, "%");
  report.Line("threads, descriptors, " + Title(replicas),
              fmt::format("{}, {}", after.threads, after.descriptors));
}

void Idle(const std::string& agent, Report& report) {
  report.Section("Idle, 5 s after start, list read by the stand-in (simulated A100)");
  IdleWith(agent, 10, 15, report);
  IdleWith(agent, kManyReplicas, 40, report);
}

void ReportMemory(const std::string& when, const AgentRig& rig, double limit_mib, Report& report) {
  const Usage usage = rig.usage();
  report.Line("resident memory, " + when, static_cast<double>(usage.rss_kib) / kMiB, limit_mib,
              "MiB",
              fmt::format(" (not files {:.1f})", static_cast<double>(usage.anonymous_kib) / kMiB));
}

std::vector<std::string> InCluster(const ClusterRig& cluster) {
  return {"--cluster",   "on",         "--kubeconfig", cluster.kubeconfig(),
          "--node-name", kClusterNode, "--namespace",  kNamespace};
}

void ChangeOnce(ClusterRig& cluster, AgentRig& rig, std::size_t replicas) {
  PutConfiguration(cluster.cluster(), TimeSlicing(replicas));
  rig.Await(kGpu, kGpus * replicas);
}

// What comes along on a node without a change: the kubelet reports, a pod is placed, metrics are
// scraped, a person looks.
void WorkOnce(ClusterRig& cluster, AgentRig& rig, int beat) {
  const boost::json::value report = {{"status", {{"beat", beat}}}};
  Require(cluster.cluster()
              .Patch({kube::kNodes, "", kClusterNode, "status"}, kube::PatchType::kMerge, report)
              .ok(),
          "a report of the node");
  Require(rig.kubelet().Place("pod", "main", kGpu, 1).ok(), "a placement");
  rig.kubelet().Remove("pod");
  rig.Page("/metrics");
  rig.Page("/statusz");
}

// As administrators run it: the policy and the configuration come from an API server over TLS.
void Cluster(const std::string& agent, Report& report) {
  report.Section(
      "Following an API server over TLS (simulated A100; the server is in this process)");
  ClusterRig cluster(true);
  Require(cluster.cluster().Put(kube::kNodes, RealisticNode(kClusterNode)).ok(), "the Node");
  PutConfiguration(cluster.cluster(), TimeSlicing(10));
  {
    AgentRig rig({.agent = agent, .config = "", .arguments = InCluster(cluster)});
    rig.Start();
    rig.Await(kGpu, kGpus * 10);
    Pause(seconds(25));
    ReportMemory("25 s after the start", rig, 15, report);
    constexpr int kTimes = 100;
    for (int i = 0; i < kTimes; ++i) {
      ChangeOnce(cluster, rig, 9 + static_cast<std::size_t>(i % 2));
      WorkOnce(cluster, rig, i);
      Pause(milliseconds(1100));
    }
    ReportMemory(fmt::format("1 s after {} changes, pods and scrapes", kTimes), rig, 15, report);
    Pause(seconds(30));
    ReportMemory("30 s later", rig, 15, report);
    for (int i = 0; i < kTimes; ++i) WorkOnce(cluster, rig, i);
    ReportMemory(fmt::format("after {} more pods and scrapes, no change", kTimes), rig, 15, report);
  }
  const std::string no_gpu = cluster.directory() + "/host";
  std::filesystem::create_directories(no_gpu + "/sys/bus");
  std::vector<std::string> arguments = InCluster(cluster);
  arguments.insert(arguments.end(), {"--host-root", no_gpu});
  AgentRig rig({.agent = agent, .node = "", .config = "", .arguments = arguments});
  rig.Start();
  Pause(seconds(25));
  ReportMemory("node without a GPU", rig, 6, report);
}

void StartUp(const std::string& agent, Report& report) {
  report.Section("From exec to the list at the stand-in (simulated A100)");
  for (const std::size_t replicas : {std::size_t{10}, kManyReplicas}) {
    std::vector<double> times;
    for (int i = 0; i < 20; ++i) {
      AgentRig rig({.agent = agent, .config = TimeSlicing(replicas), .arguments = {}});
      times.push_back(Milliseconds([&] {
        rig.Start();
        rig.Await(kGpu, kGpus * replicas);
      }));
    }
    const Samples samples(times);
    report.Line("start to registered and list read, " + Title(replicas), samples.At(0.5), 1000,
                "ms", fmt::format(" (median of 20, worst {:.3g})", samples.sorted.back()));
  }
}

// Places and removes `count` devices again and again.
Samples Place(AgentRig& rig, std::size_t count, int times) {
  std::vector<double> took;
  for (int i = 0; i < times; ++i) {
    took.push_back(Milliseconds(
        [&] { Require(rig.kubelet().Place("pod", "main", kGpu, count).ok(), "a placement"); }));
    rig.kubelet().Remove("pod");
  }
  return Samples(std::move(took));
}

void Allocate(const std::string& agent, Report& report) {
  report.Section("Allocation through sockets and gRPC, as the stand-in waits for it");
  AgentRig rig({.agent = agent, .config = TimeSlicing(10), .arguments = {}});
  rig.Start();
  rig.Await(kGpu, kGpus * 10);
  report.Line("preferred allocation and Allocate, 1 of 80", Place(rig, 1, 5000).Text());
  report.Line("preferred allocation and Allocate, 8 of 80", Place(rig, 8, 2000).Text());
  // All that is left is not a choice, so nothing is asked first.
  report.Line("Allocate alone, all 80", Place(rig, 80, 2000).Text());
  Require(rig.kubelet().Place("rest", "main", kGpu, 79).ok(), "a placement");
  report.Line("Allocate alone, 1", Place(rig, 1, 5000).Text());
  rig.kubelet().Remove("rest");
  rig.WriteConfig(TimeSlicing(kManyReplicas));
  rig.Await(kGpu, kGpus * kManyReplicas);
  report.Line("preferred allocation and Allocate, 1 of 10,000", Place(rig, 1, 200).Text());
}

// From an XID event in the driver to the list at the stand-in. Bad news waits for nothing.
void Update(const std::string& agent, Report& report) {
  report.Section("A GPU turns unhealthy: from the driver's event to the list at the stand-in");
  for (const std::size_t replicas : {std::size_t{10}, kManyReplicas}) {
    std::vector<double> times;
    // A GPU that fails again takes ever longer to be trusted, so every round has a new node.
    for (int round = 0; round < 5; ++round) {
      AgentRig rig({.agent = agent, .config = TimeSlicing(replicas), .arguments = {}});
      rig.Start();
      rig.Await(kGpu, kGpus * replicas);
      auto control = sim::Control::Open(rig.sim_state(), "");
      Require(control.ok(), control.ok() ? "" : control.error().message);
      for (unsigned gpu = 0; gpu < kGpus; ++gpu) {
        times.push_back(Milliseconds([&] {
          constexpr std::uint64_t kXid = 63;  // ECC page retirement recorded
          Require((*control)->RaiseXid(gpu, kXid, {}, {}).ok(), "the event");
          rig.Await(kGpu, (kGpus - gpu - 1) * replicas);
        }));
      }
    }
    report.Line(fmt::format("{} devices", kGpus * replicas), Samples(times).Text());
  }
}

// Spaced by more than the second that a list is held back once three changes in a row were sent at
// once, so that the figure is the way of a change and not that limit.
void Change(const std::string& agent, Report& report) {
  report.Section("Configuration file replaced: to the new list at the stand-in, one per 1.1 s");
  for (const auto& [replicas, times] : std::map<std::size_t, int>{{10, 50}, {kManyReplicas, 30}}) {
    AgentRig rig({.agent = agent, .config = TimeSlicing(replicas), .arguments = {}});
    rig.Start();
    rig.Await(kGpu, kGpus * replicas);
    std::vector<double> took;
    for (int i = 0; i < times; ++i) {
      Pause(milliseconds(1100));
      const std::size_t next = replicas - static_cast<std::size_t>(1 - i % 2);
      took.push_back(Milliseconds([&] {
        rig.WriteConfig(TimeSlicing(next));
        rig.Await(kGpu, kGpus * next);
      }));
    }
    report.Line(fmt::format("about {} devices", kGpus * replicas), Samples(took).Text());
  }
}

// Every restart makes a new registration, connection and stream; every change withdraws one
// resource, with its socket and server, and serves another.
class Soak {
 public:
  Soak(const std::string& agent, Report& report)
      : report_(report), rig_({.agent = agent, .config = TimeSlicing(2), .arguments = {}}) {}

  void Run(int rounds) {
    report_.Section(fmt::format("{0} kubelet restarts and {0} configuration changes, one agent",
                                rounds * kRound));
    rig_.Start();
    rig_.Await(kGpu, kGpus * replicas_);
    for (int i = 0; i < 3; ++i) Round();
    const Usage before = Show("after 300 + 300 to warm up");
    const double took = Milliseconds([&] {
      for (int round = 1; round <= rounds; ++round) {
        Round();
        Show(fmt::format("after {0} + {0} more", round * kRound));
      }
    });
    Pause(seconds(5));  // the last servers wind down
    const Usage after = Show("5 s later");
    report_.Line("duration", fmt::format("{:.0f} s", took / 1000));
    // Holes of the allocator and pages of thread stacks touched for the first time, ever fewer;
    // what is allocated does not grow (docs/benchmarks.md).
    Growth("memory that is not files", before.anonymous_kib, after.anonymous_kib, 1024, "KiB");
    // gRPC's pool grows with the load, up to two per core, and does not shrink.
    Growth("threads", before.threads, after.threads, 2.0 * std::thread::hardware_concurrency(), "");
    Growth("descriptors", before.descriptors, after.descriptors, 0, "");
  }

 private:
  static constexpr int kRound = 100;

  void Round() {
    for (int i = 0; i < kRound; ++i) {
      Require(rig_.kubelet().Restart().ok(), "a restart of the stand-in");
      rig_.Await(renamed_ ? kRenamed : kGpu, kGpus * replicas_);
    }
    for (int i = 0; i < kRound; ++i) {
      renamed_ = !renamed_;
      replicas_ = 2 + static_cast<std::size_t>(i) % 20;
      rig_.WriteConfig(TimeSlicing(replicas_, renamed_));
      rig_.Await(renamed_ ? kRenamed : kGpu, kGpus * replicas_);
      rig_.Await(renamed_ ? kGpu : kRenamed, 0);
    }
  }

  Usage Show(const std::string& when) {
    Pause(seconds(1));
    const Usage usage = rig_.usage();
    report_.Line(when,
                 fmt::format("{} KiB ({} not files), {} threads, {} descriptors", usage.rss_kib,
                             usage.anonymous_kib, usage.threads, usage.descriptors));
    return usage;
  }

  void Growth(const std::string& what, std::size_t before, std::size_t after, double allowed,
              const std::string& unit) {
    report_.Line("growth of " + what, static_cast<double>(after) - static_cast<double>(before),
                 allowed, unit);
  }

  Report& report_;
  AgentRig rig_;
  bool renamed_ = false;
  std::size_t replicas_ = 2;
};

int Main(int argc, char** argv) {
  const std::vector<std::pair<std::string, void (*)(const std::string&, Report&)>> parts = {
      {"binary", Binary},
      {"idle", Idle},
      {"cluster", Cluster},
      {"start", StartUp},
      {"allocate", Allocate},
      {"update", Update},
      {"change", Change},
      {"soak", [](const std::string& agent, Report& report) { Soak(agent, report).Run(10); }},
      {"long-soak", [](const std::string& agent, Report& report) { Soak(agent, report).Run(50); }}};
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::string agent = "out/bin/aliquot";
  if (arguments.size() >= 2 && arguments[0] == "--agent") {
    agent = arguments[1];
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  for (const std::string& name : arguments) {
    if (std::none_of(parts.begin(), parts.end(),
                     [&](const auto& part) { return part.first == name; })) {
      fmt::print(stderr,
                 "usage: agent_bench [--agent PROGRAM] "
                 "[binary|idle|cluster|start|allocate|update|change|soak|long-soak]...\n");
      return 2;
    }
  }
  Report report;
  for (const auto& [name, run] : parts) {
    const bool named = std::find(arguments.begin(), arguments.end(), name) != arguments.end();
    if (named || (arguments.empty() && name != "long-soak")) run(agent, report);
  }
  return report.over() ? 1 : 0;
}

}  // namespace
}  // namespace aliquot::bench

int main(int argc, char** argv) { return aliquot::bench::Main(argc, argv); }
