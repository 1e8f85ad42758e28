// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster_wish.h"
#include "agent/mig_node.h"
#include "base/executor_fake.h"
#include "kube/client_fake.h"
#include "mig/boot_restore.h"
#include "mig/recovery.h"
#include "mig/sim_node_test.h"

// The flow from a Node to the simulated driver, with a cluster and a host in memory.
namespace aliquot::agent {

namespace json = boost::json;

inline const kube::Ref kNode{kube::kNodes, "", "n1", ""};

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
  std::optional<mig::SimNode> sim_;
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

inline const char kOneA100[] =
    "name: one\ndriver: \"580.159.04\"\ncuda: \"13.0\"\n"
    "gpus:\n- product: A100-SXM4-40GB\n";

}  // namespace aliquot::agent
