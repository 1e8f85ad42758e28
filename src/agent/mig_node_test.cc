// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// From the label of a Node to the MIG devices of the simulated driver, with a cluster in memory.
#include "agent/mig_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <deque>

#include "agent/cluster_wish.h"
#include "base/executor_fake.h"
#include "base/text.h"
#include "kube/client_fake.h"
#include "mig/boot_restore.h"
#include "mig/recovery.h"
#include "mig/sim_node_test.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;
using mig::SimNode;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

const kube::Ref kNode{kube::kNodes, "", "n1", ""};

class FakeHost final : public MigHost {
 public:
  bool stopped() const override { return stopped_; }
  void StopClients(std::vector<std::string> units, bool mode, Done done) override {
    std::string what = mode ? "stop for a mode" : "stop";
    for (const std::string& unit : units) what += " " + unit;
    trace_.push_back(what);
    stopped_ = true;
    Answer("stop", std::move(done));
  }
  void StartClients(Done done) override {
    if (hanging_ != "start" && std::exchange(stopped_, false)) trace_.push_back("start");
    Answer("start", std::move(done));
  }
  void Reboot(Done done) override {
    trace_.push_back("reboot");
    done({});
  }

  std::vector<std::string> trace_;
  bool stopped_ = false;
  std::string hanging_;  // "stop" or "start" does not return

 private:
  void Answer(const std::string& call, Done done) {
    if (call != hanging_) done({});
  }
};

class MigNodeTest : public testing::Test {
 protected:
  ~MigNodeTest() override { Kill(); }

  void Simulate(const std::string& node) { sim_.emplace(node); }
  void PutNode(json::object labels) {
    ASSERT_TRUE(
        cluster_.Put(kube::kNodes, {{"metadata", {{"name", "n1"}, {"labels", labels}}}}).ok());
  }
  void SetLabel(const std::string& key, const json::value& value) {
    const json::value patch = {{"metadata", {{"labels", {{key, value}}}}}};
    ASSERT_TRUE(cluster_.Patch(kNode, kube::PatchType::kMerge, patch).ok());
  }
  void Want(const json::value& label) { SetLabel(kMigConfigLabel, label); }
  std::string Label(const std::string& key) {
    const auto node = cluster_.Get(kNode);
    const Labels labels = node.ok() ? LabelsOf(*node) : Labels();
    const auto found = labels.find(key);
    return found == labels.end() ? "" : found->second;
  }
  std::string State() { return Label(kMigStateLabel); }

  // The agent: started on what is there.
  void Start() {
    options_.node = "n1";
    options_.layouts.config_map_namespace = "gpu";
    options_.state_dir = sim_->directory() + "/agent";
    options_.boot_id = boot_id_;
    MigNode::Dependencies dependencies{executor_, clock_, log_, client_, host_, {}, {}, {}, {}, {}};
    dependencies.drive = [this](gpu::DriverJob job) {
      jobs_.push_back(std::move(job));
      return true;
    };
    dependencies.withhold = [this](const WithheldGpus& withheld) {
      withheld_ = withheld;
      host_.trace_.push_back(withheld.empty() ? "offer" : "withhold");
    };
    dependencies.lists_sent = [this] { return lists_sent_; };
    dependencies.list_pods = [this](auto done) { done(pods_); };
    node_.emplace(options_, dependencies);
    watcher_.emplace(*node_);
    kube::Selection selection;
    selection.resource = kube::kNodes;
    watch_ = client_.StartWatch(selection, executor_, *watcher_);
    node_->SetWish(wish_);
    node_->OnGpusChanged();
    Settle();
  }
  // The agent, as by SIGKILL.
  void Kill() {
    watch_.reset();
    node_.reset();
    jobs_.clear();
    withheld_.clear();
  }
  // Everything that can happen without the clock moving.
  void Settle() {
    do {
      executor_.RunReady();
    } while (RunJob());
  }
  void Pass(Clock::Duration time) {
    for (const Clock::TimePoint end = clock_.Now() + time; clock_.Now() < end;) {
      executor_.Advance(
          std::min<Clock::Duration>(end - clock_.Now(), std::chrono::milliseconds(500)));
      Settle();
    }
  }
  // One job of the driver thread; false if there is none.
  bool RunJob() {
    if (jobs_.empty()) return false;
    const gpu::DriverJob job = std::move(jobs_.front());
    jobs_.pop_front();
    const auto before = sim_->Look();
    if (driver_error_) {
      job.run(*driver_error_, [] {});
    } else {
      job.run(&sim_->api(), [] {});
    }
    if (sim_->Look() != before) {
      host_.trace_.push_back("change");
      node_->OnGpusChanged();
    }
    job.done();
    return true;
  }

