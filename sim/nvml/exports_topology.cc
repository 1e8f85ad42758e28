// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// How GPUs reach each other: PCIe and NVLink.
#include <cstring>
#include <vector>

#include "sim/nvml/call.h"

namespace aliquot::sim {
namespace {

constexpr unsigned kP2pStatusOk = 0;
constexpr unsigned kP2pStatusNotSupported = 5;
constexpr unsigned kP2pCapsNvLink = 2;
constexpr unsigned kP2pCapsCount = 5;
// Addresses of the NVSwitches: a bus number above every simulated GPU's.
constexpr unsigned kSwitchBus = 0xF0;
constexpr unsigned kSwitchCount = 6;
constexpr unsigned kSwitchDeviceId = 0x1AF110DE;  // an NVSwitch of the A100 generation

// A call about two GPUs: body(first, second).
template <typename Body>
int PairCall(std::string_view name, abi::Device device1, abi::Device device2, Body body) {
  return GpuCall(name, device1, [&](const DeviceView& first) -> int {
    const auto parts = OwnHandle(first.session, device2);
    if (!parts) return abi::kInvalidArgument;
    std::optional<DeviceView> second;
    const int code = ResolveDevice(first.session, first.state, *parts, &second);
    if (code != abi::kSuccess) return code;
    return second->is_mig ? int{abi::kNotSupported} : body(first, *second);
  });
}

bool NvLinked(const NodeSpec& node, unsigned a, unsigned b) {
  const auto to_switch = [](const std::vector<NvLinkEnd>& ends) {
    for (const NvLinkEnd& end : ends) {
      if (end.active && !end.gpu) return true;
    }
    return false;
  };
  const std::vector<NvLinkEnd> ends = NvLinks(node, a);
  for (const NvLinkEnd& end : ends) {
    if (end.active && end.gpu == b) return true;
  }
  return to_switch(ends) && to_switch(NvLinks(node, b));
}

// The number NVML has for a generation of NVLink (NVML_NVLINK_VERSION_*; some had two versions).
unsigned VersionNumber(unsigned generation) {
  switch (generation) {
    case 3:
      return 4;
    case 4:
      return 6;
    case 5:
      return 7;
    default:
      return generation;
  }
}

// A call about one link: body(view, end). Nothing of it is supported by GPUs
// without links; others know the numbers of their own links only.
template <typename Body>
int LinkCall(std::string_view name, abi::Device device, unsigned link, Body body) {
  return GpuCall(name, device, [&](const DeviceView& d) -> int {
    const std::vector<NvLinkEnd> ends = NvLinks(d.session.node(), d.index);
    if (ends.empty()) return abi::kNotSupported;
    if (link >= ends.size()) return abi::kInvalidArgument;
    return body(d, ends[link]);
  });
}

int RemotePciInfo(std::string_view name, abi::Device device, unsigned link, abi::PciInfo* pci,
                  std::size_t bytes) {
  return LinkCall(name, device, link, [&](const DeviceView& d, const NvLinkEnd& end) -> int {
    if (pci == nullptr) return abi::kInvalidArgument;
    if (!end.active) return abi::kNotSupported;
    GpuSpec remote;
    abi::PciInfo info{};
    if (end.gpu) {
      remote = d.session.node().gpus[*end.gpu];
      info.pci_device_id = remote.product->pci_device_id;
      info.pci_subsystem_id = remote.product->pci_subsystem_id;
    } else {
      remote.pci_bus = kSwitchBus + link % kSwitchCount;
      info.pci_device_id = kSwitchDeviceId;
    }
    CopyText(info.bus_id_legacy, BusIdLegacy(remote));
    CopyText(info.bus_id, BusId(remote));
    info.domain = remote.pci_domain;
    info.bus = remote.pci_bus;
    info.device = remote.pci_device;
    std::memcpy(pci, &info, bytes);
    return abi::kSuccess;
  });
}

}  // namespace

ALIQUOT_SIM_EXPORT int nvmlDeviceGetTopologyCommonAncestor(abi::Device device1, abi::Device device2,
                                                           unsigned* level) {
  return PairCall("nvmlDeviceGetTopologyCommonAncestor", device1, device2,
                  [&](const DeviceView& a, const DeviceView& b) -> int {
                    if (level == nullptr) return abi::kInvalidArgument;
                    if (a.index == b.index) return abi::kNotSupported;
                    *level = TopologyLevel(a.session.node(), a.index, b.index);
                    return abi::kSuccess;
                  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetTopologyNearestGpus(abi::Device device, unsigned level,
                                                        unsigned* count, abi::Device* devices) {
  return GpuCall("nvmlDeviceGetTopologyNearestGpus", device, [&](const DeviceView& d) -> int {
    if (count == nullptr || (*count > 0 && devices == nullptr)) return abi::kInvalidArgument;
    const NodeSpec& node = d.session.node();
    unsigned found = 0;
    for (unsigned other = 0; other < node.gpus.size(); ++other) {
      if (other == d.index || TopologyLevel(node, d.index, other) != level) continue;
      HandleParts parts;
      parts.generation = d.session.handle_generation();
      parts.gpu = other;
      if (found < *count) devices[found] = MakeHandle<abi::Device>(parts);
      ++found;
    }
    *count = *count == 0 ? found : std::min(found, *count);
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetP2PStatus(abi::Device device1, abi::Device device2,
                                              unsigned capability, unsigned* status) {
  return PairCall("nvmlDeviceGetP2PStatus", device1, device2,
                  [&](const DeviceView& a, const DeviceView& b) -> int {
                    if (status == nullptr || capability >= kP2pCapsCount || a.index == b.index) {
                      return abi::kInvalidArgument;
                    }
                    const bool linked = NvLinked(a.session.node(), a.index, b.index);
                    const bool mig = a.mig_enabled() || b.mig_enabled();
                    const bool pcie = capability != kP2pCapsNvLink;
                    *status = !mig && (linked || pcie) ? kP2pStatusOk : kP2pStatusNotSupported;
                    return abi::kSuccess;
                  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceOnSameBoard(abi::Device device1, abi::Device device2, int* same) {
  return PairCall("nvmlDeviceOnSameBoard", device1, device2,
                  [&](const DeviceView& a, const DeviceView& b) -> int {
                    if (same == nullptr) return abi::kInvalidArgument;
                    *same = a.index == b.index ? 1 : 0;
                    return abi::kSuccess;
                  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetNvLinkState(abi::Device device, unsigned link,
                                                unsigned* active) {
  return LinkCall("nvmlDeviceGetNvLinkState", device, link,
                  [&](const DeviceView&, const NvLinkEnd& end) -> int {
                    if (active == nullptr) return abi::kInvalidArgument;
                    *active = end.active ? 1 : 0;
                    return abi::kSuccess;
                  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetNvLinkVersion(abi::Device device, unsigned link,
                                                  unsigned* version) {
  return LinkCall("nvmlDeviceGetNvLinkVersion", device, link,
                  [&](const DeviceView& d, const NvLinkEnd&) -> int {
                    if (version == nullptr) return abi::kInvalidArgument;
                    *version = VersionNumber(d.product.nvlink_version);
                    return abi::kSuccess;
                  });
}

// An H200 claims every capability for a link in use, even that of an SLI bridge.
ALIQUOT_SIM_EXPORT int nvmlDeviceGetNvLinkCapability(abi::Device device, unsigned link,
                                                     unsigned capability, unsigned* result) {
  constexpr unsigned kCapabilities = 6;
  return LinkCall("nvmlDeviceGetNvLinkCapability", device, link,
                  [&](const DeviceView&, const NvLinkEnd& end) -> int {
                    if (result == nullptr || capability >= kCapabilities) {
                      return abi::kInvalidArgument;
                    }
                    *result = end.active ? 1 : 0;
                    return abi::kSuccess;
                  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetNvLinkRemotePciInfo_v2(abi::Device device, unsigned link,
                                                           abi::PciInfo* pci) {
  return RemotePciInfo("nvmlDeviceGetNvLinkRemotePciInfo_v2", device, link, pci,
                       sizeof(abi::PciInfo));
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetNvLinkRemotePciInfo(abi::Device device, unsigned link,
                                                        abi::PciInfo* pci) {
  return RemotePciInfo("nvmlDeviceGetNvLinkRemotePciInfo", device, link, pci, abi::kPciInfoV2Bytes);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetNvLinkRemoteDeviceType(abi::Device device, unsigned link,
                                                           unsigned* type) {
  return LinkCall("nvmlDeviceGetNvLinkRemoteDeviceType", device, link,
                  [&](const DeviceView&, const NvLinkEnd& end) -> int {
                    if (type == nullptr) return abi::kInvalidArgument;
                    if (!end.active) return abi::kNotSupported;
                    *type = end.gpu ? abi::kNvLinkRemoteGpu : abi::kNvLinkRemoteSwitch;
                    return abi::kSuccess;
                  });
}

}  // namespace aliquot::sim
