// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <strings.h>

#include <algorithm>
#include <cstring>

#include "sim/cuda/device_attributes.h"
#include "sim/cuda/enter.h"

namespace aliquot::sim::cuda {
namespace {

template <typename Body>
CUresult WithDevice(CUdevice number, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (!driver.HasDevice(number)) return CUDA_ERROR_INVALID_DEVICE;
    return body(driver, driver.devices()[static_cast<std::size_t>(number)]);
  });
}

CUresult CopyText(char* out, int length, const std::string& text) {
  if (out == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  const std::size_t n = text.copy(out, static_cast<std::size_t>(length) - 1);
  out[n] = '\0';
  return CUDA_SUCCESS;
}

}  // namespace

namespace api {

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return WithDevice(ordinal, [&](Driver&, const DeviceInfo&) { return Give(device, ordinal); });
}

CUresult cuDeviceGetCount(int* count) {
  return WithDriver(
      [&](Driver& driver) { return Give(count, static_cast<int>(driver.devices().size())); });
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  return WithDevice(
      device, [&](Driver&, const DeviceInfo& info) { return CopyText(name, length, info.name); });
}

// Before MIG: the UUID of the GPU.
CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  return WithDevice(device, [&](Driver&, const DeviceInfo& info) -> CUresult {
    if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(uuid->bytes, info.gpu->uuid_bytes.data(), sizeof(uuid->bytes));
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return WithDevice(device, [&](Driver&, const DeviceInfo& info) -> CUresult {
    if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(uuid->bytes, info.uuid.data(), sizeof(uuid->bytes));
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  return WithDevice(device, [&](Driver& driver, const DeviceInfo& info) {
    return Give<size_t>(bytes, driver.node->MemoryOf(info).total);
  });
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  return WithDevice(device, [&](Driver&, const DeviceInfo& info) -> CUresult {
    const std::optional<int> found = DeviceAttribute(info, attribute);
    return found ? Give(value, *found) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  return WithDevice(device, [&](Driver&, const DeviceInfo& info) -> CUresult {
    if (major == nullptr || minor == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *major = static_cast<int>(info.gpu->product->compute_major);
    *minor = static_cast<int>(info.gpu->product->compute_minor);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetProperties(CUdevprop* properties, CUdevice device) {
  return WithDevice(device, [&](Driver&, const DeviceInfo& info) -> CUresult {
    if (properties == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto attribute = [&](int number) { return DeviceAttribute(info, number).value_or(0); };
    *properties = {attribute(1),
                   {attribute(2), attribute(3), attribute(4)},
                   {attribute(5), attribute(6), attribute(7)},
                   attribute(8),
                   attribute(9),
                   attribute(10),
                   attribute(11),
                   attribute(12),
                   attribute(13),
                   attribute(14)};
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice device) {
  return WithDevice(device, [&](Driver&, const DeviceInfo& info) {
    return CopyText(text, length, BusIdLegacy(*info.gpu));
  });
}

CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* text) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (text == nullptr) return CUDA_ERROR_INVALID_VALUE;
    for (std::size_t i = 0; i < driver.devices().size(); ++i) {
      const GpuSpec& gpu = *driver.devices()[i].gpu;
      if (::strcasecmp(text, BusId(gpu).c_str()) == 0 ||
          ::strcasecmp(text, BusIdLegacy(gpu).c_str()) == 0) {
        return Give(device, static_cast<CUdevice>(i));
      }
    }
    return CUDA_ERROR_INVALID_DEVICE;
  });
}

CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  return WithDevice(device, [&](Driver& driver, const DeviceInfo& info) -> CUresult {
    if (!driver.HasDevice(peer)) return CUDA_ERROR_INVALID_DEVICE;
    const DeviceInfo& other = driver.devices()[static_cast<std::size_t>(peer)];
    const bool mig = info.engine.gi != kNobody || other.engine.gi != kNobody;
    return Give(can, device != peer && !mig ? 1 : 0);
  });
}

CUresult cuDeviceGetP2PAttribute(int* value, CUdevice_P2PAttribute attribute, CUdevice source,
                                 CUdevice destination) {
  return WithDevice(source, [&](Driver& driver, const DeviceInfo&) -> CUresult {
    if (!driver.HasDevice(destination)) return CUDA_ERROR_INVALID_DEVICE;
    if (source == destination || attribute < 1 || attribute > 4) return CUDA_ERROR_INVALID_VALUE;
    // 1 performance rank, 2 access, 3 native atomics, 4 array access.
    return Give(value, attribute == 2 || attribute == 4 ? 1 : 0);
  });
}

CUresult cuDeviceGetExecAffinitySupport(int* supported, CUexecAffinityType, CUdevice device) {
  return WithDevice(device, [&](Driver&, const DeviceInfo&) { return Give(supported, 0); });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
