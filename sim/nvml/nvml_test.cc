// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Answers of the simulated NVML on GPUs without MIG, against those of a real H200 (driver 580).
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "sim/nvml/nvml_test_client.h"

namespace aliquot::sim {
namespace {

using NvmlBasics = NvmlTest;

TEST_F(NvmlBasics, CallsBeforeInitAreRefused) {
  unsigned count = 0;
  EXPECT_EQ(Call("nvmlDeviceGetCount_v2", &count), abi::kUninitialized);
  EXPECT_EQ(Call("nvmlShutdown"), abi::kUninitialized);
}

TEST_F(NvmlBasics, InitIsCounted) {
  Start("t4-x1");
  EXPECT_EQ(Call("nvmlInit"), abi::kSuccess);
  EXPECT_EQ(Call("nvmlInitWithFlags", 1u), abi::kSuccess);
  EXPECT_EQ(Call("nvmlShutdown"), abi::kSuccess);
  EXPECT_EQ(Call("nvmlShutdown"), abi::kSuccess);
  EXPECT_EQ(Number("nvmlDeviceGetIndex", Gpu(0)), 0u);
}

TEST_F(NvmlBasics, BadNodeFileIsAnErrorNotACrash) {
  const std::string path = testing::TempDir() + "/bad-node.yaml";
  std::ofstream(path) << "name: [";
  ::setenv("ALIQUOT_SIM_NODE", path.c_str(), 1);
  ::unsetenv("ALIQUOT_SIM_STATE");
  EXPECT_EQ(Call("nvmlInit_v2"), abi::kUnknown);
  ::setenv("ALIQUOT_SIM_NODE", "no-such-node", 1);
  EXPECT_EQ(Call("nvmlInit_v2"), abi::kDriverNotLoaded);
  ::unsetenv("ALIQUOT_SIM_NODE");
  EXPECT_EQ(Call("nvmlInit_v2"), abi::kDriverNotLoaded);
}

TEST_F(NvmlBasics, SaysThatItIsSimulated) {
  Start("a30-x2");
  auto* node = reinterpret_cast<const char* (*)()>(Symbol("aliquotSimulatedNode"));
  ASSERT_NE(node, nullptr);
  EXPECT_STREQ(node(), "a30-x2");
}

TEST_F(NvmlBasics, VersionsAndErrorStrings) {
  Start("t4-x1");
  char text[80];
  EXPECT_EQ(Call("nvmlSystemGetDriverVersion", &text[0], 80u), abi::kSuccess);
  EXPECT_STREQ(text, "580.159.04");
  EXPECT_EQ(Call("nvmlSystemGetDriverVersion", &text[0], 10u), abi::kInsufficientSize);
  EXPECT_EQ(Call("nvmlSystemGetDriverVersion", static_cast<char*>(nullptr), 80u),
            abi::kInvalidArgument);
  EXPECT_EQ(Call("nvmlSystemGetNVMLVersion", &text[0], 80u), abi::kSuccess);
  EXPECT_STREQ(text, "13.580.159.04");
  int cuda = 0;
  EXPECT_EQ(Call("nvmlSystemGetCudaDriverVersion_v2", &cuda), abi::kSuccess);
  EXPECT_EQ(cuda, 13000);
  auto* error = reinterpret_cast<const char* (*)(int)>(Symbol("nvmlErrorString"));
  EXPECT_STREQ(error(0), "Success");
  EXPECT_STREQ(error(15), "GPU is lost");
  EXPECT_STREQ(error(30), "Reset type is not supported for given device");
  EXPECT_STREQ(error(999), "Unknown Error");
  EXPECT_STREQ(error(-5), "Unknown Error");
}

TEST_F(NvmlBasics, GoldenAnswersOfAnH200WithMigOff) {
  Start("h200-x1");
  const abi::Device gpu = Gpu(0);
  abi::Device device = nullptr;
  EXPECT_EQ(Call("nvmlDeviceGetHandleByIndex_v2", 99u, &device), abi::kInvalidArgument);
  const auto by = [&](const char* call, const char* text) { return Call(call, text, &device); };
  EXPECT_EQ(by("nvmlDeviceGetHandleByUUID", "GPU-00000000-0000-0000-0000-000000000000"),
            abi::kNotFound);
  EXPECT_EQ(by("nvmlDeviceGetHandleByUUID", "nonsense"), abi::kNotFound);
  EXPECT_EQ(by("nvmlDeviceGetHandleByUUID", "MIG-nonsense"), abi::kNotFound);
  EXPECT_EQ(by("nvmlDeviceGetHandleByPciBusId_v2", "0000:99:00.0"), abi::kNotFound);
  EXPECT_EQ(by("nvmlDeviceGetHandleByPciBusId_v2", "nonsense"), abi::kInvalidArgument);
  unsigned current = 9;
  unsigned pending = 9;
  EXPECT_EQ(Call("nvmlDeviceGetMigMode", gpu, &current, &pending), abi::kSuccess);
  EXPECT_EQ(current, 0u);
  EXPECT_EQ(pending, 0u);
  EXPECT_EQ(Number("nvmlDeviceGetMaxMigDeviceCount", gpu), 0u);
  EXPECT_EQ(Call("nvmlDeviceGetMigDeviceHandleByIndex", gpu, 0u, &device), abi::kNotFound);
  abi::GpuInstance instances[7] = {};
  unsigned count = 7;
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstances", gpu, 19u, &instances[0], &count), abi::kSuccess);
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceById", gpu, 1u, &instances[0]), abi::kNotFound);
  unsigned number = 0;
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceId", gpu, &number), abi::kInvalidArgument);
  EXPECT_EQ(Call("nvmlDeviceGetComputeInstanceId", gpu, &number), abi::kInvalidArgument);
  EXPECT_EQ(Call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", gpu, &device),
            abi::kInvalidArgument);
  abi::DeviceAttributes attributes{};
  EXPECT_EQ(Call("nvmlDeviceGetAttributes_v2", gpu, &attributes), abi::kNotSupported);
  EXPECT_EQ(Number("nvmlDeviceIsMigDeviceHandle", gpu), 0u);
  EXPECT_EQ(Call("nvmlDeviceGetNumaNodeId", gpu, &number), abi::kNotSupported);
  abi::MemoryV2 memory{};
  EXPECT_EQ(Call("nvmlDeviceGetMemoryInfo_v2", gpu, &memory), abi::kFunctionNotFound);
  for (const unsigned link : {0u, 18u, 99u}) {
    EXPECT_EQ(Call("nvmlDeviceGetNvLinkState", gpu, link, &number), abi::kNotSupported);
  }
  unsigned long long errors = 9;
  for (unsigned location = 0; location < 9; ++location) {
    const int counted = location == 2 || location == 7 ? abi::kSuccess : abi::kNotSupported;
    EXPECT_EQ(Call("nvmlDeviceGetMemoryErrorCounter", gpu, 1u, 0u, location, &errors),
              location == 8 ? abi::kInvalidArgument : counted);
  }
  abi::FabricInfo fabric{};
  EXPECT_EQ(Call("nvmlDeviceGetGpuFabricInfo", gpu, &fabric), abi::kSuccess);
  EXPECT_EQ(fabric.state, 0u);
  EXPECT_EQ(Call("nvmlDeviceGetRetiredPages", gpu, 0u, &number,
                 static_cast<unsigned long long*>(nullptr)),
            abi::kNotSupported);
}

TEST_F(NvmlBasics, IdentityOfAnH200) {
  Start("h200-x1");
  const abi::Device gpu = Gpu(0);
  EXPECT_EQ(Text("nvmlDeviceGetName", gpu), "NVIDIA H200");
  EXPECT_EQ(Text("nvmlDeviceGetVbiosVersion", gpu), "96.00.A5.00.1A");
  EXPECT_EQ(Text("nvmlDeviceGetBoardPartNumber", gpu), "692-2G520-0282-001");
  EXPECT_EQ(Number("nvmlDeviceGetDisplayMode", gpu), 1u);
  EXPECT_EQ(Number("nvmlDeviceGetBrand", gpu), 14u);
  EXPECT_EQ(Number("nvmlDeviceGetArchitecture", gpu), 9u);
  EXPECT_EQ(Number("nvmlDeviceGetNumGpuCores", gpu), 16896u);
  int major = 0;
  int minor = 0;
  EXPECT_EQ(Call("nvmlDeviceGetCudaComputeCapability", gpu, &major, &minor), abi::kSuccess);
  EXPECT_EQ(major, 9);
  EXPECT_EQ(minor, 0);
  abi::MemoryV2 memory{};
  memory.version = abi::StructVersion<abi::MemoryV2>(2);
  EXPECT_EQ(Call("nvmlDeviceGetMemoryInfo_v2", gpu, &memory), abi::kSuccess);
  EXPECT_EQ(memory.total, 150754820096u);
  EXPECT_EQ(memory.reserved, 644939776u);
  EXPECT_EQ(memory.total, memory.reserved + memory.free + memory.used);
  EXPECT_EQ(Number("nvmlDeviceGetMemoryBusWidth", gpu), 6016u);
  EXPECT_EQ(Number("nvmlDeviceGetPerformanceState", gpu), 0u) << "also at rest";
  const unsigned clocks[] = {1980, 1980, 3201, 1545};
  for (unsigned type = 0; type < 4; ++type) {
    unsigned mhz = 0;
    EXPECT_EQ(Call("nvmlDeviceGetMaxClockInfo", gpu, type, &mhz), abi::kSuccess);
    EXPECT_EQ(mhz, clocks[type]);
  }
  abi::Memory first{};
  EXPECT_EQ(Call("nvmlDeviceGetMemoryInfo", gpu, &first), abi::kSuccess);
  EXPECT_EQ(first.used, memory.reserved + memory.used);
  abi::PciInfo pci{};
  EXPECT_EQ(Call("nvmlDeviceGetPciInfo_v3", gpu, &pci), abi::kSuccess);
  EXPECT_STREQ(pci.bus_id, "00000000:07:00.0");
  EXPECT_STREQ(pci.bus_id_legacy, "0000:07:00.0");
  EXPECT_EQ(pci.pci_device_id, 0x233510DEu);
  EXPECT_EQ(pci.pci_subsystem_id, 0x18BF10DEu);
  abi::Device device = nullptr;
  const std::string uuid = Text("nvmlDeviceGetUUID", gpu);
  EXPECT_EQ(Call("nvmlDeviceGetHandleByUUID", uuid.c_str(), &device), abi::kSuccess);
  EXPECT_EQ(device, gpu);
  EXPECT_EQ(Call("nvmlDeviceGetHandleByPciBusId_v2", static_cast<const char*>(pci.bus_id_legacy),
                 &device),
            abi::kSuccess);
  EXPECT_EQ(device, gpu);
}

// Callers compiled against the first versions have smaller structs behind their pointers.
TEST_F(NvmlBasics, OldVersionsWriteNoMoreThanTheirStruct) {
  Start("h200-x1");
  const abi::Device gpu = Gpu(0);
  unsigned char bytes[sizeof(abi::PciInfo)];
  const auto untouched_from = [&](const char* call) {
    std::memset(bytes, 0xAA, sizeof(bytes));
    EXPECT_EQ(Call(call, gpu, reinterpret_cast<abi::PciInfo*>(bytes)), abi::kSuccess);
    std::size_t end = sizeof(bytes);
    while (end > 0 && bytes[end - 1] == 0xAA) --end;
    return end;
  };
  EXPECT_EQ(untouched_from("nvmlDeviceGetPciInfo"), 32u);
  EXPECT_EQ(untouched_from("nvmlDeviceGetPciInfo_v2"), 36u);
  EXPECT_EQ(untouched_from("nvmlDeviceGetPciInfo_v3"), 68u);
}

// Exact figures of a real H200.
TEST_F(NvmlBasics, MigProfilesOfAnH200) {
  Start("h200-x1");
  const abi::Device gpu = Gpu(0);
  struct Row {
    unsigned index, id, slices, instances, multiprocessors, engines[5];
    unsigned long long memory;
    const char* name;
    const char* name_in_v3;
  };
  const Row rows[] = {
      {0x0, 19, 1, 7, 16, {1, 1, 0, 1, 0}, 16384, "MIG 1g.18gb", "MIG 7g.0gb"},
      {0x1, 14, 2, 3, 32, {2, 2, 0, 2, 0}, 33280, "MIG 2g.35gb", "MIG 3g.0gb"},
      {0x2, 9, 3, 2, 60, {3, 3, 0, 3, 0}, 71424, "MIG 3g.71gb", "MIG 2g.0gb"},
      {0x3, 5, 4, 1, 64, {4, 4, 0, 4, 0}, 71424, "MIG 4g.71gb", "MIG 1g.0gb"},
      {0x4, 0, 7, 1, 132, {8, 7, 0, 7, 1}, 143360, "MIG 7g.141gb", "MIG 1g.0gb"},
      {0x7, 20, 1, 1, 16, {1, 1, 0, 1, 1}, 16384, "MIG 1g.18gb+me", "MIG 1g.0gb+me"},
      {0x9, 15, 1, 4, 26, {1, 1, 0, 1, 0}, 33280, "MIG 1g.35gb", "MIG 4g.0gb"},
  };
  for (const Row& row : rows) {
    abi::GpuInstanceProfileInfoV2 info{};
    info.version = abi::StructVersion<abi::GpuInstanceProfileInfoV2>(2);
    ASSERT_EQ(Call("nvmlDeviceGetGpuInstanceProfileInfoV", gpu, row.index, &info), abi::kSuccess);
    EXPECT_EQ(info.version, 0u) << "the driver clears it";
    EXPECT_EQ(info.id, row.id);
    EXPECT_EQ(info.is_p2p_supported, 0u);
    EXPECT_EQ(info.slice_count, row.slices);
    EXPECT_EQ(info.instance_count, row.instances);
    EXPECT_EQ(info.multiprocessor_count, row.multiprocessors);
    EXPECT_EQ(info.copy_engine_count, row.engines[0]);
    EXPECT_EQ(info.decoder_count, row.engines[1]);
    EXPECT_EQ(info.encoder_count, row.engines[2]);
    EXPECT_EQ(info.jpeg_count, row.engines[3]);
    EXPECT_EQ(info.ofa_count, row.engines[4]);
    EXPECT_EQ(info.memory_size_mb, row.memory);
    EXPECT_STREQ(info.name, row.name);
    abi::GpuInstanceProfileInfo first{};
    ASSERT_EQ(Call("nvmlDeviceGetGpuInstanceProfileInfo", gpu, row.index, &first), abi::kSuccess);
    EXPECT_EQ(first.memory_size_mb, row.memory);
    abi::GpuInstanceProfileInfoV3 third{};
    third.version = abi::StructVersion<abi::GpuInstanceProfileInfoV3>(3);
    ASSERT_EQ(Call("nvmlDeviceGetGpuInstanceProfileInfoByIdV", gpu, row.id, &third), abi::kSuccess);
    EXPECT_EQ(third.memory_size_mb, row.memory);
    EXPECT_STREQ(third.name, "");
    EXPECT_STREQ(third.name + 8, row.name_in_v3);
  }
  abi::GpuInstanceProfileInfo info{};
  for (const unsigned index : {0x5u, 0x6u, 0x8u, 0xAu, 0x10u}) {
    EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceProfileInfo", gpu, index, &info), abi::kNotSupported);
  }
  for (const unsigned index : {0x11u, 0x12u, 0xFFFFFFFFu}) {
    EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceProfileInfo", gpu, index, &info),
              abi::kInvalidArgument);
  }
  abi::GpuInstanceProfileInfoV2 wrong{};
  wrong.version = 7;
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceProfileInfoV", gpu, 0u, &wrong), abi::kInvalidArgument);
}

TEST_F(NvmlBasics, PlacementsAndCapacityWorkWithMigOff) {
  Start("h200-x1");
  const abi::Device gpu = Gpu(0);
  unsigned count = 0;
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstancePossiblePlacements_v2", gpu, 19u,
                 static_cast<abi::Placement*>(nullptr), &count),
            abi::kSuccess);
  ASSERT_EQ(count, 7u);
  abi::Placement placements[7];
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstancePossiblePlacements_v2", gpu, 19u, &placements[0], &count),
            abi::kSuccess);
  for (unsigned i = 0; i < 7; ++i) {
    EXPECT_EQ(placements[i].start, i);
    EXPECT_EQ(placements[i].size, 1u);
  }
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstancePossiblePlacements_v2", gpu, 77u, &placements[0], &count),
            abi::kInvalidArgument);
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceRemainingCapacity", gpu, 77u, &count),
            abi::kInvalidArgument);
  abi::GpuInstance instances[7];
  count = 7;
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstances", gpu, 77u, &instances[0], &count),
            abi::kInvalidArgument);
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceRemainingCapacity", gpu, 9u, &count), abi::kSuccess);
  EXPECT_EQ(count, 2u);
}