  // Does the next job in a process of its own, which is killed at its `change`th change, before or
  // after it. False if it has no such change.
  bool DieInJob(unsigned change, bool after) {
    const gpu::DriverJob job = std::move(jobs_.front());
    jobs_.pop_front();
    sim_->Disconnect();
    const pid_t child = ::fork();
    if (child == 0) {
      sim_->Connect();
      sim_->faults().die_at_change = change;
      sim_->faults().die_after = after;
      job.run(&sim_->api(), [] {});
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    sim_->Connect();
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }
  // The driver comes up as the agent has it, which finishes what was interrupted.
  void LoadDriver() {
    mig::RecoveringDriverSource source(
        std::make_unique<gpu::FileDriverSource>(ALIQUOT_SIM_NVML_PATH), options_.state_dir,
        boot_id_, log_);
    ASSERT_TRUE(source.Load().ok());
  }

  std::string Layout(unsigned gpu = 0) {
    const mig::GpuMigState state = sim_->Look(gpu);
    return mig::Describe(state, mig::LayoutOf(state));
  }
  std::vector<std::string> Events() {
    std::vector<std::string> texts;
    kube::Selection selection;
    selection.resource = kube::kEvents;
    const auto page = cluster_.List(selection);
    for (const kube::Object& event : page->items) {
      texts.push_back(std::string(event.at("reason").as_string()) + ": " +
                      std::string(event.at("message").as_string()));
    }
    return texts;
  }
  void PutConfigMap(const std::string& text, const std::string& key = "config.yaml",
                    const std::string& name = "layouts") {
    if (name == "layouts") wish_.config_map = name;
    ASSERT_TRUE(cluster_
                    .Put(kube::kConfigMaps, {{"metadata", {{"namespace", "gpu"}, {"name", name}}},
                                             {"data", {{key, text}}}})
                    .ok());
  }
  void PutPod(const std::string& name, const std::string& selector) {
    ASSERT_TRUE(cluster_
                    .Put(kube::kPods,
                         {{"metadata", {{"namespace", "gpu"}, {"name", name}}},
                          {"spec", {{"nodeName", "n1"}, {"nodeSelector", {{selector, "true"}}}}}})
                    .ok());
  }

  // Hands the Node to the flow, as the agent's watch does.
  class NodeWatcher final : public kube::WatchHandler {
   public:
    explicit NodeWatcher(MigNode& node) : node_(node) {}
    void OnSync(std::vector<kube::Object> objects) override {
      for (const kube::Object& object : objects) node_.OnNode(object);
    }
    void OnUpdate(kube::Object object) override { node_.OnNode(object); }
    void OnDelete(kube::Object) override {}
    void OnUnavailable(const Error&) override {}

   private:
    MigNode& node_;
  };

  FakeClock clock_;
  FakeExecutor executor_{clock_};
  Logger log_{clock_, Logger::NullSink()};
  kube::FakeCluster cluster_{clock_};
  kube::FakeClient client_{cluster_};
  FakeHost host_;
  std::optional<SimNode> sim_;
  MigOptions options_;
  MigWish wish_;
  std::string boot_id_ = "boot-1";
  std::deque<gpu::DriverJob> jobs_;
  std::optional<Error> driver_error_;
  WithheldGpus withheld_;
  bool lists_sent_ = true;
  Result<PodsByDevice> pods_ = PodsByDevice();
  std::optional<MigNode> node_;
  std::optional<NodeWatcher> watcher_;
  std::unique_ptr<kube::Watch> watch_;
};

const char kOneA100[] =
    "name: one\ndriver: \"580.159.04\"\ncuda: \"13.0\"\n"
    "gpus:\n- product: A100-SXM4-40GB\n";

TEST_F(MigNodeTest, ALabelBecomesALayout) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-balanced"},
           {"nvidia.com/gpu.deploy.dcgm", "true"},
           {"nvidia.com/gpu.deploy.nvsm", "false"},
           {"nvidia.com/gpu.deploy.device-plugin", "true"}});
  PutPod("dcgm-x", "nvidia.com/gpu.deploy.dcgm");
  Start();
  EXPECT_EQ(State(), "pending");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), kPausedForMig);
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.nvsm"), "false");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.device-plugin"), "true") << "that is this agent";
  Pass(seconds(10));
  EXPECT_EQ(Layout(), "off") << "dcgm is still there";
  ASSERT_TRUE(cluster_.Delete({kube::kPods, "gpu", "dcgm-x", ""}).ok());
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.nvsm"), "false");
  EXPECT_EQ(Layout(), "on: 2g.10gb at 0, 1g.5gb at 2, 1g.5gb at 3, 3g.20gb at 4");
  EXPECT_EQ(host_.trace_,
            (std::vector<std::string>{"withhold", "stop for a mode", "change", "start", "offer"}));
  const auto events = Events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_THAT(events, Contains(AllOf(HasSubstr("MigConfigPending: MIG configuration \"all-bal"),
                                     HasSubstr("resets the GPU"))));
  EXPECT_THAT(events, Contains(HasSubstr("MigConfigApplied")));
  EXPECT_EQ(node_->status().state, "success");
  EXPECT_EQ(node_->status().layouts, "derived from the GPUs");
}

