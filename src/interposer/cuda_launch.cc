// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Kernels go by the gate. Without an agent: at once, or in the process's part of the time if the
// policy says so. Callbacks are noted, since whatever they call must not wait for other work.

#include <stdlib.h>

#include "interposer/cuda_hooks.h"
#include "interposer/gate.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

// A kernel that was never measured, when nothing was.
constexpr uint64_t kGuessNs = 20'000;

Work Kernel(CUstream stream, CUfunction function, uint64_t x, uint64_t y, uint64_t z,
            uint64_t threads) {
  return {stream, KernelKey(function, x * y * z, threads), kGuessNs};
}

Work Kernel(const CUlaunchConfig* c, CUfunction function, CUstream stream) {
  return Kernel(stream, function, c->gridDimX, c->gridDimY, c->gridDimZ,
                uint64_t{c->blockDimX} * c->blockDimY * c->blockDimZ);
}

struct HostCall {
  CUhostFn function;
  CUstreamCallback callback;
  void* data;
};

// On a thread of the driver, once.
void CallHost(void* data) {
  const HostCall call = *static_cast<HostCall*>(data);
  ::free(data);
  const InCallback in_callback;
  call.function(call.data);
}

void CallBack(CUstream stream, CUresult status, void* data) {
  const HostCall call = *static_cast<HostCall*>(data);
  ::free(data);
  const InCallback in_callback;
  call.callback(stream, status, call.data);
}

// Only where a gate could matter, and not in a capture, whose graph would make the call many times.
HostCall* Wrap(const HostCall& call) {
  if (GatesFree() || AnyCapture()) return nullptr;
  auto* wrapped = static_cast<HostCall*>(::malloc(sizeof(HostCall)));
  if (wrapped != nullptr) *wrapped = call;
  return wrapped;
}

// `mode`: of the second version, how the driver's thread waits.
template <typename Function, typename... Mode>
CUresult HostFunction(Function& real, CUstream stream, CUhostFn function, void* data,
                      Mode... mode) {
  HostCall* call = function == nullptr ? nullptr : Wrap({function, nullptr, data});
  if (call == nullptr) return real(stream, function, data, mode...);
  const CUresult result = real(stream, &CallHost, call, mode...);
  if (result != CUDA_SUCCESS) ::free(call);
  return result;
}

template <typename Function>
CUresult Callback(Function& real, CUstream stream, CUstreamCallback callback, void* data,
                  unsigned flags) {
  HostCall* call = callback == nullptr ? nullptr : Wrap({nullptr, callback, data});
  if (call == nullptr) return real(stream, callback, data, flags);
  const CUresult result = real(stream, &CallBack, call, flags);
  if (result != CUDA_SUCCESS) ::free(call);
  return result;
}

}  // namespace
}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                        unsigned by, unsigned bz, unsigned shared, CUstream stream,
                        void** parameters, void** extra) {
  static constinit Real<decltype(cuLaunchKernel)> real("cuLaunchKernel");
  if (GatesFree()) {
    return real(function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra);
  }
  return Gated(Kernel(stream, function, gx, gy, gz, uint64_t{bx} * by * bz), [&] {
    return real(function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra);
  });
}

CUresult cuLaunchKernel_ptsz(CUfunction function, unsigned gx, unsigned gy, unsigned gz,
                             unsigned bx, unsigned by, unsigned bz, unsigned shared,
                             CUstream stream, void** parameters, void** extra) {
  static constinit Real<decltype(cuLaunchKernel_ptsz)> real("cuLaunchKernel_ptsz");
  if (GatesFree()) {
    return real(function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra);
  }
  return Gated(Kernel(PerThread(stream), function, gx, gy, gz, uint64_t{bx} * by * bz), [&] {
    return real(function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra);
  });
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters,
                          void** extra) {
  static constinit Real<decltype(cuLaunchKernelEx)> real("cuLaunchKernelEx");
  if (GatesFree() || config == nullptr) return real(config, function, parameters, extra);
  return Gated(Kernel(config, function, config->hStream),
               [&] { return real(config, function, parameters, extra); });
}

CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig* config, CUfunction function, void** parameters,
                               void** extra) {
  static constinit Real<decltype(cuLaunchKernelEx_ptsz)> real("cuLaunchKernelEx_ptsz");
  if (GatesFree() || config == nullptr) return real(config, function, parameters, extra);
  return Gated(Kernel(config, function, PerThread(config->hStream)),
               [&] { return real(config, function, parameters, extra); });
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz,
                                   unsigned bx, unsigned by, unsigned bz, unsigned shared,
                                   CUstream stream, void** parameters) {
  static constinit Real<decltype(cuLaunchCooperativeKernel)> real("cuLaunchCooperativeKernel");
  return Gated(Kernel(stream, function, gx, gy, gz, uint64_t{bx} * by * bz),
               [&] { return real(function, gx, gy, gz, bx, by, bz, shared, stream, parameters); });
}

CUresult cuLaunchCooperativeKernel_ptsz(CUfunction function, unsigned gx, unsigned gy, unsigned gz,
                                        unsigned bx, unsigned by, unsigned bz, unsigned shared,
                                        CUstream stream, void** parameters) {
  static constinit Real<decltype(cuLaunchCooperativeKernel_ptsz)> real(
      "cuLaunchCooperativeKernel_ptsz");
  return Gated(Kernel(PerThread(stream), function, gx, gy, gz, uint64_t{bx} * by * bz),
               [&] { return real(function, gx, gy, gz, bx, by, bz, shared, stream, parameters); });
}

// On several devices: counted on the current one, by its first launch.
CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS* list, unsigned count,
                                              unsigned flags) {
  static constinit Real<decltype(cuLaunchCooperativeKernelMultiDevice)> real(
      "cuLaunchCooperativeKernelMultiDevice");
  if (list == nullptr || count == 0) return real(list, count, flags);
  return Gated(Kernel(list->hStream, list->function, list->gridDimX, list->gridDimY, list->gridDimZ,
                      uint64_t{list->blockDimX} * list->blockDimY * list->blockDimZ),
               [&] { return real(list, count, flags); });
}

CUresult cuLaunch(CUfunction function) {
  static constinit Real<decltype(cuLaunch)> real("cuLaunch");
  return Gated(Kernel(nullptr, function, 1, 1, 1, 0), [&] { return real(function); });
}

CUresult cuLaunchGrid(CUfunction function, int width, int height) {
  static constinit Real<decltype(cuLaunchGrid)> real("cuLaunchGrid");
  return Gated(
      Kernel(nullptr, function, static_cast<unsigned>(width), static_cast<unsigned>(height), 1, 0),
      [&] { return real(function, width, height); });
}

CUresult cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream) {
  static constinit Real<decltype(cuLaunchGridAsync)> real("cuLaunchGridAsync");
  return Gated(
      Kernel(stream, function, static_cast<unsigned>(width), static_cast<unsigned>(height), 1, 0),
      [&] { return real(function, width, height, stream); });
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* data) {
  static constinit Real<decltype(cuLaunchHostFunc)> real("cuLaunchHostFunc");
  return HostFunction(real, stream, function, data);
}

CUresult cuLaunchHostFunc_ptsz(CUstream stream, CUhostFn function, void* data) {
  static constinit Real<decltype(cuLaunchHostFunc_ptsz)> real("cuLaunchHostFunc_ptsz");
  return HostFunction(real, stream, function, data);
}

CUresult cuLaunchHostFunc_v2(CUstream stream, CUhostFn function, void* data, unsigned mode) {
  static constinit Real<decltype(cuLaunchHostFunc_v2)> real("cuLaunchHostFunc_v2");
  return HostFunction(real, stream, function, data, mode);
}

CUresult cuLaunchHostFunc_v2_ptsz(CUstream stream, CUhostFn function, void* data, unsigned mode) {
  static constinit Real<decltype(cuLaunchHostFunc_v2_ptsz)> real("cuLaunchHostFunc_v2_ptsz");
  return HostFunction(real, stream, function, data, mode);
}

CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void* data,
                             unsigned flags) {
  static constinit Real<decltype(cuStreamAddCallback)> real("cuStreamAddCallback");
  return Callback(real, stream, callback, data, flags);
}

CUresult cuStreamAddCallback_ptsz(CUstream stream, CUstreamCallback callback, void* data,
                                  unsigned flags) {
  static constinit Real<decltype(cuStreamAddCallback_ptsz)> real("cuStreamAddCallback_ptsz");
  return Callback(real, stream, callback, data, flags);
}
