// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// MIG devices of the simulated NVML.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/nvml/nvml_test_client.h"

namespace aliquot::sim {
namespace {

using NvmlMig = NvmlTest;

// GPU 3 of this node: [3g.20gb, 2g.10gb, 1g.5gb, 1g.5gb].
constexpr unsigned kMixed = 3;

TEST_F(NvmlMig, DevicesOfAConfiguredGpu) {
  Start("a100-40gb-x8-mig");
  EXPECT_EQ(Number("nvmlDeviceGetMaxMigDeviceCount", Gpu(kMixed)), 7u);
  struct Row {
    unsigned gi, multiprocessors, gi_slices;
    unsigned long long memory;
    const char* name;
  };
  const Row rows[] = {{2, 42, 3, 19968, "3g.20gb"},
                      {3, 28, 2, 9856, "2g.10gb"},
                      {9, 14, 1, 4864, "1g.5gb"},
                      {10, 14, 1, 4864, "1g.5gb"}};
  unsigned index = 0;
  for (const Row& row : rows) {
    const abi::Device mig = Mig(kMixed, index);
    EXPECT_EQ(Number("nvmlDeviceIsMigDeviceHandle", mig), 1u);
    EXPECT_EQ(Number("nvmlDeviceGetIndex", mig), index++);
    EXPECT_EQ(Number("nvmlDeviceGetGpuInstanceId", mig), row.gi);
    EXPECT_EQ(Number("nvmlDeviceGetComputeInstanceId", mig), 0u);
    EXPECT_EQ(Text("nvmlDeviceGetName", mig), std::string("NVIDIA A100-SXM4-40GB MIG ") + row.name);
    abi::DeviceAttributes attributes{};
    EXPECT_EQ(Call("nvmlDeviceGetAttributes_v2", mig, &attributes), abi::kSuccess);
    EXPECT_EQ(attributes.multiprocessor_count, row.multiprocessors);
    EXPECT_EQ(attributes.gpu_instance_slice_count, row.gi_slices);
    EXPECT_EQ(attributes.compute_instance_slice_count, row.gi_slices);
    EXPECT_EQ(attributes.memory_size_mb, row.memory);
    abi::Memory memory{};
    EXPECT_EQ(Call("nvmlDeviceGetMemoryInfo", mig, &memory), abi::kSuccess);
    EXPECT_EQ(memory.total, row.memory << 20);
    abi::Device parent = nullptr;
    EXPECT_EQ(Call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", mig, &parent), abi::kSuccess);
    EXPECT_EQ(parent, Gpu(kMixed));
    const std::string uuid = Text("nvmlDeviceGetUUID", mig);
    EXPECT_TRUE(uuid.starts_with("MIG-"));
    EXPECT_EQ(uuid[18], '5') << "a name-based UUID";
    abi::Device found = nullptr;
    EXPECT_EQ(Call("nvmlDeviceGetHandleByUUID", uuid.c_str(), &found), abi::kSuccess);
    EXPECT_EQ(found, mig);
  }
  abi::Device none = nullptr;
  EXPECT_EQ(Call("nvmlDeviceGetMigDeviceHandleByIndex", Gpu(kMixed), index, &none), abi::kNotFound);
}

TEST_F(NvmlMig, InstancesBehindADevice) {
  Start("a100-40gb-x8-mig");
  abi::GpuInstance gi = nullptr;
  ASSERT_EQ(Call("nvmlDeviceGetGpuInstanceById", Gpu(kMixed), 3u, &gi), abi::kSuccess);
  abi::GpuInstanceInfo info{};
  EXPECT_EQ(Call("nvmlGpuInstanceGetInfo", gi, &info), abi::kSuccess);
  EXPECT_EQ(info.device, Gpu(kMixed));
  EXPECT_EQ(info.id, 3u);
  EXPECT_EQ(info.profile_id, 14u);
  EXPECT_EQ(info.placement.start, 0u);
  EXPECT_EQ(info.placement.size, 2u);
  abi::ComputeInstance ci = nullptr;
  ASSERT_EQ(Call("nvmlGpuInstanceGetComputeInstanceById", gi, 0u, &ci), abi::kSuccess);
  EXPECT_EQ(Call("nvmlGpuInstanceGetComputeInstanceById", gi, 1u, &ci), abi::kNotFound);
  abi::ComputeInstanceInfo compute{};
  EXPECT_EQ(Call("nvmlComputeInstanceGetInfo_v2", ci, &compute), abi::kSuccess);
  EXPECT_EQ(compute.gpu_instance, gi);
  EXPECT_EQ(compute.profile_id, 1u);
  EXPECT_EQ(compute.placement.size, 2u);
  abi::ComputeInstanceProfileInfo profile{};
  EXPECT_EQ(Call("nvmlGpuInstanceGetComputeInstanceProfileInfo", gi, 1u, 0u, &profile),
            abi::kSuccess);
  EXPECT_EQ(profile.multiprocessor_count, 28u);
  EXPECT_EQ(Call("nvmlGpuInstanceGetComputeInstanceProfileInfo", gi, 4u, 0u, &profile),
            abi::kNotSupported);
  EXPECT_EQ(Call("nvmlGpuInstanceGetComputeInstanceProfileInfo", gi, 9u, 0u, &profile),
            abi::kInvalidArgument);
  EXPECT_EQ(Call("nvmlGpuInstanceGetComputeInstanceProfileInfo", gi, 0u, 1u, &profile),
            abi::kInvalidArgument);
}

TEST_F(NvmlMig, EnumeratesInstancesByProfile) {
  Start("a100-40gb-x8-mig");
  abi::GpuInstance instances[7] = {};
  unsigned count = 0;
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstances", Gpu(kMixed), 19u, &instances[0], &count),
            abi::kSuccess);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceRemainingCapacity", Gpu(kMixed), 19u, &count),
            abi::kSuccess);
  EXPECT_EQ(count, 0u) << "seven compute slices are in use";
}

TEST_F(NvmlMig, WhatMigDevicesDoNotAnswer) {
  Start("a100-40gb-x8-mig");
  const abi::Device mig = Mig(kMixed, 0);
  abi::Utilization utilization{};
  EXPECT_EQ(Call("nvmlDeviceGetUtilizationRates", mig, &utilization), abi::kNotSupported);
  EXPECT_EQ(Call("nvmlDeviceGetUtilizationRates", Gpu(kMixed), &utilization), abi::kNotSupported);
  EXPECT_EQ(Call("nvmlDeviceGetUtilizationRates", Gpu(0), &utilization), abi::kSuccess);
  abi::Device inner = nullptr;
  EXPECT_EQ(Call("nvmlDeviceGetMigDeviceHandleByIndex", mig, 0u, &inner), abi::kInvalidArgument);
  EXPECT_EQ(Call("nvmlDeviceSetComputeMode", Gpu(kMixed), 3u), abi::kNotSupported);
  EXPECT_EQ(Call("nvmlDeviceSetComputeMode", Gpu(0), 3u), abi::kSuccess);
  EXPECT_EQ(Number("nvmlDeviceGetComputeMode", Gpu(0)), 3u);
}

TEST_F(NvmlMig, ProcessesBelongToTheirInstance) {
  Start("a100-40gb-x8-mig");
  ProcessOptions options;
  options.pid = 11;
  options.gpu = kMixed;
  options.gi = 2;
  options.ci = 0;
  ASSERT_TRUE(control().AddProcess(options, 64 << 20).ok());
  abi::ProcessInfo infos[2];
  unsigned count = 2;
  EXPECT_EQ(Call("nvmlDeviceGetComputeRunningProcesses_v3", Mig(kMixed, 0), &count, &infos[0]),
            abi::kSuccess);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(infos[0].gpu_instance_id, 2u);
  count = 2;
  EXPECT_EQ(Call("nvmlDeviceGetComputeRunningProcesses_v3", Mig(kMixed, 1), &count, &infos[0]),
            abi::kSuccess);
  EXPECT_EQ(count, 0u);
  count = 2;
  EXPECT_EQ(Call("nvmlDeviceGetComputeRunningProcesses_v3", Gpu(kMixed), &count, &infos[0]),
            abi::kSuccess);
  EXPECT_EQ(count, 1u) << "the GPU shows all";
}

}  // namespace
}  // namespace aliquot::sim
