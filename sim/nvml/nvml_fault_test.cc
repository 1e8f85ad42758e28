// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Events and faults of the simulated NVML.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <string>

#include "sim/nvml/nvml_test_client.h"

namespace aliquot::sim {
namespace {

class NvmlFaults : public NvmlTest {
 protected:
  abi::EventSet Listen(unsigned gpu, unsigned long long types = abi::kEventXidCritical) {
    abi::EventSet set = nullptr;
    EXPECT_EQ(Call("nvmlEventSetCreate", &set), abi::kSuccess);
    EXPECT_EQ(Call("nvmlDeviceRegisterEvents", Gpu(gpu), types, set), abi::kSuccess);
    return set;
  }
  int Wait(abi::EventSet set, abi::EventData* data, unsigned timeout_ms) {
    return Call("nvmlEventSetWait_v2", set, data, timeout_ms);
  }
};

TEST_F(NvmlFaults, EventsReachTheirListenersInOrder) {
  Start("a100-40gb-x8");
  const abi::EventSet set = Listen(1);
  abi::EventData data{};
  EXPECT_EQ(Wait(set, &data, 0), abi::kTimeout);
  ASSERT_TRUE(control().RaiseXid(0, 13, {}, {}).ok());
  ASSERT_TRUE(control().RaiseXid(1, 48, {}, {}).ok());
  ASSERT_TRUE(control().RaiseXid(1, 94, 2, 0).ok());
  ASSERT_EQ(Wait(set, &data, 0), abi::kSuccess);
  EXPECT_EQ(data.device, Gpu(1));
  EXPECT_EQ(data.event_type, abi::kEventXidCritical);
  EXPECT_EQ(data.event_data, 48u);
  EXPECT_EQ(data.gpu_instance_id, abi::kNoInstance);
  ASSERT_EQ(Wait(set, &data, 0), abi::kSuccess);
  EXPECT_EQ(data.event_data, 94u);
  EXPECT_EQ(data.gpu_instance_id, 2u);
  EXPECT_EQ(data.compute_instance_id, 0u);
  EXPECT_EQ(Wait(set, &data, 1), abi::kTimeout);
  EXPECT_EQ(Call("nvmlEventSetFree", set), abi::kSuccess);
  EXPECT_EQ(Wait(set, &data, 0), abi::kInvalidArgument);
}

TEST_F(NvmlFaults, RegistrationIsChecked) {
  Start("a100-40gb-x8-mig");
  unsigned long long types = 0;
  EXPECT_EQ(Call("nvmlDeviceGetSupportedEventTypes", Gpu(0), &types), abi::kSuccess);
  EXPECT_EQ(types, 0xFF9Fu);
  abi::EventSet set = nullptr;
  ASSERT_EQ(Call("nvmlEventSetCreate", &set), abi::kSuccess);
  EXPECT_EQ(Call("nvmlDeviceRegisterEvents", Gpu(0), 0x20ull, set), abi::kSuccess);
  EXPECT_EQ(Call("nvmlDeviceRegisterEvents", Gpu(0), 0x10000ull, set), abi::kNotSupported);
  EXPECT_EQ(Call("nvmlDeviceRegisterEvents", Mig(3, 0), 0x8ull, set), abi::kNotSupported);
  EXPECT_EQ(Call("nvmlDeviceRegisterEvents", Gpu(0), 0x8ull, abi::EventSet{}),
            abi::kInvalidArgument);
}

TEST_F(NvmlFaults, WaiterWakesForAnEventOfAnotherProcess) {
  Start("t4-x1");
  const abi::EventSet set = Listen(0);
  abi::EventData data{};
  auto waiter = std::async(std::launch::async, [&] { return Wait(set, &data, 60000); });
  const pid_t pid = ::fork();
  if (pid == 0) {
    const auto other = Control::Open(directory(), "");
    ::_exit(other.ok() && (*other)->RaiseXid(0, 31, {}, {}).ok() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(waiter.get(), abi::kSuccess);
  EXPECT_EQ(data.event_data, 31u);
}

TEST_F(NvmlFaults, ShutdownEndsAWait) {
  Start("t4-x1");
  const abi::EventSet set = Listen(0);
  abi::EventData data{};
  auto waiter = std::async(std::launch::async, [&] { return Wait(set, &data, 60000); });
  Shutdown();
  EXPECT_EQ(waiter.get(), abi::kUninitialized);
}

TEST_F(NvmlFaults, TimeoutIsHonoured) {
  Start("t4-x1");
  const abi::EventSet set = Listen(0);
  abi::EventData data{};
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Wait(set, &data, 30), abi::kTimeout);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(30));
}

TEST_F(NvmlFaults, FloodKeepsTheNewestEvents) {
  Start("t4-x1");
  const abi::EventSet set = Listen(0);
  for (unsigned n = 0; n < kMaxEvents + 10; ++n) {
    ASSERT_TRUE(control().RaiseXid(0, n, {}, {}).ok());
  }
  abi::EventData data{};
  ASSERT_EQ(Wait(set, &data, 0), abi::kSuccess);
  EXPECT_EQ(data.event_data, 10u);
}

TEST_F(NvmlFaults, OldEventStructIsNotOverrun) {
  Start("t4-x1");
  const abi::EventSet set = Listen(0);
  ASSERT_TRUE(control().RaiseXid(0, 13, {}, {}).ok());
  abi::EventData data{};
  data.gpu_instance_id = 0x12345678;
  EXPECT_EQ(Call("nvmlEventSetWait", set, reinterpret_cast<abi::EventDataV1*>(&data), 0u),
            abi::kSuccess);
  EXPECT_EQ(data.event_data, 13u);
  EXPECT_EQ(data.gpu_instance_id, 0x12345678u);
}

TEST_F(NvmlFaults, LostGpuFailsAloneAndComesBack) {
  Start("t4-x4");
  const abi::Device lost = Gpu(2);
  const abi::EventSet set = Listen(2);
  ASSERT_TRUE(control().Lose(2).ok());
  char text[96];
  EXPECT_EQ(Call("nvmlDeviceGetName", lost, &text[0], 96u), abi::kGpuIsLost);
  abi::Device device = nullptr;
  EXPECT_EQ(Call("nvmlDeviceGetHandleByIndex_v2", 2u, &device), abi::kGpuIsLost);
  EXPECT_EQ(Text("nvmlDeviceGetName", Gpu(1)), "Tesla T4");
  unsigned count = 0;
  EXPECT_EQ(Call("nvmlDeviceGetCount_v2", &count), abi::kSuccess);
  EXPECT_EQ(count, 4u);
  abi::EventData data{};
  EXPECT_EQ(Wait(set, &data, 0), abi::kSuccess);
  EXPECT_EQ(data.event_data, 79u);
  ASSERT_TRUE(control().Restore(2).ok());
  EXPECT_EQ(Text("nvmlDeviceGetName", lost), "Tesla T4");
}

TEST_F(NvmlFaults, NamedCallsFailAsOftenAsAsked) {
  Start("t4-x4");
  ASSERT_TRUE(control().FailCall("nvmlDeviceGetMemoryInfo", 999, 1, 2).ok());
  abi::Memory memory{};
  EXPECT_EQ(Call("nvmlDeviceGetMemoryInfo", Gpu(0), &memory), abi::kSuccess);
  EXPECT_EQ(Call("nvmlDeviceGetMemoryInfo", Gpu(1), &memory), abi::kUnknown);
  EXPECT_EQ(Call("nvmlDeviceGetMemoryInfo", Gpu(1), &memory), abi::kUnknown);
  EXPECT_EQ(Call("nvmlDeviceGetMemoryInfo", Gpu(1), &memory), abi::kSuccess);
  ASSERT_TRUE(control().FailCall("nvmlDeviceGetCount", 17, {}, 0).ok());
  unsigned count = 0;
  EXPECT_EQ(Call("nvmlDeviceGetCount_v2", &count), 17);
  EXPECT_EQ(Call("nvmlDeviceGetCount", &count), 17);
  control().Reset();
  EXPECT_EQ(Call("nvmlDeviceGetCount_v2", &count), abi::kSuccess);
  EXPECT_FALSE(control().FailCall("DeviceGetCount", 17, {}, 0).ok());
  EXPECT_FALSE(control().FailCall("nvmlInit", 0, {}, 0).ok());
  EXPECT_FALSE(control().FailCall("nvmlInit", 9, 4, 0).ok());
}

TEST_F(NvmlFaults, SlowCallsTakeTheirTime) {
  Start("t4-x1");
  const abi::Device gpu = Gpu(0);
  ASSERT_TRUE(control().DelayCall("nvmlDeviceGetUUID", 40, {}).ok());
  const auto start = std::chrono::steady_clock::now();
  Text("nvmlDeviceGetUUID", gpu);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(40));
}

TEST_F(NvmlFaults, HangingCallsEndWhenFaultsAreCleared) {
  Start("t4-x1");
  const abi::Device gpu = Gpu(0);
  ASSERT_TRUE(control().DelayCall("nvmlDeviceGetUUID", 0, {}).ok());
  auto hanging = std::async(std::launch::async, [&] { return Text("nvmlDeviceGetUUID", gpu); });
  EXPECT_EQ(hanging.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  EXPECT_EQ(Text("nvmlDeviceGetName", gpu), "Tesla T4") << "others are not held up";
  control().Reset();
  EXPECT_TRUE(hanging.get().starts_with("GPU-"));
}

TEST_F(NvmlFaults, UnloadedDriverComesBackForNewSessions) {
  Start("t4-x1");
  const abi::Device old = Gpu(0);
  control().Unload();
  unsigned count = 0;
  EXPECT_EQ(Call("nvmlDeviceGetCount_v2", &count), abi::kDriverNotLoaded);
  Shutdown();
  EXPECT_EQ(Call("nvmlInit_v2"), abi::kDriverNotLoaded);
  ASSERT_TRUE(control().Load("").ok());
  Init();
  EXPECT_EQ(Call("nvmlDeviceGetCount_v2", &count), abi::kSuccess);
  char text[96];
  EXPECT_EQ(Call("nvmlDeviceGetName", old, &text[0], 96u), abi::kInvalidArgument)
      << "handles end with the driver they came from";
}

TEST_F(NvmlFaults, AnotherDriverVersionIsAMismatchForOldSessions) {
  Start("a100-40gb-x8-mig");
  const abi::EventSet set = Listen(0);
  ASSERT_TRUE(control().Reload("590.10.01").ok());
  unsigned count = 0;
  EXPECT_EQ(Call("nvmlDeviceGetCount_v2", &count), abi::kLibRmVersionMismatch);
  abi::EventData data{};
  EXPECT_EQ(Wait(set, &data, 60000), abi::kLibRmVersionMismatch);
  Shutdown();
  Init();
  char text[80];
  EXPECT_EQ(Call("nvmlSystemGetDriverVersion", &text[0], 80u), abi::kSuccess);
  EXPECT_STREQ(text, "590.10.01");
  unsigned current = 0;
  unsigned pending = 0;
  EXPECT_EQ(Call("nvmlDeviceGetMigMode", Gpu(3), &current, &pending), abi::kSuccess);
  EXPECT_EQ(current, 1u) << "Ampere keeps the mode";
  abi::Device mig = nullptr;
  EXPECT_EQ(Call("nvmlDeviceGetMigDeviceHandleByIndex", Gpu(3), 0u, &mig), abi::kNotFound)
      << "but not the instances";
}

TEST_F(NvmlFaults, EccErrorsCountAndTell) {
  Start("a100-40gb-x8");
  const abi::EventSet set = Listen(4, abi::kEventSingleBitEcc | abi::kEventDoubleBitEcc);
  ASSERT_TRUE(control().AddEccErrors(4, 5, 1).ok());
  unsigned long long errors = 0;
  EXPECT_EQ(Call("nvmlDeviceGetTotalEccErrors", Gpu(4), 0u, 0u, &errors), abi::kSuccess);
  EXPECT_EQ(errors, 5u);
  EXPECT_EQ(Call("nvmlDeviceGetTotalEccErrors", Gpu(4), 1u, 1u, &errors), abi::kSuccess);
  EXPECT_EQ(errors, 1u);
  abi::EventData data{};
  EXPECT_EQ(Wait(set, &data, 0), abi::kSuccess);
  EXPECT_EQ(data.event_type, abi::kEventSingleBitEcc);
  EXPECT_EQ(Wait(set, &data, 0), abi::kSuccess);
  EXPECT_EQ(data.event_type, abi::kEventDoubleBitEcc);
}

}  // namespace
}  // namespace aliquot::sim
