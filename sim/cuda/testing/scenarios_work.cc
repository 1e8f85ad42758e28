// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "sim/cuda/testing/program.h"

namespace aliquot::sim::cuda::testing {
namespace {

constexpr CUstream kNull = nullptr;

CUevent MakeEvent() {
  CUevent event = nullptr;
  EXPECT_OK(Cu("cuEventCreate", &event, 0u));
  return event;
}

CUstream MakeStream(unsigned flags) {
  CUstream stream = nullptr;
  EXPECT_OK(Cu("cuStreamCreate", &stream, flags));
  return stream;
}

double Microseconds(CUevent start, CUevent end) {
  float milliseconds = 0;
  EXPECT_OK(Cu("cuEventElapsedTime", &milliseconds, start, end));
  return std::round(static_cast<double>(milliseconds) * 1e3);
}

CUdeviceptr Word() {
  CUdeviceptr word = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &word, size_t{64}));
  EXPECT_OK(Cu("cuMemsetD8_v2", word, static_cast<unsigned char>(0), size_t{64}));
  return word;
}

// Keeps what follows it on a stream from running until it is opened, however slow the machine is.
class Gate {
 public:
  explicit Gate(CUstream stream) {
    EXPECT_OK(Cu("cuStreamWaitValue32_v2", stream, word_, cuuint32_t{1}, 1u));
    // A single block, which leaves room on the GPU for others.
    EXPECT_OK(LaunchSpin(Kernel("spin"), 20'000'000, stream, 1));
  }
  void Open() { EXPECT_OK(Cu("cuStreamWriteValue32_v2", opener_, word_, cuuint32_t{1}, 0u)); }

 private:
  CUdeviceptr word_ = Word();
  CUstream opener_ = MakeStream(1);
};

