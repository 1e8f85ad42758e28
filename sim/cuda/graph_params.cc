// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/graph_params.h"

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

}  // namespace aliquot::sim::cuda
