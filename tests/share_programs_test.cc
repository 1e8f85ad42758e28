// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Programs in enforced shares from end to end: the kubelet stand-in asks the agent, programs run on
// the simulated driver with exactly the mounts and variables of the answer, and everything between
// them is real: interposer, sockets, arbiter, audit.
#include <fmt/format.h>
#include <signal.h>

#include <boost/json.hpp>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "sim/cuda/node.h"
#include "sim/cuda/testing/child.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

namespace json = boost::json;
using sim::cuda::testing::Child;
using sim::cuda::testing::Variables;

class ShareProgramsTest : public AgentTest {
 protected:
  // One H200 in ten replicas.
  void StartNode(const std::string& isolation = "compute: fair") {
    Simulate("h200-x1");
    Configure(
        "version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - {name: nvidia.com/gpu, "
        "replicas: 10}\n    isolation: {memory: share, " +
        isolation + "}\n");
    StartAll(10);
  }
  rpc::ContainerAllocation Place(const std::string& pod, std::size_t count) {
    auto placed = kubelet_->Place(pod, "main", kGpu, count);
    EXPECT_TRUE(placed.ok()) << placed.error().message;
    return placed.ok() ? placed->allocation : rpc::ContainerAllocation();
  }
  // A program in the container that got this answer. `library`: the driver it opens, empty as
  // programs do. `more`: variables that the pod sets.
  Child Run(const rpc::ContainerAllocation& allocation, const std::vector<std::string>& arguments,
            const std::string& library = "", const Variables& more = {}) {
    Variables variables(allocation.envs.begin(), allocation.envs.end());
    std::string mounts;
    for (const rpc::Mount& mount : allocation.mounts) {
      mounts += mount.host_path + " " + mount.container_path + "\n";
    }
    variables["IN_CONTAINER_MOUNTS"] = mounts;
    variables["IN_CONTAINER_PROGRAM"] = ALIQUOT_CUDA_PROGRAM;
    if (!library.empty()) variables["IN_CONTAINER_LIBRARY"] = library;
    variables["ALIQUOT_SIM_STATE"] = Path("sim");
    variables["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin";
    // Where the container's driver is, as a runtime would have put it.
    variables["LD_LIBRARY_PATH"] =
        std::filesystem::path(ALIQUOT_SIM_CUDA_PATH).parent_path().string();
    // Ours comes before the sanitizer's library, as it does before every other.
    variables["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0";
    for (const auto& [name, value] : more) variables[name] = value;
    return Child(arguments, variables);
  }
  // Free and total, in MiB.
  std::pair<long, long> Sizes(const rpc::ContainerAllocation& allocation) {
    Child child = Run(allocation, {"sizes"});
    const std::vector<std::string> words = Split(child.Hear(), ' ');
    EXPECT_EQ(child.Wait(), 0);
    if (words.size() != 2) return {-1, -1};
    return {std::stol(words[0]), std::stol(words[1])};
  }
  // The result of an allocation of so many MiB in a program of its own.
  std::string Allocate(const rpc::ContainerAllocation& allocation, long mib) {
    Child child = Run(allocation, {"hold", std::to_string(mib)});
    const std::string result = child.Hear();
    child.Say("end");
    EXPECT_EQ(child.Wait(), 0);
    return result;
  }
  bool AwaitGrant(const std::string& key, const json::value& wanted) {
    return agent_.AwaitStatus("/shares/grants/0/" + key, wanted);
  }
  std::unique_ptr<sim::cuda::Node> Gpu() {
    sim::cuda::Environment environment;
    environment.state_directory = Path("sim");
    environment.node = "h200-x1";
    auto node = sim::cuda::Node::Open(environment);
    EXPECT_TRUE(node.ok()) << node.error().message;
    return *std::move(node);
  }
  // What one process of `one` gets of the GPU's time beside three of `three`, all always busy.
  double OneAgainstThree(const rpc::ContainerAllocation& one,
                         const rpc::ContainerAllocation& three) {
    const auto node = Gpu();
    std::vector<Child> children;
    children.push_back(Run(one, {"spin", "200", "async"}));
    for (int i = 0; i < 3; ++i) children.push_back(Run(three, {"spin", "200", "async"}));
    for (Child& child : children) EXPECT_EQ(child.Hear(), "ready");
    for (Child& child : children) child.Say("go");
    EXPECT_TRUE(Eventually([&] { return Busy(*node).size() == 4; }));
    const auto before = Busy(*node);
    double share = 0;
    EXPECT_TRUE(Eventually([&] {
      double sum = 0, of_one = 0;
      for (const auto& [pid, busy] : Busy(*node)) {
        const auto known = before.find(pid);
        const double since = busy - (known == before.end() ? 0 : known->second);
        sum += since;
        if (pid == children[0].pid()) of_one = since;
      }
      share = of_one / sum;
      return sum >= 1500;  // milliseconds of GPU time
    }));
    return share;
  }
  // Simulated GPU time by process.
  std::map<pid_t, double> Busy(sim::cuda::Node& node) {
    std::map<pid_t, double> busy;
    for (const auto& use : node.seats().Uses()) {
      busy[static_cast<pid_t>(use.owner.pid)] += static_cast<double>(use.busy) / 1e6;
    }
    return busy;
  }
};

constexpr char kOk[] = "0";
constexpr char kOutOfMemory[] = "2";

TEST_F(ShareProgramsTest, ThreeOfTenReplicasAreThreeTenthsOfTheMemory) {
  StartNode();
  const auto allocation = Place("pod", 3);
  const auto limit = agent_.Status().at("shares").at("grants").at(0).at("memoryLimitBytes");
  const long limit_mib = limit.to_number<long>() >> 20;
  const auto [free, total] = Sizes(allocation);
  EXPECT_EQ(total, limit_mib);
  EXPECT_GT(free, limit_mib - 1024) << "a context is all that is charged";
  EXPECT_LT(free, limit_mib);
  EXPECT_EQ(Allocate(allocation, free - 64), kOk);
  EXPECT_EQ(Allocate(allocation, limit_mib), kOutOfMemory) << "there is no room for the context";
  // All processes of the container together.
  Child holder = Run(allocation, {"hold", std::to_string(free / 2)});
  EXPECT_EQ(holder.Hear(), kOk);
  EXPECT_EQ(Allocate(allocation, free / 2), kOutOfMemory);
  EXPECT_EQ(Allocate(allocation, free / 4), kOk);
  EXPECT_EQ(Allocate(Place("other", 1), 4096), kOk) << "others have their own";
  holder.Kill();
  EXPECT_TRUE(Eventually([&] { return Allocate(allocation, free - 64) == kOk; }));
}

// Nor does an empty list of libraries to load first; the driver itself in it goes around, and is
// seen as every such program.
TEST_F(ShareProgramsTest, NoVariableSwitchesItOff) {
  StartNode();
  const auto allocation = Place("pod", 1);
  const Variables attempts = {
      {"ALIQUOT_GRANT_DIR", Path("nowhere")}, {"LD_PRELOAD", ""}, {"CUDA_DISABLE_CONTROL", "true"}};
  for (const auto& attempt : attempts) {
    Child child = Run(allocation, {"hold", "30000"}, "", {attempt});
    EXPECT_EQ(child.Hear(), kOutOfMemory) << attempt.first;
    child.Say("end");
    EXPECT_EQ(child.Wait(), 0);
  }
}

TEST_F(ShareProgramsTest, MetricsTellWhatHappened) {
  StartNode();
  const auto allocation = Place("pod", 1);
  Child holder = Run(allocation, {"hold", "5000"});
  EXPECT_EQ(holder.Hear(), kOk);
  EXPECT_EQ(Allocate(allocation, 12000), kOutOfMemory);
  ASSERT_TRUE(AwaitGrant("holder/pod", "pod"));
  EXPECT_TRUE(AwaitGrant("processes", 1));
  ASSERT_TRUE(Eventually([&] {
    const json::value grant = agent_.Status().at("shares").at("grants").at(0);
    const auto charged = grant.at("memoryChargedBytes").to_number<std::uint64_t>() >> 20;
    const auto driver = grant.at("memoryDriverBytes").to_number<std::uint64_t>() >> 20;
    return charged >= 5000 && charged < 6000 && driver >= 5000 && driver <= charged;
  })) << json::serialize(agent_.Status().at("shares"));
  const json::value grant = agent_.Status().at("shares").at("grants").at(0);
  const std::string labels = fmt::format(
      "{{grant=\"{}\",namespace=\"default\",pod=\"pod\",container=\"main\",device=\"{}\"}}",
      grant.at("grant").as_string().c_str(), grant.at("device").as_string().c_str());
  EXPECT_TRUE(agent_.AwaitMetric("aliquot_grant_denied_allocations_total" + labels, 1));
  EXPECT_GE(agent_.Metric("aliquot_grant_memory_peak_bytes" + labels), 5000.0 * (1 << 20));
}

// The promise that plain time-slicing breaks: three processes get three turns. A loaded machine
// delays processes, and time that one does not use goes to the other, so bounds are wide; exact
// shares are proven on the scheduler's own model.
TEST_F(ShareProgramsTest, TimeGoesByReplicasAndNotByProcesses) {
  StartNode("compute: fair, quantum: 50ms");
  const auto large = Place("large", 3);
  const auto small = Place("small", 1);
  const double share = OneAgainstThree(large, small);
  EXPECT_GT(share, 0.6) << "promised 0.75; without us it is 0.25";
  EXPECT_LT(share, 0.97) << "the other has its part";
}

// Half of the GPU, but of a class that others go ahead of.
TEST_F(ShareProgramsTest, BestEffortGetsWhatIsLeft) {
  StartNode("compute: fair, quantum: 50ms, classes: {best-effort: [batch]}");
  const auto normal = Place("normal", 5);
  const auto least = Place("batch:least", 5);
  ASSERT_TRUE(Eventually([&] {
    std::map<std::string, std::string> classes;
    const json::value status = agent_.Status();
    for (const json::value& grant : status.at("shares").at("grants").as_array()) {
      if (grant.at("holder").is_null()) continue;
      classes[json::value_to<std::string>(grant.at("holder").at("namespace"))] =
          json::value_to<std::string>(grant.at("class"));
    }
    return classes ==
           std::map<std::string, std::string>{{"batch", "best-effort"}, {"default", "normal"}};
  }));
  EXPECT_GT(OneAgainstThree(normal, least), 0.6) << "as one of two normal ones it gets 0.5";
}

// Nobody else is there, and still it gets no more.
TEST_F(ShareProgramsTest, CappedHoldsOnAnIdleGpu) {
  StartNode("compute: capped");
  const auto node = Gpu();
  Child child = Run(Place("pod", 2), {"spin", "200", "async"});
  ASSERT_EQ(child.Hear(), "ready");
  child.Say("go");
  ASSERT_TRUE(Eventually([&] { return Busy(*node).size() == 1; }));
  using Seconds = std::chrono::duration<double>;
  const auto start = std::chrono::steady_clock::now();
  const double before = Busy(*node)[child.pid()];
  double busy = 0;
  ASSERT_TRUE(Eventually([&] { return (busy = Busy(*node)[child.pid()] - before) >= 400; }));
  const Seconds passed = std::chrono::steady_clock::now() - start;
  EXPECT_LT(busy / 1000 / passed.count(), 0.5) << "promised 0.2; alone it would have it all";
}

TEST_F(ShareProgramsTest, AnAgentThatIsKilledDisturbsNobody) {
  StartNode();
  const auto allocation = Place("pod", 3);
  Child holder = Run(allocation, {"hold", "10000"});
  ASSERT_EQ(holder.Hear(), kOk);
  agent_.Kill();
  StartAgent();
  ASSERT_TRUE(Shows(10));
  EXPECT_TRUE(AwaitGrant("processes", 1)) << "it came back";
  ASSERT_TRUE(Eventually([&] {
    const json::value grant = agent_.Status().at("shares").at("grants").at(0);
    return grant.at("memoryChargedBytes").to_number<std::uint64_t>() >> 20 >= 10000;
  }));
  const auto [free, total] = Sizes(allocation);
  EXPECT_LT(free, total - 10000);
  EXPECT_EQ(Allocate(allocation, total - 10000), kOutOfMemory);
  EXPECT_EQ(Allocate(allocation, free - 64), kOk);
  holder.Say("end");
  EXPECT_EQ(holder.Wait(), 0);
}

// A program that opens the driver itself is not held, but seen.
TEST_F(ShareProgramsTest, GoingAroundIsReported) {
  StartNode();
  const auto allocation = Place("pod", 1);
  Child bypass = Run(allocation, {"hold", "30000"}, ALIQUOT_SIM_CUDA_PATH);
  ASSERT_EQ(bypass.Hear(), kOk) << "twice its share";
  EXPECT_TRUE(agent_.AwaitLog("share violated kind=unmanaged-process"));
  EXPECT_TRUE(agent_.AwaitLog("share violated kind=over-limit"));
  EXPECT_NE(agent_.Get("/metrics").body.find("kind=\"over-limit\",outcome=\"reported\"} 1"),
            std::string::npos);
  bypass.Say("end");
  EXPECT_EQ(bypass.Wait(), 0);
}

// One that is connected, but keeps its work from the arbiter, shows in the driver's figures.
TEST_F(ShareProgramsTest, WorkPastTheGateIsReported) {
  StartNode();
  Child honest = Run(Place("honest", 5), {"spin", "200", "async"});
  Child cheat = Run(Place("cheat", 5), {"cheat", "200", "async", ALIQUOT_SIM_CUDA_PATH});
  for (Child* child : {&honest, &cheat}) ASSERT_EQ(child->Hear(), "ready");
  for (Child* child : {&honest, &cheat}) child->Say("go");
  EXPECT_TRUE(agent_.AwaitLog("share violated kind=uncounted-time"));
  const std::string metrics = agent_.Get("/metrics").body;
  EXPECT_NE(metrics.find("pod=\"cheat\",container=\"main\",device="), std::string::npos);
  for (const std::string& line : Split(metrics, '\n')) {
    if (!line.starts_with("aliquot_grant_violations_total{")) continue;
    EXPECT_EQ(line.find("pod=\"honest\""), std::string::npos) << line;
  }
}

TEST_F(ShareProgramsTest, GoingAroundIsKilledIfSoConfigured) {
  StartNode("compute: fair, onViolation: kill");
  const auto allocation = Place("pod", 1);
  Child good = Run(allocation, {"hold", "1000"});
  ASSERT_EQ(good.Hear(), kOk);
  Child bypass = Run(allocation, {"hold", "1000"}, ALIQUOT_SIM_CUDA_PATH);
  ASSERT_EQ(bypass.Hear(), kOk);
  EXPECT_EQ(bypass.Wait(), -SIGKILL);
  EXPECT_TRUE(agent_.AwaitLog("outcome=killed"));
  good.Say("end");
  EXPECT_EQ(good.Wait(), 0);
}

}  // namespace
}  // namespace aliquot::tests
