// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "deviceplugin/plugin_manager.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/executor_fake.h"
#include "deviceplugin/directory_watch_fake.h"
#include "rpc/plugin_transport_fake.h"

namespace aliquot::deviceplugin {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kGpu[] = "nvidia.com/gpu";
constexpr char kMig[] = "nvidia.com/mig-1g.5gb";

share::PlannedResource Resource(std::string name, int gpus, unsigned replicas = 1) {
  share::PlannedResource resource;
  resource.name = std::move(name);
  resource.shared = replicas > 1;
  for (int gpu = 0; gpu < gpus; ++gpu) {
    for (unsigned replica = 0; replica < replicas; ++replica) {
      share::PlannedDevice& device = resource.devices.emplace_back();
      device.gpu_uuid = fmt::format("GPU-{}", gpu);
      device.device_uuid = device.gpu_uuid;
      device.id = device.gpu_uuid;
      if (replicas > 1) {
        device.replica = replica;
        device.id += fmt::format("::{}", replica);
      }
    }
  }
  return resource;
}

std::shared_ptr<const share::Plan> PlanOf(std::vector<share::PlannedResource> resources) {
  auto plan = std::make_shared<share::Plan>();
  plan->resources = std::move(resources);
  return plan;
}

class Counting final : public PluginObserver {
 public:
  void OnAllocate(const std::string&, const std::vector<std::string>& ids, Clock::Duration took,
                  bool ok) override {
    allocations += fmt::format("{}:{}:{} ", ids.size(), took / milliseconds(1), ok ? "ok" : "no");
  }
  void OnPreferredAllocation(const std::string&, Clock::Duration, bool) override { ++preferred; }
  void OnListSent(const std::string&, std::size_t, std::size_t) override { ++lists; }
  void OnRegistration(const std::string&, bool) override { ++registrations; }

  std::string allocations;
  int preferred = 0;
  int lists = 0;
  int registrations = 0;
};

class PluginManagerTest : public testing::Test {
 protected:
  PluginManagerTest() {
    settings_.allocate =
        [](const share::PlannedResource&,
           const std::vector<std::string>& ids) -> Result<rpc::ContainerAllocation> {
      rpc::ContainerAllocation allocation;
      allocation.cdi_devices = ids;
      return allocation;
    };
    settings_.preferred =
        [](const share::PlannedResource&,
           const rpc::PreferredRequest& request) -> Result<std::vector<std::string>> {
      if (request.available.empty()) return Error{Code::kUnknown, "nothing to choose from"};
      return std::vector<std::string>{request.available.back()};
    };
    Start(&registrar_);
  }

  void Start(rpc::KubeletRegistrar* registrar) {
    manager_.reset();
    manager_ = std::make_unique<PluginManager>(PluginManager::Dependencies{
        executor_, clock_, log_, transport_, registrar, directory_, &observer_});
  }
  void Apply(std::vector<share::PlannedResource> resources) {
    manager_->Apply(PlanOf(std::move(resources)), settings_);
    executor_.RunReady();
  }
  void KubeletAppears() {
    directory_.KubeletAppears();
    executor_.RunReady();
  }
  void SetHealth(std::map<std::string, std::string> unhealthy) {
    manager_->SetHealth(std::move(unhealthy));
    executor_.RunReady();
  }
  std::size_t Sent(const std::string& resource) {
    return transport_.Find(resource)->published.size();
  }
  // "healthy/all" of the newest list.
  std::string Last(const std::string& resource) {
    const auto& devices = transport_.Find(resource)->published.back();
    const auto healthy = std::count_if(devices.begin(), devices.end(),
                                       [](const auto& device) { return device.healthy; });
    return fmt::format("{}/{}", healthy, devices.size());
  }
  PluginStatus StatusOf(const std::string& resource) {
    for (PluginStatus& plugin : manager_->status().plugins) {
      if (plugin.name == resource) return plugin;
    }
    return {};
  }
  Result<std::vector<rpc::ContainerAllocation>> Allocate(std::vector<std::string> ids) {
    std::optional<Result<std::vector<rpc::ContainerAllocation>>> answer;
    transport_.Find(kGpu)->handler->Allocate({std::move(ids)},
                                             [&](auto result) { answer = std::move(result); });
    executor_.Advance(milliseconds(0));
    return answer ? *answer : Error{Code::kInternal, "no answer"};
  }

