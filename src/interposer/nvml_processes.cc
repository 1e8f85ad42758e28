// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Process lists: the container's own processes, by its own numbers, from the agent's ledger.
// Without an agent: none. Graphics and MPS lists of a GPU that is shared are empty.

#include "interposer/nvml_device.h"
#include "interposer/real.h"
#include "interposer/session.h"

namespace aliquot::interposer {
namespace {

constexpr unsigned kMost = 1024;

// The list's pages, until all are here or the agent stops answering. How many there are.
unsigned List(unsigned gpu, aliquot_process* list, unsigned room) {
  unsigned count = 0;
  if (!EnsureSession()) return 0;
  while (count < room) {
    aliquot_list request = {};
    request.gpu = gpu;
    request.first = count;
    union {
      aliquot_header header;
      aliquot_processes processes;
      char frame[ALIQUOT_FRAME_MAX];
    } answer;
    if (!Ask(&request.header, ALIQUOT_LIST, sizeof(request), &answer.header, sizeof(answer),
             ALIQUOT_HELLO_MS) ||
        answer.header.type != ALIQUOT_PROCESSES ||
        answer.header.size != sizeof(aliquot_processes)) {
      break;
    }
    const unsigned got = Min<unsigned>(answer.processes.count, ALIQUOT_LIST_ENTRIES);
    for (unsigned i = 0; i < got && count < room; ++i) list[count++] = answer.processes.entry[i];
    if (got == 0 || count >= answer.processes.total) break;
  }
  return count;
}

// Room for a list, for as long as the call lasts.
struct Lists {
  aliquot_process entry[kMost];
};

void Fill(nvmlProcessInfo_v1_t* to, const aliquot_process& from) { *to = {from.pid, from.used}; }
// No instance of a GPU: as the driver says it of processes outside MIG.
void Fill(nvmlProcessInfo_v2_t* to, const aliquot_process& from) {
  *to = {from.pid, from.used, ~0u, ~0u};
}

void Fill(nvmlProcessDetail_v1_t* to, const aliquot_process& from) {
  *to = {from.pid, from.used, ~0u, ~0u, 0};
}

template <typename Info>
nvmlReturn_t Answer(int gpu, unsigned* count, Info* infos, bool compute) {
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  Lists lists;
  const unsigned have = compute ? List(static_cast<unsigned>(gpu), lists.entry, kMost) : 0;
  const unsigned room = infos == nullptr ? 0 : *count;
  *count = have;
  if (have > room) return NVML_ERROR_INSUFFICIENT_SIZE;
  for (unsigned i = 0; i < have; ++i) Fill(&infos[i], lists.entry[i]);
  return NVML_SUCCESS;
}

// Leaves the container's own among the driver's samples.
template <typename Sample>
nvmlReturn_t KeepOwn(nvmlDevice_t device, Sample* samples, unsigned* count) {
  const int gpu = GpuOf(device);
  if (gpu < 0 || samples == nullptr || count == nullptr) return NVML_SUCCESS;
  Lists lists;
  const unsigned have = List(static_cast<unsigned>(gpu), lists.entry, kMost);
  unsigned kept = 0;
  for (unsigned i = 0; i < *count; ++i) {
    for (unsigned j = 0; j < have; ++j) {
      if (samples[i].pid != lists.entry[j].pid) continue;
      samples[kept++] = samples[i];
      break;
    }
  }
  *count = kept;
  return kept == 0 ? NVML_ERROR_NOT_FOUND : NVML_SUCCESS;
}

// The name of a function as a template's argument.
template <size_t kSize>
struct Name {
  constexpr Name(const char (&literal)[kSize]) {  // NOLINT(google-explicit-constructor)
    for (size_t i = 0; i < kSize; ++i) text[i] = literal[i];
  }
  char text[kSize];
};

enum class Who { kCompute, kOthers };

// One list, whose three versions differ in `Info` only.
template <Name kName, Who kWho, typename Info>
nvmlReturn_t Processes(nvmlDevice_t device, unsigned* count, Info* infos) {
  static constinit Real<nvmlReturn_t(nvmlDevice_t, unsigned*, Info*)> real(kName.text);
  const int gpu = GpuOf(device);
  return gpu < 0 ? real(device, count, infos) : Answer(gpu, count, infos, kWho == Who::kCompute);
}

}  // namespace
}  // namespace aliquot::interposer

