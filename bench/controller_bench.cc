// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
//
// What `aliquot controller` costs with thousands of nodes: the real program as a process of its
// own, over HTTP to an API server in this one whose nodes are made up, but as large as real ones.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "bench/agent_rig.h"
#include "bench/cluster_rig.h"
#include "bench/report.h"
#include "cli/agent_process.h"

namespace aliquot::bench {
namespace {

namespace json = boost::json;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Policies, nodes, the agent's DaemonSet and its pods. A watch begins when its list is there.
constexpr std::size_t kWatches = 4;
constexpr double kNodeReports = 300;  // seconds between two reports of a kubelet's unchanged status

double Since(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// VmHWM of a process in MiB.
double PeakMib(pid_t pid) {
  const auto text = ReadFile(fmt::format("/proc/{}/status", pid));
  Require(text.ok(), "the controller is gone");
  const std::size_t at = text->find("VmHWM:");
  return std::strtod(text->c_str() + at + 6, nullptr) / 1024;
}

std::string NodeName(int index) { return fmt::format("gpu-node-{:05}.example.internal", index); }

// With the labels of NVIDIA's GPU Feature Discovery, beside those of Node Feature Discovery.
kube::Object GpuNode(int index) {
  kube::Object node = RealisticNode(NodeName(index));
  json::object& labels = node["metadata"].as_object()["labels"].as_object();
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"cuda.driver-version.full", "580.65.06"},
           {"cuda.driver-version.major", "580"},
           {"cuda.driver-version.minor", "65"},
           {"cuda.driver-version.revision", "06"},
           {"cuda.runtime-version.full", "13.0"},
           {"cuda.runtime-version.major", "13"},
           {"cuda.runtime-version.minor", "0"},
           {"gfd.timestamp", "1760000000"},
           {"gpu.compute.major", "8"},
           {"gpu.compute.minor", "9"},
           {"gpu.count", "8"},
           {"gpu.family", "ada-lovelace"},
           {"gpu.machine", "PowerEdge-R760xa"},
           {"gpu.memory", "46068"},
           {"gpu.mode", "compute"},
           {"gpu.product", "NVIDIA-L40S"},
           {"gpu.replicas", "1"},
           {"gpu.sharing-strategy", "none"},
           {"mig.capable", "false"},
           {"mig.strategy", "single"},
           {"mps.capable", "false"},
           {"vgpu.present", "false"}}) {
    labels[fmt::format("nvidia.com/{}", name)] = value;
  }
  return node;
}