TEST_F(MigNodeTest, OnlyDevicesThatGoAreWithheld) {
  Simulate("a100-40gb-x8-mig");
  PutConfigMap(
      "version: v1\nmig-configs:\n  small:\n  - devices: [3]\n    mig-enabled: true\n"
      "    mig-devices: {3g.20gb: 1, 1g.5gb: 4}\n");
  PutNode({{kMigConfigLabel, "small"}});
  const mig::GpuMigState before = sim_->Look(3);
  Start();
  ASSERT_EQ(withheld_.size(), 1u);
  ASSERT_TRUE(withheld_.contains(before.uuid));
  EXPECT_EQ(withheld_[before.uuid].size(), 3u) << "of four devices one goes";
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_TRUE(withheld_.empty());
}

// A label that the reference's stale list would not have is told what there is.
TEST_F(MigNodeTest, AnUnknownLabelIsToldTheKnownOnes) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-1g.6gb"}});
  Start();
  EXPECT_EQ(State(), "failed");
  ASSERT_EQ(Events().size(), 1u);
  EXPECT_THAT(Events()[0],
              HasSubstr("MigConfigFailed: MIG configuration \"all-1g.6gb\": there is no MIG "
                        "configuration \"all-1g.6gb\"; this node has all-1g.10gb, all-1g.5gb"));
  Pass(minutes(30));
  EXPECT_EQ(Events().size(), 1u) << "the same failure again is no news";
  Want("all-7g.40gb");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
}

TEST_F(MigNodeTest, AConfigMapIsFollowed) {
  Simulate("a100-40gb-x8-mig");
  wish_.config_map = "layouts";
  PutNode({{kMigConfigLabel, "mine"}});
  Start();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("configmap gpu/layouts"));
  PutConfigMap("version: v1", "config");
  Settle();
  EXPECT_THAT(node_->status().reason, HasSubstr("no key \"config.yaml\""));
  const std::string head =
      "version: v1\nmig-configs:\n  mine:\n  - devices: [0]\n"
      "    mig-enabled: true\n    mig-devices: ";
  PutConfigMap(head + "{7g.40gb: 1}\n");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "on: 7g.40gb at 0");
  // Editing it is as good as another label.
  PutConfigMap(head + "{3g.20gb: 2}\n");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
  // A mistake changes nothing but the state.
  PutConfigMap(head + "{3g.20gb: many}\n");
  Pass(seconds(5));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("configmap gpu/layouts:6:"));
  EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
  // What the ConfigMap has not, the GPUs have.
  PutConfigMap(head + "{3g.20gb: 2}\n");
  Want("all-disabled");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "off");
}

// migManager.gpuClientsConfig of the policy: what it names is stopped, and without it nothing is
// begun.
TEST_F(MigNodeTest, TheHostsClientsAreThoseOfTheConfigMap) {
  Simulate(kOneA100);
  options_.host_clients = {"of-the-options.service"};
  wish_.clients_map = "clients";
  wish_.stop_host_clients = true;
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  Start();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(Events(), Contains(HasSubstr("configmap gpu/clients with the GPU clients does not")));
  PutConfigMap("version: v1", "clients", "clients");
  Pass(minutes(1));
  EXPECT_THAT(node_->status().reason, HasSubstr("has no key \"clients.yaml\""));
  PutConfigMap("systemd-services: [--now]", "clients.yaml", "clients");
  Pass(minutes(2));
  EXPECT_THAT(node_->status().reason, HasSubstr("configmap gpu/clients: "));
  EXPECT_TRUE(host_.trace_.empty()) << "nobody was disturbed";
  PutConfigMap("version: v1\nsystemd-services: [a.service, b.service]", "clients.yaml", "clients");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success") << "at once, not when the next try is due";
  EXPECT_THAT(host_.trace_, Contains("stop for a mode a.service b.service"));
  // Others that are stopped from now on, and then none.
  wish_.clients_map.clear();
  node_->SetWish(wish_);
  Want("all-7g.40gb");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_THAT(host_.trace_, Contains("stop of-the-options.service"));
  wish_.stop_host_clients = false;
  node_->SetWish(wish_);
  Want("all-3g.20gb");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_THAT(host_.trace_, Contains("stop"));
}

