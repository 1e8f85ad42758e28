// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Changing MIG through the simulated NVML: modes, instances, and what is refused.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/nvml/nvml_test_client.h"

namespace aliquot::sim {
namespace {

class NvmlInstances : public NvmlTest {
 protected:
  std::vector<unsigned> Mode(abi::Device gpu) {
    unsigned current = 9;
    unsigned pending = 9;
    EXPECT_EQ(Call("nvmlDeviceGetMigMode", gpu, &current, &pending), abi::kSuccess);
    return {current, pending};
  }
  // The activation status.
  int SetMode(abi::Device gpu, unsigned mode) {
    int activation = -1;
    EXPECT_EQ(Call("nvmlDeviceSetMigMode", gpu, mode, &activation), abi::kSuccess);
    return activation;
  }
  int Create(abi::Device gpu, unsigned profile, abi::GpuInstance* gi) {
    return Call("nvmlDeviceCreateGpuInstance", gpu, profile, gi);
  }
  unsigned Id(abi::GpuInstance gi) {
    abi::GpuInstanceInfo info{};
    EXPECT_EQ(Call("nvmlGpuInstanceGetInfo", gi, &info), abi::kSuccess);
    return info.id;
  }
  unsigned MigDeviceCount(abi::Device gpu) {
    unsigned count = 0;
    abi::Device mig = nullptr;
    while (Call("nvmlDeviceGetMigDeviceHandleByIndex", gpu, count, &mig) == abi::kSuccess) ++count;
    return count;
  }
  void UseGpu(unsigned gpu, unsigned gi = kNobody, unsigned ci = kNobody) {
    ProcessOptions options;
    options.pid = 77;
    options.gpu = gpu;
    options.gi = gi;
    options.ci = ci;
    ASSERT_TRUE(control().AddProcess(options, 0).ok());
  }
};

using Modes = std::vector<unsigned>;

TEST_F(NvmlInstances, ModeChangesAtOnceOnAnIdleGpu) {
  for (const char* node : {"a100-40gb-x8", "h200-x1"}) {
    Start(node);
    EXPECT_EQ(SetMode(Gpu(0), 1), abi::kSuccess);
    EXPECT_EQ(Mode(Gpu(0)), (Modes{1, 1}));
    EXPECT_EQ(Number("nvmlDeviceGetMaxMigDeviceCount", Gpu(0)), 7u);
    EXPECT_EQ(SetMode(Gpu(0), 0), abi::kSuccess);
    EXPECT_EQ(Mode(Gpu(0)), (Modes{0, 0}));
    Shutdown();
    std::filesystem::remove_all(directory());
  }
}

TEST_F(NvmlInstances, ModeStaysPendingOnABusyGpu) {
  Start("h200-x1");
  UseGpu(0);
  EXPECT_EQ(SetMode(Gpu(0), 1), abi::kInUse);
  EXPECT_EQ(Mode(Gpu(0)), (Modes{0, 1}));
  EXPECT_FALSE(control().ResetGpu(0).ok());
  ASSERT_TRUE(control().RemoveProcess(77).ok());
  EXPECT_EQ(SetMode(Gpu(0), 1), abi::kSuccess);
  EXPECT_EQ(Mode(Gpu(0)), (Modes{1, 1}));
}

TEST_F(NvmlInstances, ModeStaysOnWhileInstancesExist) {
  Start("a100-40gb-x8-mig");
  EXPECT_EQ(SetMode(Gpu(3), 0), abi::kInUse);
  EXPECT_EQ(Mode(Gpu(3)), (Modes{1, 0}));
  EXPECT_EQ(MigDeviceCount(Gpu(3)), 4u);
  ASSERT_TRUE(control().ResetGpu(3).ok());
  EXPECT_EQ(Mode(Gpu(3)), (Modes{0, 0}));
}

TEST_F(NvmlInstances, AmpereInAVirtualMachineNeedsAReboot) {
  const std::string path = testing::TempDir() + "/passthrough.yaml";
  std::ofstream(path) << "name: vm\ndriver: \"580.1\"\ncuda: \"13.0\"\ngpuReset: false\n"
                         "gpus: [{product: A100-SXM4-40GB}, {product: H200}]\n";
  Start(path);
  EXPECT_EQ(SetMode(Gpu(0), 1), abi::kResetRequired);
  EXPECT_EQ(Mode(Gpu(0)), (Modes{0, 1}));
  EXPECT_EQ(SetMode(Gpu(1), 1), abi::kSuccess) << "Hopper needs no reset";
  ASSERT_TRUE(control().Reload("").ok());
  Shutdown();
  Init();
  EXPECT_EQ(Mode(Gpu(0)), (Modes{1, 1})) << "Ampere remembers";
  EXPECT_EQ(Mode(Gpu(1)), (Modes{0, 0})) << "Hopper does not";
}

TEST_F(NvmlInstances, WhatIsRefused) {
  Start("mixed-a100-t4");
  int activation = 0;
  EXPECT_EQ(Call("nvmlDeviceSetMigMode", Gpu(2), 1u, &activation), abi::kNotSupported);
  EXPECT_EQ(Call("nvmlDeviceSetMigMode", Gpu(0), 2u, &activation), abi::kInvalidArgument);
  EXPECT_EQ(Call("nvmlDeviceSetMigMode", Gpu(0), 1u, static_cast<int*>(nullptr)),
            abi::kInvalidArgument);
  abi::GpuInstance gi = nullptr;
  EXPECT_EQ(Create(Gpu(0), 19, &gi), abi::kNotSupported) << "MIG is off";
  ASSERT_EQ(SetMode(Gpu(0), 1), abi::kSuccess);
  EXPECT_EQ(Create(Gpu(0), 77, &gi), abi::kInvalidArgument) << "no such profile";
  EXPECT_EQ(Create(Gpu(0), 19, nullptr), abi::kInvalidArgument);
  const auto place = [&](unsigned profile, unsigned start, unsigned size) {
    const abi::Placement placement{start, size};
    return Call("nvmlDeviceCreateGpuInstanceWithPlacement", Gpu(0), profile, &placement, &gi);
  };
  EXPECT_EQ(place(9, 4, 4), abi::kSuccess);
  EXPECT_EQ(Id(gi), 2u);
  EXPECT_EQ(place(9, 4, 4), abi::kInsufficientResources) << "legal, but taken";
  EXPECT_EQ(place(9, 2, 4), abi::kInvalidArgument) << "never legal";
  EXPECT_EQ(place(9, 0, 8), abi::kInvalidArgument);
  EXPECT_EQ(Create(Gpu(0), 0, &gi), abi::kInsufficientResources);
}

TEST_F(NvmlInstances, InstancesLiveAndDie) {
  Start("a100-40gb-x8");
  const abi::Device gpu = Gpu(0);
  ASSERT_EQ(SetMode(gpu, 1), abi::kSuccess);
  abi::GpuInstance gi = nullptr;
  ASSERT_EQ(Create(gpu, 9, &gi), abi::kSuccess);
  EXPECT_EQ(MigDeviceCount(gpu), 0u) << "devices are compute instances";
  const auto create = [&](unsigned profile, abi::ComputeInstance* ci) {
    return Call("nvmlGpuInstanceCreateComputeInstance", gi, profile, ci);
  };
  abi::ComputeInstance two = nullptr;
  abi::ComputeInstance one = nullptr;
  EXPECT_EQ(create(4, &two), abi::kNotSupported);
  ASSERT_EQ(create(1, &two), abi::kSuccess);
  ASSERT_EQ(create(0, &one), abi::kSuccess);
  EXPECT_EQ(create(0, &one), abi::kInsufficientResources);
  EXPECT_EQ(MigDeviceCount(gpu), 2u);
  EXPECT_EQ(Text("nvmlDeviceGetName", Mig(0, 0)), "NVIDIA A100-SXM4-40GB MIG 2c.3g.20gb");
  const abi::Device mig = Mig(0, 1);
  const std::string uuid = Text("nvmlDeviceGetUUID", mig);
  EXPECT_EQ(Call("nvmlGpuInstanceDestroy", gi), abi::kInUse);
  UseGpu(0, 2, 1);
  EXPECT_EQ(Call("nvmlComputeInstanceDestroy", one), abi::kInUse);
  EXPECT_EQ(Call("nvmlComputeInstanceDestroy", two), abi::kSuccess);
  ASSERT_TRUE(control().RemoveProcess(77).ok());
  EXPECT_EQ(Call("nvmlComputeInstanceDestroy", one), abi::kSuccess);
  char text[96];
  EXPECT_EQ(Call("nvmlDeviceGetName", mig, &text[0], 96u), abi::kInvalidArgument);
  EXPECT_EQ(Call("nvmlComputeInstanceDestroy", one), abi::kInvalidArgument) << "a stale handle";
  // The same ids give the same UUID, but old handles stay dead.
  ASSERT_EQ(create(1, &two), abi::kSuccess);
  ASSERT_EQ(create(0, &one), abi::kSuccess);
  EXPECT_EQ(Text("nvmlDeviceGetUUID", Mig(0, 1)), uuid);
  EXPECT_EQ(Call("nvmlDeviceGetName", mig, &text[0], 96u), abi::kInvalidArgument);
}

TEST_F(NvmlInstances, DoubleMemoryProfileOffersTwoComputeInstances) {
  Start("h200-x1");
  ASSERT_EQ(SetMode(Gpu(0), 1), abi::kSuccess);
  for (const unsigned profile : {7u, 0u}) {
    abi::GpuInstance gi = nullptr;
    ASSERT_EQ(Create(Gpu(0), 15, &gi), abi::kSuccess);
    abi::ComputeInstance ci = nullptr;
    ASSERT_EQ(Call("nvmlGpuInstanceCreateComputeInstance", gi, profile, &ci), abi::kSuccess);
  }
  abi::DeviceAttributes attributes{};
  EXPECT_EQ(Call("nvmlDeviceGetAttributes_v2", Mig(0, 0), &attributes), abi::kSuccess);
  EXPECT_EQ(attributes.multiprocessor_count, 16u) << "GI 3: profile 0";
  EXPECT_EQ(Call("nvmlDeviceGetAttributes_v2", Mig(0, 1), &attributes), abi::kSuccess);
  EXPECT_EQ(attributes.multiprocessor_count, 26u) << "GI 5: profile 7";
}

TEST_F(NvmlInstances, ListenersHearOfEveryChange) {
  Start("h200-x1");
  const abi::Device gpu = Gpu(0);
  abi::EventSet set = nullptr;
  ASSERT_EQ(Call("nvmlEventSetCreate", &set), abi::kSuccess);
  ASSERT_EQ(Call("nvmlDeviceRegisterEvents", gpu, abi::kEventMigConfigChange, set), abi::kSuccess);
  abi::GpuInstance gi = nullptr;
  abi::ComputeInstance ci = nullptr;
  ASSERT_EQ(SetMode(gpu, 1), abi::kSuccess);
  ASSERT_EQ(Create(gpu, 19, &gi), abi::kSuccess);
  ASSERT_EQ(Call("nvmlGpuInstanceCreateComputeInstance", gi, 0u, &ci), abi::kSuccess);
  ASSERT_EQ(Call("nvmlComputeInstanceDestroy", ci), abi::kSuccess);
  ASSERT_EQ(Call("nvmlGpuInstanceDestroy", gi), abi::kSuccess);
  EXPECT_EQ(Create(gpu, 99, &gi), abi::kInvalidArgument) << "no change, no event";
  abi::EventData data{};
  int events = 0;
  while (Call("nvmlEventSetWait_v2", set, &data, 0u) == abi::kSuccess) {
    EXPECT_EQ(data.event_type, abi::kEventMigConfigChange);
    ++events;
  }
  EXPECT_EQ(events, 5);
}

// A model of an eight-slice GPU, written from the published tables alone: a row of memory slices
// and a count of compute slices.
struct Model {
  struct Profile {
    unsigned id, slices, size, most;
    std::vector<unsigned> order;
  };
  struct Instance {
    unsigned profile, start;
    std::vector<bool> compute;  // one-slice compute instances, by id
  };

