// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "sim/cuda/enter.h"
#include "sim/cuda/entry_points.h"
#include "sim/cuda/error_names.h"

namespace aliquot::sim::cuda {
namespace {

constexpr int kCudaVersion = 13000;  // of driver 580, as long as there is no node
constexpr cuuint64_t kPerThreadDefaultStream = 2;

// The node may have an older driver than the table describes.
int DriverVersion() {
  const Driver* driver = Driver::Get();
  return driver == nullptr ? kCudaVersion : driver->node->spec().cuda_version;
}

// Follows the real driver's answers: nothing at all for a version it does not know, an unknown
// name and a too small version told apart.
CUresult Look(const char* symbol, void** function, int version, cuuint64_t flags,
              CUdriverProcAddressQueryResult* status) {
  if (symbol == nullptr || function == nullptr || flags > kPerThreadDefaultStream) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const int newest = DriverVersion();
  if (version < 0 || version > newest) return CUDA_ERROR_INVALID_VALUE;
  const bool per_thread = flags == kPerThreadDefaultStream;
  const EntryPoint* best = nullptr;
  bool known = false;
  for (const EntryPoint& entry : EntryPoints()) {
    if (std::string_view(entry.base) != symbol || entry.version > newest) continue;
    known = true;
    if (!(per_thread ? entry.per_thread : entry.legacy) || entry.version > version) continue;
    if (best == nullptr || entry.version > best->version) best = &entry;
  }
  *function = best == nullptr ? nullptr : reinterpret_cast<void*>(best->function);
  *status = best != nullptr ? CU_GET_PROC_ADDRESS_SUCCESS
            : known         ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                            : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return CUDA_SUCCESS;
}

}  // namespace

namespace api {

CUresult cuInit(unsigned flags) {
  return flags != 0 ? CUDA_ERROR_INVALID_VALUE : Driver::Initialise();
}

CUresult cuDriverGetVersion(int* version) { return Give(version, DriverVersion()); }

CUresult cuGetErrorName(CUresult error, const char** name) {
  const ErrorName* found = FindErrorName(error);
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *name = found == nullptr ? nullptr : found->name;
  return found == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char** text) {
  const ErrorName* found = FindErrorName(error);
  if (text == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *text = found == nullptr ? nullptr : found->text;
  return found == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuGetProcAddress(const char* symbol, void** function, int version, cuuint64_t flags) {
  CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
  const CUresult result = Look(symbol, function, version, flags, &status);
  if (result != CUDA_SUCCESS) return result;
  return status == CU_GET_PROC_ADDRESS_SUCCESS ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress_v2(const char* symbol, void** function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult* status) {
  CUdriverProcAddressQueryResult ignored = CU_GET_PROC_ADDRESS_SUCCESS;
  return Look(symbol, function, version, flags, status == nullptr ? &ignored : status);
}

}  // namespace api
}  // namespace aliquot::sim::cuda