TEST_F(MigNodeTest, WhoIsInTheWayIsNamedAndWaitedFor) {
  Simulate("a100-40gb-x8-mig");
  const mig::GpuMigState gpu = sim_->Look(3);
  const mig::GpuInstance& instance = gpu.instances.front();
  sim_->Hold(3, instance.id, 0, 4711, "python");
  pods_->emplace(instance.compute.front().uuid, std::vector<std::string>{"ml/train-0"});
  PutNode({{kMigConfigLabel, "all-disabled"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  Start();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("is in use by pod ml/train-0, pid 4711 python"));
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true") << "nobody is disturbed in vain";
  EXPECT_TRUE(host_.trace_.empty());
  // The process ends, but the pod still has the device: without the kubelet's word that would be
  // the end of it.
  ASSERT_TRUE(sim_->control().RemoveProcess(4711).ok());
  Pass(minutes(1));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("is in use by pod ml/train-0"));
  pods_->clear();
  Pass(seconds(20));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(3), "off");
}

// Someone is given a device between the first look and its withdrawal.
TEST_F(MigNodeTest, AnAllocationAtTheLastMomentWins) {
  Simulate("a100-40gb-x8-mig");
  lists_sent_ = false;
  PutNode({{kMigConfigLabel, "all-disabled"}});
  Start();
  EXPECT_EQ(State(), "pending");
  pods_->emplace(sim_->Look(3).instances.front().compute.front().uuid,
                 std::vector<std::string>{"ml/quick"});
  lists_sent_ = true;
  node_->OnListSent();
  Pass(seconds(2));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("pod ml/quick"));
  EXPECT_EQ(host_.trace_, (std::vector<std::string>{"withhold", "offer"}));
}

TEST_F(MigNodeTest, LabelsFlipFasterThanApplies) {
  Simulate("a100-40gb-x8-mig");
  PutNode({});
  Start();
  EXPECT_EQ(State(), "");
  for (const char* label : {"all-1g.5gb", "all-disabled", "all-7g.40gb", "all-2g.10gb"}) {
    Want(label);
    executor_.RunReady();
  }
  EXPECT_EQ(jobs_.size(), 1u);
  Settle();
  for (const char* label : {"all-3g.20gb", "all-enabled", "all-4g.20gb", "all-3g.20gb"}) {
    Want(label);
    executor_.Advance(std::chrono::milliseconds(1100));
    EXPECT_LE(jobs_.size(), 1u);
    RunJob();
  }
  Pass(seconds(10));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
}

TEST_F(MigNodeTest, ADriverThatIsAwayIsWaitedFor) {
  Simulate(kOneA100);
  driver_error_ = Error{Code::kUnavailable, "the driver is not loaded"};
  PutNode({{kMigConfigLabel, "all-7g.40gb"}, {"nvidia.com/gpu.deploy.dcgm", kPausedForMig}});
  Start();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("the driver is not loaded"));
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
  driver_error_.reset();
  node_->OnGpusChanged();
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
}

// gpu-operator#2833 and its relatives: whenever the agent dies, its successor leaves nobody paused.
TEST_F(MigNodeTest, KilledAtAnyMomentTheSuccessorFinishes) {
  for (int steps = 0; steps < 12; ++steps) {
    SCOPED_TRACE(steps);
    Simulate(kOneA100);
    PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
    Start();
    for (int i = 0; i < steps; ++i) {
      executor_.Advance(std::chrono::milliseconds(250));
      RunJob();
    }
    Kill();
    Start();
    Pass(seconds(10));
    EXPECT_EQ(State(), "success");
    EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
    EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
    EXPECT_FALSE(host_.stopped_);
    Kill();
    sim_.reset();
  }
}

