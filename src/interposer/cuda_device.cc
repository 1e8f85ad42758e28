// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/cuda_device.h"

#include "interposer/real.h"
#include "interposer/share_file.h"

namespace aliquot::interposer {
namespace {

constexpr int kDevices = 64;
// Of each device 0 if not looked up yet, -1 if not governed, else its place + 1.
int g_place[kDevices];
// Likewise of the only device, and -1 if there are several.
int g_only;

constinit Real<CUresult(int*)> real_count("cuDeviceGetCount");
constinit Real<CUresult(CUuuid*, CUdevice)> real_uuid("cuDeviceGetUuid");
constinit Real<CUresult(CUuuid*, CUdevice)> real_uuid_v2("cuDeviceGetUuid_v2");
constinit Real<CUresult(CUdevice*)> real_ctx_device("cuCtxGetDevice");
constinit Real<CUresult(CUcontext*)> real_ctx_current("cuCtxGetCurrent");

void FindOnly() {
  int count = 0;
  if (real_count(&count) != CUDA_SUCCESS) return;
  const int place = count == 1 ? GpuOf(0) : -1;
  Store(&g_only, place < 0 ? -1 : place + 1);
}

}  // namespace

int GpuOf(CUdevice device) {
  if (device < 0 || device >= kDevices) return -1;
  const Share& share = GrantedShare();
  if (!share.present) return -1;
  const int known = Load(&g_place[device]);
  if (known != 0) return known < 0 ? -1 : known - 1;
  // Version 2 tells a MIG device from its GPU, and is missing in drivers before 11.4.
  CUuuid uuid = {};
  if (real_uuid_v2(&uuid, device) != CUDA_SUCCESS && real_uuid(&uuid, device) != CUDA_SUCCESS) {
    return -1;
  }
  const int place = ShareIndex(share, uuid.bytes);
  Store(&g_place[device], place < 0 ? -1 : place + 1);
  return place;
}

CUdevice CurrentDevice() {
  CUdevice device = -1;
  return real_ctx_device(&device) == CUDA_SUCCESS ? device : -1;
}

int CurrentGpu() {
  const Share& share = GrantedShare();
  return share.present ? GpuOf(CurrentDevice()) : -1;
}

int GpuOfWork() {
  const int only = Load(&g_only);
  if (__builtin_expect(only > 0, 1)) return only - 1;
  if (only == 0) FindOnly();
  return CurrentGpu();
}

uint64_t CurrentContext() {
  CUcontext context = nullptr;
  if (real_ctx_current(&context) != CUDA_SUCCESS) return 0;
  return reinterpret_cast<uint64_t>(context);
}

}  // namespace aliquot::interposer
