// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/graph_params.h"

#include <sys/mman.h>

#include <utility>

#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {

std::size_t NodeCount(Driver& driver, const Stream& stream) {
  const std::lock_guard<std::mutex> lock(driver.work.mutex);
  return stream.capture ? stream.capture->graph->nodes.size() + 1 : 0;
}

bool Invalidate(Driver& driver, const Stream& stream) {
  const std::lock_guard<std::mutex> lock(driver.work.mutex);
  if (!stream.capture) return false;
  stream.capture->invalid = true;
  return true;
}

void DescribeKernel(GraphNode& node, const Function& function, CUfunction handle,
                    const Launch& launch) {
  node.kernel = {handle,          launch.grid[0],  launch.grid[1],  launch.grid[2],
                 launch.block[0], launch.block[1], launch.block[2], launch.shared_bytes,
                 nullptr,         nullptr,         nullptr,         nullptr};
  node.parameter_copies.clear();
  node.parameter_pointers.clear();
  if (!function.spec.parameters_known || launch.parameters == nullptr) return;
  for (std::size_t i = 0; i < function.spec.parameter_bytes.size(); ++i) {
    const auto* from = static_cast<const char*>(launch.parameters[i]);
    node.parameter_copies.emplace_back(from, from + function.spec.parameter_bytes[i]);
  }
  for (auto& bytes : node.parameter_copies) node.parameter_pointers.push_back(bytes.data());
  node.kernel.kernelParams = node.parameter_pointers.data();
}

void DescribeCapturedKernel(Driver& driver, const Stream& stream, const Function& function,
                            CUfunction handle, const Launch& launch) {
  const std::lock_guard<std::mutex> lock(driver.work.mutex);
  if (!stream.capture || stream.tail.empty()) return;
  DescribeKernel(*stream.tail.back(), function, handle, launch);
}

CUresult FillAllocation(Driver& driver, Graph& graph, GraphNode& node,
                        CUDA_MEM_ALLOC_NODE_PARAMS* parameters) {
  const int device = parameters->poolProps.location.id;
  if (parameters->bytesize == 0 || !driver.HasDevice(device) ||
      parameters->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  auto allocation = std::make_shared<GraphAllocation>();
  allocation->driver = &driver;
  allocation->device = device;
  allocation->asked = parameters->bytesize;
  allocation->bytes = RoundUp(parameters->bytesize, kBlock);
  allocation->offset = driver.arena->Reserve(allocation->bytes);
  void* memory = Arena::Map(driver.arena->fd(), allocation->offset, allocation->bytes, nullptr,
                            PROT_READ | PROT_WRITE);
  if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  allocation->base = reinterpret_cast<std::uintptr_t>(memory);
  Range range;
  range.kind = Range::Kind::kGraph;
  range.base = allocation->base;
  range.bytes = parameters->bytesize;
  range.block = allocation->base;
  range.block_bytes = allocation->bytes;
  range.device = device;
  driver.addresses.Add(std::move(range));
  parameters->dptr = allocation->base;
  node.alloc = *parameters;
  node.allocation = allocation;
  node.work.effect = [weak = std::weak_ptr<GraphAllocation>(allocation)] {
    if (const auto live = weak.lock()) live->SetLive(true);
  };
  graph.allocations.push_back(std::move(allocation));
  return CUDA_SUCCESS;
}

CUresult FillFree(Graph& graph, GraphNode& node, CUdeviceptr address) {
  for (const auto& allocation : graph.allocations) {
    if (allocation->base != address) continue;
    node.freed = address;
    node.work.effect = [weak = std::weak_ptr<GraphAllocation>(allocation)] {
      if (const auto live = weak.lock()) live->SetLive(false);
    };
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

}  // namespace aliquot::sim::cuda