// The same within the change itself, before and after each of its steps. The mode changes, too.
TEST_F(MigNodeTest, KilledAtAnyStepOfAChangeTheSuccessorFinishes) {
  bool died = true;
  for (unsigned change = 0; died; ++change) {
    for (const bool after : {false, true}) {
      SCOPED_TRACE(testing::Message() << (after ? "after " : "before ") << change);
      Simulate(kOneA100);
      host_.trace_.clear();
      boot_id_ = "boot-1";
      PutNode({{kMigConfigLabel, "all-balanced"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
      Start();
      while (!host_.stopped_) {
        executor_.Advance(std::chrono::milliseconds(250));
        if (!host_.stopped_) RunJob();
      }
      executor_.RunReady();
      ASSERT_EQ(jobs_.size(), 1u);
      died = DieInJob(change, after);
      Kill();
      EXPECT_EQ(State(), "pending");
      EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), kPausedForMig);
      LoadDriver();
      Start();
      Pass(seconds(10));
      EXPECT_EQ(State(), "success") << node_->status().reason;
      EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
      EXPECT_EQ(Layout(), "on: 2g.10gb at 0, 1g.5gb at 2, 1g.5gb at 3, 3g.20gb at 4");
      EXPECT_FALSE(host_.stopped_);
      EXPECT_TRUE(withheld_.empty());
      Kill();
      sim_.reset();
    }
  }
}

// And while the host stops its services, or starts them.
TEST_F(MigNodeTest, KilledWhileTheHostIsBusyTheSuccessorFinishes) {
  for (const char* call : {"stop", "start"}) {
    SCOPED_TRACE(call);
    Simulate(kOneA100);
    PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
    host_.hanging_ = call;
    Start();
    Pass(seconds(10));
    EXPECT_EQ(State(), "pending");
    EXPECT_TRUE(host_.stopped_);
    Kill();
    host_.hanging_.clear();
    LoadDriver();
    Start();
    Pass(seconds(10));
    EXPECT_EQ(State(), "success") << node_->status().reason;
    EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
    EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
    EXPECT_FALSE(host_.stopped_);
    Kill();
    sim_.reset();
  }
}

TEST_F(MigNodeTest, WithoutALabelNobodyStaysPaused) {
  Simulate(kOneA100);
  PutNode({{"nvidia.com/gpu.deploy.dcgm", kPausedForMig}, {kMigStateLabel, "pending"}});
  Start();
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
  EXPECT_EQ(State(), "");
  EXPECT_EQ(Layout(), "off");
}

TEST_F(MigNodeTest, ThePolicyOfTheClusterIsFollowed) {
  Simulate("a100-40gb-x8-mig");
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", kPausedForMig}});
  wish_.enabled = false;
  Start();
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true") << "nobody stays paused all the same";
  Pass(minutes(1));
  EXPECT_EQ(State(), "");
  node_->SetWish({.enabled = true, .allow_reboot = true, .config_map = ""});
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
}

TEST_F(MigNodeTest, AnApiThatFailsIsTriedAgain) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  client_.FailNext("patch", "nodes", {Code::kUnavailable, "no"}, 3);
  client_.FailNext("list", "pods", {Code::kUnavailable, "no"}, 2);
  client_.FailNext("create", "events", {Code::kUnavailable, "no"}, 1);
  Start();
  Pass(minutes(1));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
}

TEST_F(MigNodeTest, ARebootContinuesWhereItBegan) {
  Simulate(
      "name: vm\ndriver: \"580.159.04\"\ncuda: \"13.0\"\ngpuReset: false\n"
      "gpus:\n- product: A100-SXM4-40GB\n");
  wish_.allow_reboot = true;
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  Start();
  Pass(seconds(5));
  EXPECT_EQ(State(), "rebooting");
  EXPECT_EQ(host_.trace_.back(), "reboot");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), kPausedForMig);
  EXPECT_THAT(Events(), Contains(HasSubstr("MigConfigRebooting")));
  Kill();
  // The node is back, and the driver goes on.
  ASSERT_TRUE(sim_->control().ResetGpu(0).ok());
  boot_id_ = "boot-2";
  LoadDriver();
  EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
  Start();
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
  EXPECT_EQ(std::count(host_.trace_.begin(), host_.trace_.end(), "reboot"), 1);
}

