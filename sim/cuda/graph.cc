// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/graph.h"

#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <utility>

#include "sim/cuda/driver.h"

namespace aliquot::sim::cuda {

GraphAllocation::~GraphAllocation() {
  if (driver == nullptr) return;
  SetLive(false);
  Uncharge();
  if (base != 0) ::munmap(reinterpret_cast<void*>(base), bytes);
  driver->arena->Discard(offset, bytes);
  driver->addresses.Take(base, {Range::Kind::kGraph});
}

bool GraphAllocation::Charge() {
  GraphMemory& memory = *driver->graph_memory[static_cast<std::size_t>(device)];
  const std::lock_guard<std::mutex> lock(memory.mutex);
  if (charged) return true;
  if (!driver->node->Charge(driver->devices()[static_cast<std::size_t>(device)], bytes)) {
    return false;
  }
  charged = true;
  memory.reserved += bytes;
  memory.reserved_high = std::max(memory.reserved_high, memory.reserved);
  return true;
}

void GraphAllocation::Uncharge() {
  GraphMemory& memory = *driver->graph_memory[static_cast<std::size_t>(device)];
  const std::lock_guard<std::mutex> lock(memory.mutex);
  if (!charged || live) return;
  charged = false;
  memory.reserved -= bytes;
  driver->node->Uncharge(driver->devices()[static_cast<std::size_t>(device)], bytes);
}

void GraphAllocation::SetLive(bool now) {
  GraphMemory& memory = *driver->graph_memory[static_cast<std::size_t>(device)];
  const std::lock_guard<std::mutex> lock(memory.mutex);
  if (now == live) return;
  live = now;
  memory.used = now ? memory.used + bytes : memory.used - bytes;
  memory.used_high = std::max(memory.used_high, memory.used);
}

GraphNode* Graph::Add(CUgraphNodeType type, std::vector<GraphNode*> dependencies) {
  auto node = std::make_unique<GraphNode>();
  node->graph = this;
  node->type = type;
  node->dependencies = std::move(dependencies);
  nodes.push_back(std::move(node));
  return nodes.back().get();
}

GraphNode* Graph::FindNode(const void* handle) {
  for (const auto& node : nodes) {
    if (node.get() == handle) return node.get();
  }
  return nullptr;
}

std::vector<GraphNode*> Graph::Order() const {
  std::map<const GraphNode*, std::size_t> missing;
  std::map<const GraphNode*, std::vector<GraphNode*>> dependents;
  std::vector<GraphNode*> order;
  for (const auto& node : nodes) {
    missing[node.get()] = node->dependencies.size();
    for (const GraphNode* dependency : node->dependencies) {
      dependents[dependency].push_back(node.get());
    }
    if (node->dependencies.empty()) order.push_back(node.get());
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (GraphNode* dependent : dependents[order[i]]) {
      if (--missing[dependent] == 0) order.push_back(dependent);
    }
  }
  if (order.size() != nodes.size()) order.clear();
  return order;
}

bool Graph::TakeOver(Graph& other) {
  if (nodes.size() != other.nodes.size() || !allocations.empty() || !other.allocations.empty()) {
    return false;
  }
  std::map<const GraphNode*, const GraphNode*> twin;
  for (std::size_t i = 0; i < nodes.size(); ++i) twin[nodes[i].get()] = other.nodes[i].get();
  for (const auto& node : nodes) {
    const GraphNode& match = *twin[node.get()];
    if (node->type != match.type || node->dependencies.size() != match.dependencies.size()) {
      return false;
    }
    for (std::size_t i = 0; i < node->dependencies.size(); ++i) {
      if (twin[node->dependencies[i]] != match.dependencies[i]) return false;
    }
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    std::vector<GraphNode*> dependencies = std::move(nodes[i]->dependencies);
    *nodes[i] = std::move(*other.nodes[i]);
    nodes[i]->graph = this;
    nodes[i]->dependencies = std::move(dependencies);
  }
  return true;
}

std::shared_ptr<Graph> Graph::Clone(std::vector<GraphNode*>* mapping) const {
  auto clone = std::make_shared<Graph>();
  std::map<const GraphNode*, GraphNode*> to;
  for (const auto& node : nodes) {
    GraphNode* copy = clone->Add(node->type, {});
    copy->work = node->work;
    copy->kernel = node->kernel;
    copy->parameter_copies = node->parameter_copies;
    copy->copy = node->copy;
    copy->memset = node->memset;
    copy->host = node->host;
    copy->alloc = node->alloc;
    copy->freed = node->freed;
    copy->event = node->event;
    copy->allocation = node->allocation;
    for (auto& bytes : copy->parameter_copies) copy->parameter_pointers.push_back(bytes.data());
    if (!copy->parameter_pointers.empty()) {
      copy->kernel.kernelParams = copy->parameter_pointers.data();
    }
    if (node->child) copy->child = node->child->Clone();
    to[node.get()] = copy;
    if (mapping != nullptr) mapping->push_back(copy);
  }
  for (const auto& node : nodes) {
    for (const GraphNode* dependency : node->dependencies) {
      to[node.get()]->dependencies.push_back(to[dependency]);
    }
  }
  clone->allocations = allocations;
  return clone;
}

}  // namespace aliquot::sim::cuda
