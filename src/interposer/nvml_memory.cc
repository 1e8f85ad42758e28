// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Memory as CUDA's queries tell it. Without an agent: from the grant's limit and the last snapshot,
// or what the CUDA library of this process knows.

#include "interposer/exported.h"
#include "interposer/ledger.h"
#include "interposer/loader.h"
#include "interposer/nvml_device.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

// The CUDA library's answer if the process uses it, else our own session's.
MemoryAnswer Answer(nvmlDevice_t device, uint64_t physical_free) {
  const int gpu = GpuOf(device);
  if (gpu < 0) return {0, 0, false};
  const auto place = static_cast<unsigned>(gpu);
  MemoryAnswer answer = {0, 0, true};
  if (void* cuda = LoadedLibrary("libcuda.so.1")) {
    const auto ask = reinterpret_cast<decltype(&aliquotInterposerMemory)>(
        FindSymbol(cuda, "aliquotInterposerMemory"));
    const int known = ask == nullptr ? -1 : ask(place, physical_free, &answer.total, &answer.free);
    CloseLibrary(cuda);
    if (known >= 0) return {answer.total, answer.free, known == 1};
  }
  return QueryMemory(place, physical_free);
}

}  // namespace
}  // namespace aliquot::interposer

using namespace aliquot::interposer;

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  static constinit Real<decltype(nvmlDeviceGetMemoryInfo)> real("nvmlDeviceGetMemoryInfo");
  const nvmlReturn_t result = real(device, memory);
  if (result != NVML_SUCCESS) return result;
  const MemoryAnswer answer = Answer(device, memory->free);
  if (!answer.limited) return result;
  memory->total = Min<uint64_t>(memory->total, answer.total);
  memory->free = Min<uint64_t>(answer.free, memory->total);
  memory->used = memory->total - memory->free;
  return result;
}

// What the driver keeps for itself is no part of a share.
nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  static constinit Real<decltype(nvmlDeviceGetMemoryInfo_v2)> real("nvmlDeviceGetMemoryInfo_v2");
  const nvmlReturn_t result = real(device, memory);
  if (result != NVML_SUCCESS) return result;
  const MemoryAnswer answer = Answer(device, memory->free);
  if (!answer.limited) return result;
  memory->total = Min<uint64_t>(memory->total, answer.total);
  memory->free = Min<uint64_t>(answer.free, memory->total);
  memory->reserved = 0;
  memory->used = memory->total - memory->free;
  return result;
}
