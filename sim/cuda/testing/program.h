// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cuda/abi.h"

// A CUDA program for tests: it finds the driver as programs do, by dlopen and dlsym, plays one
// scenario named on the command line and says on standard error what was not as expected.
namespace aliquot::sim::cuda::testing {

// The address of a symbol of the driver; ends the program if it is not there.
void* Symbol(const char* name);

// Takes symbols from this library from now on.
void Reopen(const std::string& path);

// Calls a driver function by name. Arguments must have the very types of its parameters.
template <typename... Arguments>
CUresult Cu(const char* name, Arguments... arguments) {
  return reinterpret_cast<CUresult (*)(Arguments...)>(Symbol(name))(arguments...);
}

// Ends the program with a message.
[[noreturn]] void Fail(const char* file, int line, const std::string& what);

template <typename A, typename B>
void Expect(const char* file, int line, const char* text, A actual, B expected) {
  if (actual == static_cast<A>(expected)) return;
  Fail(file, line,
       std::string(text) + " is " + std::to_string(static_cast<long long>(actual)) + ", expected " +
           std::to_string(static_cast<long long>(expected)));
}
#define EXPECT_IS(actual, expected) \
  ::aliquot::sim::cuda::testing::Expect(__FILE__, __LINE__, #actual, actual, expected)
#define EXPECT_OK(actual) EXPECT_IS(actual, 0)

// cuInit and the primary context of device 0, current.
CUcontext Start();
struct MemoryInfo {
  std::uint64_t free = 0;
  std::uint64_t total = 0;
};
MemoryInfo Memory();
// `spin` runs for the nanoseconds of its parameter, `add` adds to a word in memory, `short` takes
// 10 microseconds.
CUmodule LoadKernels();
CUfunction Kernel(const char* name);
// One block of `spin` that fills the whole GPU's time slice, or with more `blocks` more of it.
CUresult LaunchSpin(CUfunction spin, std::uint64_t nanoseconds, CUstream stream,
                    unsigned blocks = 1u << 16);
CUresult LaunchAdd(CUfunction add, CUdeviceptr word, std::uint32_t amount, CUstream stream);
std::uint32_t ReadWord(CUdeviceptr word);

using Arguments = std::vector<std::string>;
// Scenarios by subject, defined in scenarios_*.cc. False if the name is not theirs.
bool PlayBasics(const std::string& name, const Arguments& arguments);
bool PlayMemory(const std::string& name, const Arguments& arguments);
bool PlayWork(const std::string& name, const Arguments& arguments);
bool PlayGraphs(const std::string& name, const Arguments& arguments);
bool PlayShared(const std::string& name, const Arguments& arguments);

// Tells the test, and waits for its word.
void Say(const std::string& line);
std::string Hear();

}  // namespace aliquot::sim::cuda::testing
