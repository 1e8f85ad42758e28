// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Graphs: the memory of their allocation nodes, and their launches as work. A graph's memory is
// taken at its first launch or upload and stays with the device until it is trimmed; what graphs
// have reserved is a counter of the device. Without an agent: as linear memory and kernels.

#include "interposer/block_table.h"
#include "interposer/capture.h"
#include "interposer/cuda_charge.h"
#include "interposer/cuda_device.h"
#include "interposer/cuda_hooks.h"
#include "interposer/cuda_settle.h"
#include "interposer/gate.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

constexpr int kDevices = 64;
// A graph that was never measured.
constexpr uint64_t kGraphGuessNs = 500'000;

// Bytes of the allocation nodes of each graph and executable graph that has any.
constinit BlockTable g_bytes = {};
// Of each device: what is charged for its graphs, and the reading it comes from.
uint64_t g_charged[kDevices];
uint64_t g_reading[kDevices];
uint64_t g_readings = 0;
Mutex g_lock;
// Set once a graph with memory was seen; else there is nothing to settle.
uint32_t g_in_use = 0;
// How often memory of graphs was trimmed: launches before the last time hold none any more.
uint64_t g_trims = 1;

constinit Real<CUresult(CUdevice, int, void*)> real_attribute("cuDeviceGetGraphMemAttribute");

uint64_t Key(const void* handle) { return reinterpret_cast<uint64_t>(handle); }

uint64_t BytesOf(const void* graph) {
  Block block = {};
  return graph != nullptr && g_bytes.Find(Key(graph), &block) ? block.bytes : 0;
}

void AddBytes(const void* graph, uint64_t bytes) {
  if (bytes == 0) return;
  Store(&g_in_use, 1u);
  Locked lock(&g_lock);
  Block block = {};
  Block former;
  g_bytes.Take(Key(graph), &block);
  g_bytes.Put({Key(graph), block.bytes + bytes, 0, 0, ALIQUOT_KIND_GRAPH}, &former);
}

void Forget(const void* graph) {
  Block block;
  g_bytes.Take(Key(graph), &block);
}

uint64_t Read(CUdevice device, int attribute) {
  uint64_t value = 0;
  return real_attribute(device, attribute, &value) == CUDA_SUCCESS ? value : 0;
}

// As TakeReading of pools.
bool TakeReading(CUdevice device, uint64_t* before, uint64_t* now) {
  uint64_t number = 0;
  {
    Locked lock(&g_lock);
    number = ++g_readings;
  }
  *now = Read(device, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT);
  Locked lock(&g_lock);
  if (g_reading[device] > number) return false;
  g_reading[device] = number;
  *before = g_charged[device];
  g_charged[device] = *now;
  return true;
}

bool SettleDevice(CUdevice device) {
  uint64_t before = 0;
  uint64_t now = 0;
  const int gpu = GpuOf(device);
  if (gpu < 0 || !TakeReading(device, &before, &now)) return false;
  Settle(gpu, before, now, ALIQUOT_KIND_GRAPH);
  return now < before;
}

// What a launch may take: everything at the first, or after a trim; nothing once it is there.
uint64_t NeedOf(CUgraphExec exec) {
  Block block = {};
  if (!g_bytes.Find(Key(exec), &block) || block.owner == Load(&g_trims)) return 0;
  return block.bytes;
}

void NoteLaunched(CUgraphExec exec) {
  Locked lock(&g_lock);
  Block block = {};
  Block former;
  if (!g_bytes.Take(Key(exec), &block)) return;
  block.owner = Load(&g_trims);
  g_bytes.Put(block, &former);
}

// For a launch or an upload, after which the graph's memory is there. If the share has not enough
// left, other graphs' memory that is not in use is given back first.
template <typename Call>
CUresult WithGraphMemory(CUgraphExec exec, Call call) {
  if (__builtin_expect(Load(&g_in_use) == 0, 1)) return call();
  const CUdevice device = CurrentDevice();
  const int gpu = GpuOf(device);
  if (gpu < 0 || device >= kDevices) return call();
  const uint64_t need = NeedOf(exec);
  const auto place = static_cast<unsigned>(gpu);
  if (need != 0 && !Reserve(place, need, ALIQUOT_KIND_GRAPH)) {
    cuDeviceGraphMemTrim(device);
    if (!ReserveOrSettle(place, need, ALIQUOT_KIND_GRAPH)) return CUDA_ERROR_OUT_OF_MEMORY;
  }
  const CUresult result = call();
  if (result == CUDA_SUCCESS) NoteLaunched(exec);
  uint64_t before = 0;
  uint64_t now = 0;
  const bool mine = TakeReading(device, &before, &now);
  Settle(gpu, before + need, mine ? now : before, ALIQUOT_KIND_GRAPH);
  return result;
}

template <typename Call>
CUresult Instantiating(CUgraphExec* exec, CUgraph graph, Call call) {
  const CUresult result = call();
  if (result == CUDA_SUCCESS) {
    Forget(*exec);
    AddBytes(*exec, BytesOf(graph));
  }
  return result;
}

// What a node of any type allocates.
uint64_t AllocatedBy(const CUgraphNodeParams* parameters) {
  return parameters != nullptr && parameters->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC
             ? parameters->alloc.bytesize
             : 0;
}

}  // namespace

