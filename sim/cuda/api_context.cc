// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/cuda/enter.h"

namespace aliquot::sim::cuda {
namespace {

constexpr unsigned kMapHost = 8;  // CU_CTX_MAP_HOST, always on
constexpr unsigned kFlagMask = 0xff;

CUresult Create(CUcontext* out, unsigned flags, CUdevice device, bool for_graphics = false) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (out == nullptr || (flags & ~kFlagMask) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (!driver.HasDevice(device)) return CUDA_ERROR_INVALID_DEVICE;
    std::shared_ptr<Context> context;
    const CUresult result = driver.CreateContext(device, flags | kMapHost, false, &context);
    if (result != CUDA_SUCCESS) return result;
    context->for_graphics = for_graphics;
    *out = reinterpret_cast<CUcontext>(context.get());
    Driver::Thread().stack.push_back(*out);
    return CUDA_SUCCESS;
  });
}

template <typename Body>
CUresult WithPrimary(CUdevice device, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (!driver.HasDevice(device)) return CUDA_ERROR_INVALID_DEVICE;
    return body(driver, *driver.primaries[static_cast<std::size_t>(device)]);
  });
}

}  // namespace

namespace api {

CUresult cuDevicePrimaryCtxRetain(CUcontext* out, CUdevice device) {
  return WithPrimary(device, [&](Driver& driver, PrimaryContext& primary) -> CUresult {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(primary.mutex);
    if (primary.context == nullptr) {
      const CUresult result =
          driver.CreateContext(device, primary.flags.load() | kMapHost, true, &primary.context);
      if (result != CUDA_SUCCESS) return result;
    }
    ++primary.references;
    *out = reinterpret_cast<CUcontext>(primary.context.get());
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return WithPrimary(device, [&](Driver& driver, PrimaryContext& primary) -> CUresult {
    const std::lock_guard<std::mutex> lock(primary.mutex);
    if (primary.references == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (--primary.references == 0) {
      driver.DestroyContext(primary.context);
      primary.context.reset();
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return WithPrimary(device, [&](Driver& driver, PrimaryContext& primary) -> CUresult {
    const std::lock_guard<std::mutex> lock(primary.mutex);
    if (primary.context) driver.DestroyContext(primary.context);
    primary.context.reset();
    primary.references = 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return WithPrimary(device, [&](Driver&, PrimaryContext& primary) -> CUresult {
    if ((flags & ~kFlagMask) != 0) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(primary.mutex);
    primary.flags = flags;
    if (primary.context) primary.context->flags = flags | kMapHost;
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  return WithPrimary(device, [&](Driver&, PrimaryContext& primary) -> CUresult {
    if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(primary.mutex);
    *flags = primary.flags;
    *active = primary.context ? 1 : 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxCreate_v2(CUcontext* out, unsigned flags, CUdevice device) {
  return Create(out, flags, device);
}

CUresult cuCtxCreate_v3(CUcontext* out, CUexecAffinityParam*, int count, unsigned flags,
                        CUdevice device) {
  return count != 0 ? CUDA_ERROR_NOT_SUPPORTED : Create(out, flags, device);
}

CUresult cuCtxCreate_v4(CUcontext* out, CUctxCreateParams* parameters, unsigned flags,
                        CUdevice device) {
  if (parameters == nullptr) return Create(out, flags, device);
  if (parameters->numExecAffinityParams != 0) return CUDA_ERROR_NOT_SUPPORTED;
  return Create(out, flags, device, parameters->cigParams != nullptr);
}

CUresult cuCtxDestroy_v2(CUcontext handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto context = driver.FindContext(handle);
    if (context == nullptr || context->primary) return CUDA_ERROR_INVALID_CONTEXT;
    driver.DestroyContext(context);
    auto& stack = Driver::Thread().stack;
    if (!stack.empty() && stack.back() == handle) stack.pop_back();
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxPushCurrent_v2(CUcontext handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (driver.FindContext(handle) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    Driver::Thread().stack.push_back(handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxPopCurrent_v2(CUcontext* out) {
  return WithDriver([&](Driver&) -> CUresult {
    auto& stack = Driver::Thread().stack;
    if (stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
    if (out != nullptr) *out = stack.back();
    stack.pop_back();
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSetCurrent(CUcontext handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    auto& stack = Driver::Thread().stack;
    if (handle == nullptr) {
      if (!stack.empty()) stack.pop_back();
      return CUDA_SUCCESS;
    }
    if (driver.FindContext(handle) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    if (stack.empty()) stack.push_back(handle);
    stack.back() = handle;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetCurrent(CUcontext* out) {
  return WithDriver([&](Driver&) {
    const auto& stack = Driver::Thread().stack;
    return Give<CUcontext>(out, stack.empty() ? nullptr : stack.back());
  });
}

CUresult cuCtxGetDevice(CUdevice* device) {
  return WithContext([&](Driver&, Context& context) { return Give(device, context.device); });
}

CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto context = handle == nullptr ? driver.CurrentContext() : driver.FindContext(handle);
    return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : Give(device, context->device);
  });
}

CUresult cuCtxGetFlags(unsigned* flags) {
  return WithContext([&](Driver&, Context& context) { return Give(flags, context.flags.load()); });
}

CUresult cuCtxSetFlags(unsigned flags) {
  return WithContext([&](Driver&, Context& context) -> CUresult {
    if ((flags & ~kFlagMask) != 0) return CUDA_ERROR_INVALID_VALUE;
    context.flags = flags | kMapHost;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long* id) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto context = handle == nullptr ? driver.CurrentContext() : driver.FindContext(handle);
    if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    return Give<unsigned long long>(id, context->id);
  });
}

CUresult cuCtxSynchronize() {
  return WithContext([](Driver&, Context& context) { return context.Synchronize(); });
}

CUresult cuCtxSynchronize_v2(CUcontext handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto context = handle == nullptr ? driver.CurrentContext() : driver.FindContext(handle);
    return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : context->Synchronize();
  });
}

CUresult cuCtxGetLimit(size_t* value, CUlimit limit) {
  return WithContext([&](Driver&, Context& context) -> CUresult {
    if (limit < 0 || limit >= 10) return CUDA_ERROR_INVALID_VALUE;
    if (limit == 3 || limit == 9) return CUDA_ERROR_UNSUPPORTED_LIMIT;  // as an H200
    return Give<size_t>(value, context.limits[limit].load());
  });
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  return WithContext([&](Driver&, Context& context) -> CUresult {
    if (limit < 0 || limit >= 10) return CUDA_ERROR_INVALID_VALUE;
    if (limit == 3 || limit == 9) return CUDA_ERROR_UNSUPPORTED_LIMIT;
    context.limits[limit] = value;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetCacheConfig(CUfunc_cache* config) {
  return WithContext([&](Driver&, Context&) { return Give(config, CUfunc_cache{}); });
}

CUresult cuCtxSetCacheConfig(CUfunc_cache) {
  return WithContext([](Driver&, Context&) { return CUDA_SUCCESS; });
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig* config) {
  return WithContext(
      [&](Driver&, Context&) { return Give(config, static_cast<CUsharedconfig>(1)); });
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig) {
  return WithContext([](Driver&, Context&) { return CUDA_SUCCESS; });
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned* version) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto context = handle == nullptr ? driver.CurrentContext() : driver.FindContext(handle);
    return context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : Give(version, 3020u);
  });
}

CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  return WithContext([&](Driver&, Context&) {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -5;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxResetPersistingL2Cache() {
  return WithContext([](Driver&, Context&) { return CUDA_SUCCESS; });
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    const auto other = driver.FindContext(peer);
    if (other == nullptr || other.get() == &context) return CUDA_ERROR_INVALID_CONTEXT;
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    return context.peers.insert(other->device).second ? CUDA_SUCCESS
                                                      : CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
  });
}

CUresult cuCtxDisablePeerAccess(CUcontext peer) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    const auto other = driver.FindContext(peer);
    if (other == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    return context.peers.erase(other->device) > 0 ? CUDA_SUCCESS
                                                  : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
  });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
