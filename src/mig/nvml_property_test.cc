// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Whatever is there, whatever is wanted and whatever fails, through the simulated NVML: a GPU has
// its new layout or its old one, and devices that may stay do.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "mig/apply.h"
#include "mig/recovery.h"
#include "mig/sim_node_test.h"
#include "mig/testing/layouts.h"
#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {

const std::vector<std::string> kProducts = {
    "A100-SXM4-40GB", "A100-PCIE-40GB", "A100-SXM4-80GB",     "A30", "H100-80GB-HBM3", "H100-PCIE",
    "H200",           "B200",           "RTX-PRO-6000-Server"};

unsigned Below(unsigned limit) { return *rc::gen::inRange(0u, limit); }

template <typename List>
const auto& Pick(const List& list, unsigned choice) {
  return list[choice % list.size()];
}

// A GPU and what is wanted of it as plain numbers, so that it can be set up again and again.
struct Scenario {
  struct Device {
    unsigned profile, place;
    bool held;
  };
  struct Instance {
    unsigned profile, place;
    std::vector<Device> devices;
  };
  struct Wish {
    unsigned profile, compute, count;
  };
  std::string product;
  bool mode_on = true;
  std::vector<Instance> instances;
  bool wants_mode = true;
  std::vector<Wish> wishes;
};

Scenario SomeScenario(bool with_holders) {
  Scenario scenario;
  scenario.product = *rc::gen::elementOf(kProducts);
  scenario.mode_on = Below(6) != 0;
  const unsigned instances = scenario.mode_on ? Below(9) : 0;
  for (unsigned i = 0; i < instances; ++i) {
    Scenario::Instance instance{Below(64), Below(64), {}};
    const unsigned devices = Below(4);
    for (unsigned j = 0; j < devices; ++j) {
      instance.devices.push_back({Below(64), Below(64), with_holders && Below(5) == 0});
    }
    scenario.instances.push_back(std::move(instance));
  }
  scenario.wants_mode = Below(8) != 0;
  const unsigned wishes = scenario.wants_mode ? Below(4) : 0;
  for (unsigned i = 0; i < wishes; ++i) scenario.wishes.push_back({Below(64), Below(64), Below(2)});
  return scenario;
}

std::unique_ptr<SimNode> Build(const Scenario& scenario) {
  auto sim = std::make_unique<SimNode>(SimNode::OneGpu(scenario.product));
  const GpuMigState gpu = sim->Look();
  if (!scenario.mode_on) return sim;
  NvmlMigDriver& driver = sim->driver();
  RC_ASSERT(driver.SetMode(gpu.uuid, true).ok());
  unsigned pid = 5000;
  for (const Scenario::Instance& instance : scenario.instances) {
    const InstanceProfile& profile = Pick(gpu.profiles, instance.profile);
    const auto id =
        driver.CreateGpuInstance(gpu.uuid, profile.index, Pick(profile.placements, instance.place));
    if (!id.ok()) continue;
    for (const Scenario::Device& device : instance.devices) {
      const ComputeProfile& compute = Pick(profile.compute, device.profile);
      const auto ci = driver.CreateComputeInstance(gpu.uuid, *id, compute.index,
                                                   Pick(compute.placements, device.place));
      if (ci.ok() && device.held) sim->Hold(0, *id, *ci, pid++, "python");
    }
  }
  return sim;
}

DesiredGpu DesiredOf(const Scenario& scenario, const GpuMigState& gpu) {
  DesiredGpu desired{scenario.wants_mode, {}};
  for (const Scenario::Wish& wish : scenario.wishes) {
    const InstanceProfile& profile = Pick(gpu.profiles, wish.profile);
    ProfileName name = profile.name;
    name.compute_slices = Pick(profile.compute, wish.compute).slices;
    desired.devices[name] += 1 + wish.count;
  }
  return desired;
}

using Serials = std::map<std::string, std::uint64_t>;

// The devices that the plan does not destroy.
Serials KeptBy(const GpuPlan& plan, Serials serials) {
  for (const Step& step : plan.steps) {
    if (step.kind != Step::Kind::kDestroyComputeInstance) continue;
    for (const GpuInstance& instance : plan.gpu.instances) {
      for (const ComputeInstance& compute : instance.compute) {
        if (instance.id == step.gpu_instance_id && compute.id == step.compute_instance_id) {
          serials.erase(compute.uuid);
        }
      }
    }
  }
  return serials;
}

bool Includes(const Serials& all, const Serials& part) {
  return std::includes(all.begin(), all.end(), part.begin(), part.end());
}

