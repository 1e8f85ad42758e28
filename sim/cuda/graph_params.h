// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cuda/driver.h"

namespace aliquot::sim::cuda {

// 0 for a stream that is not captured; else one more than the nodes of its graph.
std::size_t NodeCount(Driver& driver, const Stream& stream);
// If the stream is captured, that capture is lost; says whether it was.
bool Invalidate(Driver& driver, const Stream& stream);

// Remembers in a kernel node what it was made from, parameters included.
void DescribeKernel(GraphNode& node, const Function& function, CUfunction handle,
                    const Launch& launch);
// Makes a kernel node what the parameters say, in their context or the current one.
CUresult FillKernelNode(Driver& driver, GraphNode& node, const CUDA_KERNEL_NODE_PARAMS& given);
// Makes an allocation node: addresses now, memory at the first launch.
CUresult FillAllocation(Driver& driver, Graph& graph, GraphNode& node,
                        CUDA_MEM_ALLOC_NODE_PARAMS* parameters);
// Makes a node that frees an allocation of the same graph.
CUresult FillFree(Graph& graph, GraphNode& node, CUdeviceptr address);
// As DescribeKernel, for the node that the stream captured last.
void DescribeCapturedKernel(Driver& driver, const Stream& stream, const Function& function,
                            CUfunction handle, const Launch& launch);

}  // namespace aliquot::sim::cuda
