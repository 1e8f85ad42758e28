// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <chrono>
#include <sstream>

#include "interposer/testing/scenarios.h"
#include "interposer/testing/submissions.h"

namespace aliquot::sim::cuda::testing {
namespace {

// Does what each line says, and answers when it is done:
//   launch COUNT US   kernels of so many microseconds each, on a stream of its own
//   default COUNT US  on the default stream
//   copy MIB          to the device, asynchronously
//   batch WAY MIB     so much in four copies of one call: 0: plain, 1: with boxes; 2 and 3: as
//                     before CUDA 13
//   sync              waits for the stream
//   query 0|1         asks whether the stream, or an event on it, is done, which it is not
//   hold              the stream goes no further until SIGUSR1 comes
//   capture COUNT     captures so many kernels of 100 us, and instantiates the graph
//   graph             launches it
//   again COUNT       captures the graph of `capture` once more, with so many kernels
//   graphics          from now on in a context for graphics, on another stream
//   buffer COUNT      captures so many kernels to a command buffer, and leaves the capture open
//   submit            ends that capture
//   begin             begins a capture
//   drop              destroys the stream in the middle of a capture, and makes another
//   callback VERSION  a host function that launches a kernel
//   calls             answers with what EveryCall has: "NAME held" or "NAME free", and ";"
//   call INDEX        makes one of them
class Worker {
 public:
  Worker() {
    Start();
    spin_ = Kernel("spin");
    EXPECT_OK(Cu("cuStreamCreate", &stream_, 1u));
    EXPECT_OK(Cu("cuMemAlloc_v2", &memory_, std::size_t{64 << 20}));
    EXPECT_OK(Cu("cuMemHostAlloc", reinterpret_cast<void**>(&go_), sizeof(*go_), 0u));
    ::signal(SIGUSR1, [](int) { __atomic_store_n(go_, 1u, __ATOMIC_RELEASE); });
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
    if (what == "batch") Batch(count, std::size_t{microseconds} << 20);
    if (what == "sync") EXPECT_OK(Cu("cuStreamSynchronize", stream_));
    if (what == "query") Query(count != 0);
    if (what == "hold") Hold();
    if (what == "capture") Capture(count);
    if (what == "again") CaptureAgain(count);
    if (what == "graphics") UseGraphics();
    if (what == "buffer") CaptureToBuffer(count);
    if (what == "submit") EXPECT_OK(Cu("cuStreamEndCaptureToCig", stream_));
    if (what == "begin") EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream_, 2));
    if (what == "drop") Drop();
    if (what == "graph") EXPECT_OK(Cu("cuGraphLaunch", exec_, stream_));
    if (what == "callback") Callback(count);
    if (what == "calls") return Say(Calls());
    if (what == "call") Make(EveryCall(spin_, memory_, stream_).at(count));
    Say(what);
  }