using namespace aliquot::interposer;

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned* count,
                                                  nvmlProcessInfo_v1_t* infos) {
  return Processes<"nvmlDeviceGetComputeRunningProcesses", Who::kCompute>(device, count, infos);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned* count,
                                                     nvmlProcessInfo_v2_t* infos) {
  return Processes<"nvmlDeviceGetComputeRunningProcesses_v2", Who::kCompute>(device, count, infos);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned* count,
                                                     nvmlProcessInfo_v2_t* infos) {
  return Processes<"nvmlDeviceGetComputeRunningProcesses_v3", Who::kCompute>(device, count, infos);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t device, unsigned* count,
                                                   nvmlProcessInfo_v1_t* infos) {
  return Processes<"nvmlDeviceGetGraphicsRunningProcesses", Who::kOthers>(device, count, infos);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t device, unsigned* count,
                                                      nvmlProcessInfo_v2_t* infos) {
  return Processes<"nvmlDeviceGetGraphicsRunningProcesses_v2", Who::kOthers>(device, count, infos);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned* count,
                                                      nvmlProcessInfo_v2_t* infos) {
  return Processes<"nvmlDeviceGetGraphicsRunningProcesses_v3", Who::kOthers>(device, count, infos);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses(nvmlDevice_t device, unsigned* count,
                                                     nvmlProcessInfo_v1_t* infos) {
  return Processes<"nvmlDeviceGetMPSComputeRunningProcesses", Who::kOthers>(device, count, infos);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v2(nvmlDevice_t device, unsigned* count,
                                                        nvmlProcessInfo_v2_t* infos) {
  return Processes<"nvmlDeviceGetMPSComputeRunningProcesses_v2", Who::kOthers>(device, count,
                                                                               infos);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned* count,
                                                        nvmlProcessInfo_v2_t* infos) {
  return Processes<"nvmlDeviceGetMPSComputeRunningProcesses_v3", Who::kOthers>(device, count,
                                                                               infos);
}

// All three kinds by one call. Of a list that we don't know we can't leave anything out.
nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device,
                                                   nvmlProcessDetailList_v1_t* list) {
  static constinit Real<decltype(nvmlDeviceGetRunningProcessDetailList)> real(
      "nvmlDeviceGetRunningProcessDetailList");
  constexpr unsigned kVersion = sizeof(nvmlProcessDetailList_v1_t) | 1u << 24;
  const int gpu = GpuOf(device);
  if (gpu < 0 || list == nullptr) return real(device, list);
  if (list->version != kVersion) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  return Answer(gpu, &list->numProcArrayEntries, list->procArray, list->mode == 0);
}

// The driver's samples, without those of other containers.
nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                             nvmlProcessUtilizationSample_t* samples,
                                             unsigned* count, unsigned long long since) {
  static constinit Real<decltype(nvmlDeviceGetProcessUtilization)> real(
      "nvmlDeviceGetProcessUtilization");
  const nvmlReturn_t result = real(device, samples, count, since);
  return result == NVML_SUCCESS ? KeepOwn(device, samples, count) : result;
}

nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device,
                                                   nvmlProcessesUtilizationInfo_v1_t* info) {
  static constinit Real<decltype(nvmlDeviceGetProcessesUtilizationInfo)> real(
      "nvmlDeviceGetProcessesUtilizationInfo");
  const nvmlReturn_t result = real(device, info);
  if (result != NVML_SUCCESS || info == nullptr) return result;
  return KeepOwn(device, info->procUtilArray, &info->processSamplesCount);
}
