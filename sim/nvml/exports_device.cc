// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// What a device is: identity, PCI, architecture, mode settings.
#include <fmt/format.h>

#include <cstring>
#include <string>

#include "sim/nvml/call.h"

namespace aliquot::sim {
namespace {

constexpr unsigned kBusTypePcie = 2;  // NVML_BUS_TYPE_PCIE
constexpr unsigned kAddressingNone = 0;
constexpr unsigned kArchitectureHopper = 9;  // NVML_DEVICE_ARCH_HOPPER

template <typename T>
int Put(T* out, T value) {
  if (out == nullptr) return abi::kInvalidArgument;
  *out = value;
  return abi::kSuccess;
}

abi::PciInfo PciInfoOf(const GpuSpec& gpu) {
  abi::PciInfo info{};
  CopyText(info.bus_id_legacy, BusIdLegacy(gpu));
  info.domain = gpu.pci_domain;
  info.bus = gpu.pci_bus;
  info.device = gpu.pci_device;
  info.pci_device_id = gpu.product->pci_device_id;
  info.pci_subsystem_id = gpu.product->pci_subsystem_id;
  CopyText(info.bus_id, BusId(gpu));
  return info;
}

// Older versions of the call have room for a part of the struct only.
int GetPciInfo(std::string_view name, abi::Device device, abi::PciInfo* pci, std::size_t bytes) {
  return GpuCall(name, device, [&](const DeviceView& d) -> int {
    if (pci == nullptr) return abi::kInvalidArgument;
    const abi::PciInfo info = PciInfoOf(d.spec);
    std::memcpy(pci, &info, bytes);
    return abi::kSuccess;
  });
}

// Sets the bits of the CPUs (or memory nodes) near the GPU. The simulation gives every NUMA node
// the same number of CPUs.
constexpr unsigned kCpusPerNumaNode = 32;

int PutMask(unsigned size, unsigned long* mask, unsigned first, unsigned count) {
  if (mask == nullptr || size == 0) return abi::kInvalidArgument;
  constexpr unsigned kBits = 8 * sizeof(unsigned long);
  for (unsigned word = 0; word < size; ++word) mask[word] = 0;
  for (unsigned bit = first; bit < first + count; ++bit) {
    if (bit / kBits < size) mask[bit / kBits] |= 1ul << (bit % kBits);
  }
  return abi::kSuccess;
}

unsigned NumaNode(const DeviceView& d) {
  return static_cast<unsigned>(d.spec.numa_node.value_or(0));
}

}  // namespace

ALIQUOT_SIM_EXPORT int nvmlDeviceGetName(abi::Device device, char* name, unsigned length) {
  return DeviceCall("nvmlDeviceGetName", device, [&](const DeviceView& d) -> int {
    if (!d.is_mig) return CopyOut(d.product.name, name, length);
    const std::string full = fmt::format("{} MIG {}", d.product.name, d.compute_profile().name);
    return CopyOut(full, name, length);
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetUUID(abi::Device device, char* uuid, unsigned length) {
  return DeviceCall("nvmlDeviceGetUUID", device, [&](const DeviceView& d) -> int {
    const std::string text = d.is_mig ? MigUuid(d.spec, d.gi_id, d.ci_id) : d.spec.uuid;
    return CopyOut(text, uuid, length);
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetIndex(abi::Device device, unsigned* index) {
  return DeviceCall("nvmlDeviceGetIndex", device, [&](const DeviceView& d) -> int {
    if (!d.is_mig) return Put(index, d.index);
    // A MIG device's rank under its GPU.
    unsigned rank = 0;
    for (const MigDeviceId id : MigDevices(d.gpu)) {
      if (id.gi == d.gi_id && id.ci == d.ci_id) break;
      ++rank;
    }
    return Put(index, rank);
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetMinorNumber(abi::Device device, unsigned* minor) {
  return GpuCall("nvmlDeviceGetMinorNumber", device,
                 [&](const DeviceView& d) { return Put(minor, d.spec.minor); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetSerial(abi::Device device, char* serial, unsigned length) {
  return GpuCall("nvmlDeviceGetSerial", device,
                 [&](const DeviceView& d) { return CopyOut(d.spec.serial, serial, length); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetBrand(abi::Device device, unsigned* brand) {
  return DeviceCall("nvmlDeviceGetBrand", device,
                    [&](const DeviceView& d) { return Put(brand, d.product.brand); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetArchitecture(abi::Device device, unsigned* architecture) {
  return DeviceCall("nvmlDeviceGetArchitecture", device,
                    [&](const DeviceView& d) { return Put(architecture, d.product.architecture); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetCudaComputeCapability(abi::Device device, int* major,
                                                          int* minor) {
  return DeviceCall("nvmlDeviceGetCudaComputeCapability", device, [&](const DeviceView& d) -> int {
    if (major == nullptr || minor == nullptr) return abi::kInvalidArgument;
    *major = static_cast<int>(d.product.compute_major);
    *minor = static_cast<int>(d.product.compute_minor);
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetNumGpuCores(abi::Device device, unsigned* cores) {
  return GpuCall("nvmlDeviceGetNumGpuCores", device, [&](const DeviceView& d) -> int {
    return d.mig_enabled() ? int{abi::kNotSupported} : Put(cores, d.product.cores);
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetVbiosVersion(abi::Device device, char* version,
                                                 unsigned length) {
  return GpuCall("nvmlDeviceGetVbiosVersion", device,
                 [&](const DeviceView& d) { return CopyOut(d.product.vbios, version, length); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetBoardPartNumber(abi::Device device, char* part,
                                                    unsigned length) {
  return GpuCall("nvmlDeviceGetBoardPartNumber", device,
                 [&](const DeviceView& d) { return CopyOut(d.product.part_number, part, length); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetBoardId(abi::Device device, unsigned* board) {
  return GpuCall("nvmlDeviceGetBoardId", device,
                 [&](const DeviceView& d) { return Put(board, d.spec.pci_bus << 8); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetMultiGpuBoard(abi::Device device, unsigned* multi) {
  return GpuCall("nvmlDeviceGetMultiGpuBoard", device,
                 [&](const DeviceView&) { return Put(multi, 0u); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetPciInfo_v3(abi::Device device, abi::PciInfo* pci) {
  return GetPciInfo("nvmlDeviceGetPciInfo_v3", device, pci, sizeof(abi::PciInfo));
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetPciInfo_v2(abi::Device device, abi::PciInfo* pci) {
  return GetPciInfo("nvmlDeviceGetPciInfo_v2", device, pci, abi::kPciInfoV2Bytes);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetPciInfo(abi::Device device, abi::PciInfo* pci) {
  return GetPciInfo("nvmlDeviceGetPciInfo", device, pci, abi::kPciInfoV1Bytes);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetMaxPcieLinkGeneration(abi::Device device, unsigned* value) {
  return GpuCall("nvmlDeviceGetMaxPcieLinkGeneration", device,
                 [&](const DeviceView& d) { return Put(value, d.product.pcie_generation); });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetCurrPcieLinkGeneration(abi::Device device, unsigned* value) {
  return GpuCall("nvmlDeviceGetCurrPcieLinkGeneration", device,
                 [&](const DeviceView& d) { return Put(value, d.product.pcie_generation); });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetMaxPcieLinkWidth(abi::Device device, unsigned* value) {
  return GpuCall("nvmlDeviceGetMaxPcieLinkWidth", device,
                 [&](const DeviceView& d) { return Put(value, d.product.pcie_width); });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetCurrPcieLinkWidth(abi::Device device, unsigned* value) {
  return GpuCall("nvmlDeviceGetCurrPcieLinkWidth", device,
                 [&](const DeviceView& d) { return Put(value, d.product.pcie_width); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetBusType(abi::Device device, unsigned* type) {
  return GpuCall("nvmlDeviceGetBusType", device,
                 [&](const DeviceView&) { return Put(type, kBusTypePcie); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetMemoryBusWidth(abi::Device device, unsigned* bits) {
  return GpuCall("nvmlDeviceGetMemoryBusWidth", device,
                 [&](const DeviceView& d) { return Put(bits, d.product.memory_bus_width); });
}

// Only systems whose GPU memory is a NUMA node of its own support this; on x86 none does.
ALIQUOT_SIM_EXPORT int nvmlDeviceGetNumaNodeId(abi::Device device, unsigned* node) {
  return GpuCall("nvmlDeviceGetNumaNodeId", device, [&](const DeviceView&) -> int {
    return node == nullptr ? abi::kInvalidArgument : abi::kNotSupported;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetAddressingMode(abi::Device device,
                                                   abi::AddressingModeV1* mode) {
  return GpuCall("nvmlDeviceGetAddressingMode", device, [&](const DeviceView&) -> int {
    if (mode == nullptr) return abi::kInvalidArgument;
    if (mode->version != abi::StructVersion<abi::AddressingModeV1>(1)) {
      return abi::kArgumentVersionMismatch;
    }
    mode->value = kAddressingNone;
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetCpuAffinity(abi::Device device, unsigned size,
                                                unsigned long* cpus) {
  return GpuCall("nvmlDeviceGetCpuAffinity", device, [&](const DeviceView& d) {
    return PutMask(size, cpus, NumaNode(d) * kCpusPerNumaNode, kCpusPerNumaNode);
  });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetCpuAffinityWithinScope(abi::Device device, unsigned size,
                                                           unsigned long* cpus, unsigned scope) {
  return GpuCall("nvmlDeviceGetCpuAffinityWithinScope", device, [&](const DeviceView& d) -> int {
    if (scope > 1) return abi::kInvalidArgument;
    return PutMask(size, cpus, NumaNode(d) * kCpusPerNumaNode, kCpusPerNumaNode);
  });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetMemoryAffinity(abi::Device device, unsigned size,
                                                   unsigned long* nodes, unsigned scope) {
  return GpuCall("nvmlDeviceGetMemoryAffinity", device, [&](const DeviceView& d) -> int {
    if (scope > 1) return abi::kInvalidArgument;
    return PutMask(size, nodes, NumaNode(d), 1);
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetPersistenceMode(abi::Device device, unsigned* mode) {
  return GpuCall("nvmlDeviceGetPersistenceMode", device,
                 [&](const DeviceView&) { return Put(mode, 1u); });
}
// "Enabled" also where no display could be connected.
ALIQUOT_SIM_EXPORT int nvmlDeviceGetDisplayMode(abi::Device device, unsigned* mode) {
  return GpuCall("nvmlDeviceGetDisplayMode", device,
                 [&](const DeviceView&) { return Put(mode, 1u); });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetDisplayActive(abi::Device device, unsigned* active) {
  return GpuCall("nvmlDeviceGetDisplayActive", device,
                 [&](const DeviceView&) { return Put(active, 0u); });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetAccountingMode(abi::Device device, unsigned* mode) {
  return GpuCall("nvmlDeviceGetAccountingMode", device,
                 [&](const DeviceView&) { return Put(mode, 0u); });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetVirtualizationMode(abi::Device device, unsigned* mode) {
  return GpuCall("nvmlDeviceGetVirtualizationMode", device,
                 [&](const DeviceView&) { return Put(mode, 0u); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetComputeMode(abi::Device device, unsigned* mode) {
  return DeviceCall("nvmlDeviceGetComputeMode", device,
                    [&](const DeviceView& d) { return Put(mode, d.gpu.compute_mode); });
}

// With MIG on, the mode is always the default one and cannot be changed.
ALIQUOT_SIM_EXPORT int nvmlDeviceSetComputeMode(abi::Device device, unsigned mode) {
  constexpr unsigned kMost = 3;  // NVML_COMPUTEMODE_EXCLUSIVE_PROCESS
  return GpuWriteCall("nvmlDeviceSetComputeMode", device,
                      [&](const DeviceView& d, NodeState& state) -> int {
                        if (mode > kMost) return abi::kInvalidArgument;
                        if (d.mig_enabled()) return abi::kNotSupported;
                        state.gpus[d.index].compute_mode = mode;
                        return abi::kSuccess;
                      });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetEccMode(abi::Device device, unsigned* current,
                                            unsigned* pending) {
  return GpuCall("nvmlDeviceGetEccMode", device, [&](const DeviceView& d) -> int {
    if (current == nullptr || pending == nullptr) return abi::kInvalidArgument;
    *current = *pending = d.product.ecc ? 1 : 0;
    return abi::kSuccess;
  });
}

// No simulated board is part of an NVLink fabric: from Hopper on the answer is an empty record
// (whose state 0 means "not supported"), before an error.
ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuFabricInfo(abi::Device device, abi::FabricInfo* info) {
  return GpuCall("nvmlDeviceGetGpuFabricInfo", device, [&](const DeviceView& d) -> int {
    if (info == nullptr) return abi::kInvalidArgument;
    if (d.product.architecture < kArchitectureHopper) return abi::kNotSupported;
    *info = {};
    return abi::kSuccess;
  });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuFabricInfoV(abi::Device device, unsigned* info) {
  return GpuCall("nvmlDeviceGetGpuFabricInfoV", device, [&](const DeviceView& d) -> int {
    if (info == nullptr) return abi::kInvalidArgument;
    if (d.product.architecture < kArchitectureHopper) return abi::kNotSupported;
    const unsigned version = *info;
    if (version == abi::StructVersion<abi::FabricInfoV2>(2)) {
      *reinterpret_cast<abi::FabricInfoV2*>(info) = {};
    } else if (version == abi::StructVersion<abi::FabricInfoV3>(3)) {
      *reinterpret_cast<abi::FabricInfoV3*>(info) = {};
    } else {
      return abi::kArgumentVersionMismatch;
    }
    *info = version;
    return abi::kSuccess;
  });
}

}  // namespace aliquot::sim
