// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "sim/cuda/testing/program.h"

// Scenarios that play together with other processes; the test starts several and speaks to them.
namespace aliquot::sim::cuda::testing {
namespace {

std::uint64_t Number(const Arguments& arguments, std::size_t index) {
  return index < arguments.size() ? std::stoull(arguments[index]) : 0;
}

// Holds so many MiB until told to go, or killed.
void Hold(const Arguments& arguments) {
  Start();
  CUdeviceptr address = 0;
  const CUresult result = Cu("cuMemAlloc_v2", &address, size_t{Number(arguments, 0)} << 20);
  Say(std::to_string(static_cast<int>(result)));
  Hear();
}

// The free memory, in MiB, with a context of our own.
void Free() {
  Start();
  Say(std::to_string(Memory().free >> 20));
}

// Free and total memory, in MiB, with a context of our own.
void Sizes() {
  Start();
  const MemoryInfo memory = Memory();
  Say(std::to_string(memory.free >> 20) + " " + std::to_string(memory.total >> 20));
}

// Keeps the GPU busy until killed: kernels of so many microseconds, eight at a time, then a
// synchronisation ("sync") or always some more in the queue.
void Spin(const Arguments& arguments) {
  Start();
  const CUfunction spin = Kernel("spin");
  const std::uint64_t nanoseconds = Number(arguments, 0) * 1000;
  const bool synchronous = arguments.size() > 1 && arguments[1] == "sync";
  constexpr int kDepth = 6;
  CUevent events[kDepth];
  for (CUevent& event : events) EXPECT_OK(Cu("cuEventCreate", &event, 2u));
  Say("ready");
  Hear();
  for (unsigned round = 0;; ++round) {
    CUevent& event = events[round % kDepth];
    if (!synchronous) EXPECT_OK(Cu("cuEventSynchronize", event));
    for (int i = 0; i < 8; ++i) EXPECT_OK(LaunchSpin(spin, nanoseconds, CUstream{}));
    EXPECT_OK(Cu("cuEventRecord", event, CUstream{}));
    if (synchronous) EXPECT_OK(Cu("cuStreamSynchronize", CUstream{}));
  }
}

// Begins as a good program does, and goes on with the library at the end of the arguments.
void Cheat(const Arguments& arguments) {
  Start();
  Reopen(arguments.back());
  Spin(arguments);
}

// Allocates, frees and launches without end, to be killed at any point.
void Churn() {
  Say("ready");
  Start();
  const CUfunction spin = Kernel("spin");
  CUstream stream = nullptr;
  EXPECT_OK(Cu("cuStreamCreate", &stream, 1u));
  for (std::uint64_t round = 0;; ++round) {
    CUdeviceptr plain = 0, async = 0;
    EXPECT_OK(Cu("cuMemAlloc_v2", &plain, static_cast<size_t>((round % 64 + 1) << 20)));
    EXPECT_OK(Cu("cuMemAllocAsync", &async, static_cast<size_t>((round % 8 + 1) << 20), stream));
    EXPECT_OK(LaunchSpin(spin, 300'000, stream));
    EXPECT_OK(Cu("cuMemFreeAsync", async, stream));
    if (round % 4 == 0) EXPECT_OK(Cu("cuStreamSynchronize", stream));
    EXPECT_OK(Cu("cuMemFree_v2", plain));
    if (round % 16 == 15) {
      CUcontext context = nullptr;
      EXPECT_OK(Cu("cuCtxCreate_v2", &context, 0u, CUdevice{0}));
      EXPECT_OK(Cu("cuCtxDestroy_v2", context));
      EXPECT_OK(Cu("cuDevicePrimaryCtxRetain", &context, CUdevice{0}));
      EXPECT_OK(Cu("cuCtxSetCurrent", context));
    }
  }
}

// Waits for a kernel that takes so many microseconds.
void OneKernel(const Arguments& arguments) {
  Start();
  const CUfunction spin = Kernel("spin");
  EXPECT_OK(LaunchSpin(spin, Number(arguments, 0) * 1000, CUstream{}));
  EXPECT_OK(Cu("cuCtxSynchronize"));
  Say("done");
}

std::string ToHex(const CUipcMemHandle& handle) {
  std::string text;
  char digits[3];
  for (const char byte : handle.reserved) {
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text;
}

// Exports memory, says the handle, waits, and expects the importer's change in it.
void IpcExport() {
  Start();
  CUdeviceptr pad = 0, address = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &pad, size_t{1000}));
  EXPECT_OK(Cu("cuMemAlloc_v2", &address, size_t{4096}));
  EXPECT_OK(Cu("cuMemsetD32_v2", address, 1000u, size_t{16}));
  CUipcMemHandle handle{};
  EXPECT_OK(Cu("cuIpcGetMemHandle", &handle, address));
  CUdeviceptr own = 0;
  EXPECT_IS(Cu("cuIpcOpenMemHandle_v2", &own, handle, 1u), 201);
  Say(ToHex(handle));
  Hear();
  EXPECT_IS(ReadWord(address), 1234);
  Say("done");
}

void IpcImport(const Arguments& arguments) {
  Start();
  CUipcMemHandle handle{};
  for (std::size_t i = 0; i < sizeof(handle.reserved); ++i) {
    handle.reserved[i] = static_cast<char>(std::stoi(arguments[0].substr(2 * i, 2), nullptr, 16));
  }
  const std::uint64_t before = Memory().free;
  CUdeviceptr address = 0;
  const CUresult result = Cu("cuIpcOpenMemHandle_v2", &address, handle, 1u);
  if (arguments.size() > 1) {  // the exporter is gone
    EXPECT_IS(result, 1);
    return;
  }
  EXPECT_OK(result);
  EXPECT_IS(Memory().free, before);  // the exporter pays
  EXPECT_IS(ReadWord(address), 1000);
  EXPECT_OK(LaunchAdd(Kernel("add"), address, 234, CUstream{}));
  EXPECT_OK(Cu("cuCtxSynchronize"));
  EXPECT_OK(Cu("cuIpcCloseMemHandle", address));
  EXPECT_IS(Cu("cuIpcCloseMemHandle", address), 1);
}

// Virtual memory handed to an exec'ed child as a descriptor.
void VirtualExport(const std::string& program) {
  Start();
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_OK(Cu("cuMemCreate", &handle, size_t{2} << 20, &properties, 0ull));
  CUdeviceptr space = 0;
  EXPECT_OK(Cu("cuMemAddressReserve", &space, size_t{2} << 20, size_t{0}, CUdeviceptr{0}, 0ull));
  EXPECT_OK(Cu("cuMemMap", space, size_t{2} << 20, size_t{0}, handle, 0ull));
  const CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                               CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  EXPECT_OK(Cu("cuMemSetAccess", space, size_t{2} << 20, &access, size_t{1}));
  EXPECT_OK(Cu("cuMemsetD32_v2", space, 55u, size_t{4}));
  int fd = -1;
  EXPECT_OK(Cu("cuMemExportToShareableHandle", static_cast<void*>(&fd), handle, 1, 0ull));
  const std::string number = std::to_string(fd);
  const pid_t child = ::fork();
  if (child == 0) {
    ::fcntl(fd, F_SETFD, 0);
    ::execl(program.c_str(), program.c_str(), "virtual-import", number.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_OK(status);
  EXPECT_IS(ReadWord(space), 56);
}

void VirtualImport(const Arguments& arguments) {
  Start();
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_OK(Cu("cuMemImportFromShareableHandle", &handle,
               reinterpret_cast<void*>(std::stol(arguments[0])), 1));
  CUdeviceptr space = 0;
  EXPECT_OK(Cu("cuMemAddressReserve", &space, size_t{2} << 20, size_t{0}, CUdeviceptr{0}, 0ull));
  EXPECT_OK(Cu("cuMemMap", space, size_t{2} << 20, size_t{0}, handle, 0ull));
  const CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                               CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  EXPECT_OK(Cu("cuMemSetAccess", space, size_t{2} << 20, &access, size_t{1}));
  EXPECT_IS(ReadWord(space), 55);
  EXPECT_OK(LaunchAdd(Kernel("add"), space, 1, CUstream{}));
  EXPECT_OK(Cu("cuCtxSynchronize"));
}

// Leaves a child of fork behind that never execs, and then holds memory until killed.
void HoldWithChild(const Arguments& arguments) {
  Start();
  CUdeviceptr address = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &address, size_t{Number(arguments, 0)} << 20));
  const pid_t child = ::fork();
  if (child == 0) {
    Hear();  // until the test closes its end
    ::_exit(0);
  }
  Say(std::to_string(child));
  ::pause();
}

}  // namespace

bool PlayShared(const std::string& name, const Arguments& arguments) {
  if (name == "hold") return Hold(arguments), true;
  if (name == "hold-with-child") return HoldWithChild(arguments), true;
  if (name == "free") return Free(), true;
  if (name == "sizes") return Sizes(), true;
  if (name == "spin") return Spin(arguments), true;
  if (name == "cheat") return Cheat(arguments), true;
  if (name == "churn") return Churn(), true;
  if (name == "one-kernel") return OneKernel(arguments), true;
  if (name == "ipc-export") return IpcExport(), true;
  if (name == "ipc-import") return IpcImport(arguments), true;
  if (name == "virtual-export") return VirtualExport("/proc/self/exe"), true;
  if (name == "virtual-import") return VirtualImport(arguments), true;
  return false;
}

}  // namespace aliquot::sim::cuda::testing
