// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/nvml/call.h"

#include <algorithm>
#include <cstring>

namespace aliquot::sim {

ComputeProfile DeviceView::compute_profile() const {
  for (ComputeProfile& candidate : ComputeProfiles(product, *profile)) {
    if (candidate.index == ci->profile_index) return std::move(candidate);
  }
  return {};
}

abi::Device DeviceView::Handle() const {
  HandleParts parts;
  parts.generation = session.handle_generation();
  parts.gpu = index;
  return MakeHandle<abi::Device>(parts);
}

abi::Device DeviceView::MigHandle(MigDeviceId id) const {
  HandleParts parts;
  parts.kind = HandleKind::kMigDevice;
  parts.generation = session.handle_generation();
  parts.gpu = index;
  parts.gi = id.gi;
  parts.ci = id.ci;
  parts.serial = gpu.instances[id.gi].compute[id.ci].serial;
  return MakeHandle<abi::Device>(parts);
}

int ResolveGpu(Session& session, const NodeState& state, unsigned index,
               std::optional<DeviceView>* view) {
  if (index >= session.node().gpus.size()) return abi::kInvalidArgument;
  const GpuSpec& spec = session.node().gpus[index];
  view->emplace(DeviceView{session, state, index, spec, *spec.product, state.gpus[index]});
  return state.gpus[index].lost != 0 ? abi::kGpuIsLost : abi::kSuccess;
}

int ResolveDevice(Session& session, const NodeState& state, const HandleParts& parts,
                  std::optional<DeviceView>* view) {
  const bool known = parts.kind == HandleKind::kDevice || parts.kind == HandleKind::kMigDevice;
  if (!known || parts.generation != session.handle_generation()) return abi::kInvalidArgument;
  const int code = ResolveGpu(session, state, parts.gpu, view);
  if (code != abi::kSuccess || parts.kind == HandleKind::kDevice) return code;
  DeviceView& device = **view;
  if (parts.gi >= kMaxGpuInstances || parts.ci >= kMaxComputeInstances) {
    return abi::kInvalidArgument;
  }
  const GpuInstanceState& gi = device.gpu.instances[parts.gi];
  const ComputeInstanceState& ci = gi.compute[parts.ci];
  if (gi.used == 0 || ci.used == 0 || (ci.serial & kSerialMask) != parts.serial) {
    return abi::kInvalidArgument;
  }
  device.is_mig = true;
  device.gi_id = parts.gi;
  device.ci_id = parts.ci;
  device.gi = &gi;
  device.ci = &ci;
  device.profile = device.product.ProfileByIndex(gi.profile_index);
  return device.profile == nullptr ? abi::kUnknown : abi::kSuccess;
}

int ResolveInstance(Session& session, const NodeState& state, const HandleParts& parts,
                    std::optional<InstanceView>* view) {
  if (parts.generation != session.handle_generation()) return abi::kInvalidArgument;
  std::optional<DeviceView> device;
  if (const int code = ResolveGpu(session, state, parts.gpu, &device); code != abi::kSuccess) {
    return code;
  }
  if (parts.gi >= kMaxGpuInstances) return abi::kInvalidArgument;
  const GpuInstanceState& gi = device->gpu.instances[parts.gi];
  if (gi.used == 0) return abi::kInvalidArgument;
  const MigProfile* profile = device->product.ProfileByIndex(gi.profile_index);
  if (profile == nullptr) return abi::kUnknown;
  InstanceView instance{*device, parts.gi, &gi, profile};
  std::uint32_t serial = gi.serial;
  if (parts.kind == HandleKind::kComputeInstance) {
    if (parts.ci >= kMaxComputeInstances) return abi::kInvalidArgument;
    instance.ci_id = parts.ci;
    instance.ci = &gi.compute[parts.ci];
    if (instance.ci->used == 0) return abi::kInvalidArgument;
    serial = instance.ci->serial;
  }
  if ((serial & kSerialMask) != parts.serial) return abi::kInvalidArgument;
  view->emplace(instance);
  return abi::kSuccess;
}

int CopyOut(std::string_view text, char* buffer, unsigned length) {
  if (buffer == nullptr) return abi::kInvalidArgument;
  if (length <= text.size()) return abi::kInsufficientSize;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  return abi::kSuccess;
}

}  // namespace aliquot::sim
