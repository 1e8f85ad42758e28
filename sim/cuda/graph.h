// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "sim/cuda/abi.h"
#include "sim/cuda/device_heap.h"
#include "sim/cuda/module.h"
#include "sim/cuda/stream.h"

namespace aliquot::sim::cuda {

struct Graph;

// Memory that the allocation nodes of graphs hold on one device. It stays until
// cuDeviceGraphMemTrim, as with the real driver.
struct GraphMemory {
  std::mutex mutex;
  std::uint64_t used = 0, used_high = 0;
  std::uint64_t reserved = 0, reserved_high = 0;
};

// One allocation of a graph: addresses from the start, memory (a charge) from the first launch.
struct GraphAllocation {
  class Driver* driver = nullptr;
  int device = 0;
  std::uint64_t asked = 0;
  std::uint64_t bytes = 0;  // in blocks
  std::uintptr_t base = 0;
  std::uint64_t offset = 0;
  bool charged = false;  // with the device's GraphMemory mutex
  bool live = false;     // between the allocation node and the free
  ~GraphAllocation();
  // False if the device has not that much.
  bool Charge();
  void Uncharge();
  void SetLive(bool now);
};

struct GraphNode {
  Graph* graph = nullptr;
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
  Work work;
  std::vector<GraphNode*> dependencies;
  CUDA_KERNEL_NODE_PARAMS kernel{};  // as given, for the get calls
  std::vector<std::vector<char>> parameter_copies;
  std::vector<void*> parameter_pointers;
  CUDA_MEMCPY3D copy{};
  CUDA_MEMSET_NODE_PARAMS memset{};
  CUDA_HOST_NODE_PARAMS host{};
  CUDA_MEM_ALLOC_NODE_PARAMS alloc{};
  CUdeviceptr freed = 0;
  CUevent event = nullptr;
  std::shared_ptr<Graph> child;
  std::shared_ptr<GraphAllocation> allocation;
};

// A graph under construction. CUDA leaves the synchronisation of calls on one graph to the
// program; captures change it under the work mutex.
struct Graph {
  std::vector<std::unique_ptr<GraphNode>> nodes;  // in order of addition
  std::vector<std::shared_ptr<GraphAllocation>> allocations;

  GraphNode* Add(CUgraphNodeType type, std::vector<GraphNode*> dependencies);
  GraphNode* FindNode(const void* handle);
  // Dependencies before dependents; empty if there is a cycle (or no node).
  std::vector<GraphNode*> Order() const;
  // Takes over what the nodes of another graph do, which are the same kinds of nodes in the same
  // order with the same dependencies; else false, and nothing changes. Not with allocations.
  bool TakeOver(Graph& other);
  // `mapping` (optional) receives where each node of this graph went, in order of nodes.
  std::shared_ptr<Graph> Clone(std::vector<GraphNode*>* mapping = nullptr) const;
};

// A graph made ready to launch: its own copy, and the order to go through it.
struct GraphExec {
  std::shared_ptr<Graph> graph;
  std::vector<GraphNode*> order;         // of `graph`, children of child graphs put in
  std::vector<const GraphNode*> origin;  // the nodes it was made from, by position in `graph`
  std::uint64_t flags = 0;
};

}  // namespace aliquot::sim::cuda
