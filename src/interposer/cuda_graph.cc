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
#include "interposer/meter.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

constexpr int kDevices = 64;
// A graph that was never measured.
constexpr uint64_t kGraphGuessNs = 500'000;

// Bytes of the allocation nodes of each executable graph that has any.
constinit BlockTable g_bytes = {};
constinit Meter g_meters[kDevices] = {};
Mutex g_lock;
// Set once a graph may have memory; else there is nothing to look for.
uint32_t g_in_use = 0;
// How often memory of graphs was trimmed: launches before the last time hold none any more.
uint64_t g_trims = 1;

constinit Real<CUresult(CUdevice, int, void*)> real_attribute("cuDeviceGetGraphMemAttribute");
constinit Real<CUresult(CUgraph, CUgraphNode*, size_t*)> real_nodes("cuGraphGetNodes");
constinit Real<CUresult(CUgraphNode, int*)> real_node_type("cuGraphNodeGetType");
constinit Real<CUresult(CUgraphNode, CUDA_MEM_ALLOC_NODE_PARAMS*)> real_allocation(
    "cuGraphMemAllocNodeGetParams");
constinit Real<CUresult(CUgraphNode, CUgraph*)> real_child("cuGraphChildGraphNodeGetGraph");

uint64_t Key(const void* handle) { return reinterpret_cast<uint64_t>(handle); }

// Calls `visit` for every node of the graph. The driver's list of them is as it was a moment ago:
// nobody changes a graph while it is instantiated.
template <typename Visit>
void EachNode(CUgraph graph, Visit visit) {
  size_t count = 0;
  if (real_nodes(graph, nullptr, &count) != CUDA_SUCCESS || count == 0) return;
  const size_t bytes = count * sizeof(CUgraphNode);
  auto* nodes = static_cast<CUgraphNode*>(Pages(bytes));
  if (nodes == nullptr) return;
  if (real_nodes(graph, nodes, &count) == CUDA_SUCCESS) {
    for (size_t i = 0; i < count; ++i) visit(nodes[i]);
  }
  FreePages(nodes, bytes);
}

// What the graph's allocation nodes take, those of child graphs included. The driver may let nodes
// that follow each other share memory; how much that saves shows when it is there.
uint64_t AllocatedIn(CUgraph graph, int depth = 0) {
  constexpr int kDeepest = 8;
  uint64_t sum = 0;
  if (depth > kDeepest) return sum;
  EachNode(graph, [&](CUgraphNode node) {
    int type = -1;
    CUDA_MEM_ALLOC_NODE_PARAMS allocation;
    CUgraph child = nullptr;
    if (real_node_type(node, &type) != CUDA_SUCCESS) return;
    if (type == CU_GRAPH_NODE_TYPE_MEM_ALLOC &&
        real_allocation(node, &allocation) == CUDA_SUCCESS) {
      sum += TakenFor(allocation.bytesize);
    } else if (type == CU_GRAPH_NODE_TYPE_GRAPH && real_child(node, &child) == CUDA_SUCCESS) {
      sum += AllocatedIn(child, depth + 1);
    }
  });
  return sum;
}

void Remember(CUgraphExec exec, uint64_t bytes) {
  Locked lock(&g_lock);
  Block former;
  g_bytes.Take(Key(exec), &former);
  if (bytes != 0) g_bytes.Put({Key(exec), bytes, 0, 0, ALIQUOT_KIND_GRAPH}, &former);
}

uint64_t Reserved(CUdevice device) {
  uint64_t value = 0;
  const CUresult result = real_attribute(device, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT, &value);
  return result == CUDA_SUCCESS ? value : 0;
}

bool SettleDevice(CUdevice device) {
  const int gpu = GpuOf(device);
  if (gpu < 0) return false;
  const Meter::Outcome outcome = g_meters[device].Settle([&] { return Reserved(device); });
  Release(static_cast<unsigned>(gpu), outcome.release, ALIQUOT_KIND_GRAPH);
  Charge(static_cast<unsigned>(gpu), outcome.excess, ALIQUOT_KIND_GRAPH);
  return outcome.release != 0;
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
  g_meters[device].Begin(need);
  const CUresult result = call();
  if (result == CUDA_SUCCESS) NoteLaunched(exec);
  const Meter::Outcome outcome = g_meters[device].Finish(need, [&] { return Reserved(device); });
  Release(place, outcome.release, ALIQUOT_KIND_GRAPH);
  Charge(place, outcome.excess, ALIQUOT_KIND_GRAPH);
  return result;
}

template <typename Call>
CUresult Instantiating(CUgraphExec* exec, CUgraph graph, Call call) {
  const CUresult result = call();
  if (result == CUDA_SUCCESS && Load(&g_in_use) != 0) Remember(*exec, AllocatedIn(graph));
  return result;
}

bool Allocates(const CUgraphNodeParams* parameters) {
  return parameters != nullptr && parameters->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC;
}

}  // namespace

void ExpectGraphMemory() { Store(&g_in_use, 1u); }

bool SettleGraphMemory() {
  if (Load(&g_in_use) == 0) return false;
  bool back = false;
  for (CUdevice device = 0; device < kDevices; ++device) {
    if (g_meters[device].charged() != 0) back = SettleDevice(device) || back;
  }
  return back;
}

}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuGraphAddMemAllocNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                                size_t count, CUDA_MEM_ALLOC_NODE_PARAMS* parameters) {
  static constinit Real<decltype(cuGraphAddMemAllocNode)> real("cuGraphAddMemAllocNode");
  const CUresult result = real(node, graph, after, count, parameters);
  if (result == CUDA_SUCCESS) ExpectGraphMemory();
  return result;
}

CUresult cuGraphAddNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after, size_t count,
                        CUgraphNodeParams* parameters) {
  static constinit Real<decltype(cuGraphAddNode)> real("cuGraphAddNode");
  const CUresult result = real(node, graph, after, count, parameters);
  if (result == CUDA_SUCCESS && Allocates(parameters)) ExpectGraphMemory();
  return result;
}

CUresult cuGraphAddNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                           const void* edges, size_t count, CUgraphNodeParams* parameters) {
  static constinit Real<decltype(cuGraphAddNode_v2)> real("cuGraphAddNode_v2");
  const CUresult result = real(node, graph, after, edges, count, parameters);
  if (result == CUDA_SUCCESS && Allocates(parameters)) ExpectGraphMemory();
  return result;
}

CUresult cuGraphAddNode_v3(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                           const void* edges, size_t count, CUgraphNodeParams* parameters) {
  static constinit Real<decltype(cuGraphAddNode_v3)> real("cuGraphAddNode_v3");
  const CUresult result = real(node, graph, after, edges, count, parameters);
  if (result == CUDA_SUCCESS && Allocates(parameters)) ExpectGraphMemory();
  return result;
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
  if (Load(&g_in_use) != 0) Remember(exec, 0);
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
