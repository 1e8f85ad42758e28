// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/cuda/device_attributes.h"
#include "sim/cuda/enter.h"
#include "sim/cuda/loader.h"

namespace aliquot::sim::cuda {
namespace {

constexpr int kMaxDynamicShared = 8;  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
constexpr int kCarveout = 9;          // CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT

template <typename Body>
CUresult WithFunction(const void* handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto function = driver.functions.Find(handle);
    return function == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(driver, *function);
  });
}

CUresult GetAttribute(int* value, int attribute, const Function& function,
                      const DeviceInfo& device) {
  const int capability = static_cast<int>(device.gpu->product->compute_major * 10 +
                                          device.gpu->product->compute_minor);
  switch (attribute) {
    case 0:
      return Give(value, 1024);  // MAX_THREADS_PER_BLOCK
    case 1:
      return Give(value, static_cast<int>(function.spec.shared_bytes));
    case 4:
      return Give(value, static_cast<int>(function.spec.registers));
    case 5:
    case 6:
      return Give(value, capability);  // PTX_VERSION, BINARY_VERSION
    case kMaxDynamicShared:
      return Give(value, function.max_dynamic_shared);
    case kCarveout:
      return Give(value, function.carveout);
    default:
      return attribute < 0 || attribute > 15 ? CUDA_ERROR_INVALID_VALUE : Give(value, 0);
  }
}

CUresult SetAttribute(int attribute, int value, Function& function, const DeviceInfo& device) {
  if (attribute == kMaxDynamicShared) {
    const int most = DeviceAttribute(device, 97).value_or(0);
    if (value < 0 || value > most) return CUDA_ERROR_INVALID_VALUE;
    function.max_dynamic_shared = value;
  } else if (attribute == kCarveout) {
    if (value < -1 || value > 100) return CUDA_ERROR_INVALID_VALUE;
    function.carveout = value;
  } else if (attribute < 10 || attribute > 15) {
    return CUDA_ERROR_INVALID_VALUE;  // the others are facts
  }
  return CUDA_SUCCESS;
}

CUresult ParameterInfo(const Function& function, size_t index, size_t* offset, size_t* bytes) {
  const auto& sizes = function.spec.parameter_bytes;
  if (!function.spec.parameters_known || index >= sizes.size() || offset == nullptr) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  size_t at = 0;
  for (size_t i = 0;; ++i) {
    const size_t align = std::min<size_t>(sizes[i], 8);
    at = (at + align - 1) / align * align;
    if (i == index) break;
    at += sizes[i];
  }
  *offset = at;
  if (bytes != nullptr) *bytes = sizes[index];
  return CUDA_SUCCESS;
}

const DeviceInfo& DeviceOf(Driver& driver, const Function& function) {
  if (function.context != nullptr) return function.context->info;
  const auto current = driver.CurrentContext();
  return driver.devices()[current == nullptr ? 0 : static_cast<std::size_t>(current->device)];
}

}  // namespace

namespace api {

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction handle) {
  return WithFunction(handle, [&](Driver& driver, Function& function) {
    return GetAttribute(value, attribute, function, DeviceOf(driver, function));
  });
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  return WithFunction(handle, [&](Driver& driver, Function& function) {
    return SetAttribute(attribute, value, function, DeviceOf(driver, function));
  });
}

CUresult cuKernelGetAttribute(int* value, CUfunction_attribute attribute, CUkernel handle,
                              CUdevice device) {
  return WithFunction(handle, [&](Driver& driver, Function& function) -> CUresult {
    if (!driver.HasDevice(device)) return CUDA_ERROR_INVALID_DEVICE;
    return GetAttribute(value, attribute, function,
                        driver.devices()[static_cast<std::size_t>(device)]);
  });
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle,
                              CUdevice device) {
  return WithFunction(handle, [&](Driver& driver, Function& function) -> CUresult {
    if (!driver.HasDevice(device)) return CUDA_ERROR_INVALID_DEVICE;
    return SetAttribute(attribute, value, function,
                        driver.devices()[static_cast<std::size_t>(device)]);
  });
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache) {
  return WithFunction(handle, [](Driver&, Function&) { return CUDA_SUCCESS; });
}

CUresult cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache, CUdevice) {
  return WithFunction(handle, [](Driver&, Function&) { return CUDA_SUCCESS; });
}

CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig) {
  return WithFunction(handle, [](Driver&, Function&) { return CUDA_SUCCESS; });
}

CUresult cuFuncGetModule(CUmodule* out, CUfunction handle) {
  return WithFunction(handle, [&](Driver&, Function& function) {
    return Give(out, reinterpret_cast<CUmodule>(function.module));
  });
}

CUresult cuFuncGetName(const char** name, CUfunction handle) {
  return WithFunction(
      handle, [&](Driver&, Function& function) { return Give(name, function.spec.name.c_str()); });
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t* offset, size_t* bytes) {
  return WithFunction(handle, [&](Driver&, Function& function) {
    return ParameterInfo(function, index, offset, bytes);
  });
}

CUresult cuKernelGetParamInfo(CUkernel handle, size_t index, size_t* offset, size_t* bytes) {
  return WithFunction(handle, [&](Driver&, Function& function) {
    return ParameterInfo(function, index, offset, bytes);
  });
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState* state, CUfunction handle) {
  return WithFunction(
      handle, [&](Driver&, Function&) { return Give(state, CU_FUNCTION_LOADING_STATE_LOADED); });
}

CUresult cuFuncLoad(CUfunction handle) {
  return WithFunction(handle, [](Driver&, Function&) { return CUDA_SUCCESS; });
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction handle,
                                                              int block_size, size_t shared_bytes,
                                                              unsigned) {
  return WithFunction(handle, [&](Driver& driver, Function& function) -> CUresult {
    if (block_size <= 0) return CUDA_ERROR_INVALID_VALUE;
    return Give(blocks,
                static_cast<int>(ResidentBlocks(function, DeviceOf(driver, function),
                                                static_cast<unsigned>(block_size), shared_bytes)));
  });
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction handle, int block_size,
                                                     size_t shared_bytes) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, handle, block_size,
                                                              shared_bytes, 0);
}

// The block size that keeps most threads resident, the largest among equals.
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* min_grid, int* block, CUfunction handle,
                                                   CUoccupancyB2DSize shared_of, size_t shared,
                                                   int limit, unsigned) {
  return WithFunction(handle, [&](Driver& driver, Function& function) -> CUresult {
    if (min_grid == nullptr || block == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const DeviceInfo& device = DeviceOf(driver, function);
    const int most = limit <= 0 ? 1024 : std::min(limit, 1024);
    unsigned best_threads = 0;
    for (int size = most / 32 * 32 == 0 ? most : most / 32 * 32; size > 0; size -= 32) {
      const size_t dynamic = shared_of != nullptr ? shared_of(size) : shared;
      const unsigned resident =
          ResidentBlocks(function, device, static_cast<unsigned>(size), dynamic);
      if (resident * static_cast<unsigned>(size) <= best_threads) continue;
      best_threads = resident * static_cast<unsigned>(size);
      *block = size;
      *min_grid = static_cast<int>(resident * device.multiprocessors);
    }
    return best_threads == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  });
}

CUresult cuOccupancyMaxPotentialBlockSize(int* min_grid, int* block, CUfunction handle,
                                          CUoccupancyB2DSize shared_of, size_t shared, int limit) {
  return cuOccupancyMaxPotentialBlockSizeWithFlags(min_grid, block, handle, shared_of, shared,
                                                   limit, 0);
}

}  // namespace api
}  // namespace aliquot::sim::cuda
