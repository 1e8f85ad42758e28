// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "sim/cuda/enter.h"
#include "sim/cuda/graph_params.h"

namespace aliquot::sim::cuda {
namespace {

CUgraphNode Handle(const GraphNode* node) {
  return reinterpret_cast<CUgraphNode>(const_cast<GraphNode*>(node));
}

template <typename Body>
CUresult WithGraph(CUgraph handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto graph = driver.graphs.Find(handle);
    return graph == nullptr ? CUDA_ERROR_INVALID_VALUE : body(driver, *graph);
  });
}

// Node handles carry no graph, so all graphs are searched.
template <typename Body>
CUresult WithNode(CUgraphNode handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    for (const auto& graph : driver.graphs.All()) {
      if (GraphNode* node = graph->FindNode(handle)) return body(driver, *graph, *node);
    }
    return CUDA_ERROR_INVALID_VALUE;
  });
}

// The usual protocol: without `out` only the count; else as many as there is room for, the rest of
// the room set to null.
CUresult GiveNodes(const std::vector<const GraphNode*>& nodes, CUgraphNode* out, size_t* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (out != nullptr) {
    for (size_t i = 0; i < *count; ++i) out[i] = i < nodes.size() ? Handle(nodes[i]) : nullptr;
  }
  *count = out == nullptr ? nodes.size() : std::min(*count, nodes.size());
  return CUDA_SUCCESS;
}

CUresult Edges(CUgraph handle, CUgraphNode* from, CUgraphNode* to, size_t* count) {
  return WithGraph(handle, [&](Driver&, Graph& graph) -> CUresult {
    if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
    size_t seen = 0;
    for (const auto& node : graph.nodes) {
      for (const GraphNode* dependency : node->dependencies) {
        if (from != nullptr && to != nullptr && seen < *count) {
          from[seen] = Handle(dependency);
          to[seen] = Handle(node.get());
        }
        ++seen;
      }
    }
    *count = from == nullptr ? seen : std::min(*count, seen);
    return CUDA_SUCCESS;
  });
}

CUresult ChangeEdges(CUgraph handle, const CUgraphNode* from, const CUgraphNode* to, size_t count,
                     bool add) {
  return WithGraph(handle, [&](Driver&, Graph& graph) -> CUresult {
    if (count > 0 && (from == nullptr || to == nullptr)) return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; ++i) {
      GraphNode* first = graph.FindNode(from[i]);
      GraphNode* second = graph.FindNode(to[i]);
      if (first == nullptr || second == nullptr) return CUDA_ERROR_INVALID_VALUE;
      auto& list = second->dependencies;
      const auto it = std::find(list.begin(), list.end(), first);
      if (add == (it != list.end())) return CUDA_ERROR_INVALID_VALUE;
      if (add) {
        list.push_back(first);
      } else {
        list.erase(it);
      }
    }
    return CUDA_SUCCESS;
  });
}

CUresult Dependencies(CUgraphNode handle, CUgraphNode* out, size_t* count) {
  return WithNode(handle, [&](Driver&, Graph&, GraphNode& node) {
    return GiveNodes({node.dependencies.begin(), node.dependencies.end()}, out, count);
  });
}

CUresult Dependents(CUgraphNode handle, CUgraphNode* out, size_t* count) {
  return WithNode(handle, [&](Driver&, Graph& graph, GraphNode& node) {
    std::vector<const GraphNode*> dependents;
    for (const auto& other : graph.nodes) {
      const auto& list = other->dependencies;
      if (std::find(list.begin(), list.end(), &node) != list.end())
        dependents.push_back(other.get());
    }
    return GiveNodes(dependents, out, count);
  });
}

}  // namespace

namespace api {

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode* out, size_t* count) {
  return WithGraph(handle, [&](Driver&, Graph& graph) {
    std::vector<const GraphNode*> nodes;
    for (const auto& node : graph.nodes) nodes.push_back(node.get());
    return GiveNodes(nodes, out, count);
  });
}

