// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// The agent's process in the middle of a change of MIG: killed, and taken down by a reboot of its
// node. Another process on the same state directory finishes what was begun.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <filesystem>

#include "agent/json_path.h"
#include "base/elsewhere_testing.h"
#include "base/unique_fd.h"
#include "tests/api_fixture.h"

namespace aliquot::tests {
namespace {

namespace fs = std::filesystem;

constexpr char kConfig[] = "nvidia.com/mig.config";
constexpr char kState[] = "nvidia.com/mig.config.state";
constexpr char kDcgm[] = "nvidia.com/gpu.deploy.dcgm";
constexpr char kPaused[] = "paused-for-mig-change";
constexpr char kHalves[] = "nvidia.com/mig-3g.20gb";
constexpr char kWhole[] = "nvidia.com/mig-7g.40gb";

class AgentMigProcessTest : public ApiAgentTest {
 protected:
  void Label(const std::string& label, const std::string& value) {
    const boost::json::value patch = {{"metadata", {{"labels", {{label, value}}}}}};
    ASSERT_TRUE(
        cluster_.Patch({kube::kNodes, "", "worker-1", ""}, kube::PatchType::kMerge, patch).ok());
  }
  std::string Label(const std::string& label) {
    const auto node = cluster_.Get({kube::kNodes, "", "worker-1", ""});
    return node.ok() ? agent::FindText(*node, {"metadata", "labels", label}) : "";
  }
  bool Becomes(const std::string& label, const std::string& value) {
    return Eventually([&] { return Label(label) == value; });
  }
  void PutConfigMap(const std::string& name, const std::string& key, const std::string& text) {
    ASSERT_TRUE(
        cluster_
            .Put(kube::kConfigMaps, {{"metadata", {{"name", name}, {"namespace", "gpu-operator"}}},
                                     {"data", {{key, text}}}})
            .ok());
  }
  void PutPolicy(const std::string& mig_manager) {
    ASSERT_TRUE(
        cluster_
            .Put(kube::kClusterPolicies, {{"metadata", {{"name", "cluster-policy"}}},
                                          {"spec",
                                           {{"mig", {{"strategy", "mixed"}}},
                                            {"migManager", boost::json::parse(mig_manager)}}}})
            .ok());
  }
  std::string Events() {
    const auto events = cluster_.List({kube::kEvents, "default", "", ""});
    std::string text;
    if (!events.ok()) return text;
    for (const kube::Object& event : events->items) text += boost::json::serialize(event) + "\n";
    return text;
  }
};

// --- killed
// ---------------------------------------------------------------------------------------

// Where the agent is when it is killed.
struct Moment {
  const char* name;
  const char* call;  // of NVML that does not return; or nullptr
  const char* host;  // what systemctl was to do and does not return from; or nullptr
  const char* log;   // of the agent or the host, seen before it is killed
};

class AgentMigKillTest : public AgentMigProcessTest, public testing::WithParamInterface<Moment> {
 protected:
  // A systemctl whose units are files; it hangs in what has a pipe "hang-<verb>".
  void PutHost() {
    fs::create_directory(Path("units"));
    ASSERT_TRUE(WriteFileAtomically(Path("units/dcgm.service"), "").ok());
    const std::string script = fmt::format(
        "#!/bin/sh\ncd {}\necho \"$*\" >>host.log\n"
        "if [ -p \"hang-$2\" ]; then read -r _ <\"hang-$2\"; fi\n"
        "case $2 in\nis-active) test -e \"units/$4\" || exit 3 ;;\nstop) rm \"units/$3\" ;;\n"
        "start) : >\"units/$3\" ;;\nesac\necho \"done $2\" >>host.log\n",
        directory_.path());
    ASSERT_TRUE(WriteFileAtomically(Path("host"), script, 0755).ok());
  }
  void HangHost(const std::string& verb) {
    ASSERT_EQ(::mkfifo(Path("hang-" + verb).c_str(), 0600), 0);
  }
  // What hangs in there goes on to its end, as it would on a host.
  void ReleaseHost(const std::string& verb) {
    const std::string pipe = Path("hang-" + verb);
    UniqueFd released(::open(pipe.c_str(), O_RDWR | O_CLOEXEC));
    ::unlink(pipe.c_str());
    released.Reset();
    ASSERT_TRUE(Eventually([&] { return HostLog().find("done " + verb) != std::string::npos; }));
  }
  void StartOnNode() { StartInCluster("a100-40gb-x8-mig", {"--host-command=" + Path("host")}); }
  std::string HostLog() {
    const auto log = ReadFile(Path("host.log"));
    return log.ok() ? *log : "";
  }
};

TEST_P(AgentMigKillTest, TheNextProcessFinishesAndRestoresEverybody) {
  const Moment& moment = GetParam();
  // GPU 0 changes its mode and gets devices, GPU 3 loses some and gets another.
  PutConfigMap("layouts", "config.yaml",
               "version: v1\nmig-configs:\n  wanted:\n"
               "  - {devices: [0], mig-enabled: true, mig-devices: {3g.20gb: 2}}\n"
               "  - {devices: [3], mig-enabled: true, mig-devices: {7g.40gb: 1}}\n");
  PutConfigMap("clients", "clients.yaml", "version: v1\nsystemd-services: [dcgm.service]\n");
  PutPolicy(R"({"config": {"name": "layouts"}, "gpuClientsConfig": {"name": "clients"}})");
  PutHost();
  Label(kDcgm, "true");
  const bool waits = moment.call == nullptr && moment.host == nullptr;
  if (waits) {
    const boost::json::value spec = {{"nodeName", "worker-1"}, {"nodeSelector", {{kDcgm, "true"}}}};
    ASSERT_TRUE(cluster_
                    .Put(kube::kPods,
                         {{"metadata", {{"namespace", "gpu"}, {"name", "dcgm"}}}, {"spec", spec}})
                    .ok());
  }
  Simulate("a100-40gb-x8-mig");
  StartKubelet();
  StartOnNode();
  ASSERT_TRUE(Shows(3, 3, kHalves));
  ASSERT_TRUE(Shows(1, 1, kWhole));
  if (moment.call != nullptr) {
    ASSERT_TRUE(sim().DelayCall(moment.call, 0, {}).ok());
  }
  if (moment.host != nullptr) HangHost(moment.host);

  Label(kConfig, "wanted");
  const std::string log = moment.log;
  ASSERT_TRUE(Eventually([&] {
    return agent_.Log().find(log) != std::string::npos || HostLog().find(log) != std::string::npos;
  })) << HostLog()
      << agent_.Status();
  ASSERT_TRUE(Becomes(kDcgm, kPaused));
  agent_.Kill();
  EXPECT_EQ(Label(kState), "pending");
  sim().Reset();
  if (moment.host != nullptr) ReleaseHost(moment.host);
  if (waits) {
    ASSERT_TRUE(cluster_.Delete({kube::kPods, "gpu", "dcgm", ""}).ok());
  }

  StartOnNode();
  EXPECT_TRUE(Becomes(kState, "success")) << agent_.Status();
  EXPECT_TRUE(Becomes(kDcgm, "true"));
  EXPECT_TRUE(Shows(4, 4, kHalves));
  EXPECT_TRUE(Shows(2, 2, kWhole));
  EXPECT_TRUE(Shows(0, 0, "nvidia.com/mig-2g.10gb"));
  EXPECT_TRUE(fs::exists(Path("units/dcgm.service")));
  EXPECT_FALSE(fs::exists(Path("state/mig-stopped-services")));
  EXPECT_FALSE(fs::exists(Path("state/mig-journal.json")));
}

INSTANTIATE_TEST_SUITE_P(
    Moments, AgentMigKillTest,
    testing::Values(Moment{"Withdrawn", nullptr, nullptr, "state=pending"},
                    Moment{"StoppingServices", nullptr, "stop", "systemctl stop dcgm.service"},
                    Moment{"ChangingTheMode", "nvmlDeviceSetMigMode", nullptr,
                           "systemctl stop dcgm.service"},
                    Moment{"CreatingAGpuInstance", "nvmlDeviceCreateGpuInstanceWithPlacement",
                           nullptr, "MIG step done"},
                    Moment{"CreatingADevice", "nvmlGpuInstanceCreateComputeInstanceWithPlacement",
                           nullptr, "step=\"create GPU instance 3g.20gb at 4"},
                    Moment{"DestroyingADevice", "nvmlComputeInstanceDestroy", nullptr,
                           "step=\"create device 3g.20gb in the GPU instance at 4"},
                    Moment{"DestroyingAGpuInstance", "nvmlGpuInstanceDestroy", nullptr,
                           "step=\"destroy device"},
                    Moment{"StartingServices", nullptr, "start", "systemctl start dcgm.service"}),
    [](const auto& instance) { return std::string(instance.param.name); });

// --- rebooted
// -------------------------------------------------------------------------------------

// A virtual machine, whose GPUs cannot be reset: a MIG mode changes at a reboot. What belongs to
// the host happens in other mounts than the agent's, as from a container.
class AgentMigRebootTest : public AgentMigProcessTest {
 protected:
  AgentMigRebootTest() {
    EXPECT_TRUE(host_.ready()) << "needs CAP_SYS_ADMIN, as the agent does";
    fs::create_directories(Path("host/proc/sys/kernel/random"));
    fs::create_symlink(host_.process(), Path("host/proc/1"));
    Boot("boot-1");
    EXPECT_TRUE(WriteFileAtomically(Path("vm.yaml"),
                                    "name: vm\ndriver: \"580.159.04\"\ncuda: \"13.0\"\n"
                                    "gpuReset: false\ngpus:\n- product: A100-SXM4-40GB\n"
                                    "  count: 2\n")
                    .ok());
    Label(kDcgm, "true");
    Simulate(Path("vm.yaml"));
    StartKubelet();
  }
  void Boot(const std::string& id) {
    EXPECT_TRUE(WriteFileAtomically(Path("host/proc/sys/kernel/random/boot_id"), id + "\n").ok());
  }
  void StartOnNode() {
    StartInCluster(Path("vm.yaml"),
                   {"--host-root=" + Path("host"), "--reboot-command=mkdir /mnt/reboot"});
  }
  // Whether the host was told to reboot.
  bool rebooted() { return fs::exists(host_.process() + "/root/mnt/reboot"); }

