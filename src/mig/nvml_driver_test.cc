// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// MIG through NVML, on the simulated driver.
#include "mig/nvml_driver.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "mig/apply.h"
#include "mig/catalog.h"
#include "mig/checkpoint.h"
#include "mig/clients.h"
#include "mig/config_file.h"
#include "mig/nvml_reader.h"
#include "mig/recovery.h"
#include "mig/sim_node_test.h"
#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {

DesiredGpu Devices(std::map<std::string, unsigned> counts) {
  DesiredGpu desired{true, {}};
  for (const auto& [name, count] : counts) desired.devices[*ParseProfileName(name)] = count;
  return desired;
}

std::vector<std::string> NamesOf(const GpuMigState& gpu) {
  std::vector<std::string> names;
  for (const GpuInstance& instance : gpu.instances) {
    for (const ComputeInstance& compute : instance.compute) {
      names.push_back(DeviceName(gpu, instance.profile, compute.profile));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

MigPlan PlanFor(SimNode& node, const DesiredGpu& desired, unsigned index = 0) {
  auto plan = PlanGpu(node.Look(index), desired);
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  return plan.ok() ? MigPlan{{*std::move(plan)}} : MigPlan();
}

Result<ApplyReport> Apply(SimNode& node, const MigPlan& plan, ApplyOptions options = {}) {
  FileJournalStore journal(node.directory() + "/journal");
  return Applier(node.driver(), journal, NoLog(), options).Apply(plan);
}

class NvmlDriver : public ::testing::Test {
 protected:
  static std::string OutcomeOf(const Result<ApplyReport>& report) {
    if (!report.ok()) return report.error().message;
    return std::string(ToString(report->gpus.at(0).outcome)) + ": " + report->gpus[0].reason;
  }
};

// The tables that drivers were seen to give, against what the reader makes of NVML's answers.
TEST_F(NvmlDriver, ReadsTheProfilesOfEveryProduct) {
  for (const auto& [product, node] :
       {std::pair<std::string, std::string>{"a100-40gb", "A100-SXM4-40GB"},
        {"a100-80gb", "A100-SXM4-80GB"},
        {"a30", "A30"},
        {"h200", "H200"},
        {"b200", "B200"},
        {"rtx-pro-6000", "RTX-PRO-6000-Server"}}) {
    SCOPED_TRACE(node);
    SimNode sim(SimNode::OneGpu(node));
    const GpuMigState gpu = sim.Look();
    const GpuMigState known = testing::MakeGpu(product);
    EXPECT_EQ(OfferedProfiles(gpu), OfferedProfiles(known));
    ASSERT_EQ(gpu.profiles.size(), known.profiles.size());
    for (std::size_t i = 0; i < gpu.profiles.size(); ++i) {
      SCOPED_TRACE(gpu.profiles[i].name.ToString());
      EXPECT_EQ(gpu.profiles[i].placements, known.profiles[i].placements);
      EXPECT_EQ(gpu.profiles[i].max_instances, known.profiles[i].max_instances);
      EXPECT_EQ(gpu.profiles[i].compute, known.profiles[i].compute);
    }
    EXPECT_EQ(gpu.mode_switch, known.mode_switch);
    EXPECT_FALSE(gpu.mode_on);
  }
}

// What is derived for profiles without instances is what the driver says once there is one.
TEST_F(NvmlDriver, DerivedComputeProfilesAreTheDriversOwn) {
  for (const char* product : {"A100-SXM4-40GB", "A30", "H200", "B200", "RTX-PRO-6000-Server"}) {
    SimNode sim(SimNode::OneGpu(product));
    const GpuMigState before = sim.Look();
    ASSERT_TRUE(sim.driver().SetMode(before.uuid, true).ok());
    for (const InstanceProfile& profile : before.profiles) {
      const auto id =
          sim.driver().CreateGpuInstance(before.uuid, profile.index, profile.placements.front());
      ASSERT_TRUE(id.ok()) << id.error().message;
      EXPECT_EQ(FindProfile(sim.Look(), profile.index)->compute, profile.compute)
          << product << " " << profile.name.ToString();
      ASSERT_TRUE(sim.driver().DestroyGpuInstance(before.uuid, *id).ok());
    }
  }
}

TEST_F(NvmlDriver, ReadsInstancesTheirDevicesAndWhoUsesThem) {
  SimNode sim("a100-40gb-x8-mig");
  sim.Hold(3, 2, 0, 4711, "/usr/bin/python3 train.py");
  sim.Hold(0, sim::kNobody, sim::kNobody, 4712, "Xorg");
  const GpuMigState gpu = sim.Look(3);
  EXPECT_EQ(NamesOf(gpu), (std::vector<std::string>{"1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb"}));
  ASSERT_EQ(gpu.instances.size(), 4u);
  EXPECT_EQ(gpu.index, 3u);
  EXPECT_EQ(gpu.instances[0].id, 2u);
  EXPECT_EQ(gpu.instances[0].placement, (Placement{4, 4}));
  EXPECT_EQ(Describe(gpu.instances[0].compute[0].holders), "pid 4711 python3");
  EXPECT_TRUE(gpu.instances[0].compute[0].uuid.starts_with("MIG-"));
  EXPECT_TRUE(gpu.holders.empty());
  EXPECT_EQ(Describe(sim.Look(0).holders), "pid 4712 Xorg");
}

TEST_F(NvmlDriver, OneGpuThatIsLostDoesNotHideTheOthers) {
  SimNode sim("a100-40gb-x8-mig");
  ASSERT_TRUE(sim.control().Lose(5).ok());
  const auto gpus = sim.driver().ReadAll();
  ASSERT_TRUE(gpus.ok());
  EXPECT_EQ(gpus->size(), 7u);
  ASSERT_EQ(sim.driver().unreadable().size(), 1u);
  EXPECT_EQ(sim.driver().unreadable()[0].index, 5u);
  EXPECT_NE(sim.driver().unreadable()[0].reason.find("lost"), std::string::npos);
  sim.control().Unload();
  EXPECT_EQ(sim.driver().ReadAll().status().error().code, Code::kUnavailable);
}

TEST_F(NvmlDriver, AppliesALayoutToAPlainGpu) {
  SimNode sim(SimNode::OneGpu("H200"));
  const auto report =
      Apply(sim, PlanFor(sim, Devices({{"1c.3g.71gb", 2}, {"1g.35gb", 1}, {"2g.35gb", 1}})));
  ASSERT_TRUE(report.ok() && report->done()) << OutcomeOf(report);
  const GpuMigState gpu = sim.Look();
  EXPECT_EQ(NamesOf(gpu),
            (std::vector<std::string>{"1c.3g.71gb", "1c.3g.71gb", "1g.35gb", "2g.35gb"}));
  for (const GpuInstance& instance : gpu.instances) {
    if (InstanceName(gpu, instance.profile) != "1g.35gb") continue;
    const auto* kind =
        FindComputeProfile(*FindProfile(gpu, instance.profile), instance.compute.at(0).profile);
    EXPECT_EQ(kind->multiprocessors, 26u) << "the kind with all multiprocessors";
  }
}

TEST_F(NvmlDriver, NamesWhoIsInTheWay) {
  SimNode sim("a100-40gb-x8-mig");
  const MigPlan plan = PlanFor(sim, Devices({{"7g.40gb", 1}}), 3);
  ASSERT_TRUE(plan.gpus[0].blockers.empty());
  sim.Hold(3, 2, 0, 4711, "train");
  // The plan is from before; the driver knows better.
  const auto report = Apply(sim, plan);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->gpus[0].outcome, GpuOutcome::kRefused);
  EXPECT_NE(report->gpus[0].reason.find("pid 4711 train"), std::string::npos)
      << report->gpus[0].reason;
  EXPECT_EQ(sim.Look(3).instances.size(), 4u);
  // And asked directly, it refuses.
  const GpuMigState gpu = sim.Look(3);
  EXPECT_EQ(sim.driver().DestroyComputeInstance(gpu.uuid, 2, 0).error().code,
            Code::kFailedPrecondition);
}

TEST_F(NvmlDriver, AModeThatClientsHoldBackIsTakenBack) {
  SimNode sim(SimNode::OneGpu("A100-SXM4-40GB"));
  const MigPlan plan = PlanFor(sim, Devices({{"7g.40gb", 1}}));
  sim.Hold(0, sim::kNobody, sim::kNobody, 4711, "train");
  ASSERT_EQ(*sim.driver().SetMode(sim.Look().uuid, true), ModeResult::kInUse);
  EXPECT_TRUE(sim.Look().pending_mode_on);
  const MigPlan now = PlanFor(sim, {false, {}});
  ASSERT_TRUE(now.changes()) << "a pending mode is a change";
  const auto report = Apply(sim, now);
  EXPECT_TRUE(report.ok() && report->done()) << OutcomeOf(report);
  EXPECT_FALSE(sim.Look().pending_mode_on);
}

constexpr const char* kVirtualMachine =
    "name: vm\ndriver: \"580.159.04\"\ncuda: \"13.0\"\ngpuReset: false\n"
    "gpus:\n- product: A100-SXM4-40GB\n";

TEST_F(NvmlDriver, WithoutAResetTheModeWaitsForARebootOnlyIfAllowed) {
  SimNode sim(kVirtualMachine);
  const DesiredGpu desired = Devices({{"3g.20gb", 2}});
  const auto refused = Apply(sim, PlanFor(sim, desired));
  EXPECT_NE(OutcomeOf(refused).find("allow reboots"), std::string::npos) << OutcomeOf(refused);
  EXPECT_FALSE(sim.Look().pending_mode_on);

  ApplyOptions options;
  options.allow_reboot = true;
  const auto waiting = Apply(sim, PlanFor(sim, desired), options);
  ASSERT_TRUE(waiting.ok() && waiting->needs_reboot()) << OutcomeOf(waiting);
  EXPECT_TRUE(sim.Look().pending_mode_on);
  // The agent starts again without a reboot: it goes on waiting.
  FileJournalStore journal(sim.directory() + "/journal");
  const auto still = RecoverMigChanges(sim.driver(), journal, NoLog());
  ASSERT_TRUE(still.ok() && still->needs_reboot()) << OutcomeOf(still);
  EXPECT_TRUE(sim.Look().pending_mode_on);
  // The reboot.
  ASSERT_TRUE(sim.control().ResetGpu(0).ok());
  const auto done = RecoverMigChanges(sim.driver(), journal, NoLog());
  ASSERT_TRUE(done.ok() && done->done()) << OutcomeOf(done);
  EXPECT_EQ(NamesOf(sim.Look()), (std::vector<std::string>{"3g.20gb", "3g.20gb"}));
}

// Monitoring agents and the like are in no process list, but hold the GPU all the same.
TEST_F(NvmlDriver, WhoHoldsTheModeBackIsFoundByTheDeviceNode) {
  SimNode sim(SimNode::OneGpu("A100-SXM4-40GB"));
  const std::string proc = sim.directory() + "/proc";
  for (const char* pid : {"4711", "4712", "self"}) {
    std::filesystem::create_directories(proc + "/" + pid + "/fd");
    std::filesystem::create_symlink("/dev/null", proc + "/" + pid + "/fd/0");
  }
  std::filesystem::create_symlink("/dev/nvidia0", proc + "/4712/fd/3");
  ASSERT_TRUE(WriteFileAtomically(proc + "/4712/comm", "nv-hostengine\n").ok());
  NvmlMigDriver::Host host;
  host.clients = [&](const std::string& path) { return ProcessesWithOpen(path, proc); };
  gpu::NvmlApi api = sim.api();
  api.device_compute_processes = nullptr;
  auto driver = NvmlMigDriver::Open(api, host);
  ASSERT_TRUE(driver.ok());
  sim.Hold(0, sim::kNobody, sim::kNobody, 4712, "nv-hostengine");
  const auto plan = PlanGpu(*(*driver)->Read(sim.Look().uuid), Devices({{"7g.40gb", 1}}));
  ASSERT_TRUE(plan.ok() && plan->blockers.empty());
  FileJournalStore journal(sim.directory() + "/journal");
  const auto report = Applier(**driver, journal, NoLog(), {}).Apply({{*plan}});
  EXPECT_NE(OutcomeOf(report).find("held open by pid 4712 nv-hostengine"), std::string::npos)
      << OutcomeOf(report);
  EXPECT_FALSE(sim.Look().pending_mode_on) << "the request was taken back";
}

TEST_F(NvmlDriver, ResetsWithTheSessionClosed) {
  SimNode sim(kVirtualMachine);
  const std::string uuid = sim.Look().uuid;
  std::string bus_id;
  Status answer;
  NvmlMigDriver::Host host;
  host.reset = [&](const std::string& id) -> Status {
    bus_id = id;
    return answer;
  };
  auto driver = NvmlMigDriver::Open(sim.api(), host);
  ASSERT_TRUE(driver.ok());
  EXPECT_TRUE((*driver)->Reset(uuid).ok());
  EXPECT_TRUE(bus_id.starts_with("0000")) << bus_id;
  answer = Error{Code::kAborted, "no"};
  EXPECT_EQ((*driver)->Reset(uuid).error().message, "no");
  EXPECT_TRUE((*driver)->Read(uuid).ok()) << "the session is open again";
  EXPECT_EQ(sim.driver().Reset(uuid).error().code, Code::kUnimplemented);
  EXPECT_EQ((*driver)->Read("GPU-none").status().error().code, Code::kNotFound);
}

// Drivers before 460 or so: no placements for instances, the driver chooses.
TEST_F(NvmlDriver, ADriverThatCannotPlaceChooses) {
  SimNode sim(SimNode::OneGpu("A100-SXM4-40GB"));
  gpu::NvmlApi old = sim.api();
  old.device_create_gpu_instance_placed = nullptr;
  old.gpu_instance_create_compute_instance_placed = nullptr;
  old.gpu_instance_compute_placements = nullptr;
  old.device_compute_processes = nullptr;
  old.device_field_values = nullptr;
  auto driver = NvmlMigDriver::Open(old);
  ASSERT_TRUE(driver.ok());
  const auto plan = PlanGpu(sim.Look(), Devices({{"1g.5gb", 7}}));
  ASSERT_TRUE(plan.ok());
  FileJournalStore journal(sim.directory() + "/journal");
  const auto report = Applier(**driver, journal, NoLog(), {}).Apply({{*plan}});
  ASSERT_TRUE(report.ok() && report->done()) << OutcomeOf(report);
  EXPECT_EQ(sim.Look().instances.size(), 7u);
}

TEST_F(NvmlDriver, WhatADriverLacksIsNamed) {
  SimNode sim(SimNode::OneGpu("A100-SXM4-40GB"));
  gpu::NvmlApi old = sim.api();
  old.device_set_mig_mode = nullptr;
  auto driver = NvmlMigDriver::Open(old);
  ASSERT_TRUE(driver.ok());
  const auto mode = (*driver)->SetMode(sim.Look().uuid, true);
  ASSERT_FALSE(mode.ok());
  EXPECT_NE(mode.error().message.find("nvmlDeviceSetMigMode"), std::string::npos);
}

TEST_F(NvmlDriver, OneProcessAtATimeChangesMig) {
  SimNode sim("h200-x1");
  {
    const auto first = LockMigChanges(sim.directory() + "/new/state");
    ASSERT_TRUE(first.ok()) << first.error().message;
    const auto second = LockMigChanges(sim.directory() + "/new/state");
    EXPECT_EQ(second.status().error().code, Code::kFailedPrecondition);
  }
  EXPECT_TRUE(LockMigChanges(sim.directory() + "/new/state").ok());
}

// The agent's way to the driver finishes what was interrupted before anyone sees the GPUs.
TEST_F(NvmlDriver, AnInterruptedChangeIsFinishedWhenTheDriverIsLoaded) {
  SimNode sim("a100-40gb-x8-mig");
  const MigPlan plan = PlanFor(sim, Devices({{"7g.40gb", 1}}), 3);
  Journal journal;
  journal.gpus.push_back({plan.gpus[0].gpu.uuid, LayoutOf(plan.gpus[0].gpu), plan.gpus[0].after});
  FileJournalStore store(JournalPath(sim.directory()));
  ASSERT_TRUE(store.Save(WriteJournal(journal)).ok());
  RecoveringDriverSource source(std::make_unique<gpu::FileDriverSource>(ALIQUOT_SIM_NVML_PATH),
                                sim.directory(), "", NoLog());
  {
    const auto busy = LockMigChanges(sim.directory());
    ASSERT_TRUE(source.Load().ok());
    EXPECT_EQ(sim.Look(3).instances.size(), 4u) << "someone else is at it";
  }
  ASSERT_TRUE(source.Load().ok());
  EXPECT_EQ(NamesOf(sim.Look(3)), (std::vector<std::string>{"7g.40gb"}));
  EXPECT_EQ(store.Load().status().error().code, Code::kNotFound);
  ASSERT_TRUE(store.Save("not a journal").ok());
  EXPECT_TRUE(source.Load().ok()) << "the driver is served all the same";
}

TEST_F(NvmlDriver, GeneratedConfigurationsAllWork) {
  for (const char* node : {"mixed-a100-t4", "rtxpro6000-x2"}) {
    SimNode sim(node);
    auto gpus = sim.driver().ReadAll();
    ASSERT_TRUE(gpus.ok());
    const auto file = GenerateConfig(*gpus);
    ASSERT_TRUE(file.ok());
    for (const auto& [label, entries] : file->configs) {
      gpus = sim.driver().ReadAll();
      const auto plan = PlanNode(*gpus, *DesiredFor(entries, *gpus));
      ASSERT_TRUE(plan.ok()) << label << ": " << plan.error().message;
      const auto report = Apply(sim, *plan);
      ASSERT_TRUE(report.ok() && report->done()) << label << ": " << OutcomeOf(report);
      gpus = sim.driver().ReadAll();
      EXPECT_FALSE(PlanNode(*gpus, *DesiredFor(entries, *gpus))->changes()) << label;
    }
  }
}

}  // namespace
}  // namespace aliquot::mig