CUresult cuGraphGetRootNodes(CUgraph handle, CUgraphNode* out, size_t* count) {
  return WithGraph(handle, [&](Driver&, Graph& graph) {
    std::vector<const GraphNode*> nodes;
    for (const auto& node : graph.nodes) {
      if (node->dependencies.empty()) nodes.push_back(node.get());
    }
    return GiveNodes(nodes, out, count);
  });
}

CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to, size_t* count) {
  return Edges(graph, from, to, count);
}

CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                size_t count) {
  return ChangeEdges(graph, from, to, count, true);
}

CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                   const CUgraphEdgeData*, size_t count) {
  return ChangeEdges(graph, from, to, count, true);
}

CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                   size_t count) {
  return ChangeEdges(graph, from, to, count, false);
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType* type) {
  return WithNode(handle, [&](Driver&, Graph&, GraphNode& node) { return Give(type, node.type); });
}

CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode* out, size_t* count) {
  return Dependencies(node, out, count);
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode* out, size_t* count) {
  return Dependents(node, out, count);
}

CUresult cuGraphDestroyNode(CUgraphNode handle) {
  return WithNode(handle, [&](Driver&, Graph& graph, GraphNode& node) {
    for (const auto& other : graph.nodes) std::erase(other->dependencies, &node);
    std::erase_if(graph.nodes, [&](const auto& n) { return n.get() == &node; });
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS* out) {
  return WithNode(handle, [&](Driver&, Graph&, GraphNode& node) -> CUresult {
    if (node.type != CU_GRAPH_NODE_TYPE_KERNEL) return CUDA_ERROR_INVALID_VALUE;
    return Give(out, node.kernel);
  });
}

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS* given) {
  return WithNode(handle, [&](Driver& driver, Graph&, GraphNode& node) -> CUresult {
    if (node.type != CU_GRAPH_NODE_TYPE_KERNEL || given == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return FillKernelNode(driver, node, *given);
  });
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode handle, CUDA_MEMCPY3D* out) {
  return WithNode(handle, [&](Driver&, Graph&, GraphNode& node) -> CUresult {
    if (node.type != CU_GRAPH_NODE_TYPE_MEMCPY) return CUDA_ERROR_INVALID_VALUE;
    return Give(out, node.copy);
  });
}

CUresult cuGraphMemsetNodeGetParams(CUgraphNode handle, CUDA_MEMSET_NODE_PARAMS* out) {
  return WithNode(handle, [&](Driver&, Graph&, GraphNode& node) -> CUresult {
    if (node.type != CU_GRAPH_NODE_TYPE_MEMSET) return CUDA_ERROR_INVALID_VALUE;
    return Give(out, node.memset);
  });
}

CUresult cuGraphHostNodeGetParams(CUgraphNode handle, CUDA_HOST_NODE_PARAMS* out) {
  return WithNode(handle, [&](Driver&, Graph&, GraphNode& node) -> CUresult {
    if (node.type != CU_GRAPH_NODE_TYPE_HOST) return CUDA_ERROR_INVALID_VALUE;
    return Give(out, node.host);
  });
}

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode handle, CUDA_MEM_ALLOC_NODE_PARAMS* out) {
  return WithNode(handle, [&](Driver&, Graph&, GraphNode& node) -> CUresult {
    if (node.type != CU_GRAPH_NODE_TYPE_MEM_ALLOC) return CUDA_ERROR_INVALID_VALUE;
    return Give(out, node.alloc);
  });
}

CUresult cuGraphMemFreeNodeGetParams(CUgraphNode handle, CUdeviceptr* out) {
  return WithNode(handle, [&](Driver&, Graph&, GraphNode& node) -> CUresult {
    if (node.type != CU_GRAPH_NODE_TYPE_MEM_FREE) return CUDA_ERROR_INVALID_VALUE;
    return Give(out, node.freed);
  });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