  static const std::vector<Profile>& Profiles() {
    static const std::vector<Profile> profiles = {{19, 1, 1, 7, {6, 4, 5, 0, 1, 2, 3}},
                                                  {20, 1, 1, 1, {6, 4, 5, 0, 1, 2, 3}},
                                                  {15, 1, 2, 4, {4, 0, 2, 6}},
                                                  {14, 2, 2, 3, {4, 0, 2}},
                                                  {9, 3, 4, 2, {4, 0}},
                                                  {5, 4, 4, 1, {0}},
                                                  {0, 7, 8, 1, {0}}};
    return profiles;
  }
  static unsigned Id(const Profile& p, unsigned start) {
    const unsigned first[] = {0, 7, 3, 0, 1, 0, 0, 0, 0};  // by size: 8, 4, 2, 1
    return p.size == 8 ? 0 : first[p.size] + start / p.size;
  }

  bool Fits(const Profile& p, unsigned start) const {
    unsigned slices = p.slices;
    unsigned same = 1;
    bool row[8] = {};
    // The one OFA engine belongs to the media profile or to the whole GPU.
    for (const auto& [id, instance] : instances) {
      const Profile& other = Profiles()[instance.profile];
      slices += other.slices;
      if (other.id == p.id) ++same;
      for (unsigned i = 0; i < other.size; ++i) row[instance.start + i] = true;
    }
    for (unsigned i = 0; i < p.size; ++i) {
      if (row[start + i]) return false;
    }
    return slices <= 7 && same <= p.most;
  }
  std::optional<unsigned> Create(unsigned profile) {
    const Profile& p = Profiles()[profile];
    for (const unsigned start : p.order) {
      if (!Fits(p, start)) continue;
      instances[Id(p, start)] = {profile, start, std::vector<bool>(p.slices)};
      return Id(p, start);
    }
    return std::nullopt;
  }
  unsigned Remaining(unsigned profile) const {
    Model trial = *this;
    unsigned count = 0;
    while (trial.Create(profile)) ++count;
    return count;
  }
  unsigned Devices() const {
    unsigned count = 0;
    for (const auto& [id, instance] : instances) {
      for (const bool used : instance.compute) count += used ? 1 : 0;
    }
    return count;
  }