TEST_F(NvmlBasics, GpusWithoutMigSaySo) {
  Start("t4-x1");
  const abi::Device gpu = Gpu(0);
  unsigned current = 0;
  unsigned pending = 0;
  EXPECT_EQ(Call("nvmlDeviceGetMigMode", gpu, &current, &pending), abi::kNotSupported);
  EXPECT_EQ(Number("nvmlDeviceGetMaxMigDeviceCount", gpu), 0u);
  abi::GpuInstanceProfileInfo info{};
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceProfileInfo", gpu, 0u, &info), abi::kNotSupported);
  EXPECT_EQ(Call("nvmlDeviceGetGpuInstanceRemainingCapacity", gpu, 77u, &current),
            abi::kNotSupported);
}

// Every function with any argument null or garbage: an error, never a crash.
TEST_F(NvmlBasics, NullAndGarbageAreRefused) {
  Start("a100-40gb-x8-mig");
  const char* const calls[] = {"nvmlDeviceGetName",
                               "nvmlDeviceGetUUID",
                               "nvmlDeviceGetMinorNumber",
                               "nvmlDeviceGetIndex",
                               "nvmlDeviceGetMigMode",
                               "nvmlDeviceGetMemoryInfo",
                               "nvmlDeviceGetMemoryInfo_v2",
                               "nvmlDeviceGetPciInfo",
                               "nvmlDeviceGetPciInfo_v3",
                               "nvmlDeviceGetCudaComputeCapability",
                               "nvmlDeviceGetMaxMigDeviceCount",
                               "nvmlDeviceGetMigDeviceHandleByIndex",
                               "nvmlDeviceIsMigDeviceHandle",
                               "nvmlDeviceGetAttributes_v2",
                               "nvmlDeviceGetGpuInstanceById",
                               "nvmlDeviceGetGpuInstanceProfileInfo",
                               "nvmlDeviceGetGpuInstanceProfileInfoV",
                               "nvmlDeviceGetGpuInstancePossiblePlacements_v2",
                               "nvmlDeviceGetGpuInstanceRemainingCapacity",
                               "nvmlDeviceGetGpuInstances",
                               "nvmlDeviceGetNvLinkState",
                               "nvmlDeviceGetNvLinkRemotePciInfo_v2",
                               "nvmlDeviceGetTopologyCommonAncestor",
                               "nvmlDeviceGetBrand",
                               "nvmlDeviceGetArchitecture",
                               "nvmlDeviceGetTemperature",
                               "nvmlDeviceGetTemperatureV",
                               "nvmlDeviceGetPowerUsage",
                               "nvmlDeviceGetClockInfo",
                               "nvmlDeviceGetPerformanceState",
                               "nvmlDeviceGetBAR1MemoryInfo",
                               "nvmlDeviceGetTotalEccErrors",
                               "nvmlDeviceGetEccMode",
                               "nvmlDeviceGetFieldValues",
                               "nvmlDeviceGetComputeRunningProcesses_v3",
                               "nvmlDeviceGetSupportedEventTypes",
                               "nvmlGpuInstanceGetInfo",
                               "nvmlGpuInstanceGetComputeInstanceById",
                               "nvmlGpuInstanceGetComputeInstances",
                               "nvmlComputeInstanceGetInfo_v2",
                               "nvmlDeviceGetSerial",
                               "nvmlDeviceGetVbiosVersion",
                               "nvmlGpmQueryDeviceSupport"};
  using Words = std::uintptr_t;
  const Words garbage[] = {0,
                           1,
                           0x1000,
                           ~Words{0},
                           Words{0x41} << 56 | 0xFFFFFFFF,
                           Words{0x42} << 56 | 0x10000 | 0x2FF,
                           Words{0x43} << 56 | 0x1000F};
  for (const char* call : calls) {
    for (const Words handle : garbage) {
      EXPECT_EQ(Call(call, handle, Words{0}, Words{0}, Words{0}), abi::kInvalidArgument)
          << call << " " << handle;
    }
    const auto gpu = reinterpret_cast<Words>(Gpu(0));
    const int answer = Call(call, gpu, Words{0}, Words{0}, Words{0});
    EXPECT_TRUE(answer == abi::kInvalidArgument || answer == abi::kNotSupported)
        << call << " " << answer;
  }
}