// Simulated time is exact however late a thread woke: back-to-back kernels have no gaps.
void EventTimes() {
  Start();
  const CUevent a = MakeEvent(), b = MakeEvent(), unused = MakeEvent();
  const CUfunction spin = Kernel("spin");
  Gate gate(kNull);
  EXPECT_OK(Cu("cuEventRecord", a, kNull));
  for (int i = 0; i < 100; ++i) EXPECT_OK(LaunchSpin(spin, 200'000, kNull));
  EXPECT_OK(Cu("cuEventRecord", b, kNull));
  EXPECT_IS(Cu("cuEventQuery", b), 600);
  EXPECT_IS(Cu("cuStreamQuery", kNull), 600);
  gate.Open();
  EXPECT_OK(Cu("cuEventSynchronize", b));
  EXPECT_OK(Cu("cuEventQuery", b));
  EXPECT_IS(Microseconds(a, b), 20'000);
  float value = 0;
  EXPECT_IS(Cu("cuEventElapsedTime", &value, a, unused), 400);
  EXPECT_OK(Cu("cuEventQuery", unused));
}

void LaunchErrors() {
  Start();
  const CUfunction spin = Kernel("spin");
  std::uint64_t time = 1;
  void* parameters[] = {&time};
  const auto launch = [&](CUfunction function, unsigned grid, unsigned block, unsigned shared) {
    return Cu("cuLaunchKernel", function, grid, 1u, 1u, block, 1u, 1u, shared, kNull,
              static_cast<void**>(parameters), static_cast<void**>(nullptr));
  };
  EXPECT_OK(launch(spin, 1, 32, 0));
  EXPECT_IS(launch(spin, 1, 2048, 0), 1);
  EXPECT_IS(launch(spin, 0, 32, 0), 1);
  EXPECT_IS(launch(spin, 1, 32, 1 << 20), 1);
  EXPECT_IS(launch(nullptr, 1, 32, 0), 400);
  EXPECT_IS(Cu("cuLaunchCooperativeKernel", spin, 1u << 20, 1u, 1u, 256u, 1u, 1u, 0u, kNull,
               static_cast<void**>(parameters)),
            720);
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  EXPECT_IS(Cu("cuModuleLoadData", &module, static_cast<const void*>("hello")), 200);
  EXPECT_IS(Cu("cuModuleLoadData", &module, static_cast<const void*>("")), 200);
  EXPECT_IS(Cu("cuModuleGetFunction", &function, LoadKernels(), "nope"), 500);
  // Compiled code is taken as it is; time comes from the environment.
  const unsigned fat_binary[] = {0xBA55ED50, 0, 0, 0};
  EXPECT_OK(Cu("cuModuleLoadData", &module, static_cast<const void*>(fat_binary)));
  EXPECT_OK(Cu("cuModuleGetFunction", &function, module, "anything"));
  EXPECT_OK(launch(function, 1, 32, 0));
  EXPECT_OK(Cu("cuCtxSynchronize"));
  int blocks = 0;
  for (const auto& [size, expected] : {std::pair{32, 32}, {128, 16}, {256, 8}, {1024, 2}}) {
    EXPECT_OK(Cu("cuOccupancyMaxActiveBlocksPerMultiprocessor", &blocks, spin, size, size_t{0}));
    EXPECT_IS(blocks, expected);
  }
  int grid = 0;
  EXPECT_OK(Cu("cuOccupancyMaxPotentialBlockSize", &grid, &blocks, spin,
               static_cast<CUoccupancyB2DSize>(nullptr), size_t{0}, 0));
  EXPECT_IS(grid, 264);
  EXPECT_IS(blocks, 1024);
  CUlaunchConfig config{2, 1, 1, 64, 1, 1, 0, nullptr, nullptr, 0};
  EXPECT_OK(Cu("cuLaunchKernelEx", static_cast<const CUlaunchConfig*>(&config), spin,
               static_cast<void**>(parameters), static_cast<void**>(nullptr)));
}

// Streams run side by side while their kernels fit the SMs, and one after the other when not.
void Overlap() {
  Start();
  const CUfunction spin = Kernel("spin");
  const CUstream one = MakeStream(1), two = MakeStream(1), first = MakeStream(1);
  for (const auto& [blocks, expected] : {std::pair{132u, 4'000}, {1u << 16, 8'000}}) {
    const CUevent start = MakeEvent(), end = MakeEvent(), joined = MakeEvent();
    Gate gate(first);
    EXPECT_OK(Cu("cuEventRecord", start, first));
    for (const CUstream stream : {one, two}) {
      EXPECT_OK(Cu("cuStreamWaitEvent", stream, start, 0u));
      EXPECT_OK(LaunchSpin(spin, 4'000'000, stream, blocks));
    }
    EXPECT_OK(Cu("cuEventRecord", joined, two));
    EXPECT_OK(Cu("cuStreamWaitEvent", one, joined, 0u));
    EXPECT_OK(Cu("cuEventRecord", end, one));
    gate.Open();
    EXPECT_OK(Cu("cuEventSynchronize", end));
    EXPECT_IS(Microseconds(start, end), expected);
  }
}

// Order: the legacy stream waits for ordinary streams and they for it; "non-blocking" ones do not.
void LegacyOrder() {
  Start();
  const CUdeviceptr word = Word();
  const CUstream ordinary = MakeStream(0), free = MakeStream(1);
  Gate before(ordinary);
  EXPECT_OK(LaunchAdd(Kernel("add"), word, 5, ordinary));
  EXPECT_OK(LaunchAdd(Kernel("add"), word + 4, 1, free));
  EXPECT_OK(Cu("cuStreamSynchronize", free));
  EXPECT_IS(Cu("cuStreamQuery", ordinary), 600);
  before.Open();
  EXPECT_IS(ReadWord(word), 5);  // by way of the legacy stream
  EXPECT_OK(Cu("cuStreamQuery", ordinary));
  Gate legacy(kNull);
  EXPECT_OK(LaunchAdd(Kernel("add"), word, 1, ordinary));
  EXPECT_IS(Cu("cuStreamQuery", ordinary), 600);
  legacy.Open();
  EXPECT_OK(Cu("cuStreamSynchronize", ordinary));
  EXPECT_OK(Cu("cuStreamQuery", kNull));
  // A destroyed stream still finishes its work.
  Gate last(free);
  EXPECT_OK(LaunchAdd(Kernel("add"), word, 10, free));
  EXPECT_OK(Cu("cuStreamDestroy_v2", free));
  last.Open();
  EXPECT_IS(Cu("cuStreamQuery", free), 400);
  EXPECT_OK(Cu("cuCtxSynchronize"));
  EXPECT_IS(ReadWord(word), 16);
}

std::atomic<int> calls{0};

void HostFunctions() {
  Start();
  const CUstream stream = MakeStream(1);
  const CUdeviceptr word = Word();
  EXPECT_OK(LaunchAdd(Kernel("add"), word, 1, stream));
  const CUhostFn slow = [](void* data) {
    std::this_thread::yield();
    calls += *static_cast<int*>(data);
  };
  int amount = 3;
  EXPECT_OK(Cu("cuLaunchHostFunc", stream, slow, static_cast<void*>(&amount)));
  EXPECT_OK(LaunchAdd(Kernel("add"), word, 1, stream));
  const CUstreamCallback callback = [](CUstream, CUresult, void*) { calls += 10; };
  EXPECT_OK(Cu("cuStreamAddCallback", stream, callback, static_cast<void*>(nullptr), 0u));
  void* const data = &amount;
  EXPECT_OK(Cu("cuLaunchHostFunc_v2", stream, slow, data, 1u));
  EXPECT_IS(Cu("cuLaunchHostFunc_v2", stream, slow, data, 2u), 1);
  EXPECT_OK(Cu("cuStreamSynchronize", stream));
  EXPECT_IS(calls.load(), 16);
  EXPECT_IS(ReadWord(word), 2);
  // A stream waits for a value that another writes.
  const CUstream other = MakeStream(1);
  EXPECT_OK(Cu("cuStreamWaitValue32_v2", stream, word, cuuint32_t{77}, 1u));
  EXPECT_OK(LaunchAdd(Kernel("add"), word, 1, stream));
  EXPECT_IS(Cu("cuStreamQuery", stream), 600);
  EXPECT_OK(Cu("cuStreamWriteValue32_v2", other, word, cuuint32_t{77}, 0u));
  EXPECT_OK(Cu("cuStreamSynchronize", stream));
  EXPECT_IS(ReadWord(word), 78);
}

// Many threads on one context, each with its own stream.
void Threads() {
  const CUcontext context = Start();
  const CUfunction add = Kernel("add");
  const CUdeviceptr word = Word();
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      EXPECT_OK(Cu("cuCtxSetCurrent", context));
      const CUstream stream = MakeStream(1);
      for (int i = 0; i < 50; ++i) {
        EXPECT_OK(LaunchAdd(add, word + 4 * t, 1, stream));
        CUdeviceptr scratch = 0;
        EXPECT_OK(Cu("cuMemAlloc_v2", &scratch, size_t{1000}));
        EXPECT_OK(Cu("cuMemFree_v2", scratch));
      }
      EXPECT_OK(Cu("cuStreamSynchronize", stream));
      EXPECT_OK(Cu("cuStreamDestroy_v2", stream));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (unsigned t = 0; t < 8; ++t) EXPECT_IS(ReadWord(word + 4 * t), 50);
}

void Libraries() {
  Start();
  CUlibrary library = nullptr;
  CUkernel kernel = nullptr;
  CUfunction function = nullptr;
  const char* image = "aliquot-kernels 1\nkernel add time=1us params=8,4 effect=add\n";
  EXPECT_OK(Cu("cuLibraryLoadData", &library, static_cast<const void*>(image),
               static_cast<CUjit_option*>(nullptr), static_cast<void**>(nullptr), 0u,
               static_cast<CUlibraryOption*>(nullptr), static_cast<void**>(nullptr), 0u));
  EXPECT_OK(Cu("cuLibraryGetKernel", &kernel, library, "add"));
  EXPECT_OK(Cu("cuKernelGetFunction", &function, kernel));
  const CUdeviceptr word = Word();
  EXPECT_OK(LaunchAdd(function, word, 2, kNull));
  EXPECT_OK(LaunchAdd(reinterpret_cast<CUfunction>(kernel), word, 3, kNull));
  EXPECT_IS(ReadWord(word), 5);
  size_t offset = 0, bytes = 0;
  EXPECT_OK(Cu("cuFuncGetParamInfo", function, size_t{1}, &offset, &bytes));
  EXPECT_IS(offset, 8);
  EXPECT_IS(bytes, 4);
  EXPECT_OK(Cu("cuLibraryUnload", library));
  EXPECT_IS(LaunchAdd(function, word, 2, kNull), 400);
}

}  // namespace

bool PlayWork(const std::string& name, const Arguments&) {
  if (name == "event-times") return EventTimes(), true;
  if (name == "launch-errors") return LaunchErrors(), true;
  if (name == "overlap") return Overlap(), true;
  if (name == "legacy-order") return LegacyOrder(), true;
  if (name == "host-functions") return HostFunctions(), true;
  if (name == "threads") return Threads(), true;
  if (name == "libraries") return Libraries(), true;
  return false;
}

}  // namespace aliquot::sim::cuda::testing
