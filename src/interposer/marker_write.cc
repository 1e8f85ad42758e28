// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/marker_write.h"

#include "interposer/capture.h"
#include "interposer/real.h"
#include "interposer/session.h"

namespace aliquot::interposer {
namespace {

// After so many failures the driver is taken to be unable.
constexpr uint32_t kFailures = 4;

constinit Real<CUresult(CUstream, CUdeviceptr, cuuint64_t, unsigned)> real_write(
    "cuStreamWriteValue64");
constinit Real<CUresult(CUstream, CUdeviceptr, cuuint64_t, unsigned)> real_write_v2(
    "cuStreamWriteValue64_v2");
constinit Real<CUresult(void*, size_t, unsigned)> real_register("cuMemHostRegister_v2");
constinit Real<CUresult(CUdeviceptr*, void*, unsigned)> real_device_pointer(
    "cuMemHostGetDevicePointer_v2");

// The page the driver knows, and where the GPU sees it. Two threads that come first together both
// ask for it; the driver refuses the second, which then has no marker this once.
aliquot_status* g_page = nullptr;
CUdeviceptr g_address = 0;
uint32_t g_failures = 0;

bool KnowPage(aliquot_status* status) {
  if (LoadAcquire(&g_page) == status) return true;
  const RelaxedCapture relaxed;
  const unsigned flags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP;
  CUdeviceptr address = 0;
  if (real_register(status, sizeof(aliquot_status), flags) != CUDA_SUCCESS ||
      real_device_pointer(&address, status, 0) != CUDA_SUCCESS) {
    return false;
  }
  Store(&g_address, address);
  StoreRelease(&g_page, status);
  Store(&status->markers, ALIQUOT_MARKERS_DIRECT);
  return true;
}

// A page is registered in a context, and forgotten with it.
void Failed(aliquot_status* status) {
  StoreRelease(&g_page, static_cast<aliquot_status*>(nullptr));
  Store(&status->markers, ALIQUOT_MARKERS_NONE);
  if (Add(&g_failures, 1u) + 1 != kFailures) return;
  Log("the driver can't write markers; pacing by estimates");
  aliquot_event event = {};
  event.code = ALIQUOT_EVENT_NO_MARKERS;
  Tell(&event.header, ALIQUOT_EVENT, sizeof(event));
}

}  // namespace

bool MarkersPossible() { return Load(&g_failures) < kFailures; }

bool WriteMarker(aliquot_status* status, unsigned gpu, unsigned slot, CUstream stream,
                 uint64_t value) {
  if (KnowPage(status)) {
    const auto* base = reinterpret_cast<const char*>(status);
    const auto* word = reinterpret_cast<const char*>(&status->gpu[gpu].done[slot]);
    const CUdeviceptr address = Load(&g_address) + static_cast<CUdeviceptr>(word - base);
    if (real_write_v2(stream, address, value, 0) == CUDA_SUCCESS ||
        real_write(stream, address, value, 0) == CUDA_SUCCESS) {
      return true;
    }
  }
  Failed(status);
  return false;
}

}  // namespace aliquot::interposer