  FakeClock clock_;
  FakeExecutor executor_{clock_};
  Logger log_{clock_, Logger::NullSink()};
  rpc::FakePluginTransport transport_;
  rpc::FakeKubeletRegistrar registrar_;
  FakeKubeletDirectory directory_;
  Counting observer_;
  PluginSettings settings_;
  std::unique_ptr<PluginManager> manager_;
};

TEST_F(PluginManagerTest, ServesFirstAndRegistersWhenTheKubeletIsThere) {
  Apply({Resource(kGpu, 2)});
  EXPECT_EQ(Last(kGpu), "2/2");
  EXPECT_TRUE(registrar_.seen().empty());
  EXPECT_FALSE(manager_->status().ready());
  KubeletAppears();
  ASSERT_EQ(registrar_.seen().size(), 1u);
  EXPECT_EQ(registrar_.seen()[0], (rpc::Registration{kGpu, "gpu.sock", {}}));
  EXPECT_TRUE(manager_->status().ready());
  EXPECT_EQ(StatusOf(kGpu).registered_at, clock_.WallNow());
  EXPECT_EQ(StatusOf(kGpu).socket, "/plugins/gpu.sock");
}

TEST_F(PluginManagerTest, WithoutARegistrarItNeverRegisters) {
  Start(nullptr);
  KubeletAppears();
  Apply({Resource(kGpu, 1)});
  EXPECT_EQ(Last(kGpu), "1/1");
  EXPECT_TRUE(manager_->status().ready());
  EXPECT_TRUE(registrar_.seen().empty());
}

TEST_F(PluginManagerTest, AChangeTouchesOnlyTheResourcesThatChanged) {
  KubeletAppears();
  Apply({Resource(kGpu, 2), Resource(kMig, 4)});
  executor_.Advance(seconds(2));
  Apply({Resource(kGpu, 2, 10), Resource(kMig, 4)});
  EXPECT_EQ(Last(kGpu), "20/20");
  EXPECT_EQ(Sent(kGpu), 2u);
  EXPECT_EQ(Sent(kMig), 1u);
  EXPECT_EQ(transport_.starts(kGpu), 1);
  EXPECT_EQ(registrar_.count(kGpu), 1);
  EXPECT_EQ(registrar_.count(kMig), 1);
}

TEST_F(PluginManagerTest, AddsAndWithdrawsResourcesOnTheirOwn) {
  KubeletAppears();
  Apply({Resource(kGpu, 2)});
  Apply({Resource(kGpu, 2), Resource(kMig, 4)});
  EXPECT_EQ(transport_.starts(kGpu), 1);
  EXPECT_EQ(registrar_.count(kMig), 1);
  Apply({Resource(kMig, 4)});
  EXPECT_FALSE(transport_.Find(kGpu)->serving);
  EXPECT_TRUE(transport_.Find(kMig)->serving);
  EXPECT_EQ(Sent(kMig), 1u);
  // Withdrawn for good: the node's capacity must not show it any longer.
  EXPECT_EQ(Last(kGpu), "0/0");
}

TEST_F(PluginManagerTest, LeavingKeepsTheLastListForTheNextAgent) {
  Apply({Resource(kGpu, 2)});
  manager_.reset();
  EXPECT_FALSE(transport_.Find(kGpu)->serving);
  EXPECT_EQ(Last(kGpu), "2/2");
}

TEST_F(PluginManagerTest, APlanThatSaysTheSameSendsNothing) {
  Apply({Resource(kGpu, 2)});
  executor_.Advance(seconds(5));
  Apply({Resource(kGpu, 2)});
  executor_.Advance(seconds(5));
  EXPECT_EQ(Sent(kGpu), 1u);
}

TEST_F(PluginManagerTest, NewOptionsRegisterOnlyThatResource) {
  KubeletAppears();
  Apply({Resource(kGpu, 2), Resource(kMig, 1)});
  settings_.options = [](const share::PlannedResource& resource) {
    rpc::PluginOptions options;
    options.preferred_allocation_available = resource.name != kGpu;
    return options;
  };
  Apply({Resource(kGpu, 2), Resource(kMig, 1)});
  EXPECT_EQ(registrar_.count(kGpu), 2);
  EXPECT_EQ(registrar_.count(kMig), 1);
  EXPECT_FALSE(registrar_.seen().back().options.preferred_allocation_available);
  EXPECT_FALSE(transport_.Find(kGpu)->options.preferred_allocation_available);
  EXPECT_EQ(transport_.starts(kGpu), 1);
}

TEST_F(PluginManagerTest, UnhealthyIsToldAtOnceWithAllReplicas) {
  Apply({Resource(kGpu, 2, 10), Resource(kMig, 1)});
  for (int gpus = 3; gpus < 10; ++gpus) Apply({Resource(kGpu, gpus, 10), Resource(kMig, 1)});
  EXPECT_EQ(Sent(kGpu), 4u);  // the rest has to wait
  SetHealth({{"GPU-1", "XID 79"}});
  EXPECT_EQ(Last(kGpu), "80/90");
  EXPECT_EQ(Sent(kGpu), 5u);
  EXPECT_EQ(Sent(kMig), 1u);
  EXPECT_EQ(StatusOf(kGpu).unhealthy, 10u);
  executor_.Advance(seconds(3));
  EXPECT_EQ(Sent(kGpu), 5u);
}

TEST_F(PluginManagerTest, TheRestIsToldAtMostOnceASecond) {
  Apply({Resource(kGpu, 4)});
  executor_.Advance(seconds(2));
  SetHealth({{"GPU-0", "x"}, {"GPU-1", "x"}, {"GPU-2", "x"}});
  SetHealth({{"GPU-0", "x"}, {"GPU-1", "x"}});
  SetHealth({{"GPU-0", "x"}});
  executor_.Advance(milliseconds(999));
  EXPECT_EQ(Last(kGpu), "1/4");
  executor_.Advance(milliseconds(1));
  EXPECT_EQ(Last(kGpu), "3/4");
  EXPECT_EQ(Sent(kGpu), 3u);
  for (int gpus = 5; gpus < 100; ++gpus) {
    Apply({Resource(kGpu, gpus)});
    executor_.Advance(milliseconds(50));
  }
  EXPECT_LE(Sent(kGpu), 3u + 3u + 5u);  // three saved up, then one a second
  executor_.Advance(seconds(1));
  EXPECT_EQ(Last(kGpu), "98/99");
}

TEST_F(PluginManagerTest, AFlapWithinTheSecondSendsNothing) {
  Apply({Resource(kGpu, 2)});
  SetHealth({{"GPU-0", "x"}});
  EXPECT_EQ(Sent(kGpu), 2u);
  SetHealth({});
  SetHealth({{"GPU-0", "y"}});
  executor_.Advance(seconds(5));
  EXPECT_EQ(Sent(kGpu), 2u);
}

TEST_F(PluginManagerTest, HealthIsKeptOverPlans) {
  Apply({Resource(kGpu, 2)});
  SetHealth({{"GPU-0", "x"}});
  Apply({Resource(kGpu, 2), Resource(kMig, 2)});
  EXPECT_EQ(Last(kMig), "1/2");
}

TEST_F(PluginManagerTest, RegistersAgainWithEachNewKubelet) {
  KubeletAppears();
  Apply({Resource(kGpu, 1), Resource(kMig, 1)});
  transport_.WipeSockets();
  KubeletAppears();
  EXPECT_EQ(transport_.Find(kGpu)->rebinds, 1);
  EXPECT_TRUE(transport_.Find(kGpu)->socket_present);
  EXPECT_EQ(registrar_.count(kGpu), 2);
  EXPECT_EQ(registrar_.count(kMig), 2);
  EXPECT_EQ(transport_.starts(kGpu), 1);
  directory_.KubeletLeaves();
  executor_.RunReady();
  EXPECT_FALSE(StatusOf(kGpu).registered_at);
  EXPECT_FALSE(manager_->status().kubelet_present);
  KubeletAppears();
  EXPECT_EQ(registrar_.count(kGpu), 3);
}

TEST_F(PluginManagerTest, RegistersOnlyTheResourceWhoseSocketVanished) {
  KubeletAppears();
  Apply({Resource(kGpu, 1), Resource(kMig, 1)});
  transport_.Find(kMig)->socket_present = false;
  directory_.Tell();
  executor_.RunReady();
  EXPECT_EQ(registrar_.count(kGpu), 1);
  EXPECT_EQ(registrar_.count(kMig), 2);
}

TEST_F(PluginManagerTest, ALostEventIsMadeUpByThePeriodicCheck) {
  Apply({Resource(kGpu, 1)});
  directory_.KubeletAppears(false);
  executor_.Advance(seconds(10));
  EXPECT_EQ(registrar_.count(kGpu), 1);
  transport_.WipeSockets();
  transport_.Find(kGpu)->streams = 1;
  executor_.Advance(seconds(10));
  EXPECT_EQ(registrar_.count(kGpu), 2);
}

TEST_F(PluginManagerTest, FailedRegistrationBacksOffAndGoesOnForEver) {
  registrar_.FailWith(Error{Code::kUnavailable, "connection refused"});
  KubeletAppears();
  Apply({Resource(kGpu, 1)});
  EXPECT_EQ(registrar_.count(kGpu), 1);
  EXPECT_EQ(StatusOf(kGpu).registration_error, "connection refused");
  executor_.Advance(milliseconds(10));
  EXPECT_EQ(registrar_.count(kGpu), 2);
  executor_.Advance(milliseconds(20));
  EXPECT_EQ(registrar_.count(kGpu), 3);
  executor_.Advance(std::chrono::minutes(10));
  EXPECT_GT(registrar_.count(kGpu), 50);
  EXPECT_LT(registrar_.count(kGpu), 80);
  registrar_.FailWith({});
  executor_.Advance(seconds(10));
  EXPECT_TRUE(StatusOf(kGpu).registered_at);
  EXPECT_EQ(StatusOf(kGpu).registration_error, "");
  EXPECT_EQ(observer_.registrations, registrar_.count(kGpu));
}

TEST_F(PluginManagerTest, ANewKubeletEndsTheBackOff) {
  registrar_.FailWith(Error{Code::kUnavailable, "connection refused"});
  KubeletAppears();
  Apply({Resource(kGpu, 1)});
  executor_.Advance(std::chrono::minutes(1));
  const int before = registrar_.count(kGpu);
  registrar_.FailWith({});
  KubeletAppears();
  EXPECT_EQ(registrar_.count(kGpu), before + 1);
  EXPECT_TRUE(StatusOf(kGpu).registered_at);
}

TEST_F(PluginManagerTest, ARestartDuringRegistrationRegistersOnceMore) {
  registrar_.Hold();
  KubeletAppears();
  Apply({Resource(kGpu, 1)});
  KubeletAppears();
  EXPECT_EQ(registrar_.count(kGpu), 1);  // one at a time
  registrar_.Answer(Error{Code::kUnavailable, "connection reset"});
  executor_.RunReady();
  EXPECT_EQ(registrar_.count(kGpu), 2);
  EXPECT_TRUE(StatusOf(kGpu).registered_at);
}

TEST_F(PluginManagerTest, AKubeletThatReadsNothingIsAskedAgain) {
  KubeletAppears();
  Apply({Resource(kGpu, 1), Resource(kMig, 1)});
  transport_.Find(kMig)->streams = 1;
  executor_.Advance(seconds(30));
  EXPECT_GE(registrar_.count(kGpu), 2);
  EXPECT_EQ(registrar_.count(kMig), 1);
}

TEST_F(PluginManagerTest, WaitsForADirectoryThatIsNotThere) {
  transport_.FailServe(Error{Code::kNotFound, "socket directory missing"});
  Apply({Resource(kGpu, 1)});
  EXPECT_EQ(StatusOf(kGpu).error, "socket directory missing");
  EXPECT_EQ(StatusOf(kGpu).socket, "");
  EXPECT_FALSE(manager_->status().ready());
  transport_.FailServe({});
  KubeletAppears();
  EXPECT_EQ(StatusOf(kGpu).error, "");
  EXPECT_TRUE(manager_->status().ready());
}

TEST_F(PluginManagerTest, KeepsTheFormerListWhenTheNewOneIsTooLarge) {
  KubeletAppears();
  Apply({Resource(kGpu, 2), Resource(kMig, 1)});
  executor_.Advance(seconds(2));
  Apply({Resource(kGpu, 100, 2000), Resource(kMig, 2)});
  EXPECT_EQ(Last(kGpu), "2/2");
  EXPECT_EQ(Last(kMig), "2/2");
  EXPECT_NE(StatusOf(kGpu).error.find("lower its replicas"), std::string::npos);
  EXPECT_TRUE(Allocate({"GPU-1"}).ok());
  // Neither a restarted kubelet nor a new health state may bring the large list in.
  transport_.WipeSockets();
  KubeletAppears();
  SetHealth({{"GPU-0", "x"}});
  EXPECT_EQ(Last(kGpu), "1/2");
  EXPECT_NE(StatusOf(kGpu).error, "");
  executor_.Advance(seconds(2));
  Apply({Resource(kGpu, 3), Resource(kMig, 2)});
  EXPECT_EQ(Last(kGpu), "2/3");
  EXPECT_EQ(StatusOf(kGpu).error, "");
}

TEST(CheckListSizes, NamesTheResourceAndTheLimit) {
  EXPECT_TRUE(CheckListSizes(*PlanOf({Resource(kGpu, 100, 100)})).ok());
  const Status status = CheckListSizes(*PlanOf({Resource(kGpu, 100, 2000)}));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kResourceExhausted);
  EXPECT_NE(status.error().message.find("\"nvidia.com/gpu\" has 200000 devices"),
            std::string::npos);
}