  std::map<unsigned, Instance> instances;  // by GI id
};

TEST_F(NvmlInstances, AgreesWithATinyModel) {
  Start("a100-40gb-x8");
  const abi::Device gpu = Gpu(0);
  const bool good = rc::check([&](const std::vector<std::pair<unsigned, unsigned>>& steps) {
    Model model;
    RC_ASSERT(control().ResetGpu(0).ok());
    RC_ASSERT(SetMode(gpu, 1) == abi::kSuccess);
    for (const auto& [what, choice] : steps) {
      const unsigned profile = choice % static_cast<unsigned>(Model::Profiles().size());
      auto chosen = model.instances.begin();
      if (chosen != model.instances.end()) {
        std::advance(chosen, choice % model.instances.size());
      }
      abi::GpuInstance gi = nullptr;
      switch (what % 4) {
        case 0:
        case 1: {  // create an instance
          const auto expected = model.Create(profile);
          const int code = Create(gpu, Model::Profiles()[profile].id, &gi);
          RC_ASSERT(code == (expected ? abi::kSuccess : abi::kInsufficientResources));
          if (expected) RC_ASSERT(Id(gi) == *expected);
          break;
        }
        case 2: {  // create a one-slice compute instance
          if (chosen == model.instances.end()) break;
          RC_ASSERT(Call("nvmlDeviceGetGpuInstanceById", gpu, chosen->first, &gi) == abi::kSuccess);
          std::vector<bool>& used = chosen->second.compute;
          const auto free = std::find(used.begin(), used.end(), false);
          abi::ComputeInstance ci = nullptr;
          const int code = Call("nvmlGpuInstanceCreateComputeInstance", gi, 0u, &ci);
          RC_ASSERT(code == (free != used.end() ? abi::kSuccess : abi::kInsufficientResources));
          if (free != used.end()) *free = true;
          break;
        }
        default: {  // destroy: one compute instance, or the instance if it has none
          if (chosen == model.instances.end()) break;
          RC_ASSERT(Call("nvmlDeviceGetGpuInstanceById", gpu, chosen->first, &gi) == abi::kSuccess);
          std::vector<bool>& used = chosen->second.compute;
          const auto first = std::find(used.begin(), used.end(), true);
          const int code = Call("nvmlGpuInstanceDestroy", gi);
          RC_ASSERT(code == (first == used.end() ? abi::kSuccess : abi::kInUse));
          if (first == used.end()) {
            model.instances.erase(chosen);
            break;
          }
          abi::ComputeInstance ci = nullptr;
          const auto id = static_cast<unsigned>(first - used.begin());
          RC_ASSERT(Call("nvmlGpuInstanceGetComputeInstanceById", gi, id, &ci) == abi::kSuccess);
          RC_ASSERT(Call("nvmlComputeInstanceDestroy", ci) == abi::kSuccess);
          *first = false;
        }
      }
      RC_ASSERT(MigDeviceCount(gpu) == model.Devices());
      for (unsigned p = 0; p < Model::Profiles().size(); ++p) {
        unsigned remaining = 0;
        RC_ASSERT(Call("nvmlDeviceGetGpuInstanceRemainingCapacity", gpu, Model::Profiles()[p].id,
                       &remaining) == abi::kSuccess);
        RC_ASSERT(remaining == model.Remaining(p));
      }
    }
  });
  EXPECT_TRUE(good);
}

}  // namespace
}  // namespace aliquot::sim
