// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/testing/program.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace aliquot::sim::cuda::testing {

namespace {

void*& Library() {
  static void* library = ::dlopen(std::getenv("TEST_CUDA_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  return library;
}

}  // namespace

void Reopen(const std::string& path) { Library() = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }

void* Symbol(const char* name) {
  void* library = Library();
  void* symbol = library == nullptr ? nullptr : ::dlsym(library, name);
  if (symbol == nullptr) Fail(__FILE__, __LINE__, std::string("no symbol ") + name);
  return symbol;
}

void Fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  ::_exit(1);
}

CUcontext Start() {
  EXPECT_OK(Cu("cuInit", 0u));
  CUcontext context = nullptr;
  EXPECT_OK(Cu("cuDevicePrimaryCtxRetain", &context, CUdevice{0}));
  EXPECT_OK(Cu("cuCtxSetCurrent", context));
  return context;
}

MemoryInfo Memory() {
  size_t free = 0;
  size_t total = 0;
  EXPECT_OK(Cu("cuMemGetInfo_v2", &free, &total));
  return {free, total};
}

CUmodule LoadKernels() {
  static const char* kImage =
      "aliquot-kernels 1\n"
      "kernel spin time=param:0 params=8\n"
      "kernel short time=10us\n"
      "kernel add time=1us params=8,4 effect=add\n"
      "global counter 64\n";
  CUmodule module = nullptr;
  EXPECT_OK(Cu("cuModuleLoadData", &module, static_cast<const void*>(kImage)));
  return module;
}

CUfunction Kernel(const char* name) {
  static CUmodule module = LoadKernels();
  CUfunction function = nullptr;
  EXPECT_OK(Cu("cuModuleGetFunction", &function, module, name));
  return function;
}

CUresult LaunchSpin(CUfunction spin, std::uint64_t nanoseconds, CUstream stream, unsigned blocks) {
  void* parameters[] = {&nanoseconds};
  return Cu("cuLaunchKernel", spin, blocks, 1u, 1u, 256u, 1u, 1u, 0u, stream,
            static_cast<void**>(parameters), static_cast<void**>(nullptr));
}

CUresult LaunchAdd(CUfunction add, CUdeviceptr word, std::uint32_t amount, CUstream stream) {
  void* parameters[] = {&word, &amount};
  return Cu("cuLaunchKernel", add, 1u, 1u, 1u, 32u, 1u, 1u, 0u, stream,
            static_cast<void**>(parameters), static_cast<void**>(nullptr));
}

std::uint32_t ReadWord(CUdeviceptr word) {
  std::uint32_t value = 0;
  EXPECT_OK(Cu("cuMemcpyDtoH_v2", static_cast<void*>(&value), word, sizeof(value)));
  return value;
}

void Say(const std::string& line) { std::cout << line << std::endl; }

std::string Hear() {
  std::string line;
  std::getline(std::cin, line);
  return line;
}

}  // namespace aliquot::sim::cuda::testing