 private:
  void Launch(CUstream stream, unsigned count, unsigned microseconds) {
    for (unsigned i = 0; i < count; ++i) {
      EXPECT_OK(LaunchSpin(spin_, std::uint64_t{microseconds} * 1000, stream));
    }
  }
  void Query(bool by_event) {
    if (!by_event) return EXPECT_IS(Cu("cuStreamQuery", stream_), CUDA_ERROR_NOT_READY);
    CUevent event = nullptr;
    EXPECT_OK(Cu("cuEventCreate", &event, 0u));
    EXPECT_OK(Cu("cuEventRecord", event, stream_));
    EXPECT_IS(Cu("cuEventQuery", event), CUDA_ERROR_NOT_READY);
  }
  void Hold() {
    __atomic_store_n(go_, 0u, __ATOMIC_RELEASE);
    CUdeviceptr word = 0;
    EXPECT_OK(Cu("cuMemHostGetDevicePointer_v2", &word, static_cast<void*>(go_), 0u));
    EXPECT_OK(Cu("cuStreamWaitValue32_v2", stream_, word, 1u, 0u));
  }
  void Copy(std::size_t bytes) {
    static std::vector<char> host(64u << 20);
    EXPECT_OK(
        Cu("cuMemcpyHtoDAsync_v2", memory_, static_cast<const void*>(host.data()), bytes, stream_));
  }
  void Batch(unsigned way, std::size_t bytes) {
    constexpr std::size_t kCopies = 4;
    const std::size_t part = bytes / kCopies;
    CUdeviceptr from[kCopies], to[kCopies];
    std::size_t sizes[kCopies];
    CUDA_MEMCPY3D_BATCH_OP boxes[kCopies] = {};
    for (std::size_t i = 0; i < kCopies; ++i) {
      from[i] = memory_ + i * part;
      to[i] = memory_ + (32u << 20) + i * part;
      sizes[i] = part;
      boxes[i].src = {1, {.ptr = {from[i], 0, 0, 0, 0}}};
      boxes[i].dst = {1, {.ptr = {to[i], 0, 0, 0, 0}}};
      boxes[i].width = part / 4;
      boxes[i].height = boxes[i].depth = 2;
    }
    char attributes[32] = {};
    std::size_t place = 0, failed = 0;
    const bool old = way >= 2;
    EXPECT_OK(Cu("cuMemsetD8_v2", from[3], static_cast<unsigned char>(way + 1), part));
    if (way == 0) {
      EXPECT_OK(Cu("cuMemcpyBatchAsync_v2", &to[0], &from[0], &sizes[0], kCopies,
                   static_cast<void*>(attributes), &place, std::size_t{1}, stream_));
    } else if (way == 1) {
      EXPECT_OK(Cu("cuMemcpy3DBatchAsync_v2", kCopies, &boxes[0], 0ull, stream_));
    } else if (way == 2) {
      EXPECT_OK(Cu("cuMemcpyBatchAsync", &to[0], &from[0], &sizes[0], kCopies,
                   static_cast<void*>(attributes), &place, std::size_t{1}, &failed, stream_));
    } else {
      EXPECT_OK(Cu("cuMemcpy3DBatchAsync", kCopies, &boxes[0], &failed, 0ull, stream_));
    }
    if (old) EXPECT_IS(failed, SIZE_MAX);
    EXPECT_OK(Cu("cuStreamSynchronize", stream_));
    EXPECT_IS(ReadWord(to[3]) & 0xff, way + 1);
  }
  void Capture(unsigned count) {
    EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream_, 0));
    Launch(stream_, count, 100);
    EXPECT_OK(Cu("cuStreamEndCapture", stream_, &graph_));
    EXPECT_OK(Cu("cuGraphInstantiateWithFlags", &exec_, graph_, 0ull));
  }
  void CaptureAgain(unsigned count) {
    void* const nothing = nullptr;
    EXPECT_OK(Cu("cuStreamBeginRecaptureToGraph", stream_, 0, graph_, nothing, nothing));
    Launch(stream_, count, 100);
    EXPECT_OK(Cu("cuStreamEndCapture", stream_, &graph_));
  }
  void UseGraphics() {
    static int blob = 0;
    CUctxCreateParams parameters{nullptr, 0, reinterpret_cast<CUctxCigParam*>(&blob)};
    CUcontext context = nullptr;
    EXPECT_OK(Cu("cuCtxCreate_v4", &context, &parameters, 0u, CUdevice{0}));
    EXPECT_OK(Cu("cuModuleGetFunction", &spin_, LoadKernels(), "spin"));
    EXPECT_OK(Cu("cuStreamCreate", &stream_, 1u));
  }
  void CaptureToBuffer(unsigned count) {
    static int blob = 0;
    CUstreamCigCaptureParams to{reinterpret_cast<CUstreamCigParam*>(&blob)};
    EXPECT_OK(Cu("cuStreamBeginCaptureToCig", stream_, &to));
    Launch(stream_, count, 100);
  }
  void Drop() {
    EXPECT_OK(Cu("cuStreamDestroy_v2", stream_));
    EXPECT_OK(Cu("cuStreamCreate", &stream_, 1u));
  }
  void Callback(unsigned version) {
    static Worker* self = this;
    // The driver's thread has no context of its own.
    static const CUhostFn launch = [](void* context) {
      EXPECT_OK(Cu("cuCtxSetCurrent", static_cast<CUcontext>(context)));
      self->called_ = LaunchSpin(self->spin_, 1000, self->stream_);
    };
    CUcontext context = nullptr;
    EXPECT_OK(Cu("cuCtxGetCurrent", &context));
    void* const data = context;
    EXPECT_OK(version == 2 ? Cu("cuLaunchHostFunc_v2", stream_, launch, data, 0u)
                           : Cu("cuLaunchHostFunc", stream_, launch, data));
    EXPECT_OK(Cu("cuStreamSynchronize", stream_));
    EXPECT_OK(called_);
  }
  std::string Calls() {
    std::string list;
    for (const Call& call : EveryCall(spin_, memory_, stream_)) {
      list += call.name + (call.held ? " held;" : " free;");
    }
    return list;
  }
  // The simulated driver does not have all of them.
  void Make(const Call& call) {
    const CUresult result = call.make();
    if (result != CUDA_ERROR_NOT_SUPPORTED && result != CUDA_ERROR_NOT_READY) EXPECT_OK(result);
  }

  static inline std::uint32_t* go_ = nullptr;
  CUfunction spin_ = nullptr;
  CUstream stream_ = nullptr;
  CUdeviceptr memory_ = 0;
  CUgraph graph_ = nullptr;
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
