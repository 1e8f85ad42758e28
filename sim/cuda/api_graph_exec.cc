// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "sim/cuda/enter.h"
#include "sim/cuda/graph_params.h"

namespace aliquot::sim::cuda {
namespace {

// All of a graph in an order that works, the contents of child graphs in their parents' place.
bool Flatten(const Graph& graph, std::vector<GraphNode*>* out) {
  const std::vector<GraphNode*> order = graph.Order();
  if (order.empty() && !graph.nodes.empty()) return false;
  for (GraphNode* node : order) {
    out->push_back(node);
    if (node->child && !Flatten(*node->child, out)) return false;
  }
  return true;
}

std::shared_ptr<GraphExec> MakeExec(const Graph& graph, std::uint64_t flags) {
  auto exec = std::make_shared<GraphExec>();
  exec->graph = graph.Clone();
  exec->flags = flags;
  for (const auto& node : graph.nodes) exec->origin.push_back(node.get());
  return Flatten(*exec->graph, &exec->order) ? exec : nullptr;
}

// Charges the memory of the graph's allocations; all or nothing is kept from before.
bool ChargeAllocations(const GraphExec& exec) {
  return std::all_of(exec.graph->allocations.begin(), exec.graph->allocations.end(),
                     [](const auto& allocation) { return allocation->Charge(); });
}

CUresult Instantiate(CUgraphExec* out, CUgraph handle, std::uint64_t flags) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto graph = driver.graphs.Find(handle);
    if (graph == nullptr || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    auto exec = MakeExec(*graph, flags);
    if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;  // a cycle
    *out = driver.execs.Add<CUgraphExec>(std::move(exec));
    return CUDA_SUCCESS;
  });
}

template <typename Body>
CUresult WithExec(CUgraphExec handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto exec = driver.execs.Find(handle);
    return exec == nullptr ? CUDA_ERROR_INVALID_VALUE : body(driver, exec);
  });
}

// One node's turn on the stream. The work mutex is held.
void EnqueueNode(Driver& driver, Context& context, Stream& stream, const GraphNode& node,
                 const std::shared_ptr<GraphExec>& exec) {
  Work work = node.work;
  if (work.effect) {
    // What the node works on stays while it is on the way.
    work.effect = [effect = std::move(work.effect), exec] { effect(); };
  }
  const auto event = node.event == nullptr ? nullptr : driver.events.Find(node.event);
  if (event && node.type == CU_GRAPH_NODE_TYPE_WAIT_EVENT) {
    const OperationPtr wait = context.Prepare(stream, std::move(work));
    if (event->recorded) wait->after.push_back(event->recorded);
    context.executor->Enqueue(*stream.queue, wait);
    return;
  }
  const OperationPtr operation = context.Enqueue(stream, std::move(work));
  if (event && node.type == CU_GRAPH_NODE_TYPE_EVENT_RECORD) event->recorded = operation;
}

}  // namespace

namespace api {

CUresult cuGraphInstantiate(CUgraphExec* out, CUgraph graph, CUgraphNode*, char*, size_t) {
  return Instantiate(out, graph, 0);
}

CUresult cuGraphInstantiate_v2(CUgraphExec* out, CUgraph graph, CUgraphNode*, char*, size_t) {
  return Instantiate(out, graph, 0);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* out, CUgraph graph, unsigned long long flags) {
  constexpr unsigned long long kDeviceLaunch = 4;
  return (flags & kDeviceLaunch) != 0 ? CUDA_ERROR_NOT_SUPPORTED : Instantiate(out, graph, flags);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec* out, CUgraph graph,
                                      CUDA_GRAPH_INSTANTIATE_PARAMS* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = cuGraphInstantiateWithFlags(out, graph, parameters->flags);
  parameters->hErrNode_out = nullptr;
  parameters->result_out = result == CUDA_SUCCESS ? 0 : 1;
  return result;
}

CUresult cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t* flags) {
  return WithExec(handle, [&](Driver&, const std::shared_ptr<GraphExec>& exec) {
    return Give<cuuint64_t>(flags, exec->flags);
  });
}

CUresult cuGraphExecDestroy(CUgraphExec handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    return driver.execs.Take(handle) == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  });
}

CUresult cuGraphUpload(CUgraphExec handle, CUstream stream_handle) {
  return WithExec(handle, [&](Driver&, const std::shared_ptr<GraphExec>& exec) {
    return WithStream(
        stream_handle,
        [&](Driver&, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
          if (!ChargeAllocations(*exec)) return CUDA_ERROR_OUT_OF_MEMORY;
          return context.Submit(stream, CU_GRAPH_NODE_TYPE_EMPTY, {});
        });
  });
}

