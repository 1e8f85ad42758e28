// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Contexts take hundreds of megabytes, reserved before they are made; the agent knows how much, and
// sets it right by NVML's figures afterwards. What is allocated in a context goes with it. Without
// an agent: a process whose session was never opened gets no context on a GPU whose memory is
// limited; contexts there are stay.

#include "interposer/cuda_charge.h"
#include "interposer/cuda_device.h"
#include "interposer/cuda_hooks.h"
#include "interposer/cuda_settle.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

constexpr int kDevices = 64;

// Of each device: what is held for its primary context, which many may retain. Bit 63 tells that it
// is active, for a GPU on which a context counts nothing.
constexpr uint64_t kActive = uint64_t{1} << 63;
uint64_t g_primary[kDevices];
CUcontext g_primary_context[kDevices];
// Other contexts and green contexts, by handle.
constinit BlockTable g_contexts = {};

constinit Real<CUresult(CUdevice, unsigned*, int*)> real_state("cuDevicePrimaryCtxGetState");

bool PrimaryActive(CUdevice device) {
  unsigned flags = 0;
  int active = 0;
  return real_state(device, &flags, &active) == CUDA_SUCCESS && active != 0;
}

// The primary context may be gone: then what was held for it and in it is not.
CUresult PrimaryLeft(CUdevice device, CUresult result) {
  if (result != CUDA_SUCCESS || device < 0 || device >= kDevices || PrimaryActive(device)) {
    return result;
  }
  const int gpu = GpuOf(device);
  const uint64_t held = __atomic_exchange_n(&g_primary[device], uint64_t{0}, __ATOMIC_ACQ_REL);
  if (gpu < 0 || held == 0) return result;
  ForgetOwned(reinterpret_cast<uint64_t>(Load(&g_primary_context[device])));
  Release(static_cast<unsigned>(gpu), held & ~kActive, ALIQUOT_KIND_CONTEXT);
  SettlePools();
  return result;
}

template <typename Handle, typename Create>
CUresult Creating(Handle* handle, CUdevice device, Create create) {
  const int gpu = GpuOf(device);
  if (gpu < 0) return create();
  bool refused = false;
  const uint64_t held = ReserveContext(static_cast<unsigned>(gpu), &refused);
  if (refused) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = create();
  if (result != CUDA_SUCCESS) {
    Release(static_cast<unsigned>(gpu), held, ALIQUOT_KIND_CONTEXT);
    return result;
  }
  Block former = {};
  g_contexts.Put({reinterpret_cast<uint64_t>(*handle), held, 0, static_cast<uint32_t>(gpu),
                  ALIQUOT_KIND_CONTEXT},
                 &former);
  return result;
}

template <typename Destroy>
CUresult Destroying(uint64_t context, Destroy destroy) {
  const CUresult result = Forgetting(&g_contexts, context, destroy);
  if (result == CUDA_SUCCESS) ForgetOwned(context);
  return result;
}

}  // namespace
}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  static constinit Real<decltype(cuDevicePrimaryCtxRetain)> real("cuDevicePrimaryCtxRetain");
  const int gpu = GpuOf(device);
  if (gpu < 0 || device >= kDevices || Load(&g_primary[device]) != 0) return real(context, device);
  bool refused = false;
  const uint64_t held = ReserveContext(static_cast<unsigned>(gpu), &refused);
  if (refused) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = real(context, device);
  uint64_t none = 0;
  if (result == CUDA_SUCCESS) {
    Store(&g_primary_context[device], *context);
    if (__atomic_compare_exchange_n(&g_primary[device], &none, held | kActive, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
      return result;
    }
  }
  // It failed, or another thread came first and pays.
  Release(static_cast<unsigned>(gpu), held, ALIQUOT_KIND_CONTEXT);
  return result;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  static constinit Real<decltype(cuDevicePrimaryCtxRelease)> real("cuDevicePrimaryCtxRelease");
  return PrimaryLeft(device, real(device));
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  static constinit Real<decltype(cuDevicePrimaryCtxRelease_v2)> real(
      "cuDevicePrimaryCtxRelease_v2");
  return PrimaryLeft(device, real(device));
}

CUresult cuDevicePrimaryCtxReset(CUdevice device) {
  static constinit Real<decltype(cuDevicePrimaryCtxReset)> real("cuDevicePrimaryCtxReset");
  return PrimaryLeft(device, real(device));
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  static constinit Real<decltype(cuDevicePrimaryCtxReset_v2)> real("cuDevicePrimaryCtxReset_v2");
  return PrimaryLeft(device, real(device));
}

CUresult cuCtxCreate(CUcontext* context, unsigned flags, CUdevice device) {
  static constinit Real<decltype(cuCtxCreate)> real("cuCtxCreate");
  return Creating(context, device, [&] { return real(context, flags, device); });
}

CUresult cuCtxCreate_v2(CUcontext* context, unsigned flags, CUdevice device) {
  static constinit Real<decltype(cuCtxCreate_v2)> real("cuCtxCreate_v2");
  return Creating(context, device, [&] { return real(context, flags, device); });
}

CUresult cuCtxCreate_v3(CUcontext* context, void* affinity, int count, unsigned flags,
                        CUdevice device) {
  static constinit Real<decltype(cuCtxCreate_v3)> real("cuCtxCreate_v3");
  return Creating(context, device, [&] { return real(context, affinity, count, flags, device); });
}

CUresult cuCtxCreate_v4(CUcontext* context, void* parameters, unsigned flags, CUdevice device) {
  static constinit Real<decltype(cuCtxCreate_v4)> real("cuCtxCreate_v4");
  return Creating(context, device, [&] { return real(context, parameters, flags, device); });
}

CUresult cuCtxDestroy(CUcontext context) {
  static constinit Real<decltype(cuCtxDestroy)> real("cuCtxDestroy");
  return Destroying(reinterpret_cast<uint64_t>(context), [&] { return real(context); });
}

CUresult cuCtxDestroy_v2(CUcontext context) {
  static constinit Real<decltype(cuCtxDestroy_v2)> real("cuCtxDestroy_v2");
  return Destroying(reinterpret_cast<uint64_t>(context), [&] { return real(context); });
}

CUresult cuGreenCtxCreate(CUgreenCtx* context, void* resources, CUdevice device, unsigned flags) {
  static constinit Real<decltype(cuGreenCtxCreate)> real("cuGreenCtxCreate");
  return Creating(context, device, [&] { return real(context, resources, device, flags); });
}

CUresult cuGreenCtxDestroy(CUgreenCtx context) {
  static constinit Real<decltype(cuGreenCtxDestroy)> real("cuGreenCtxDestroy");
  return Destroying(reinterpret_cast<uint64_t>(context), [&] { return real(context); });
}
