// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// A driver call that does not return, as happens while a GPU resets or a driver is broken. The
// agent runs inside the test, because as a process it waits ten seconds before it calls that a
// hang.
#include <stdlib.h>

#include <mutex>

#include "agent/agent.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

class AgentHangTest : public AgentTest {
 protected:
  AgentHangTest()
      : logger_(clock_, [this](std::string_view line) {
          recent_.Observe(line);
          const std::lock_guard lock(mutex_);
          log_ += line;
        }) {}
  ~AgentHangTest() override {
    sim().Reset();
    inside_.reset();
  }

  void StartInside() {
    ::setenv("ALIQUOT_SIM_NODE", Simulate().node().name.c_str(), 1);
    ::setenv("ALIQUOT_SIM_STATE", Path("sim").c_str(), 1);
    agent::AgentOptions options;
    options.sources.flags["config-file"] = {Path("config.yaml")};
    options.sources.flags["kubelet-socket"] = {Path("device-plugins/kubelet.sock")};
    options.state_dir = Path("state");
    options.cdi_root = Path("cdi");
    options.monitor.observer.poll_interval = std::chrono::milliseconds(50);
    options.monitor.observer.health.settle = std::chrono::milliseconds(300);
    options.monitor.hang_after = std::chrono::milliseconds(200);
    options.open_driver = [](const std::string&) {
      return std::make_unique<gpu::FileDriverSource>(ALIQUOT_SIM_NVML);
    };
    auto started = agent::Agent::Start(std::move(options), clock_, logger_, recent_);
    ASSERT_TRUE(started.ok()) << started.error().message;
    inside_ = *std::move(started);
    pages_.SetPort(inside_->port());
  }
  bool Logged(const std::string& text) {
    return Eventually([&] {
      const std::lock_guard lock(mutex_);
      return log_.find(text) != std::string::npos;
    });
  }

  SystemClock clock_;
  agent::RecentLog recent_{50};
  std::mutex mutex_;  // guards the log, written by the agent's threads
  std::string log_;
  Logger logger_;
  std::unique_ptr<agent::Agent> inside_;
  AgentPages pages_;
};

TEST_F(AgentHangTest, AHangIsReportedAndEverythingElseGoesOn) {
  StartKubelet();
  StartInside();
  ASSERT_TRUE(Shows(4));
  ASSERT_TRUE(sim().DelayCall("nvmlDeviceGetMemoryInfo", 0, {}).ok());
  ASSERT_TRUE(Logged("driver call does not return"));
  EXPECT_TRUE(Eventually([&] { return pages_.Metric("aliquot_nvml_hang_seconds") > 0.4; }))
      << "it grows while the call hangs";
  const boost::json::value status = pages_.Status();
  EXPECT_TRUE(std::string_view(status.at_pointer("/driver/hangingCall/call").as_string())
                  .starts_with("nvmlDeviceGetMemoryInfo"));
  EXPECT_EQ(pages_.Get("/healthz").status, 200);

  EXPECT_EQ(Resource().allocatable(), 4u);
  EXPECT_EQ(Resource().lists, 1u);
  EXPECT_TRUE(kubelet_->Place("a", "main", kGpu, 1).ok());
  Configure(SharedBy(2));
  ASSERT_TRUE(Shows(8));
  ASSERT_TRUE(kubelet_->Restart().ok());
  ASSERT_TRUE(Shows(8));

  sim().Reset();
  ASSERT_TRUE(pages_.AwaitStatus("/driver/hangingCall", nullptr));
  EXPECT_EQ(pages_.Metric("aliquot_nvml_hang_seconds"), 0);
  EXPECT_TRUE(Logged("driver call returned late"));
  ASSERT_TRUE(sim().RaiseXid(0, 63, {}, {}).ok());
  ASSERT_TRUE(Shows(8, 6));
  ASSERT_TRUE(Shows(8));
  EXPECT_TRUE(inside_->Stop());
}

TEST_F(AgentHangTest, SlowCallsAreNoHang) {
  StartKubelet();
  StartInside();
  ASSERT_TRUE(Shows(4));
  ASSERT_TRUE(sim().DelayCall("nvmlDeviceGetMemoryInfo", 30, {}).ok());
  ASSERT_TRUE(sim().RaiseXid(0, 63, {}, {}).ok());
  ASSERT_TRUE(Shows(4, 3));
  ASSERT_TRUE(Shows(4));
  EXPECT_TRUE(pages_.Status().at_pointer("/driver/hangingCall").is_null());
}

}  // namespace
}  // namespace aliquot::tests