TEST_F(NvmlBasics, TopologyOfAnHgxBoard) {
  Start("a100-40gb-x8");
  unsigned level = 99;
  const auto ancestor = [&](unsigned a, unsigned b) {
    EXPECT_EQ(Call("nvmlDeviceGetTopologyCommonAncestor", Gpu(a), Gpu(b), &level), abi::kSuccess);
    return level;
  };
  EXPECT_EQ(Call("nvmlDeviceGetTopologyCommonAncestor", Gpu(0), Gpu(0), &level),
            abi::kNotSupported);
  EXPECT_EQ(ancestor(0, 1), 20u);
  EXPECT_EQ(ancestor(0, 2), 40u);
  EXPECT_EQ(ancestor(0, 7), 50u);
  unsigned active = 0;
  for (unsigned link = 0; link < 12; ++link) {
    EXPECT_EQ(Call("nvmlDeviceGetNvLinkState", Gpu(0), link, &active), abi::kSuccess);
    EXPECT_EQ(active, 1u);
    abi::PciInfo pci{};
    EXPECT_EQ(Call("nvmlDeviceGetNvLinkRemotePciInfo_v2", Gpu(0), link, &pci), abi::kSuccess);
    EXPECT_EQ(pci.pci_device_id, 0x1AF110DEu) << "an NVSwitch";
  }
  EXPECT_EQ(Call("nvmlDeviceGetNvLinkState", Gpu(0), 12u, &active), abi::kInvalidArgument);
}