TEST_F(MigNodeTest, AModeThatDoesNotChangeDoesNotRebootTwice) {
  Simulate(
      "name: vm\ndriver: \"580.159.04\"\ncuda: \"13.0\"\ngpuReset: false\n"
      "gpus:\n- product: A100-SXM4-40GB\n");
  wish_.allow_reboot = true;
  PutNode({{kMigConfigLabel, "all-3g.20gb"}});
  Start();
  Pass(seconds(5));
  Kill();
  boot_id_ = "boot-2";  // and the mode is what it was
  Start();
  Pass(minutes(10));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("though the node was rebooted"));
  EXPECT_EQ(std::count(host_.trace_.begin(), host_.trace_.end(), "reboot"), 1);
}

TEST_F(MigNodeTest, WithoutLeaveAModeIsTakenBack) {
  Simulate(
      "name: vm\ndriver: \"580.159.04\"\ncuda: \"13.0\"\ngpuReset: false\n"
      "gpus:\n- product: A100-SXM4-40GB\n");
  PutNode({{kMigConfigLabel, "all-3g.20gb"}});
  Start();
  Pass(seconds(5));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("allow reboots (WITH_REBOOT=true)"));
  EXPECT_FALSE(sim_->Look().pending_mode_on);
  EXPECT_EQ(std::count(host_.trace_.begin(), host_.trace_.end(), "reboot"), 0);
  wish_.allow_reboot = true;
  node_->SetWish(wish_);
  Pass(seconds(5));
  EXPECT_EQ(State(), "rebooting") << "the cause of the failure is gone";
}

// gpu-operator#2600: devices are there again before anybody is offered any.
TEST_F(MigNodeTest, AfterARebootTheLayoutIsThereBeforeTheDriverIsSeen) {
  Simulate("a100-40gb-x8-mig");
  PutNode({{kMigConfigLabel, "all-3g.20gb"}});
  Start();
  Pass(seconds(5));
  ASSERT_EQ(State(), "success");
  Kill();
  const auto load = [&](const std::string& boot) {
    boot_id_ = boot;
    LoadDriver();
  };
  for (unsigned gpu = 0; gpu < 8; ++gpu) ASSERT_TRUE(sim_->control().ResetGpu(gpu).ok());
  load("boot-1");
  EXPECT_EQ(Layout(5), "on: empty") << "in the same boot it was somebody's wish";
  ASSERT_TRUE(sim_->driver().SetMode(sim_->Look(5).uuid, false).ok());  // as Hopper would
  ASSERT_TRUE(sim_->driver().CreateGpuInstance(sim_->Look(6).uuid, 0, {0, 1}).ok());
  load("");
  EXPECT_EQ(Layout(5), "off") << "it is not known that there was a reboot";
  load("boot-2");
  EXPECT_EQ(Layout(0), "on: 3g.20gb at 0, 3g.20gb at 4");
  EXPECT_EQ(Layout(5), "on: 3g.20gb at 0, 3g.20gb at 4");
  EXPECT_EQ(Layout(6), "on: 1g.5gb at 0 with no compute instance")
      << "somebody was faster; the label sees to it";
  // Without a label nothing is wanted of the next boot.
  Want(nullptr);
  Start();
  EXPECT_FALSE(mig::RestoreIsDue(options_.state_dir, "boot-3"));
}

// Whatever call fails, once: the flow gets there, and leaves nobody paused. Here with a few of the
// calls; mig/ has them all.
TEST_F(MigNodeTest, AnErrorOfAnyCallIsGotOver) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  Start();
  for (unsigned call = 0;; call += 19) {
    SCOPED_TRACE(call);
    Want("all-7g.40gb");
    Pass(seconds(5));
    sim_->faults() = {};
    sim_->faults().fail_at = call;
    Want("all-3g.20gb");
    Pass(seconds(5));
    const bool failed = sim_->faults().calls > call;
    sim_->faults() = {};
    if (State() != "success") Pass(minutes(1));
    EXPECT_EQ(State(), "success") << node_->status().reason;
    EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
    EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
    if (!failed) break;
  }
}

// The former driver thread is gone with its job; the next one does it.
TEST_F(MigNodeTest, AJobLostWithItsThreadIsDoneAgain) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-3g.20gb"}});
  Start();
  Want("all-7g.40gb");
  executor_.RunReady();
  ASSERT_EQ(jobs_.size(), 1u);
  const gpu::DriverJob lost = std::move(jobs_.front());
  jobs_.clear();
  node_->OnDriverThread(true);
  node_->OnGpusChanged();
  lost.done();  // late, and of no interest to anybody
  Pass(minutes(1));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "on: 7g.40gb at 0");
}

}  // namespace
}  // namespace aliquot::agent
