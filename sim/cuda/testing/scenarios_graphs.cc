// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <atomic>

#include "sim/cuda/testing/program.h"

namespace aliquot::sim::cuda::testing {
namespace {

constexpr CUgraphNode* kNoNodes = nullptr;
std::atomic<int> calls{0};

CUdeviceptr Words() {
  CUdeviceptr words = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &words, size_t{64}));
  EXPECT_OK(Cu("cuMemsetD8_v2", words, static_cast<unsigned char>(0), size_t{64}));
  return words;
}

CUDA_KERNEL_NODE_PARAMS AddParameters(void** parameters) {
  return {Kernel("add"), 1, 1, 1, 32, 1, 1, 0, parameters, nullptr, nullptr, nullptr};
}

CUgraphExec Instantiate(CUgraph graph) {
  CUgraphExec exec = nullptr;
  EXPECT_OK(Cu("cuGraphInstantiateWithFlags", &exec, graph, 0ull));
  return exec;
}

void Nodes() {
  Start();
  const CUdeviceptr words = Words();
  CUgraph graph = nullptr;
  EXPECT_OK(Cu("cuGraphCreate", &graph, 0u));
  CUgraphNode set = nullptr, add = nullptr, copy = nullptr, host = nullptr;
  CUDA_MEMSET_NODE_PARAMS memset{words, 0, 40, 4, 1, 1};
  EXPECT_OK(Cu("cuGraphAddMemsetNode", &set, graph, kNoNodes, size_t{0}, &memset, CUcontext{}));
  CUdeviceptr address = words;
  std::uint32_t amount = 2;
  void* parameters[] = {&address, &amount};
  CUDA_KERNEL_NODE_PARAMS kernel = AddParameters(parameters);
  EXPECT_OK(Cu("cuGraphAddKernelNode_v2", &add, graph, &set, size_t{1}, &kernel));
  address = 0;  // parameters are copied when the node is made
  CUDA_MEMCPY3D box{};
  box.srcMemoryType = box.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  box.srcDevice = words;
  box.dstDevice = words + 8;
  box.WidthInBytes = 4;
  box.Height = box.Depth = 1;
  EXPECT_OK(Cu("cuGraphAddMemcpyNode", &copy, graph, &add, size_t{1}, &box, CUcontext{}));
  CUDA_HOST_NODE_PARAMS call{[](void*) { ++calls; }, nullptr};
  EXPECT_OK(Cu("cuGraphAddHostNode", &host, graph, &copy, size_t{1}, &call));
  size_t count = 0;
  EXPECT_OK(Cu("cuGraphGetNodes", graph, kNoNodes, &count));
  EXPECT_IS(count, 4);
  EXPECT_OK(Cu("cuGraphGetEdges", graph, kNoNodes, kNoNodes, &count));
  EXPECT_IS(count, 3);
  CUgraphNodeType type{};
  EXPECT_OK(Cu("cuGraphNodeGetType", host, &type));
  EXPECT_IS(type, 3);
  const CUgraphExec exec = Instantiate(graph);
  for (int i = 0; i < 3; ++i) EXPECT_OK(Cu("cuGraphLaunch", exec, CUstream{}));
  EXPECT_OK(Cu("cuCtxSynchronize"));
  EXPECT_IS(calls.load(), 3);
  EXPECT_IS(ReadWord(words), 42);
  EXPECT_IS(ReadWord(words + 8), 42);
  address = words;
  amount = 5;
  EXPECT_OK(Cu("cuGraphExecKernelNodeSetParams_v2", exec, add, &kernel));
  EXPECT_OK(Cu("cuGraphLaunch", exec, CUstream{}));
  EXPECT_IS(ReadWord(words + 8), 45);
  // A cycle cannot be made ready.
  EXPECT_OK(Cu("cuGraphAddDependencies", graph, &host, &set, size_t{1}));
  CUgraphExec bad = nullptr;
  EXPECT_IS(Cu("cuGraphInstantiateWithFlags", &bad, graph, 0ull), 1);
  EXPECT_OK(Cu("cuGraphExecDestroy", exec));
  EXPECT_IS(Cu("cuGraphLaunch", exec, CUstream{}), 1);
  EXPECT_OK(Cu("cuGraphDestroy", graph));
}