TEST_F(NvmlBasics, LinksOfAnH200) {
  Start("h200-x8");
  const abi::Device gpu = Gpu(0);
  unsigned number = 0;
  for (const unsigned link : {0u, 1u, 17u}) {
    EXPECT_EQ(Call("nvmlDeviceGetNvLinkState", gpu, link, &number), abi::kSuccess);
    EXPECT_EQ(number, 1u);
    EXPECT_EQ(Call("nvmlDeviceGetNvLinkVersion", gpu, link, &number), abi::kSuccess);
    EXPECT_EQ(number, 6u) << "NVML_NVLINK_VERSION_4_0";
    for (unsigned capability = 0; capability < 6; ++capability) {
      EXPECT_EQ(Call("nvmlDeviceGetNvLinkCapability", gpu, link, capability, &number),
                abi::kSuccess);
      EXPECT_EQ(number, 1u) << capability;
    }
    EXPECT_EQ(Call("nvmlDeviceGetNvLinkCapability", gpu, link, 6u, &number), abi::kInvalidArgument);
  }
  EXPECT_EQ(Call("nvmlDeviceGetNvLinkState", gpu, 18u, &number), abi::kInvalidArgument);
}

TEST_F(NvmlBasics, BridgesJoinTheBoardsTheNodeFileNames) {
  Start("a30-x2");
  abi::PciInfo pci{};
  EXPECT_EQ(Call("nvmlDeviceGetNvLinkRemotePciInfo_v2", Gpu(0), 3u, &pci), abi::kSuccess);
  abi::PciInfo peer{};
  EXPECT_EQ(Call("nvmlDeviceGetPciInfo_v3", Gpu(1), &peer), abi::kSuccess);
  EXPECT_STREQ(pci.bus_id, peer.bus_id);
}

