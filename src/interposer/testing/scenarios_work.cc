// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <sstream>

#include "interposer/testing/scenarios.h"

namespace aliquot::sim::cuda::testing {
namespace {

// Does what each line says, and answers when it is done:
//   launch COUNT US   kernels of so many microseconds each, on a stream of its own
//   default COUNT US  on the default stream
//   copy MIB          to the device, asynchronously
//   sync              waits for the stream
//   capture COUNT     captures so many kernels of 100 us, and instantiates the graph
//   graph             launches it
//   callback          a host function that asks for a launch; answers what it got
class Worker {
 public:
  Worker() {
    Start();
    spin_ = Kernel("spin");
    EXPECT_OK(Cu("cuStreamCreate", &stream_, 1u));
    EXPECT_OK(Cu("cuMemAlloc_v2", &memory_, std::size_t{64 << 20}));
  }

  void Do(const std::string& line) {
    std::istringstream words(line);
    std::string what;
    unsigned count = 0;
    unsigned microseconds = 0;
    words >> what >> count >> microseconds;
    if (what == "launch") Launch(stream_, count, microseconds);
    if (what == "default") Launch(nullptr, count, microseconds);
    if (what == "copy") Copy(std::size_t{count} << 20);
    if (what == "sync") EXPECT_OK(Cu("cuStreamSynchronize", stream_));
    if (what == "capture") Capture(count);
    if (what == "graph") EXPECT_OK(Cu("cuGraphLaunch", exec_, stream_));
    if (what == "callback") Callback();
    Say(what);
  }

 private:
  void Launch(CUstream stream, unsigned count, unsigned microseconds) {
    for (unsigned i = 0; i < count; ++i) {
      EXPECT_OK(LaunchSpin(spin_, std::uint64_t{microseconds} * 1000, stream));
    }
  }
  void Copy(std::size_t bytes) {
    static std::vector<char> host(64u << 20);
    EXPECT_OK(
        Cu("cuMemcpyHtoDAsync_v2", memory_, static_cast<const void*>(host.data()), bytes, stream_));
  }
  void Capture(unsigned count) {
    CUgraph graph = nullptr;
    EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream_, 0));
    Launch(stream_, count, 100);
    EXPECT_OK(Cu("cuStreamEndCapture", stream_, &graph));
    EXPECT_OK(Cu("cuGraphInstantiateWithFlags", &exec_, graph, 0ull));
  }
  void Callback() {
    static Worker* self = this;
    EXPECT_OK(Cu("cuLaunchHostFunc", stream_, static_cast<CUhostFn>([](void*) {
                   self->called_ = LaunchSpin(self->spin_, 1000, self->stream_);
                 }),
                 static_cast<void*>(nullptr)));
    EXPECT_OK(Cu("cuStreamSynchronize", stream_));
  }

  CUfunction spin_ = nullptr;
  CUstream stream_ = nullptr;
  CUdeviceptr memory_ = 0;
  CUgraphExec exec_ = nullptr;
  CUresult called_ = CUDA_SUCCESS;
};

void Work() {
  Worker worker;
  Say("ready");
  for (std::string line = Hear(); !line.empty() && line != "end"; line = Hear()) worker.Do(line);
}

}  // namespace

bool PlayWorking(const std::string& name, const Arguments&) {
  if (name == "work") return Work(), true;
  return false;
}

}  // namespace aliquot::sim::cuda::testing
