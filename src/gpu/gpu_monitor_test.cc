// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/gpu_monitor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "gpu/nvml_fake.h"

namespace aliquot::gpu {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Lets the test's thread wait for what the driver thread reports.
class WaitingListener final : public GpuMonitorListener {
 public:
  void OnInventory(std::shared_ptr<const Inventory> value) override {
    Change([&] { inventory_ = std::move(value); });
  }
  void OnDriverUnavailable(const Error&) override {}
  void OnDriverAvailable() override {}
  void OnHealth(std::shared_ptr<const HealthSnapshot> value) override {
    Change([&] { health_ = std::move(value); });
  }
  void OnHang(const HangReport& report) override {
    Change([&] { hangs_.push_back(report); });
  }

  template <typename Condition>
  bool WaitFor(Condition&& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), [&] { return condition(*this); });
  }
  std::shared_ptr<const Inventory> inventory() {
    std::lock_guard lock(mutex_);
    return inventory_;
  }
  std::vector<HangReport> hangs() {
    std::lock_guard lock(mutex_);
    return hangs_;
  }

  std::shared_ptr<const Inventory> inventory_;
  std::shared_ptr<const HealthSnapshot> health_;
  std::vector<HangReport> hangs_;

 private:
  template <typename Do>
  void Change(Do&& change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
};

class MonitorTest : public ::testing::Test {
 protected:
  MonitorTest() { nvml_.AddGpus(2); }

  GpuMonitor& Start(MonitorOptions options = {}) {
    if (options.event_wait == MonitorOptions().event_wait) options.event_wait = milliseconds(20);
    monitor_.emplace(std::make_unique<FakeDriverSource>(nvml_), std::move(options), clock_,
                     executor_, log_, listener_);
    monitor_->Start();
    EXPECT_TRUE(listener_.WaitFor([](auto& l) { return l.inventory_ && l.health_; }));
    return *monitor_;
  }
  void WaitUntilBlocked() const {
    while (nvml_.Blocked().empty()) std::this_thread::yield();
  }

  FakeClock clock_;  // never moved by the fake: waiting takes real time here
  FakeNvml nvml_;
  FakeExecutor executor_{clock_};
  Logger log_{clock_, Logger::NullSink()};
  WaitingListener listener_;
  std::optional<GpuMonitor> monitor_;
};

TEST_F(MonitorTest, ReportsEventsAndStopsPromptly) {
  GpuMonitor& monitor = Start();
  EXPECT_EQ(listener_.inventory()->gpus.size(), 2u);
  nvml_.PostEvent(1, abi::kEventXidCritical, 79);
  EXPECT_TRUE(listener_.WaitFor([](auto& l) { return l.health_->unhealthy.contains("GPU-1"); }));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(monitor.Stop());
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(2));
  EXPECT_EQ(nvml_.open_sessions(), 0);
  EXPECT_TRUE(monitor.Stop());
}

TEST_F(MonitorTest, AnEventEndsALongWaitAtOnce) {
  MonitorOptions options;
  options.event_wait = seconds(2);
  GpuMonitor& monitor = Start(options);
  const auto before = std::chrono::steady_clock::now();
  nvml_.PostEvent(1, abi::kEventXidCritical, 79);
  EXPECT_TRUE(listener_.WaitFor([](auto& l) { return l.health_->unhealthy.contains("GPU-1"); }));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(2));
  EXPECT_TRUE(monitor.Stop());
  EXPECT_TRUE(listener_.hangs().empty());
}

TEST_F(MonitorTest, RefreshLooksAtOnce) {
  GpuMonitor& monitor = Start();
  nvml_.AddGpus(1);
  monitor.Refresh();
  EXPECT_TRUE(listener_.WaitFor([](auto& l) { return l.inventory_->gpus.size() == 3; }));
}

// What changes the GPUs shares the thread with what watches them.
TEST_F(MonitorTest, AJobIsFollowedByALook) {
  GpuMonitor& monitor = Start();
  std::promise<std::size_t> seen;
  DriverJob job;
  job.run = [&](const Result<const NvmlApi*>& api, const DriverJob::Breathe& breathe) {
    ASSERT_TRUE(api.ok());
    EXPECT_EQ(nvml_.open_sessions(), 1);
    nvml_.AddGpus(1);
    breathe();
  };
  job.done = [&] { seen.set_value(listener_.inventory()->gpus.size()); };
  monitor.Run(job);
  EXPECT_EQ(seen.get_future().get(), 3u) << "told before the job counts as done";
}