  const Elsewhere host_;
};

TEST_F(AgentMigRebootTest, TheChangeContinuesAfterTheBoot) {
  PutPolicy(R"({"env": [{"name": "WITH_REBOOT", "value": "true"}]})");
  StartOnNode();
  ASSERT_TRUE(Shows(2));
  Label(kConfig, "all-3g.20gb");
  ASSERT_TRUE(Becomes(kState, "rebooting")) << agent_.Status();
  ASSERT_TRUE(Eventually([&] { return rebooted(); })) << agent_.Status();
  EXPECT_EQ(Label(kDcgm), kPaused);
  EXPECT_TRUE(Shows(0)) << "nobody is given a GPU of a node that is about to go";
  EXPECT_NE(Events().find("MigConfigRebooting"), std::string::npos);
  EXPECT_EQ(agent_.Stop(), 0);

  // The node comes up: the modes that were pending are those that the GPUs have.
  ASSERT_TRUE(sim().ResetGpu(0).ok());
  ASSERT_TRUE(sim().ResetGpu(1).ok());
  Boot("boot-2");
  std::size_t fewest = 4;
  kubelet_.reset();
  auto kubelet =
      rpc::KubeletStandin::Start({.directory = Path("device-plugins"),
                                  .pod_resources_socket = Path("pod-resources/kubelet.sock"),
                                  .observer = [&fewest](const rpc::StandinState& state) {
                                    const std::size_t halves = state.capacity(kHalves);
                                    if (halves != 0) fewest = std::min(fewest, halves);
                                    if (state.capacity(kGpu) != 0) fewest = 0;
                                  }});
  ASSERT_TRUE(kubelet.ok()) << kubelet.error().message;
  kubelet_ = *std::move(kubelet);
  StartOnNode();
  ASSERT_TRUE(Shows(4, 4, kHalves));
  EXPECT_TRUE(Becomes(kState, "success")) << agent_.Status();
  EXPECT_TRUE(Becomes(kDcgm, "true"));
  EXPECT_EQ(agent_.Log().find("rebooting the node"), agent_.Log().rfind("rebooting the node"));
  EXPECT_FALSE(fs::exists(Path("state/mig-reboot.json")));
  agent_.Stop();
  kubelet_.reset();
  EXPECT_EQ(fewest, 4u) << "the devices were all there before the first was offered";
}

TEST_F(AgentMigRebootTest, WithoutLeaveItIsAnnouncedAndTheGpusStay) {
  PutPolicy("{}");
  StartOnNode();
  ASSERT_TRUE(Shows(2));
  Label(kConfig, "all-3g.20gb");
  ASSERT_TRUE(Becomes(kState, "failed"));
  EXPECT_TRUE(Eventually([&] {
    return Events().find("allow reboots (WITH_REBOOT=true) to have it done") != std::string::npos;
  })) << Events();
  EXPECT_TRUE(Shows(2));
  EXPECT_TRUE(Becomes(kDcgm, "true"));
  EXPECT_FALSE(rebooted());
  // Leave is given: that is tried at once.
  PutPolicy(R"({"env": [{"name": "WITH_REBOOT", "value": "true"}]})");
  EXPECT_TRUE(Becomes(kState, "rebooting"));
  EXPECT_TRUE(Eventually([&] { return rebooted(); }));
}

}  // namespace
}  // namespace aliquot::tests