TEST_F(PluginManagerTest, AllocatesDistinctKnownIds) {
  Apply({Resource(kGpu, 2)});
  const auto allocated = Allocate({"GPU-1", "GPU-0", "GPU-1"});
  ASSERT_TRUE(allocated.ok());
  EXPECT_EQ((*allocated)[0].cdi_devices, (std::vector<std::string>{"GPU-1", "GPU-0"}));
  EXPECT_EQ(observer_.allocations, "3:0:ok ");
}

TEST_F(PluginManagerTest, RefusesInTheWordsOfTheReference) {
  Apply({Resource(kGpu, 2)});
  const auto unknown = Allocate({"GPU-0", "GPU-7"});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error(),
            (Error{Code::kUnknown,
                   "invalid allocation request for \"nvidia.com/gpu\": invalid request: "
                   "unknown device: GPU-7"}));
  executor_.Advance(seconds(2));
  share::PlannedResource limited = Resource(kGpu, 2, 4);
  limited.max_request = 1;
  Apply({limited});
  EXPECT_TRUE(Allocate({"GPU-0::1"}).ok());
  const auto two = Allocate({"GPU-0::1", "GPU-1::0"});
  ASSERT_FALSE(two.ok());
  EXPECT_EQ(two.error().message,
            "invalid allocation request for \"nvidia.com/gpu\": invalid request: "
            "maximum request size for shared resources is 1; found 2");
}

