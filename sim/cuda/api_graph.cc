// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "sim/cuda/copy.h"
#include "sim/cuda/enter.h"
#include "sim/cuda/graph_params.h"
#include "sim/cuda/loader.h"

namespace aliquot::sim::cuda {
namespace {

template <typename Body>
CUresult WithGraph(CUgraph handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto graph = driver.graphs.Find(handle);
    return graph == nullptr ? CUDA_ERROR_INVALID_VALUE : body(driver, graph);
  });
}

// Adds a node; `fill` makes it what it is and may refuse, and then there is no node.
template <typename Fill>
CUresult AddNode(CUgraphNode* out, CUgraph handle, const CUgraphNode* dependencies, size_t count,
                 CUgraphNodeType type, const Fill& fill) {
  return WithGraph(handle, [&](Driver& driver, const std::shared_ptr<Graph>& graph) -> CUresult {
    if (out == nullptr || (count > 0 && dependencies == nullptr)) return CUDA_ERROR_INVALID_VALUE;
    std::vector<GraphNode*> nodes;
    for (size_t i = 0; i < count; ++i) {
      nodes.push_back(graph->FindNode(dependencies[i]));
      if (nodes.back() == nullptr) return CUDA_ERROR_INVALID_VALUE;
    }
    GraphNode* node = graph->Add(type, std::move(nodes));
    const CUresult result = fill(driver, *graph, *node);
    if (result != CUDA_SUCCESS) {
      graph->nodes.pop_back();
      return result;
    }
    *out = reinterpret_cast<CUgraphNode>(node);
    return CUDA_SUCCESS;
  });
}

CUresult AddKernel(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                   const CUDA_KERNEL_NODE_PARAMS& given) {
  return AddNode(
      out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_KERNEL,
      [&](Driver& driver, Graph&, GraphNode& node) { return FillKernelNode(driver, node, given); });
}

}  // namespace

CUresult FillKernelNode(Driver& driver, GraphNode& node, const CUDA_KERNEL_NODE_PARAMS& given) {
  const auto context =
      given.ctx == nullptr ? driver.CurrentContext() : driver.FindContext(given.ctx);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const CUfunction handle =
      given.func != nullptr ? given.func : reinterpret_cast<CUfunction>(given.kern);
  const auto function = ResolveFunction(driver, *context, handle);
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const Launch launch{{given.gridDimX, given.gridDimY, given.gridDimZ},
                      {given.blockDimX, given.blockDimY, given.blockDimZ},
                      given.sharedMemBytes,
                      given.kernelParams,
                      given.extra,
                      false};
  Work work;
  const CUresult result = MakeKernelWork(*function, *context, launch, &work);
  if (result != CUDA_SUCCESS) return result;
  node.work = std::move(work);
  DescribeKernel(node, *function, handle, launch);
  return CUDA_SUCCESS;
}

namespace api {

CUresult cuGraphCreate(CUgraph* out, unsigned flags) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (out == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    *out = driver.graphs.Add<CUgraph>(std::make_shared<Graph>());
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphDestroy(CUgraph handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    return driver.graphs.Take(handle) == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  });
}