// Nodes of every kind by the functions that add any, each version one after the other.
void AnyNodes() {
  Start();
  const CUdeviceptr words = Words();
  CUgraph graph = nullptr;
  EXPECT_OK(Cu("cuGraphCreate", &graph, 0u));
  CUgraphNode last = nullptr;
  const CUgraphEdgeData edge{};
  int turn = 0;
  const auto add = [&](CUgraphNodeParams* parameters) {
    const CUgraphNode before = last;
    const CUgraphNode* after = before == nullptr ? kNoNodes : &before;
    const size_t count = before == nullptr ? 0 : 1;
    if (turn == 0) return Cu("cuGraphAddNode", &last, graph, after, count, parameters);
    return Cu(turn == 1 ? "cuGraphAddNode_v2" : "cuGraphAddNode_v3", &last, graph, after,
              count == 0 ? nullptr : &edge, count, parameters);
  };
  for (turn = 0; turn < 3; ++turn) {
    CUgraphNodeParams node{};
    node.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC;
    node.alloc.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    node.alloc.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    node.alloc.bytesize = 64;
    EXPECT_OK(add(&node));
    const CUdeviceptr scratch = node.alloc.dptr;
    node = {};
    node.type = CU_GRAPH_NODE_TYPE_MEMSET;
    node.memset = {scratch, 0, 5, 4, 1, 1};
    EXPECT_OK(add(&node));
    CUdeviceptr address = scratch;
    std::uint32_t amount = 2;
    void* parameters[] = {&address, &amount};
    node = {};
    node.type = CU_GRAPH_NODE_TYPE_KERNEL;
    node.kernel = AddParameters(parameters);
    EXPECT_OK(add(&node));
    node = {};
    node.type = CU_GRAPH_NODE_TYPE_MEMCPY;
    CUDA_MEMCPY3D& box = node.memcpy.copyParams;
    box.srcMemoryType = box.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    box.srcDevice = scratch;
    box.dstDevice = words + 4 * static_cast<CUdeviceptr>(turn);
    box.WidthInBytes = 4;
    box.Height = box.Depth = 1;
    EXPECT_OK(add(&node));
    node = {};
    node.type = CU_GRAPH_NODE_TYPE_HOST;
    node.host = {[](void*) { ++calls; }, nullptr};
    EXPECT_OK(add(&node));
    node = {};
    node.type = CU_GRAPH_NODE_TYPE_MEM_FREE;
    node.free = scratch;
    EXPECT_OK(add(&node));
    node = {};
    node.type = CU_GRAPH_NODE_TYPE_EMPTY;
    EXPECT_OK(add(&node));
    node.type = static_cast<CUgraphNodeType>(13);  // conditional
    EXPECT_IS(add(&node), 801);
  }
  EXPECT_OK(Cu("cuGraphLaunch", Instantiate(graph), CUstream{}));
  EXPECT_OK(Cu("cuCtxSynchronize"));
  EXPECT_IS(calls.load(), 3);
  for (CUdeviceptr i = 0; i < 3; ++i) EXPECT_IS(ReadWord(words + 4 * i), 7);
}

void Allocations() {
  Start();
  const std::uint64_t before = Memory().free;
  CUgraph graph = nullptr;
  EXPECT_OK(Cu("cuGraphCreate", &graph, 0u));
  CUDA_MEM_ALLOC_NODE_PARAMS parameters{};
  parameters.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  parameters.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  parameters.bytesize = 10u << 20;
  CUgraphNode alloc = nullptr, set = nullptr, free = nullptr;
  EXPECT_OK(Cu("cuGraphAddMemAllocNode", &alloc, graph, kNoNodes, size_t{0}, &parameters));
  CUDA_MEMSET_NODE_PARAMS memset{parameters.dptr, 0, 1, 1, 10u << 20, 1};
  EXPECT_OK(Cu("cuGraphAddMemsetNode", &set, graph, &alloc, size_t{1}, &memset, CUcontext{}));
  EXPECT_OK(Cu("cuGraphAddMemFreeNode", &free, graph, &set, size_t{1}, parameters.dptr));
  const CUgraphExec exec = Instantiate(graph);
  EXPECT_IS(Memory().free, before);
  EXPECT_OK(Cu("cuGraphLaunch", exec, CUstream{}));
  EXPECT_OK(Cu("cuCtxSynchronize"));
  EXPECT_IS(before - Memory().free, 10u << 20);
  std::uint64_t reserved = 0;
  EXPECT_OK(Cu("cuDeviceGetGraphMemAttribute", CUdevice{0}, 2, static_cast<void*>(&reserved)));
  EXPECT_IS(reserved, 10u << 20);
  EXPECT_OK(Cu("cuDeviceGraphMemTrim", CUdevice{0}));
  EXPECT_IS(Memory().free, before);
  EXPECT_OK(Cu("cuGraphExecDestroy", exec));
  EXPECT_OK(Cu("cuGraphDestroy", graph));
}