TEST_F(PluginManagerTest, TheRequestLimitIsForReplicasOnly) {
  share::PlannedResource limited = Resource(kGpu, 2);
  limited.max_request = 1;
  Apply({limited});
  EXPECT_TRUE(Allocate({"GPU-0", "GPU-1"}).ok());
}

TEST_F(PluginManagerTest, SaysThatADeviceWasJustWithdrawn) {
  Apply({Resource(kGpu, 2)});
  Apply({Resource(kGpu, 1)});
  const auto gone = Allocate({"GPU-1"});
  ASSERT_FALSE(gone.ok());
  EXPECT_NE(gone.error().message.find("unknown device: GPU-1 (the node's"), std::string::npos);
}

TEST_F(PluginManagerTest, AllocatesUnhealthyDevicesAsTheReferenceDoes) {
  Apply({Resource(kGpu, 1)});
  SetHealth({{"GPU-0", "x"}});
  EXPECT_TRUE(Allocate({"GPU-0"}).ok());
}

TEST_F(PluginManagerTest, ChangedAnswersApplyWithoutANewList) {
  Apply({Resource(kGpu, 1)});
  settings_.allocate = [](const share::PlannedResource&,
                          const std::vector<std::string>&) -> Result<rpc::ContainerAllocation> {
    return Error{Code::kInternal, "no such strategy"};
  };
  Apply({Resource(kGpu, 1)});
  const auto failed = Allocate({"GPU-0"});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "cannot allocate \"nvidia.com/gpu\": no such strategy");
  EXPECT_EQ(Sent(kGpu), 1u);
}

