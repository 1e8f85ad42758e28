// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/testing/submissions.h"

#include <cstddef>
#include <cstdint>

namespace aliquot::sim::cuda::testing {
namespace {

constexpr std::size_t kLarge = 2u << 20;
constexpr std::size_t kSmall = 4096;

// Structures that the simulated driver does not have.
struct LaunchOnDevice {
  CUfunction function;
  unsigned grid[3], block[3], shared;
  CUstream stream;
  void** parameters;
};
struct FabricCopy {
  struct {
    unsigned type;
    CUdeviceptr address;
    int location[2];
  } from, to;
  std::size_t size;
  unsigned flags;
};
struct Decompression {
  std::size_t from_bytes, to_bytes;
  unsigned* written;
  const void* from;
  void* to;
  int algorithm;
  char padding[20];
};
static_assert(sizeof(LaunchOnDevice) == 56 && sizeof(Decompression) == 64 &&
              sizeof(FabricCopy) == 64);

// What the calls point to; lives as long as the program.
struct Data {
  std::uint64_t nanoseconds = 10'000;
  void* parameters[1] = {&nanoseconds};
  std::vector<char> host = std::vector<char>(kLarge);
  CUlaunchConfig config = {};
  LaunchOnDevice on_device = {};
  CUDA_MEMCPY2D box2 = {};
  CUDA_MEMCPY3D box3 = {};
  CUDA_MEMCPY3D_PEER box_peer = {};
  CUDA_MEMCPY3D_BATCH_OP boxes[2] = {}, large_box = {};
  CUdeviceptr from[2] = {}, to[2] = {};
  std::size_t sizes[2] = {kLarge / 2, kLarge / 2};
  char attributes[32] = {};
  std::size_t place = 0, failed = 0;
  Decompression pieces[1] = {};
  FabricCopy fabric[2] = {};
  CUarray array = nullptr, other_array = nullptr;
  CUgraphExec graph = nullptr;
  CUevent event = nullptr;
  CUdeviceptr allocated = 0;
};

class Calls {
 public:
  Calls(CUfunction spin, CUdeviceptr memory, CUstream stream)
      : spin_(spin), to_(memory), from_(memory + 2 * kLarge), stream_(stream) {
    EXPECT_OK(Cu("cuCtxGetCurrent", &context_));
    Prepare();
    Kernels();
    for (const bool per_thread : {false, true}) {
      sync_ = per_thread ? "_ptds" : "";
      async_ = per_thread ? "_ptsz" : "";
      Launches();
      LinearCopies();
      BoxCopies();
      Batches();
      ArrayCopies();
      Memsets();
      NeverHeld();
    }
  }
  std::vector<Call> all;

 private:
  template <typename... Parameters>
  void Add(bool held, const std::string& name, Parameters... parameters) {
    all.push_back({name, held, [=] { return Cu(name.c_str(), parameters...); }});
  }
  template <typename... Parameters>
  void Held(const std::string& name, Parameters... parameters) {
    Add(true, name, parameters...);
  }