kube::Object ReadyPod(int index) {
  return {{"metadata",
           {{"name", fmt::format("aliquot-agent-{:05}", index)},
            {"namespace", kNamespace},
            {"labels",
             {{"app.kubernetes.io/name", "aliquot"}, {"app.kubernetes.io/component", "agent"}}}}},
          {"spec", {{"nodeName", NodeName(index)}}},
          {"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
}

void Fill(kube::FakeCluster& cluster, int nodes) {
  for (int i = 0; i < nodes; ++i) {
    Require(cluster.Put(kube::kNodes, GpuNode(i)).ok(), "cannot make a node");
    Require(cluster.Put(kube::kPods, ReadyPod(i)).ok(), "cannot make a pod");
  }
  const kube::Object daemon_set = {
      {"metadata", {{"name", "aliquot-agent"}, {"namespace", kNamespace}, {"generation", 1}}},
      {"status", {{"observedGeneration", 1}, {"desiredNumberScheduled", nodes}}}};
  Require(cluster.Put(kube::kDaemonSets, daemon_set).ok(), "cannot make the DaemonSet");
  const kube::Object policy = {{"apiVersion", "nvidia.com/v1"},
                               {"kind", "ClusterPolicy"},
                               {"metadata", {{"name", "cluster-policy"}}},
                               {"spec", json::object()}};
  Require(cluster.Create(kube::kClusterPolicies, "", policy).ok(), "cannot make the policy");
}

std::string StateOf(const kube::FakeCluster& cluster) {
  const auto policy = cluster.Get({kube::kClusterPolicies, "", "cluster-policy", ""});
  const json::value* status = policy->if_contains("status");
  if (status == nullptr) return "";
  const json::value* state = status->as_object().if_contains("state");
  return state == nullptr ? "" : std::string(state->as_string());
}

int Labelled(const kube::FakeCluster& cluster) {
  const auto page =
      cluster.List({kube::kNodes, "", "nvidia.com/gpu.deploy.device-plugin=true", ""});
  return static_cast<int>(page->items.size());
}

std::size_t LeaseRequests(const kube::FakeApiServer& server) {
  std::size_t count = 0;
  for (const std::string& request : server.requests()) {
    count += request.find("/leases") != std::string::npos ? 1 : 0;
  }
  return count;
}

template <typename Condition>
void Await(Condition condition, const std::string& what) {
  const auto begin = steady_clock::now();
  while (!condition()) {
    Require(Since(begin) < 300, "waited 300 s for " + what);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// Each node reports once in kNodeReports seconds, as kubelets do, for `duration`.
void Beat(kube::FakeCluster& cluster, int nodes, seconds duration) {
  const auto begin = steady_clock::now();
  int beats = 0;
  while (Since(begin) < static_cast<double>(duration.count())) {
    const int due = static_cast<int>(Since(begin) * nodes / kNodeReports);
    for (; beats < due; ++beats) {
      const json::value patch = {{"status", {{"beat", beats}}}};
      Require(cluster
                  .Patch({kube::kNodes, "", NodeName(beats % nodes), "status"},
                         kube::PatchType::kMerge, patch)
                  .ok(),
              "cannot report a node");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::unique_ptr<cli::ChildProcess> StartController(const std::string& program,
                                                   const ClusterRig& rig) {
  auto controller = cli::ChildProcess::Start(
      {"controller", "--listen=", "--namespace", kNamespace, "--kubeconfig", rig.kubeconfig()}, {},
      rig.directory() + "/log", program);
  Require(controller.ok(), "cannot start the controller");
  return *std::move(controller);
}

void Run(const std::string& program, int nodes, int rest, Report& report) {
  ClusterRig rig(false);
  kube::FakeCluster& cluster = rig.cluster();
  kube::FakeApiServer& server = rig.server();
  Fill(cluster, nodes);

  report.Section(fmt::format("Controller with {} nodes of {} KiB", nodes,
                             json::serialize(GpuNode(0)).size() / 1024));
  auto begin = steady_clock::now();
  auto controller = StartController(program, rig);
  pid_t pid = controller->pid();
  Await([&] { return StateOf(cluster) == "ready" && Labelled(cluster) == nodes; }, "the labels");
  report.Line("start to every node labelled and the policy ready",
              fmt::format("{:.2f} s, {:.0f} nodes/s", Since(begin), nodes / Since(begin)));
  report.Line("resident at most meanwhile", fmt::format("{:.1f} MiB", PeakMib(pid)));

  std::this_thread::sleep_for(seconds(10));
  const std::size_t requests = server.requests().size();
  const std::size_t lease = LeaseRequests(server);
  const std::uint64_t cpu_ns = Usage::Of(pid).cpu_ns;
  begin = steady_clock::now();
  Beat(cluster, nodes, seconds(rest));
  const double took = Since(begin);
  const Usage usage = Usage::Of(pid);
  report.Line("resident at rest", static_cast<double>(usage.rss_kib) / 1024, 40, "MiB");
  report.Line(
      fmt::format("processor time at rest, {:.0f} node reports/s", nodes / kNodeReports),
      fmt::format("{:.2f} % of a core", static_cast<double>(usage.cpu_ns - cpu_ns) / 1e7 / took));
  const auto per_minute = [took](std::size_t count) {
    return static_cast<double>(count) * 60 / took;
  };
  report.Line("requests at rest", fmt::format("{:.1f}/min, {:.1f} of them for the lease",
                                              per_minute(server.requests().size() - requests),
                                              per_minute(LeaseRequests(server) - lease)));

  Require(controller->Stop() == 0, "the controller did not end well");
  Await([&] { return server.streams() == 0; }, "the watches to end");
  controller = StartController(program, rig);
  pid = controller->pid();
  Await([&] { return server.streams() == kWatches; }, "the lists");
  std::this_thread::sleep_for(seconds(5));
  report.Line("resident at most, started again, nothing to write",
              fmt::format("{:.1f} MiB", PeakMib(pid)));

  begin = steady_clock::now();
  const json::value patch = {
      {"spec", {{"sandboxWorkloads", {{"enabled", true}, {"defaultWorkload", "vm-passthrough"}}}}}};
  Require(
      cluster
          .Patch({kube::kClusterPolicies, "", "cluster-policy", ""}, kube::PatchType::kMerge, patch)
          .ok(),
      "cannot change the policy");
  Await([&] { return Labelled(cluster) == 0; }, "the labels to go");
  report.Line("policy changed to other labels on every node",
              fmt::format("{:.2f} s, {:.0f} nodes/s", Since(begin), nodes / Since(begin)));
  Require(controller->Stop() == 0, "the controller did not end well");
}

}  // namespace
}  // namespace aliquot::bench

int main(int argc, char** argv) {
  const std::string program = argc > 1 ? argv[1] : "out/bin/aliquot";
  const int nodes = argc > 2 ? std::atoi(argv[2]) : 5000;
  const int rest = argc > 3 ? std::atoi(argv[3]) : 60;
  aliquot::bench::Report report;
  aliquot::bench::Run(program, nodes, rest, report);
  return report.over() ? 1 : 0;
}