// An open session is a client of the GPU, and one that has clients is not reset.
TEST_F(MonitorTest, AJobMayBeAlone) {
  GpuMonitor& monitor = Start();
  std::promise<void> done;
  DriverJob job;
  job.alone = true;
  job.run = [&](const Result<const NvmlApi*>& api, const DriverJob::Breathe&) {
    ASSERT_TRUE(api.ok());
    EXPECT_EQ(nvml_.open_sessions(), 0);
  };
  job.done = [&] { done.set_value(); };
  monitor.Run(job);
  done.get_future().get();
  EXPECT_EQ(nvml_.open_sessions(), 1);
  nvml_.PostEvent(1, abi::kEventXidCritical, 79);
  EXPECT_TRUE(listener_.WaitFor([](auto& l) { return l.health_->unhealthy.contains("GPU-1"); }));
}

TEST_F(MonitorTest, AJobWithoutADriverIsTold) {
  GpuMonitor& monitor = Start();
  nvml_.SetDriver(abi::Return::kDriverNotLoaded);
  std::promise<Code> told;
  DriverJob job;
  job.alone = true;
  job.run = [](const Result<const NvmlApi*>&, const DriverJob::Breathe&) {};
  job.done = [] {};
  monitor.Run(job);  // closes the session that was
  job.run = [&](const Result<const NvmlApi*>& api, const DriverJob::Breathe&) {
    told.set_value(api.status().error().code);
  };
  monitor.Run(job);
  EXPECT_NE(told.get_future().get(), Code::kOk);
}

TEST_F(MonitorTest, NeverStartedIsFine) {
  GpuMonitor monitor(std::make_unique<FakeDriverSource>(nvml_), {}, clock_, executor_, log_,
                     listener_);
  monitor.Refresh();
  EXPECT_TRUE(monitor.Stop());
}

// The metric of the hang and the alert on it live from the duration that grows.
TEST_F(MonitorTest, AHangingCallIsReportedAsLongAsItLasts) {
  GpuMonitor& monitor = Start();
  nvml_.Hang("nvmlDeviceGetMemoryInfo");
  monitor.Refresh();
  WaitUntilBlocked();
  executor_.Advance(seconds(9));
  EXPECT_TRUE(listener_.hangs().empty());
  executor_.Advance(seconds(60));
  const std::vector<HangReport> hangs = listener_.hangs();
  ASSERT_GE(hangs.size(), 2u);
  EXPECT_EQ(hangs.front().call, "nvmlDeviceGetMemoryInfo");
  EXPECT_FALSE(hangs.front().returned);
  EXPECT_GE(hangs.front().duration, seconds(10));
  EXPECT_GT(hangs.back().duration, seconds(60));
  nvml_.Release();
  EXPECT_TRUE(monitor.Stop());
}

TEST_F(MonitorTest, TheReturnOfAHangingCallIsReported) {
  GpuMonitor& monitor = Start();
  nvml_.Hang("nvmlDeviceGetMemoryInfo");
  monitor.Refresh();
  WaitUntilBlocked();
  executor_.Advance(seconds(30));
  nvml_.Edit([](auto& gpus) { gpus[0].name = "changed"; });
  nvml_.Release();
  monitor.Refresh();
  EXPECT_TRUE(listener_.WaitFor([](auto& l) { return l.inventory_->gpus[0].name == "changed"; }));
  executor_.Advance(seconds(3));
  ASSERT_FALSE(listener_.hangs().empty());
  EXPECT_TRUE(listener_.hangs().back().returned);
  EXPECT_EQ(listener_.hangs().back().duration, seconds(30));
}

TEST_F(MonitorTest, StopIsBoundedWhileTheDriverHangs) {
  MonitorOptions options;
  options.stop_timeout = milliseconds(50);
  GpuMonitor& monitor = Start(options);
  nvml_.Hang("nvmlDeviceGetMemoryInfo");
  monitor.Refresh();
  WaitUntilBlocked();
  const auto inventory = listener_.inventory();
  nvml_.Edit([](auto& gpus) { gpus[0].name = "changed"; });
  EXPECT_FALSE(monitor.Stop());
  EXPECT_FALSE(monitor.Stop());
  monitor_.reset();
  nvml_.Release();
  // The abandoned thread comes back and closes its session; nobody hears of what it read.
  while (nvml_.open_sessions() != 0) std::this_thread::yield();
  while (nvml_.InUse()) std::this_thread::yield();
  EXPECT_EQ(listener_.inventory(), inventory);
}

}  // namespace
}  // namespace aliquot::gpu