bool Satisfies(const GpuMigState& gpu, const DesiredGpu& desired) {
  return gpu.mode_on == desired.mig_enabled && gpu.pending_mode_on == gpu.mode_on &&
         testing::DevicesOf(gpu, LayoutOf(gpu)) == desired.devices;
}

bool Undone(const GpuMigState& gpu, const GpuPlan& plan) {
  return SameLayout(LayoutOf(gpu), LayoutOf(plan.gpu)) &&
         gpu.pending_mode_on == plan.gpu.pending_mode_on;
}

std::string JournalFile(const SimNode& sim) { return sim.directory() + "/journal"; }

bool JournalThere(const SimNode& sim) { return std::filesystem::exists(JournalFile(sim)); }

Result<ApplyReport> Apply(SimNode& sim, const GpuPlan& plan) {
  FileJournalStore journal(JournalFile(sim));
  return Applier(sim.driver(), journal, NoLog(), {}).Apply({{plan}});
}

// A scenario that can be planned and has nothing in the way, set up.
struct Ready {
  Scenario scenario;
  std::unique_ptr<SimNode> sim;
  DesiredGpu desired;
  GpuPlan plan;
  Serials serials;
};

std::optional<Ready> Prepare(const Scenario& scenario) {
  Ready ready{scenario, Build(scenario), {}, {}, {}};
  const GpuMigState gpu = ready.sim->Look();
  ready.desired = DesiredOf(scenario, gpu);
  auto plan = PlanGpu(gpu, ready.desired);
  if (!plan.ok()) {
    RC_ASSERT(plan.error().code == Code::kResourceExhausted);
    return {};
  }
  if (!plan->blockers.empty()) return {};
  ready.plan = *std::move(plan);
  ready.serials = ready.sim->SerialsOf(gpu);
  return ready;
}

RC_GTEST_PROP(NvmlProperty, ReachesTheGoalOrSaysWhoIsInTheWay, ()) {
  const Scenario scenario = SomeScenario(true);
  const auto sim = Build(scenario);
  const GpuMigState before = sim->Look();
  const DesiredGpu desired = DesiredOf(scenario, before);
  const auto plan = PlanGpu(before, desired);
  if (!plan.ok()) {
    RC_ASSERT(plan.error().code == Code::kResourceExhausted);
    return;
  }
  RC_LOG() << Join(Explain(*plan), "\n");
  const Serials serials = sim->Serials();
  const auto report = Apply(*sim, *plan);
  if (!plan->blockers.empty()) {
    RC_ASSERT(!report.ok());
    RC_ASSERT(report.error().message.find("pid 50") != std::string::npos);
    RC_ASSERT(sim->Look() == before);
    return;
  }
  RC_ASSERT(report.ok());
  RC_LOG() << report->gpus[0].reason;
  RC_ASSERT(report->done());
  const GpuMigState after = sim->Look();
  RC_ASSERT(Satisfies(after, desired));
  RC_ASSERT(Includes(sim->Serials(), KeptBy(*plan, serials)));
  RC_ASSERT(!PlanGpu(after, desired)->changes());
  RC_ASSERT(!JournalThere(*sim));
}

RC_GTEST_PROP(NvmlProperty, AnErrorOfAnyCallLeavesTheOldLayoutOrTheNew, ()) {
  const Scenario scenario = SomeScenario(false);
  auto first = Prepare(scenario);
  if (!first || !first->plan.changes()) return;
  first->sim->faults() = {};
  RC_ASSERT(Apply(*first->sim, first->plan).ok());
  const unsigned calls = first->sim->faults().calls;
  first->sim.reset();
  // A few places of many, for many scenarios; the test below has all places for some.
  for (unsigned i = 0; i < 2; ++i) {
    auto run = Prepare(scenario);
    SimNode& sim = *run->sim;
    sim.faults() = {};
    sim.faults().fail_at = Below(calls);
    const auto report = Apply(sim, run->plan);
    RC_ASSERT(report.ok());
    const GpuReport& gpu = report->gpus[0];
    RC_LOG() << "call " << sim.faults().fail_at << " of " << calls << ": " << ToString(gpu.outcome)
             << ": " << gpu.reason << "\n";
    const GpuMigState after = sim.Look();
    const bool done = report->done();
    RC_ASSERT(done || gpu.outcome == GpuOutcome::kRolledBack ||
              gpu.outcome == GpuOutcome::kRefused);
    RC_ASSERT((done ? Satisfies(after, run->desired) : Undone(after, run->plan)));
    // In brackets, because the macro evaluates both sides of a bare "||".
    RC_ASSERT((!gpu.layout || SameLayout(*gpu.layout, LayoutOf(after))));
    RC_ASSERT(Includes(sim.SerialsOf(after), KeptBy(run->plan, run->serials)));
    RC_ASSERT(!JournalThere(sim));
  }
}