CUresult cuGraphClone(CUgraph* out, CUgraph handle) {
  return WithGraph(handle, [&](Driver& driver, const std::shared_ptr<Graph>& graph) -> CUresult {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = driver.graphs.Add<CUgraph>(graph->Clone());
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                                 size_t count, const CUDA_KERNEL_NODE_PARAMS* given) {
  if (given == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return AddKernel(out, graph, dependencies, count, *given);
}

CUresult cuGraphAddKernelNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                              size_t count, const CUDA_KERNEL_NODE_PARAMS_v1* v1) {
  if (v1 == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return AddKernel(
      out, graph, dependencies, count,
      {v1->func, v1->gridDimX, v1->gridDimY, v1->gridDimZ, v1->blockDimX, v1->blockDimY,
       v1->blockDimZ, v1->sharedMemBytes, v1->kernelParams, v1->extra, nullptr, nullptr});
}

CUresult cuGraphAddMemcpyNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                              size_t count, const CUDA_MEMCPY3D* copy, CUcontext) {
  if (copy == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return AddNode(out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_MEMCPY,
                 [&](Driver& driver, Graph&, GraphNode& node) {
                   node.copy = *copy;
                   return MakeCopyWork(driver, *copy, &node.work);
                 });
}

CUresult cuGraphAddMemsetNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                              size_t count, const CUDA_MEMSET_NODE_PARAMS* set, CUcontext) {
  if (set == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return AddNode(out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_MEMSET,
                 [&](Driver& driver, Graph&, GraphNode& node) {
                   node.memset = *set;
                   return MakeMemsetWork(driver, *set, &node.work);
                 });
}

CUresult cuGraphAddHostNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                            size_t count, const CUDA_HOST_NODE_PARAMS* host) {
  if (host == nullptr || host->fn == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return AddNode(out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_HOST,
                 [&](Driver&, Graph&, GraphNode& node) {
                   node.host = *host;
                   node.work.kind = Operation::Kind::kHost;
                   node.work.host = [fn = host->fn, data = host->userData] { fn(data); };
                   return CUDA_SUCCESS;
                 });
}

CUresult cuGraphAddEmptyNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                             size_t count) {
  return AddNode(out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_EMPTY,
                 [](Driver&, Graph&, GraphNode&) { return CUDA_SUCCESS; });
}

CUresult cuGraphAddChildGraphNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                                  size_t count, CUgraph child) {
  return AddNode(out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_GRAPH,
                 [&](Driver& driver, Graph& parent, GraphNode& node) -> CUresult {
                   const auto found = driver.graphs.Find(child);
                   if (found == nullptr || found.get() == &parent) return CUDA_ERROR_INVALID_VALUE;
                   if (!found->allocations.empty()) return CUDA_ERROR_NOT_SUPPORTED;
                   node.child = found->Clone();
                   return CUDA_SUCCESS;
                 });
}

CUresult cuGraphAddEventRecordNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                                   size_t count, CUevent event) {
  return AddNode(out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_EVENT_RECORD,
                 [&](Driver& driver, Graph&, GraphNode& node) -> CUresult {
                   node.event = event;
                   return driver.events.Find(event) == nullptr ? CUDA_ERROR_INVALID_HANDLE
                                                               : CUDA_SUCCESS;
                 });
}

CUresult cuGraphAddEventWaitNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                                 size_t count, CUevent event) {
  return AddNode(out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_WAIT_EVENT,
                 [&](Driver& driver, Graph&, GraphNode& node) -> CUresult {
                   node.event = event;
                   return driver.events.Find(event) == nullptr ? CUDA_ERROR_INVALID_HANDLE
                                                               : CUDA_SUCCESS;
                 });
}

CUresult cuGraphAddMemAllocNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                                size_t count, CUDA_MEM_ALLOC_NODE_PARAMS* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return AddNode(out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_MEM_ALLOC,
                 [&](Driver& driver, Graph& target, GraphNode& node) {
                   return FillAllocation(driver, target, node, parameters);
                 });
}

CUresult cuGraphAddMemFreeNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                               size_t count, CUdeviceptr address) {
  return AddNode(
      out, graph, dependencies, count, CU_GRAPH_NODE_TYPE_MEM_FREE,
      [&](Driver&, Graph& target, GraphNode& node) { return FillFree(target, node, address); });
}

CUresult cuGraphAddNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                        size_t count, CUgraphNodeParams* given) {
  if (given == nullptr) return CUDA_ERROR_INVALID_VALUE;
  switch (given->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return cuGraphAddKernelNode_v2(out, graph, dependencies, count, &given->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      return cuGraphAddMemcpyNode(out, graph, dependencies, count, &given->memcpy.copyParams,
                                  given->memcpy.copyCtx);
    case CU_GRAPH_NODE_TYPE_MEMSET:
      return cuGraphAddMemsetNode(out, graph, dependencies, count, &given->memset, nullptr);
    case CU_GRAPH_NODE_TYPE_HOST:
      return cuGraphAddHostNode(out, graph, dependencies, count, &given->host);
    case CU_GRAPH_NODE_TYPE_GRAPH:
      return cuGraphAddChildGraphNode(out, graph, dependencies, count, given->graph);
    case CU_GRAPH_NODE_TYPE_EMPTY:
      return cuGraphAddEmptyNode(out, graph, dependencies, count);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
      return cuGraphAddEventWaitNode(out, graph, dependencies, count, given->event);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      return cuGraphAddEventRecordNode(out, graph, dependencies, count, given->event);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
      return cuGraphAddMemAllocNode(out, graph, dependencies, count, &given->alloc);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
      return cuGraphAddMemFreeNode(out, graph, dependencies, count, given->free);
  }
  return CUDA_ERROR_NOT_SUPPORTED;
}

// All edges are plain ones.
CUresult cuGraphAddNode_v2(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                           const CUgraphEdgeData*, size_t count, CUgraphNodeParams* given) {
  return cuGraphAddNode(out, graph, dependencies, count, given);
}

}  // namespace api
}  // namespace aliquot::sim::cuda