TEST_F(NvmlBasics, ProcessesAndTheirMemory) {
  Start("t4-x1");
  ProcessOptions options;
  options.pid = 4242;
  options.sm_percent = 60;
  options.name = "train";
  ASSERT_TRUE(control().AddProcess(options, 1 << 30).ok());
  unsigned count = 0;
  abi::ProcessInfo* none = nullptr;
  EXPECT_EQ(Call("nvmlDeviceGetComputeRunningProcesses_v3", Gpu(0), &count, none),
            abi::kInsufficientSize);
  ASSERT_EQ(count, 1u);
  abi::ProcessInfo info{};
  EXPECT_EQ(Call("nvmlDeviceGetComputeRunningProcesses_v3", Gpu(0), &count, &info), abi::kSuccess);
  EXPECT_EQ(info.pid, 4242u);
  EXPECT_EQ(info.used_gpu_memory, 1u << 30);
  EXPECT_EQ(info.gpu_instance_id, 0xFFFFFFFFu);
  abi::Utilization utilization{};
  EXPECT_EQ(Call("nvmlDeviceGetUtilizationRates", Gpu(0), &utilization), abi::kSuccess);
  EXPECT_EQ(utilization.gpu, 60u);
  char name[64];
  EXPECT_EQ(Call("nvmlSystemGetProcessName", 4242u, &name[0], 64u), abi::kSuccess);
  EXPECT_STREQ(name, "train");
}

TEST_F(NvmlBasics, EveryBundledNodeIsServed) {
  for (const std::string& name : BundledNodeNames()) {
    Start(name);
    unsigned count = 0;
    EXPECT_EQ(Call("nvmlDeviceGetCount_v2", &count), abi::kSuccess);
    EXPECT_EQ(count, control().node().gpus.size());
    for (unsigned i = 0; i < count; ++i) {
      EXPECT_EQ(Text("nvmlDeviceGetName", Gpu(i)), control().node().gpus[i].product->name);
      EXPECT_EQ(Number("nvmlDeviceGetMinorNumber", Gpu(i)), i);
    }
    Shutdown();
    std::filesystem::remove_all(directory());
  }
}

}  // namespace
}  // namespace aliquot::sim