// One layout to another and back, over and over: the k-th call fails, for every k until none does.
void FailEveryCallOnce(SimNode& sim, const DesiredGpu& from, const DesiredGpu& to,
                       gpu::abi::Return code) {
  const auto establish = [&](const DesiredGpu& desired) {
    const auto plan = PlanGpu(sim.Look(), desired);
    ASSERT_TRUE(plan.ok() && Apply(sim, *plan)->done());
  };
  establish(from);
  const GpuPlan plan = *PlanGpu(sim.Look(), to);
  ASSERT_TRUE(plan.changes());
  GpuMigState before = sim.Look();
  Serials serials = sim.SerialsOf(before);
  for (unsigned call = 0;; ++call) {
    SCOPED_TRACE(call);
    const GpuPlan now = *PlanGpu(before, to);
    sim.faults() = {};
    sim.faults().fail_at = call;
    sim.faults().code = code;
    const auto report = Apply(sim, now);
    const unsigned calls = sim.faults().calls;
    sim.faults() = {};
    ASSERT_TRUE(report.ok()) << report.error().message;
    const Serials kept = KeptBy(now, serials);
    before = sim.Look();
    serials = sim.SerialsOf(before);
    const GpuReport& gpu = report->gpus[0];
    ASSERT_TRUE(report->done() ? Satisfies(before, to) : Undone(before, now))
        << ToString(gpu.outcome) << ": " << gpu.reason;
    EXPECT_EQ(report->unfinished(), JournalThere(sim));
    ASSERT_FALSE(report->unfinished()) << gpu.reason;
    EXPECT_TRUE(report->done() || !gpu.reason.empty()) << "a failure says why";
    EXPECT_TRUE(Includes(serials, kept));
    if (calls <= call) {
      EXPECT_TRUE(report->done());
      return;
    }
    if (!report->done()) continue;
    establish(from);
    before = sim.Look();
    serials = sim.SerialsOf(before);
  }
}

DesiredGpu Devices(const std::map<std::string, unsigned>& counts) {
  DesiredGpu desired{true, {}};
  for (const auto& [name, count] : counts) desired.devices[*ParseProfileName(name)] = count;
  return desired;
}

TEST(NvmlEveryCall, AnErrorLeavesTheOldLayoutOrTheNew) {
  SimNode ampere(SimNode::OneGpu("A100-SXM4-40GB"));
  FailEveryCallOnce(ampere, Devices({{"3g.20gb", 1}, {"1g.5gb", 1}}),
                    Devices({{"3g.20gb", 1}, {"1c.2g.10gb", 2}}), gpu::abi::Return::kUnknown);
  FailEveryCallOnce(ampere, {false, {}}, Devices({{"7g.40gb", 1}}), gpu::abi::Return::kInUse);
  FailEveryCallOnce(ampere, Devices({{"7g.40gb", 1}}), {false, {}}, gpu::abi::Return::kTimeout);
}

// A call that never works again until the fault is mended: then the next start mends the rest.
TEST(NvmlProperty, AFunctionThatFailsForAWhileIsMadeUpForLater) {
  SimNode probe(SimNode::OneGpu("A100-SXM4-40GB"));
  DesiredGpu desired{true, {}};
  desired.devices[*ParseProfileName("2g.10gb")] = 1;
  desired.devices[*ParseProfileName("1c.3g.20gb")] = 2;
  const auto set_up = [](SimNode& sim) {
    const std::string gpu = sim.Look().uuid;
    ASSERT_TRUE(sim.driver().SetMode(gpu, true).ok());
    const auto half = sim.driver().CreateGpuInstance(gpu, 2, {0, 4});
    ASSERT_TRUE(half.ok() && sim.driver().CreateComputeInstance(gpu, *half, 2, {0, 3}).ok());
    const auto small = sim.driver().CreateGpuInstance(gpu, 0, {4, 1});
    ASSERT_TRUE(small.ok() && sim.driver().CreateComputeInstance(gpu, *small, 0, {0, 1}).ok());
  };
  set_up(probe);
  const auto plan = PlanGpu(probe.Look(), desired);
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(Apply(probe, *plan)->done());
  const std::set<std::string> symbols = probe.faults().symbols;
  EXPECT_GT(symbols.size(), 20u);
  probe.Disconnect();
  for (const std::string& symbol : symbols) {
    SCOPED_TRACE(symbol);
    SimNode sim(SimNode::OneGpu("A100-SXM4-40GB"));
    set_up(sim);
    const auto again = PlanGpu(sim.Look(), desired);
    ASSERT_TRUE(again.ok());
    ASSERT_TRUE(sim.control().FailCall(symbol, 999, {}, 0).ok());
    const auto report = Apply(sim, *again);
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ(report->unfinished(), JournalThere(sim));
    sim.control().Reset();
    FileJournalStore journal(JournalFile(sim));
    const auto recovered = RecoverMigChanges(sim.driver(), journal, NoLog());
    ASSERT_TRUE(recovered.ok() && !recovered->unfinished());
    EXPECT_FALSE(JournalThere(sim));
    const GpuMigState after = sim.Look();
    EXPECT_TRUE(Undone(after, *again) || Satisfies(after, desired));
    EXPECT_TRUE(!report->done() || Satisfies(after, desired));
  }
}