TEST_F(PluginManagerTest, AnswersPreferredAllocation) {
  Apply({Resource(kGpu, 3)});
  std::optional<Result<std::vector<std::vector<std::string>>>> answer;
  const auto ask = [&](std::vector<rpc::PreferredRequest> requests) {
    transport_.Find(kGpu)->handler->PreferredAllocation(
        std::move(requests), [&](auto result) { answer = std::move(result); });
    executor_.RunReady();
  };
  ask({{{"GPU-0", "GPU-2"}, {}, 1}});
  ASSERT_TRUE(answer->ok());
  EXPECT_EQ(**answer, (std::vector<std::vector<std::string>>{{"GPU-2"}}));
  ask({{{}, {}, 1}});
  ASSERT_FALSE(answer->ok());
  EXPECT_NE(answer->error().message.find("nothing to choose from"), std::string::npos);
  EXPECT_EQ(observer_.preferred, 2);
}

TEST_F(PluginManagerTest, RequestsAfterTheEndGoNowhere) {
  Apply({Resource(kGpu, 1)});
  const auto handler = transport_.Find(kGpu)->handler;
  bool answered = false;
  handler->Allocate({{"GPU-0"}}, [&](auto) { answered = true; });
  manager_.reset();
  directory_.Tell();
  executor_.Advance(seconds(60));
  EXPECT_FALSE(answered);  // the endpoint has failed the call itself
}

}  // namespace
}  // namespace aliquot::deviceplugin
