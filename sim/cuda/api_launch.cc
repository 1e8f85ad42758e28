// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "sim/cuda/enter.h"
#include "sim/cuda/graph_params.h"
#include "sim/cuda/loader.h"

namespace aliquot::sim::cuda {
namespace {

CUresult LaunchOn(CUstream stream_handle, CUfunction handle, const Launch& launch) {
  return WithStream(
      stream_handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        const auto function = ResolveFunction(driver, context, handle);
        if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        Work work;
        const CUresult result = MakeKernelWork(*function, context, launch, &work);
        if (result != CUDA_SUCCESS) return result;
        const std::size_t before = NodeCount(driver, *stream);
        const CUresult submitted =
            context.Submit(stream, CU_GRAPH_NODE_TYPE_KERNEL, std::move(work));
        if (submitted == CUDA_SUCCESS && before > 0) {
          DescribeCapturedKernel(driver, *stream, *function, handle, launch);
        }
        return submitted;
      });
}

}  // namespace

namespace api {

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                        CUstream stream, void** parameters, void** extra) {
  return LaunchOn(stream, function,
                  {{grid_x, grid_y, grid_z},
                   {block_x, block_y, block_z},
                   shared_bytes,
                   parameters,
                   extra,
                   false});
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters,
                          void** extra) {
  if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  constexpr int kCooperative = 2;  // CU_LAUNCH_ATTRIBUTE_COOPERATIVE
  bool cooperative = false;
  for (unsigned i = 0; i < config->numAttrs && config->attrs != nullptr; ++i) {
    if (config->attrs[i].id == kCooperative) cooperative = config->attrs[i].value[0] != 0;
  }
  return LaunchOn(config->hStream, function,
                  {{config->gridDimX, config->gridDimY, config->gridDimZ},
                   {config->blockDimX, config->blockDimY, config->blockDimZ},
                   config->sharedMemBytes,
                   parameters,
                   extra,
                   cooperative});
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
                                   unsigned grid_z, unsigned block_x, unsigned block_y,
                                   unsigned block_z, unsigned shared_bytes, CUstream stream,
                                   void** parameters) {
  return LaunchOn(stream, function,
                  {{grid_x, grid_y, grid_z},
                   {block_x, block_y, block_z},
                   shared_bytes,
                   parameters,
                   nullptr,
                   true});
}

CUresult cuLaunchHostFunc(CUstream stream_handle, CUhostFn function, void* data) {
  if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return WithStream(stream_handle,
                    [&](Driver&, Context& context, const std::shared_ptr<Stream>& stream) {
                      Work work;
                      work.kind = Operation::Kind::kHost;
                      work.host = [function, data] { function(data); };
                      return context.Submit(stream, CU_GRAPH_NODE_TYPE_HOST, std::move(work));
                    });
}

CUresult cuLaunchHostFunc_v2(CUstream stream, CUhostFn function, void* data, unsigned mode) {
  return mode > 1 ? CUDA_ERROR_INVALID_VALUE : cuLaunchHostFunc(stream, function, data);
}

CUresult cuStreamAddCallback(CUstream stream_handle, CUstreamCallback callback, void* data,
                             unsigned flags) {
  if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return WithStream(
      stream_handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        if (Invalidate(driver, *stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        Work work;
        work.kind = Operation::Kind::kHost;
        work.host = [callback, stream_handle, data] {
          callback(stream_handle, CUDA_SUCCESS, data);
        };
        return context.Submit(stream, CU_GRAPH_NODE_TYPE_HOST, std::move(work));
      });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