// Applies in a process of its own that is killed at its `change`th change, before or after it.
void ApplyAndDie(Ready& run, unsigned change, bool after) {
  run.sim->Disconnect();
  const pid_t child = ::fork();
  if (child == 0) {
    run.sim->Connect();
    run.sim->faults().die_at_change = change;
    run.sim->faults().die_after = after;
    static_cast<void>(Apply(*run.sim, run.plan));
    ::_exit(0);  // there was no such change
  }
  int status = 0;
  RC_ASSERT(::waitpid(child, &status, 0) == child);
  RC_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  run.sim->Connect();
}

RC_GTEST_PROP(NvmlProperty, AKilledApplyIsCompletedOrUndoneByTheNextStart, ()) {
  const Scenario scenario = SomeScenario(false);
  auto first = Prepare(scenario);
  if (!first || !first->plan.changes()) return;
  const unsigned steps = static_cast<unsigned>(first->plan.steps.size());
  const bool after = Below(2) == 0;
  const unsigned change = Below(steps);
  auto& run = first;
  RC_LOG() << Join(Explain(run->plan), "\n") << "\nkilled " << (after ? "after" : "before")
           << " change " << change << "\n";
  ApplyAndDie(*run, change, after);
  SimNode& sim = *run->sim;
  RC_ASSERT(JournalThere(sim));
  // Nothing new is begun before it is finished.
  const auto refused = Apply(sim, *PlanGpu(sim.Look(), run->desired));
  RC_ASSERT(!refused.ok());
  FileJournalStore journal(JournalFile(sim));
  const auto report = RecoverMigChanges(sim.driver(), journal, NoLog());
  RC_ASSERT(report.ok());
  RC_ASSERT(!report->unfinished());
  RC_ASSERT(!JournalThere(sim));
  const GpuMigState now = sim.Look();
  RC_ASSERT(Undone(now, run->plan) || Satisfies(now, run->desired));
  RC_ASSERT(Includes(sim.Serials(), KeptBy(run->plan, run->serials)));
}

// Each of an A100's 19 layouts from each other, one after the other on one GPU.
TEST(NvmlAllPairs, EveryA100LayoutFromEveryOther) {
  SimNode sim(SimNode::OneGpu("A100-SXM4-40GB"));
  const GpuMigState gpu = sim.Look();
  ASSERT_TRUE(sim.driver().SetMode(gpu.uuid, true).ok());
  const std::vector<Layout> layouts = testing::MaximalLayouts(testing::MakeGpu("a100-40gb"));
  ASSERT_EQ(layouts.size(), 19u);
  GpuMigState now = sim.Look();
  Serials serials;
  const auto establish = [&](const Layout& layout) {
    const DesiredGpu desired = testing::DesiredOf(gpu, layout);
    const auto plan = PlanGpu(now, desired);
    ASSERT_TRUE(plan.ok());
    const auto report = Apply(sim, *plan);
    ASSERT_TRUE(report.ok() && report->done());
    now = sim.Look();
    const Serials kept = KeptBy(*plan, serials);
    serials = sim.SerialsOf(now);
    EXPECT_TRUE(Satisfies(now, desired));
    EXPECT_TRUE(Includes(serials, kept));
  };
  for (std::size_t from = 0; from < layouts.size(); ++from) {
    for (std::size_t to = 0; to < from; ++to) {  // there and back again
      establish(layouts[from]);
      establish(layouts[to]);
    }
  }
}

}  // namespace
}  // namespace aliquot::mig
