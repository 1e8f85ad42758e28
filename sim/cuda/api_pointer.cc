// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "sim/cuda/enter.h"

namespace aliquot::sim::cuda {
namespace {

template <typename T>
CUresult Put(void* out, const T& value) {
  std::memcpy(out, &value, sizeof(value));
  return CUDA_SUCCESS;
}

// CU_POINTER_ATTRIBUTE_*; an ordinary host pointer has none.
CUresult Attribute(Driver& driver, void* out, int attribute, CUdeviceptr pointer) {
  const auto found = driver.addresses.Find(pointer);
  if (!found || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Range& range = *found;
  const bool managed = range.kind == Range::Kind::kManaged;
  switch (attribute) {
    case 1:
      return Put(out, range.context);
    case 2:
      return Put(out, range.on_device() ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST);
    case 3:
      return Put(out, pointer);
    case 4:  // HOST_POINTER
      return range.on_device() && !managed ? CUDA_ERROR_INVALID_VALUE : Put(out, pointer);
    case 6:
      return Put(out, range.sync_memops ? 1u : 0u);
    case 7:
      return Put(out, range.id);
    case 8:
      return Put(out, managed ? 1u : 0u);
    case 9:
      return Put(out, range.device);
    case 10:
      return Put(out, range.kind == Range::Kind::kDevice ? 1u : 0u);  // legacy IPC capable
    case 11:
      return Put(out, static_cast<CUdeviceptr>(range.base));
    case 12:
      return Put(out, static_cast<size_t>(range.bytes));
    case 13:
      return Put(out, range.accessible() ? 1u : 0u);  // MAPPED
    case 14:
      return Put(out, 0u);  // ALLOWED_HANDLE_TYPES
    case 15:
      return Put(out, 0u);  // IS_GPU_DIRECT_RDMA_CAPABLE
    case 16:
      return Put(out, 3u);  // ACCESS_FLAGS
    case 17:
      return Put(out, reinterpret_cast<CUmemoryPool>(range.pool.get()));
    case 18:
      return Put(out, static_cast<size_t>(range.block_bytes));
    case 19:
      return Put(out, static_cast<CUdeviceptr>(range.block));
    case 20:
      return Put(out, range.id);
    case 21:
      return Put(out, 0u);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

}  // namespace

namespace api {

CUresult cuPointerGetAttribute(void* out, CUpointer_attribute attribute, CUdeviceptr pointer) {
  return WithDriver([&](Driver& driver) { return Attribute(driver, out, attribute, pointer); });
}

// Unlike the single form, a pointer that is not the driver's gives zeroes.
CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute* attributes, void** out,
                                CUdeviceptr pointer) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (attributes == nullptr || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; ++i) {
      if (Attribute(driver, out[i], attributes[i], pointer) == CUDA_SUCCESS) continue;
      if (out[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
      const int attribute = attributes[i];
      const bool narrow = attribute == 2 || attribute == 6 || attribute == 8 || attribute == 9 ||
                          attribute == 10 || attribute == 13 || attribute == 15 ||
                          attribute == 16 || attribute == 21;
      std::memset(out[i], 0, narrow ? 4 : 8);
      if (attribute == 9) Put(out[i], -2);  // no device
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuPointerSetAttribute(const void* value, CUpointer_attribute attribute,
                               CUdeviceptr pointer) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (value == nullptr || attribute != 6 || !driver.addresses.Find(pointer)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    unsigned on = 0;
    std::memcpy(&on, value, sizeof(on));
    driver.addresses.SetSyncMemops(pointer, on != 0);
    return CUDA_SUCCESS;
  });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