  void Prepare() {
    data_.config.gridDimX = data_.config.gridDimY = data_.config.gridDimZ = 1;
    data_.config.blockDimX = data_.config.blockDimY = data_.config.blockDimZ = 1;
    data_.config.hStream = stream_;
    data_.on_device = {spin_, {1, 1, 1}, {1, 1, 1}, 0, stream_, data_.parameters};
    data_.box2.srcMemoryType = data_.box2.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    data_.box2.srcDevice = from_;
    data_.box2.dstDevice = to_;
    data_.box2.srcPitch = data_.box2.dstPitch = data_.box2.WidthInBytes = kLarge / 4;
    data_.box2.Height = 4;
    data_.box3.srcMemoryType = data_.box3.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    data_.box3.srcDevice = from_;
    data_.box3.dstDevice = to_;
    data_.box3.srcPitch = data_.box3.dstPitch = data_.box3.WidthInBytes = kLarge / 4;
    data_.box3.srcHeight = data_.box3.dstHeight = data_.box3.Height = 2;
    data_.box3.Depth = 2;
    data_.box_peer.copy = data_.box3;
    data_.box_peer.copy.reserved0 = data_.box_peer.copy.reserved1 = context_;
    for (std::size_t i = 0; i < 2; ++i) {
      data_.from[i] = from_ + i * kLarge / 2;
      data_.to[i] = to_ + i * kLarge / 2;
      data_.boxes[i].src = {1, {.ptr = {data_.from[i], 0, 0, 0, 0}}};
      data_.boxes[i].dst = {1, {.ptr = {data_.to[i], 0, 0, 0, 0}}};
      data_.boxes[i].width = kLarge / 4;
      data_.boxes[i].height = 2;
      data_.boxes[i].depth = 1;
    }
    data_.large_box = data_.boxes[0];
    data_.large_box.depth = 2;
    data_.pieces[0].to_bytes = kLarge;
    data_.fabric[0].size = data_.fabric[1].size = kLarge / 2;
    const CUDA_ARRAY_DESCRIPTOR line{kLarge / 16, 0, static_cast<CUarray_format>(0x20), 4};
    EXPECT_OK(Cu("cuArrayCreate_v2", &data_.array, &line));
    EXPECT_OK(Cu("cuArrayCreate_v2", &data_.other_array, &line));
    EXPECT_OK(Cu("cuEventCreate", &data_.event, 0u));
    CUgraph graph = nullptr;
    EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream_, 0));
    EXPECT_OK(LaunchSpin(spin_, 10'000, stream_));
    EXPECT_OK(Cu("cuStreamEndCapture", stream_, &graph));
    EXPECT_OK(Cu("cuGraphInstantiateWithFlags", &data_.graph, graph, 0ull));
  }

  void Kernels() {
    Held("cuLaunchCooperativeKernelMultiDevice", &data_.on_device, 1u, 0u);
    Held("cuLaunch", spin_);
    Held("cuLaunchGrid", spin_, 1, 1);
    Held("cuLaunchGridAsync", spin_, 1, 1, stream_);
  }

  void Launches() {
    void** const parameters = data_.parameters;
    Held("cuLaunchKernel" + async_, spin_, 1u, 1u, 1u, 1u, 1u, 1u, 0u, stream_, parameters,
         static_cast<void**>(nullptr));
    Held("cuLaunchKernelEx" + async_, static_cast<const CUlaunchConfig*>(&data_.config), spin_,
         parameters, static_cast<void**>(nullptr));
    Held("cuLaunchCooperativeKernel" + async_, spin_, 1u, 1u, 1u, 1u, 1u, 1u, 0u, stream_,
         parameters);
    Held("cuGraphLaunch" + async_, data_.graph, stream_);
  }

  void LinearCopies() {
    void* const host = data_.host.data();
    const void* const from_host = data_.host.data();
    Held("cuMemcpy" + sync_, to_, from_, kLarge);
    Held("cuMemcpyHtoD_v2" + sync_, to_, from_host, kLarge);
    Held("cuMemcpyDtoH_v2" + sync_, host, from_, kLarge);
    Held("cuMemcpyDtoD_v2" + sync_, to_, from_, kLarge);
    Held("cuMemcpyPeer" + sync_, to_, context_, from_, context_, kLarge);
    Held("cuMemcpyAsync" + async_, to_, from_, kLarge, stream_);
    Held("cuMemcpyHtoDAsync_v2" + async_, to_, from_host, kLarge, stream_);
    Held("cuMemcpyDtoHAsync_v2" + async_, host, from_, kLarge, stream_);
    Held("cuMemcpyDtoDAsync_v2" + async_, to_, from_, kLarge, stream_);
    Held("cuMemcpyWithAttributesAsync" + async_, to_, from_, kLarge,
         static_cast<void*>(data_.attributes), stream_);
    Held("cuMemcpyPeerAsync" + async_, to_, context_, from_, context_, kLarge, stream_);
  }

  void BoxCopies() {
    const CUDA_MEMCPY2D* const box2 = &data_.box2;
    const CUDA_MEMCPY3D* const box3 = &data_.box3;
    const CUDA_MEMCPY3D_PEER* const peer = &data_.box_peer;
    Held("cuMemcpy2D_v2" + sync_, box2);
    Held("cuMemcpy2DUnaligned_v2" + sync_, box2);
    Held("cuMemcpy3D_v2" + sync_, box3);
    Held("cuMemcpy3DPeer" + sync_, peer);
    Held("cuMemcpy2DAsync_v2" + async_, box2, stream_);
    Held("cuMemcpy3DAsync_v2" + async_, box3, stream_);
    Held("cuMemcpy3DPeerAsync" + async_, peer, stream_);
  }

  void Batches() {
    CUdeviceptr *const to = data_.to, *const from = data_.from;
    void* const attributes = data_.attributes;
    CUDA_MEMCPY3D_BATCH_OP* const boxes = data_.boxes;
    const std::size_t two = 2, one = 1;
    Held("cuMemcpyBatchAsync" + async_, to, from, &data_.sizes[0], two, attributes, &data_.place,
         one, &data_.failed, stream_);
    Held("cuMemcpyBatchAsync_v2" + async_, to, from, &data_.sizes[0], two, attributes, &data_.place,
         one, stream_);
    Held("cuMemcpy3DBatchAsync" + async_, two, boxes, &data_.failed, 0ull, stream_);
    Held("cuMemcpy3DBatchAsync_v2" + async_, two, boxes, 0ull, stream_);
    Held("cuMemcpy3DWithAttributesAsync" + async_, &data_.large_box, 0ull, stream_);
    Held("cuFabricCpyBatchAsync" + async_, two, &data_.fabric[0], 0ull, stream_);
    Held("cuMemBatchDecompressAsync" + async_, &data_.pieces[0], one, 0u, &data_.failed, stream_);
  }

  void ArrayCopies() {
    void* const host = data_.host.data();
    const void* const from_host = data_.host.data();
    const std::size_t start = 0;
    Held("cuMemcpyDtoA_v2" + sync_, data_.array, start, from_, kLarge);
    Held("cuMemcpyAtoD_v2" + sync_, to_, data_.array, start, kLarge);
    Held("cuMemcpyAtoA_v2" + sync_, data_.array, start, data_.other_array, start, kLarge);
    Held("cuMemcpyHtoA_v2" + sync_, data_.array, start, from_host, kLarge);
    Held("cuMemcpyAtoH_v2" + sync_, host, data_.array, start, kLarge);
    Held("cuMemcpyHtoAAsync_v2" + async_, data_.array, start, from_host, kLarge, stream_);
    Held("cuMemcpyAtoHAsync_v2" + async_, host, data_.array, start, kLarge, stream_);
  }

  void Memsets() {
    const auto byte = static_cast<unsigned char>(1);
    const auto word = static_cast<unsigned short>(1);
    const std::size_t row = kLarge / 4, rows = 4;
    Held("cuMemsetD8_v2" + sync_, to_, byte, kLarge);
    Held("cuMemsetD16_v2" + sync_, to_, word, kLarge / 2);
    Held("cuMemsetD32_v2" + sync_, to_, 1u, kLarge / 4);
    Held("cuMemsetD2D8_v2" + sync_, to_, row, byte, row, rows);
    Held("cuMemsetD2D16_v2" + sync_, to_, row, word, row / 2, rows);
    Held("cuMemsetD2D32_v2" + sync_, to_, row, 1u, row / 4, rows);
    Held("cuMemsetD8Async" + async_, to_, byte, kLarge, stream_);
    Held("cuMemsetD16Async" + async_, to_, word, kLarge / 2, stream_);
    Held("cuMemsetD32Async" + async_, to_, 1u, kLarge / 4, stream_);
    Held("cuMemsetD2D8Async" + async_, to_, row, byte, row, rows, stream_);
    Held("cuMemsetD2D16Async" + async_, to_, row, word, row / 2, rows, stream_);
    Held("cuMemsetD2D32Async" + async_, to_, row, 1u, row / 4, rows, stream_);
  }

  // Small copies, waits, marks, memory and callbacks: others may wait for what they do.
  void NeverHeld() {
    const void* const from_host = data_.host.data();
    Add(false, "cuMemcpyHtoD_v2" + sync_, to_, from_host, kSmall);
    Add(false, "cuMemcpyHtoA_v2" + sync_, data_.array, std::size_t{0}, from_host, kSmall);
    Add(false, "cuMemsetD8Async" + async_, to_, static_cast<unsigned char>(1), kSmall, stream_);
    Add(false, "cuEventRecord" + async_, data_.event, stream_);
    Add(false, "cuStreamWaitEvent" + async_, stream_, data_.event, 0u);
    Add(false, "cuStreamWriteValue32_v2" + async_, stream_, to_, cuuint32_t{1}, 0u);
    Add(false, "cuStreamWaitValue32_v2" + async_, stream_, to_, cuuint32_t{1}, 0u);
    Add(false, "cuGraphUpload" + async_, data_.graph, stream_);
    Add(false, "cuLaunchHostFunc" + async_, stream_, static_cast<CUhostFn>([](void*) {}),
        static_cast<void*>(nullptr));
    Add(false, "cuLaunchHostFunc_v2" + async_, stream_, static_cast<CUhostFn>([](void*) {}),
        static_cast<void*>(nullptr), 0u);
    Add(false, "cuStreamSynchronize" + async_, stream_);
    Add(false, "cuStreamQuery" + async_, stream_);
    all.push_back({"cuMemAllocAsync" + async_, false, [this, async = async_] {
                     return Cu(("cuMemAllocAsync" + async).c_str(), &data_.allocated, kLarge,
                               stream_);
                   }});
    all.push_back({"cuMemFreeAsync" + async_, false, [this, async = async_] {
                     return Cu(("cuMemFreeAsync" + async).c_str(), data_.allocated, stream_);
                   }});
  }

  const CUfunction spin_;
  const CUdeviceptr to_, from_;
  const CUstream stream_;
  CUcontext context_ = nullptr;
  Data data_;
  std::string sync_, async_;
};

}  // namespace

std::vector<Call> EveryCall(CUfunction spin, CUdeviceptr memory, CUstream stream) {
  static Calls calls(spin, memory, stream);
  return calls.all;
}

}  // namespace aliquot::sim::cuda::testing