void Capture() {
  Start();
  const CUdeviceptr words = Words();
  CUstream one = nullptr, two = nullptr;
  EXPECT_OK(Cu("cuStreamCreate", &one, 1u));
  EXPECT_OK(Cu("cuStreamCreate", &two, 1u));
  CUevent fork = nullptr, join = nullptr;
  EXPECT_OK(Cu("cuEventCreate", &fork, 0u));
  EXPECT_OK(Cu("cuEventCreate", &join, 0u));
  const CUfunction add = Kernel("add");
  EXPECT_OK(Cu("cuStreamBeginCapture_v2", one, 0));
  EXPECT_OK(LaunchAdd(add, words, 1, one));
  EXPECT_OK(Cu("cuEventRecord", fork, one));
  EXPECT_OK(Cu("cuStreamWaitEvent", two, fork, 0u));
  EXPECT_OK(LaunchAdd(add, words + 4, 2, two));
  EXPECT_OK(LaunchAdd(add, words, 1, one));
  EXPECT_OK(Cu("cuEventRecord", join, two));
  EXPECT_OK(Cu("cuStreamWaitEvent", one, join, 0u));
  CUstreamCaptureStatus status{};
  EXPECT_OK(Cu("cuStreamIsCapturing", two, &status));
  EXPECT_IS(status, 1);
  CUgraph graph = nullptr;
  EXPECT_OK(Cu("cuStreamEndCapture", one, &graph));
  EXPECT_OK(Cu("cuStreamIsCapturing", two, &status));
  EXPECT_IS(status, 0);
  EXPECT_IS(ReadWord(words), 0);  // capturing is not running
  const CUgraphExec exec = Instantiate(graph);
  for (int i = 0; i < 10; ++i) EXPECT_OK(Cu("cuGraphLaunch", exec, two));
  EXPECT_OK(Cu("cuStreamSynchronize", two));
  EXPECT_IS(ReadWord(words), 20);
  EXPECT_IS(ReadWord(words + 4), 20);
}

// A graph that is captured again does what was captured last, by the nodes that it had.
void Recapture() {
  Start();
  const CUfunction add = Kernel("add");
  const CUdeviceptr words = Words();
  CUstream stream = nullptr;
  EXPECT_OK(Cu("cuStreamCreate", &stream, 1u));
  CUgraph graph = nullptr, again = nullptr;
  EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream, 0));
  EXPECT_OK(LaunchAdd(add, words, 1, stream));
  EXPECT_OK(LaunchAdd(add, words, 1, stream));
  EXPECT_OK(Cu("cuStreamEndCapture", stream, &graph));
  CUgraphNode before[2] = {}, after[2] = {};
  size_t count = 2;
  EXPECT_OK(Cu("cuGraphGetNodes", graph, &before[0], &count));
  void* const nothing = nullptr;
  EXPECT_OK(Cu("cuStreamBeginRecaptureToGraph", stream, 0, graph, nothing, nothing));
  EXPECT_OK(LaunchAdd(add, words, 10, stream));
  EXPECT_OK(LaunchAdd(add, words, 20, stream));
  EXPECT_OK(Cu("cuStreamEndCapture", stream, &again));
  EXPECT_IS(again == graph, true);
  EXPECT_OK(Cu("cuGraphGetNodes", graph, &after[0], &count));
  EXPECT_IS(before[0] == after[0] && before[1] == after[1], true);
  EXPECT_OK(Cu("cuGraphLaunch", Instantiate(graph), stream));
  EXPECT_OK(Cu("cuStreamSynchronize", stream));
  EXPECT_IS(ReadWord(words), 30);
  // Another graph altogether.
  EXPECT_OK(Cu("cuStreamBeginRecaptureToGraph", stream, 0, graph, nothing, nothing));
  EXPECT_OK(LaunchAdd(add, words, 1, stream));
  EXPECT_IS(Cu("cuStreamEndCapture", stream, &again), 918);
}