// Nodes run one after the other, also those that the graph would allow side by side.
CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle) {
  return WithExec(handle, [&](Driver& driver, const std::shared_ptr<GraphExec>& exec) {
    return WithStream(
        stream_handle,
        [&](Driver&, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
          if (!ChargeAllocations(*exec)) return CUDA_ERROR_OUT_OF_MEMORY;
          const std::lock_guard<std::mutex> lock(driver.work.mutex);
          if (stream->capture) {
            GraphNode* node = stream->capture->graph->Add(CU_GRAPH_NODE_TYPE_GRAPH, stream->tail);
            node->child = exec->graph->Clone();
            stream->tail = {node};
            return CUDA_SUCCESS;
          }
          if (exec->order.empty()) context.Enqueue(*stream, {});
          for (const GraphNode* node : exec->order) {
            EnqueueNode(driver, context, *stream, *node, exec);
          }
          return CUDA_SUCCESS;
        });
  });
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec handle, CUgraphNode node_handle,
                                           const CUDA_KERNEL_NODE_PARAMS* given) {
  return WithExec(handle, [&](Driver& driver, const std::shared_ptr<GraphExec>& exec) -> CUresult {
    if (given == nullptr) return CUDA_ERROR_INVALID_VALUE;
    for (std::size_t i = 0; i < exec->origin.size(); ++i) {
      if (static_cast<const void*>(exec->origin[i]) != node_handle) continue;
      GraphNode& node = *exec->graph->nodes[i];
      if (node.type != CU_GRAPH_NODE_TYPE_KERNEL) return CUDA_ERROR_INVALID_VALUE;
      const std::lock_guard<std::mutex> lock(driver.work.mutex);
      return FillKernelNode(driver, node, *given);
    }
    return CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuGraphExecUpdate_v2(CUgraphExec handle, CUgraph graph_handle,
                              CUgraphExecUpdateResultInfo* info) {
  return WithExec(handle, [&](Driver& driver, const std::shared_ptr<GraphExec>& exec) -> CUresult {
    const auto graph = driver.graphs.Find(graph_handle);
    if (graph == nullptr || info == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *info = {};
    if (graph->nodes.size() != exec->graph->nodes.size()) {
      info->result = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
      return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    }
    for (std::size_t i = 0; i < graph->nodes.size(); ++i) {
      if (graph->nodes[i]->type == exec->graph->nodes[i]->type) continue;
      info->result = CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
      info->errorNode = reinterpret_cast<CUgraphNode>(graph->nodes[i].get());
      return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    }
    auto updated = MakeExec(*graph, exec->flags);
    if (updated == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    // Launches on the way keep the old one alive through their own copies of the work.
    exec->graph = std::move(updated->graph);
    exec->order = std::move(updated->order);
    exec->origin = std::move(updated->origin);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGraphMemTrim(CUdevice device) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (!driver.HasDevice(device)) return CUDA_ERROR_INVALID_DEVICE;
    const auto trim = [&](const Graph& graph) {
      for (const auto& allocation : graph.allocations) {
        if (allocation->device == device) allocation->Uncharge();
      }
    };
    for (const auto& graph : driver.graphs.All()) trim(*graph);
    for (const auto& exec : driver.execs.All()) trim(*exec->graph);
    return CUDA_SUCCESS;
  });
}

// 0 used, 1 most used, 2 reserved, 3 most reserved.
CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void* out) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (!driver.HasDevice(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (out == nullptr || attribute < 0 || attribute > 3) return CUDA_ERROR_INVALID_VALUE;
    GraphMemory& memory = *driver.graph_memory[static_cast<std::size_t>(device)];
    const std::lock_guard<std::mutex> lock(memory.mutex);
    const std::uint64_t values[] = {memory.used, memory.used_high, memory.reserved,
                                    memory.reserved_high};
    std::memcpy(out, &values[attribute], sizeof(values[attribute]));
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute,
                                      void* value) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (!driver.HasDevice(device)) return CUDA_ERROR_INVALID_DEVICE;
    std::uint64_t number = 1;
    if (value != nullptr) std::memcpy(&number, value, sizeof(number));
    if (number != 0 || (attribute != 1 && attribute != 3)) return CUDA_ERROR_INVALID_VALUE;
    GraphMemory& memory = *driver.graph_memory[static_cast<std::size_t>(device)];
    const std::lock_guard<std::mutex> lock(memory.mutex);
    if (attribute == 1) memory.used_high = memory.used;
    if (attribute == 3) memory.reserved_high = memory.reserved;
    return CUDA_SUCCESS;
  });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