bool SettleGraphMemory() {
  if (Load(&g_in_use) == 0) return false;
  bool back = false;
  for (CUdevice device = 0; device < kDevices; ++device) {
    if (Load(&g_charged[device]) != 0) back = SettleDevice(device) || back;
  }
  return back;
}

}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuGraphAddMemAllocNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                                size_t count, CUDA_MEM_ALLOC_NODE_PARAMS* parameters) {
  static constinit Real<decltype(cuGraphAddMemAllocNode)> real("cuGraphAddMemAllocNode");
  const CUresult result = real(node, graph, after, count, parameters);
  if (result == CUDA_SUCCESS) AddBytes(graph, TakenFor(parameters->bytesize));
  return result;
}

CUresult cuGraphAddNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after, size_t count,
                        CUgraphNodeParams* parameters) {
  static constinit Real<decltype(cuGraphAddNode)> real("cuGraphAddNode");
  const CUresult result = real(node, graph, after, count, parameters);
  if (result == CUDA_SUCCESS) AddBytes(graph, TakenFor(AllocatedBy(parameters)));
  return result;
}

CUresult cuGraphAddNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                           const void* edges, size_t count, CUgraphNodeParams* parameters) {
  static constinit Real<decltype(cuGraphAddNode_v2)> real("cuGraphAddNode_v2");
  const CUresult result = real(node, graph, after, edges, count, parameters);
  if (result == CUDA_SUCCESS) AddBytes(graph, TakenFor(AllocatedBy(parameters)));
  return result;
}

CUresult cuGraphAddChildGraphNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                                  size_t count, CUgraph child) {
  static constinit Real<decltype(cuGraphAddChildGraphNode)> real("cuGraphAddChildGraphNode");
  const CUresult result = real(node, graph, after, count, child);
  if (result == CUDA_SUCCESS) AddBytes(graph, BytesOf(child));
  return result;
}

CUresult cuGraphClone(CUgraph* clone, CUgraph graph) {
  static constinit Real<decltype(cuGraphClone)> real("cuGraphClone");
  const CUresult result = real(clone, graph);
  if (result == CUDA_SUCCESS) AddBytes(*clone, BytesOf(graph));
  return result;
}

CUresult cuGraphDestroy(CUgraph graph) {
  static constinit Real<decltype(cuGraphDestroy)> real("cuGraphDestroy");
  Forget(graph);
  return real(graph);
}

CUresult cuGraphInstantiate(CUgraphExec* exec, CUgraph graph, CUgraphNode* node, char* log,
                            size_t size) {
  static constinit Real<decltype(cuGraphInstantiate)> real("cuGraphInstantiate");
  return Instantiating(exec, graph, [&] { return real(exec, graph, node, log, size); });
}

CUresult cuGraphInstantiate_v2(CUgraphExec* exec, CUgraph graph, CUgraphNode* node, char* log,
                               size_t size) {
  static constinit Real<decltype(cuGraphInstantiate_v2)> real("cuGraphInstantiate_v2");
  return Instantiating(exec, graph, [&] { return real(exec, graph, node, log, size); });
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long flags) {
  static constinit Real<decltype(cuGraphInstantiateWithFlags)> real("cuGraphInstantiateWithFlags");
  return Instantiating(exec, graph, [&] { return real(exec, graph, flags); });
}

CUresult cuGraphInstantiateWithParams(CUgraphExec* exec, CUgraph graph, void* parameters) {
  static constinit Real<decltype(cuGraphInstantiateWithParams)> real(
      "cuGraphInstantiateWithParams");
  return Instantiating(exec, graph, [&] { return real(exec, graph, parameters); });
}

CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec* exec, CUgraph graph, void* parameters) {
  static constinit Real<decltype(cuGraphInstantiateWithParams_ptsz)> real(
      "cuGraphInstantiateWithParams_ptsz");
  return Instantiating(exec, graph, [&] { return real(exec, graph, parameters); });
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
  static constinit Real<decltype(cuGraphExecDestroy)> real("cuGraphExecDestroy");
  Forget(exec);
  ForgetCost(GraphKey(exec));
  return real(exec);
}

CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
  static constinit Real<decltype(cuGraphUpload)> real("cuGraphUpload");
  return WithGraphMemory(exec, [&] { return real(exec, stream); });
}

CUresult cuGraphUpload_ptsz(CUgraphExec exec, CUstream stream) {
  static constinit Real<decltype(cuGraphUpload_ptsz)> real("cuGraphUpload_ptsz");
  return WithGraphMemory(exec, [&] { return real(exec, stream); });
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  static constinit Real<decltype(cuGraphLaunch)> real("cuGraphLaunch");
  return Gated({stream, GraphKey(exec), kGraphGuessNs},
               [&] { return WithGraphMemory(exec, [&] { return real(exec, stream); }); });
}

CUresult cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream) {
  static constinit Real<decltype(cuGraphLaunch_ptsz)> real("cuGraphLaunch_ptsz");
  return Gated({PerThread(stream), GraphKey(exec), kGraphGuessNs},
               [&] { return WithGraphMemory(exec, [&] { return real(exec, stream); }); });
}

CUresult cuDeviceGraphMemTrim(CUdevice device) {
  static constinit Real<decltype(cuDeviceGraphMemTrim)> real("cuDeviceGraphMemTrim");
  const CUresult result = real(device);
  Add(&g_trims, uint64_t{1});
  if (result == CUDA_SUCCESS && device < kDevices) SettleDevice(device);
  return result;
}

// An updated graph is another one as far as its duration goes.
CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode* node, int* result) {
  static constinit Real<decltype(cuGraphExecUpdate)> real("cuGraphExecUpdate");
  ForgetCost(GraphKey(exec));
  return real(exec, graph, node, result);
}

CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, void* result) {
  static constinit Real<decltype(cuGraphExecUpdate_v2)> real("cuGraphExecUpdate_v2");
  ForgetCost(GraphKey(exec));
  return real(exec, graph, result);
}
