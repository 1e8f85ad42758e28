// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <thread>

#include "sim/cuda/testing/program.h"

namespace aliquot::sim::cuda::testing {
namespace {

int Attribute(int number) {
  int value = -1;
  EXPECT_OK(Cu("cuDeviceGetAttribute", &value, number, CUdevice{0}));
  return value;
}

// Figures of a real H200 with driver 580.
void Enumeration() {
  int value = 0;
  EXPECT_IS(Cu("cuDeviceGetCount", &value), 3);
  const char* text = nullptr;
  EXPECT_OK(Cu("cuGetErrorName", 2, &text));
  EXPECT_OK(std::strcmp(text, "CUDA_ERROR_OUT_OF_MEMORY"));
  EXPECT_IS(Cu("cuGetErrorName", 12345, &text), 1);
  EXPECT_OK(Cu("cuInit", 0u));
  EXPECT_OK(Cu("cuDeviceGetCount", &value));
  EXPECT_IS(value, 1);
  CUdevice device = -1;
  EXPECT_OK(Cu("cuDeviceGet", &device, 0));
  EXPECT_IS(Cu("cuDeviceGet", &device, 1), 101);
  char name[64];
  EXPECT_OK(Cu("cuDeviceGetName", static_cast<char*>(name), 64, device));
  EXPECT_OK(std::strcmp(name, "NVIDIA H200"));
  EXPECT_IS(Attribute(16), 132);
  EXPECT_IS(Attribute(75), 9);
  EXPECT_IS(Attribute(39), 2048);
  EXPECT_IS(Attribute(102), 1);
  EXPECT_IS(Cu("cuDeviceGetAttribute", &value, 500, device), 1);
  CUuuid zero{};
  CUuuid uuid{};
  EXPECT_OK(Cu("cuDeviceGetUuid_v2", &uuid, device));
  EXPECT_IS(std::memcmp(&uuid, &zero, sizeof(uuid)) != 0, true);
  char bus[32];
  EXPECT_OK(Cu("cuDeviceGetPCIBusId", static_cast<char*>(bus), 32, device));
  EXPECT_OK(Cu("cuDeviceGetByPCIBusId", &device, static_cast<const char*>(bus)));
  EXPECT_IS(device, 0);
  size_t free = 0;
  EXPECT_IS(Cu("cuMemGetInfo_v2", &free, &free), 201);
  EXPECT_IS(Cu("cuCtxSynchronize"), 201);
  EXPECT_IS(Cu("cuMulticastCreate"), 801);
  if (std::strcmp(reinterpret_cast<const char* (*)()>(Symbol("aliquotSimulatedNode"))(),
                  "h200-x1") != 0) {
    Fail(__FILE__, __LINE__, "the marker does not name the node");
  }
}

void* Look(const char* name, int version, std::uint64_t flags, int expected_status) {
  void* function = nullptr;
  CUdriverProcAddressQueryResult status{};
  EXPECT_OK(Cu("cuGetProcAddress_v2", name, &function, version, flags, &status));
  EXPECT_IS(status, expected_status);
  return function;
}

void ProcAddress() {
  EXPECT_IS(Look("cuMemAlloc", 3020, 0, 0) == Symbol("cuMemAlloc_v2"), true);
  EXPECT_IS(Look("cuMemAlloc", 3010, 0, 0) == Symbol("cuMemAlloc"), true);
  EXPECT_IS(Look("cuCtxCreate", 12000, 0, 0) == Symbol("cuCtxCreate_v3"), true);
  EXPECT_IS(Look("cuCtxCreate", 12050, 2, 0) == Symbol("cuCtxCreate_v4"), true);
  EXPECT_IS(Look("cuMemcpyHtoD", 7000, 2, 0) == Symbol("cuMemcpyHtoD_v2_ptds"), true);
  EXPECT_IS(Look("cuMemcpyHtoD", 13000, 1, 0) == Symbol("cuMemcpyHtoD_v2"), true);
  EXPECT_IS(Look("cuLaunchKernel", 13000, 2, 0) == Symbol("cuLaunchKernel_ptsz"), true);
  EXPECT_IS(Look("cuStreamGetCaptureInfo", 12030, 2, 0) == Symbol("cuStreamGetCaptureInfo_v3_ptsz"),
            true);
  EXPECT_IS(Look("cuGetProcAddress", 11030, 0, 0) == Symbol("cuGetProcAddress"), true);
  EXPECT_IS(Look("cuGetProcAddress", 12000, 0, 0) == Symbol("cuGetProcAddress_v2"), true);
  // Unknown; known but younger; per-thread variants came with 7.0.
  EXPECT_IS(Look("cuNothing", 13000, 0, 1) == nullptr, true);
  EXPECT_IS(Look("cuGetProcAddress", 11000, 0, 2) == nullptr, true);
  EXPECT_IS(Look("cuMemcpyHtoD", 5000, 2, 2) == nullptr, true);
  void* function = nullptr;
  EXPECT_IS(Cu("cuGetProcAddress", "cuNothing", &function, 13000, std::uint64_t{0}), 500);
  EXPECT_OK(Cu("cuGetProcAddress", "cuInit", &function, 13000, std::uint64_t{0}));
  EXPECT_IS(Cu("cuGetProcAddress", "cuInit", &function, 14000, std::uint64_t{0}), 1);
}

// The null stream of the _ptsz entry points is another one in every thread.
void PerThreadStreams() {
  Start();
  const auto id = [](const char* entry, CUstream stream) {
    unsigned long long value = 0;
    EXPECT_OK(Cu(entry, stream, &value));
    return value;
  };
  const CUstream null = nullptr;
  const auto legacy = id("cuStreamGetId", null);
  const auto own = id("cuStreamGetId_ptsz", null);
  EXPECT_IS(legacy != own, true);
  EXPECT_IS(id("cuStreamGetId", reinterpret_cast<CUstream>(2)), own);
  EXPECT_IS(id("cuStreamGetId_ptsz", reinterpret_cast<CUstream>(1)), legacy);
  CUcontext context = nullptr;
  EXPECT_OK(Cu("cuCtxGetCurrent", &context));
  std::thread([&] {
    EXPECT_OK(Cu("cuCtxSetCurrent", context));
    EXPECT_IS(id("cuStreamGetId_ptsz", null) != own, true);
  }).join();
}

void Contexts() {
  const CUcontext primary = Start();
  unsigned flags = 0;
  int active = 0;
  EXPECT_OK(Cu("cuDevicePrimaryCtxGetState", CUdevice{0}, &flags, &active));
  EXPECT_IS(active, 1);
  const std::uint64_t before = Memory().free;
  CUcontext second = nullptr;
  EXPECT_OK(Cu("cuCtxCreate_v2", &second, 0u, CUdevice{0}));
  EXPECT_IS(before - Memory().free, 528u << 20);  // 524 MiB on the real one
  CUcontext current = nullptr;
  EXPECT_OK(Cu("cuCtxPopCurrent_v2", &current));
  EXPECT_IS(current == second, true);
  EXPECT_OK(Cu("cuCtxPushCurrent_v2", second));
  EXPECT_OK(Cu("cuCtxDestroy_v2", second));
  EXPECT_IS(Cu("cuCtxPushCurrent_v2", second), 201);
  EXPECT_OK(Cu("cuCtxGetCurrent", &current));
  EXPECT_IS(current == primary, true);
  EXPECT_IS(Memory().free, before);
  unsigned version = 0;
  EXPECT_OK(Cu("cuCtxGetApiVersion", primary, &version));
  EXPECT_IS(version, 3020);
  // The primary context ends with the last release, and its handle with it.
  EXPECT_OK(Cu("cuDevicePrimaryCtxRelease_v2", CUdevice{0}));
  EXPECT_IS(Cu("cuDevicePrimaryCtxRelease_v2", CUdevice{0}), 201);
  EXPECT_IS(Cu("cuCtxSynchronize"), 709);
}

// A child of fork without exec is told so by every call, and the parent goes on.
void Fork() {
  Start();
  const pid_t child = ::fork();
  if (child == 0) {
    int value = 0;
    CUdeviceptr address = 0;
    const char* text = nullptr;
    EXPECT_IS(Cu("cuCtxSynchronize"), 3);
    EXPECT_IS(Cu("cuInit", 0u), 3);
    EXPECT_IS(Cu("cuMemAlloc_v2", &address, size_t{4}), 3);
    EXPECT_IS(Cu("cuDeviceGetCount", &value), 3);
    EXPECT_OK(Cu("cuDriverGetVersion", &value));
    EXPECT_OK(Cu("cuGetErrorName", 1, &text));
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_OK(status);
  EXPECT_OK(LaunchSpin(Kernel("spin"), 1000, nullptr));
  EXPECT_OK(Cu("cuCtxSynchronize"));
}

// Before cuInit nothing has happened that a child could not do itself.
void ForkBeforeInit() {
  Symbol("cuInit");
  const pid_t child = ::fork();
  if (child == 0) {
    Start();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_OK(status);
}

void Reload() {
  for (int round = 0; round < 3; ++round) {
    void* library = ::dlopen(std::getenv("TEST_CUDA_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    const auto init = reinterpret_cast<int (*)(unsigned)>(::dlsym(library, "cuInit"));
    EXPECT_OK(init(0));
    const auto retain =
        reinterpret_cast<int (*)(CUcontext*, int)>(::dlsym(library, "cuDevicePrimaryCtxRetain"));
    CUcontext context = nullptr;
    EXPECT_OK(retain(&context, 0));
    ::dlclose(library);
  }
}

void Visible(const Arguments& expected_names) {
  EXPECT_OK(Cu("cuInit", 0u));
  int count = 0;
  EXPECT_OK(Cu("cuDeviceGetCount", &count));
  EXPECT_IS(count, expected_names.size());
  for (int i = 0; i < count; ++i) {
    char name[96];
    EXPECT_OK(Cu("cuDeviceGetName", static_cast<char*>(name), 96, CUdevice{i}));
    if (expected_names[static_cast<std::size_t>(i)] != name) Fail(__FILE__, __LINE__, name);
  }
}

void NoDevice() { EXPECT_IS(Cu("cuInit", 0u), 100); }

}  // namespace

bool PlayBasics(const std::string& name, const Arguments& arguments) {
  if (name == "enumeration") return Enumeration(), true;
  if (name == "proc-address") return ProcAddress(), true;
  if (name == "per-thread-streams") return PerThreadStreams(), true;
  if (name == "contexts") return Contexts(), true;
  if (name == "fork") return Fork(), true;
  if (name == "fork-before-init") return ForkBeforeInit(), true;
  if (name == "reload") return Reload(), true;
  if (name == "visible") return Visible(arguments), true;
  if (name == "no-device") return NoDevice(), true;
  return false;
}

}  // namespace aliquot::sim::cuda::testing