// What is captured to a command buffer never runs here, where nobody submits one.
void CaptureToGraphics() {
  Start();
  int blob = 0;
  CUstreamCigCaptureParams to{reinterpret_cast<CUstreamCigParam*>(&blob)};
  CUstream stream = nullptr;
  EXPECT_OK(Cu("cuStreamCreate", &stream, 1u));
  EXPECT_IS(Cu("cuStreamBeginCaptureToCig", stream, &to), 201);  // not in every context
  CUctxCreateParams parameters{nullptr, 0, reinterpret_cast<CUctxCigParam*>(&blob)};
  CUcontext context = nullptr;
  EXPECT_OK(Cu("cuCtxCreate_v4", &context, &parameters, 0u, CUdevice{0}));
  const CUfunction add = Kernel("add");
  const CUdeviceptr words = Words();
  EXPECT_OK(Cu("cuStreamCreate", &stream, 1u));
  EXPECT_IS(Cu("cuStreamEndCaptureToCig", stream), 1);
  EXPECT_OK(Cu("cuStreamBeginCaptureToCig", stream, &to));
  EXPECT_OK(LaunchAdd(add, words, 1, stream));
  const CUhostFn none = [](void*) {};
  EXPECT_IS(Cu("cuLaunchHostFunc", stream, none, static_cast<void*>(nullptr)), 801);
  CUstreamCaptureStatus status{};
  EXPECT_OK(Cu("cuStreamIsCapturing", stream, &status));
  EXPECT_IS(status, 0);
  CUgraph graph = nullptr;
  EXPECT_IS(Cu("cuStreamEndCapture", stream, &graph), 1);
  EXPECT_OK(Cu("cuStreamEndCaptureToCig", stream));
  EXPECT_OK(LaunchAdd(add, words, 2, stream));
  EXPECT_OK(Cu("cuStreamSynchronize", stream));
  EXPECT_IS(ReadWord(words), 2);
}

// What a real driver answers when a program does in a capture what it must not.
void CaptureErrors() {
  Start();
  CUstream stream = nullptr;
  EXPECT_OK(Cu("cuStreamCreate", &stream, 1u));
  const CUfunction add = Kernel("add");
  const CUdeviceptr words = Words();
  CUgraph graph = nullptr;
  EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream, 0));
  EXPECT_IS(Cu("cuStreamSynchronize", stream), 900);
  EXPECT_IS(Cu("cuStreamEndCapture", stream, &graph), 901);
  EXPECT_IS(graph == nullptr, true);
  EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream, 0));
  CUdeviceptr address = 0;
  EXPECT_IS(Cu("cuMemAlloc_v2", &address, size_t{64}), 900);
  EXPECT_IS(LaunchAdd(add, words, 1, stream), 901);
  EXPECT_IS(Cu("cuStreamEndCapture", stream, &graph), 901);
  // In relaxed mode it may.
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  EXPECT_OK(Cu("cuThreadExchangeStreamCaptureMode", &mode));
  EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream, 2));
  EXPECT_OK(Cu("cuMemAlloc_v2", &address, size_t{64}));
  EXPECT_OK(Cu("cuStreamEndCapture", stream, &graph));
  // A stream that never joined back.
  CUstream lost = nullptr;
  CUevent event = nullptr;
  EXPECT_OK(Cu("cuStreamCreate", &lost, 1u));
  EXPECT_OK(Cu("cuEventCreate", &event, 0u));
  EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream, 2));
  EXPECT_OK(Cu("cuEventRecord", event, stream));
  EXPECT_OK(Cu("cuStreamWaitEvent", lost, event, 0u));
  EXPECT_OK(LaunchAdd(add, words, 1, lost));
  EXPECT_IS(Cu("cuStreamEndCapture", stream, &graph), 904);
  EXPECT_IS(Cu("cuStreamEndCapture", stream, &graph), 1);
}

}  // namespace

bool PlayGraphs(const std::string& name, const Arguments&) {
  if (name == "graph-nodes") return Nodes(), true;
  if (name == "graph-any-nodes") return AnyNodes(), true;
  if (name == "recapture") return Recapture(), true;
  if (name == "capture-to-graphics") return CaptureToGraphics(), true;
  if (name == "graph-allocations") return Allocations(), true;
  if (name == "capture") return Capture(), true;
  if (name == "capture-errors") return CaptureErrors(), true;
  return false;
}

}  // namespace aliquot::sim::cuda::testing
