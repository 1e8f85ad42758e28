// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// GPU instances and compute instances.
#include <algorithm>
#include <cstring>
#include <vector>

#include "sim/nvml/call.h"

namespace aliquot::sim {
namespace {

abi::GpuInstance GpuInstanceHandle(const DeviceView& d, unsigned gi_id) {
  HandleParts parts;
  parts.kind = HandleKind::kGpuInstance;
  parts.generation = d.session.handle_generation();
  parts.gpu = d.index;
  parts.gi = gi_id;
  parts.serial = d.gpu.instances[gi_id].serial;
  return MakeHandle<abi::GpuInstance>(parts);
}

abi::ComputeInstance ComputeInstanceHandle(const DeviceView& d, unsigned gi_id, unsigned ci_id) {
  HandleParts parts;
  parts.kind = HandleKind::kComputeInstance;
  parts.generation = d.session.handle_generation();
  parts.gpu = d.index;
  parts.gi = gi_id;
  parts.ci = ci_id;
  parts.serial = d.gpu.instances[gi_id].compute[ci_id].serial;
  return MakeHandle<abi::ComputeInstance>(parts);
}

std::optional<ComputeProfile> FindComputeProfile(const InstanceView& view, unsigned index) {
  for (ComputeProfile& profile : ComputeProfiles(view.device.product, *view.profile)) {
    if (profile.index == index) return std::move(profile);
  }
  return std::nullopt;
}

abi::ComputeInstanceProfileInfo InfoOf(const InstanceView& view, const ComputeProfile& p) {
  const Engines& engines = view.profile->engines;
  return {p.index,         p.slices,        p.instances,  p.multiprocessors, engines.copy,
          engines.decoder, engines.encoder, engines.jpeg, engines.ofa};
}

// A call about a profile by its NVML index: body(info, profile).
template <typename Body>
int ComputeProfileCall(std::string_view name, abi::GpuInstance gi, unsigned index,
                       unsigned engine_profile, const void* out, Body body) {
  return GpuInstanceCall(name, gi, [&](const InstanceView& view) -> int {
    if (out == nullptr || index >= abi::kComputeInstanceProfileCount || engine_profile != 0) {
      return abi::kInvalidArgument;
    }
    const std::optional<ComputeProfile> profile = FindComputeProfile(view, index);
    return profile ? body(InfoOf(view, *profile), *profile) : int{abi::kNotSupported};
  });
}

// A call about a profile by its id: body(view, profile).
template <typename Body>
int ComputeProfileIdCall(std::string_view name, abi::GpuInstance gi, unsigned id, const void* out,
                         Body body) {
  return GpuInstanceCall(name, gi, [&](const InstanceView& view) -> int {
    if (out == nullptr) return abi::kInvalidArgument;
    const std::optional<ComputeProfile> profile = FindComputeProfile(view, id);
    return profile ? body(view, *profile) : int{abi::kNotSupported};
  });
}

int GetComputeInstanceInfo(std::string_view name, abi::ComputeInstance ci,
                           abi::ComputeInstanceInfo* info, std::size_t bytes) {
  return ComputeInstanceCall(name, ci, [&](const InstanceView& view) -> int {
    if (info == nullptr) return abi::kInvalidArgument;
    const abi::ComputeInstanceInfo full = {view.device.Handle(),
                                           GpuInstanceHandle(view.device, view.gi_id),
                                           view.ci_id,
                                           view.ci->profile_index,
                                           {view.ci->start, view.ci->size}};
    std::memcpy(info, &full, bytes);
    return abi::kSuccess;
  });
}

int CreateGi(std::string_view name, abi::Device device, unsigned profile_id, bool placed,
             const abi::Placement* placement, abi::GpuInstance* instance) {
  return GpuWriteCall(name, device, [&](const DeviceView& d, NodeState& state) -> int {
    if (instance == nullptr || (placed && placement == nullptr)) return abi::kInvalidArgument;
    if (!d.mig_enabled()) return abi::kNotSupported;
    const MigProfile* profile = d.product.ProfileById(profile_id);
    if (profile == nullptr) return abi::kInvalidArgument;
    unsigned gi = 0;
    const abi::Return code =
        CreateGpuInstance(*d.product.mig, state.gpus[d.index], *profile,
                          placed ? std::optional(*placement) : std::nullopt, &gi);
    if (code != abi::kSuccess) return code;
    RaiseEvent(state, abi::kEventMigConfigChange, 0, d.index, gi);
    *instance = GpuInstanceHandle(d, gi);
    return abi::kSuccess;
  });
}

int CreateCi(std::string_view name, abi::GpuInstance gi, unsigned profile_id, bool placed,
             const abi::Placement* placement, abi::ComputeInstance* instance) {
  return InstanceWriteCall(
      name, gi, HandleKind::kGpuInstance, [&](const InstanceView& view, NodeState& state) -> int {
        if (instance == nullptr || (placed && placement == nullptr)) return abi::kInvalidArgument;
        const std::optional<ComputeProfile> profile = FindComputeProfile(view, profile_id);
        if (!profile) return abi::kNotSupported;
        const unsigned gpu = view.device.index;
        unsigned ci = 0;
        const abi::Return code =
            CreateComputeInstance(state.gpus[gpu], view.gi_id, *profile,
                                  placed ? std::optional(*placement) : std::nullopt, &ci);
        if (code != abi::kSuccess) return code;
        RaiseEvent(state, abi::kEventMigConfigChange, 0, gpu, view.gi_id, ci);
        *instance = ComputeInstanceHandle(view.device, view.gi_id, ci);
        return abi::kSuccess;
      });
}

}  // namespace

// The caller's array has room for as many instances as the profile allows on one GPU.
ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuInstances(abi::Device device, unsigned profile_id,
                                                 abi::GpuInstance* instances, unsigned* count) {
  return GpuCall(
      "nvmlDeviceGetGpuInstances", device,
      [&](const DeviceView& d) -> int {
        if (instances == nullptr || count == nullptr) return abi::kInvalidArgument;
        if (!d.product.mig) return abi::kNotSupported;
        const MigProfile* profile = d.product.ProfileById(profile_id);
        if (profile == nullptr) return abi::kInvalidArgument;
        *count = 0;
        for (unsigned id = 0; id < d.gpu.instances.size(); ++id) {
          const GpuInstanceState& gi = d.gpu.instances[id];
          if (gi.used == 0 || gi.profile_index != profile->index) continue;
          instances[(*count)++] = GpuInstanceHandle(d, id);
        }
        return abi::kSuccess;
      },
      abi::kInvalidArgument);
}

// Placed where the driver likes best.
ALIQUOT_SIM_EXPORT int nvmlDeviceCreateGpuInstance(abi::Device device, unsigned profile_id,
                                                   abi::GpuInstance* instance) {
  return CreateGi("nvmlDeviceCreateGpuInstance", device, profile_id, false, nullptr, instance);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceCreateGpuInstanceWithPlacement(abi::Device device,
                                                                unsigned profile_id,
                                                                const abi::Placement* placement,
                                                                abi::GpuInstance* instance) {
  return CreateGi("nvmlDeviceCreateGpuInstanceWithPlacement", device, profile_id, true, placement,
                  instance);
}

// IN_USE while it has compute instances or a process.
ALIQUOT_SIM_EXPORT int nvmlGpuInstanceDestroy(abi::GpuInstance gi) {
  return InstanceWriteCall("nvmlGpuInstanceDestroy", gi, HandleKind::kGpuInstance,
                           [&](const InstanceView& view, NodeState& state) -> int {
                             const unsigned gpu = view.device.index;
                             if (HasProcess(state, gpu, view.gi_id)) return abi::kInUse;
                             const abi::Return code =
                                 DestroyGpuInstance(state.gpus[gpu], view.gi_id);
                             if (code != abi::kSuccess) return code;
                             RaiseEvent(state, abi::kEventMigConfigChange, 0, gpu, view.gi_id);
                             return abi::kSuccess;
                           });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuInstanceById(abi::Device device, unsigned id,
                                                    abi::GpuInstance* instance) {
  return GpuCall(
      "nvmlDeviceGetGpuInstanceById", device,
      [&](const DeviceView& d) -> int {
        if (instance == nullptr) return abi::kInvalidArgument;
        if (!d.product.mig) return abi::kNotSupported;
        if (id >= kMaxGpuInstances || d.gpu.instances[id].used == 0) return abi::kNotFound;
        *instance = GpuInstanceHandle(d, id);
        return abi::kSuccess;
      },
      abi::kInvalidArgument);
}

ALIQUOT_SIM_EXPORT int nvmlGpuInstanceGetInfo(abi::GpuInstance gi, abi::GpuInstanceInfo* info) {
  return GpuInstanceCall("nvmlGpuInstanceGetInfo", gi, [&](const InstanceView& view) -> int {
    if (info == nullptr) return abi::kInvalidArgument;
    *info = {view.device.Handle(), view.gi_id, view.profile->id, {view.gi->start, view.gi->size}};
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlGpuInstanceGetComputeInstanceProfileInfo(
    abi::GpuInstance gi, unsigned profile, unsigned engine_profile,
    abi::ComputeInstanceProfileInfo* info) {
  return ComputeProfileCall(
      "nvmlGpuInstanceGetComputeInstanceProfileInfo", gi, profile, engine_profile, info,
      [&](const abi::ComputeInstanceProfileInfo& found, const ComputeProfile&) -> int {
        *info = found;
        return abi::kSuccess;
      });
}

ALIQUOT_SIM_EXPORT int nvmlGpuInstanceGetComputeInstanceProfileInfoV(abi::GpuInstance gi,
                                                                     unsigned profile,
                                                                     unsigned engine_profile,
                                                                     unsigned* info) {
  return ComputeProfileCall(
      "nvmlGpuInstanceGetComputeInstanceProfileInfoV", gi, profile, engine_profile, info,
      [&](const abi::ComputeInstanceProfileInfo& found, const ComputeProfile& p) -> int {
        if (*info == abi::StructVersion<abi::ComputeInstanceProfileInfoV2>(2)) {
          auto* out = reinterpret_cast<abi::ComputeInstanceProfileInfoV2*>(info);
          *out = {0, found, {}};
          CopyText(out->name, "MIG " + p.name);
          return abi::kSuccess;
        }
        if (*info == abi::StructVersion<abi::ComputeInstanceProfileInfoV3>(3)) {
          *reinterpret_cast<abi::ComputeInstanceProfileInfoV3*>(info) = {0, found, {}, 0};
          return abi::kSuccess;
        }
        return abi::kInvalidArgument;
      });
}

ALIQUOT_SIM_EXPORT int nvmlGpuInstanceGetComputeInstanceRemainingCapacity(abi::GpuInstance gi,
                                                                          unsigned profile_id,
                                                                          unsigned* count) {
  return ComputeProfileIdCall("nvmlGpuInstanceGetComputeInstanceRemainingCapacity", gi, profile_id,
                              count,
                              [&](const InstanceView& view, const ComputeProfile& profile) -> int {
                                *count = RemainingComputeInstances(*view.gi, profile);
                                return abi::kSuccess;
                              });
}

ALIQUOT_SIM_EXPORT int nvmlGpuInstanceGetComputeInstancePossiblePlacements(
    abi::GpuInstance gi, unsigned profile_id, abi::Placement* placements, unsigned* count) {
  return ComputeProfileIdCall("nvmlGpuInstanceGetComputeInstancePossiblePlacements", gi, profile_id,
                              count,
                              [&](const InstanceView&, const ComputeProfile& profile) -> int {
                                if (placements != nullptr) {
                                  if (*count < profile.starts.size()) return abi::kInsufficientSize;
                                  for (const unsigned start : profile.starts)
                                    *placements++ = {start, profile.slices};
                                }
                                *count = static_cast<unsigned>(profile.starts.size());
                                return abi::kSuccess;
                              });
}

ALIQUOT_SIM_EXPORT int nvmlGpuInstanceGetComputeInstances(abi::GpuInstance gi, unsigned profile_id,
                                                          abi::ComputeInstance* instances,
                                                          unsigned* count) {
  return ComputeProfileIdCall("nvmlGpuInstanceGetComputeInstances", gi, profile_id, count,
                              [&](const InstanceView& view, const ComputeProfile& profile) -> int {
                                if (instances == nullptr) return abi::kInvalidArgument;
                                *count = 0;
                                for (unsigned id = 0; id < view.gi->compute.size(); ++id) {
                                  const ComputeInstanceState& ci = view.gi->compute[id];
                                  if (ci.used == 0 || ci.profile_index != profile.index) continue;
                                  instances[(*count)++] =
                                      ComputeInstanceHandle(view.device, view.gi_id, id);
                                }
                                return abi::kSuccess;
                              });
}

ALIQUOT_SIM_EXPORT int nvmlGpuInstanceCreateComputeInstance(abi::GpuInstance gi,
                                                            unsigned profile_id,
                                                            abi::ComputeInstance* instance) {
  return CreateCi("nvmlGpuInstanceCreateComputeInstance", gi, profile_id, false, nullptr, instance);
}
ALIQUOT_SIM_EXPORT int nvmlGpuInstanceCreateComputeInstanceWithPlacement(
    abi::GpuInstance gi, unsigned profile_id, const abi::Placement* placement,
    abi::ComputeInstance* instance) {
  return CreateCi("nvmlGpuInstanceCreateComputeInstanceWithPlacement", gi, profile_id, true,
                  placement, instance);
}

// IN_USE while a process runs on it.
ALIQUOT_SIM_EXPORT int nvmlComputeInstanceDestroy(abi::ComputeInstance ci) {
  return InstanceWriteCall("nvmlComputeInstanceDestroy", ci, HandleKind::kComputeInstance,
                           [&](const InstanceView& view, NodeState& state) -> int {
                             const unsigned gpu = view.device.index;
                             if (HasProcess(state, gpu, view.gi_id, view.ci_id)) {
                               return abi::kInUse;
                             }
                             DestroyComputeInstance(state.gpus[gpu], view.gi_id, view.ci_id);
                             RaiseEvent(state, abi::kEventMigConfigChange, 0, gpu, view.gi_id,
                                        view.ci_id);
                             return abi::kSuccess;
                           });
}

ALIQUOT_SIM_EXPORT int nvmlGpuInstanceGetComputeInstanceById(abi::GpuInstance gi, unsigned id,
                                                             abi::ComputeInstance* instance) {
  return GpuInstanceCall("nvmlGpuInstanceGetComputeInstanceById", gi,
                         [&](const InstanceView& view) -> int {
                           if (instance == nullptr) return abi::kInvalidArgument;
                           if (id >= kMaxComputeInstances || view.gi->compute[id].used == 0) {
                             return abi::kNotFound;
                           }
                           *instance = ComputeInstanceHandle(view.device, view.gi_id, id);
                           return abi::kSuccess;
                         });
}

ALIQUOT_SIM_EXPORT int nvmlComputeInstanceGetInfo_v2(abi::ComputeInstance ci,
                                                     abi::ComputeInstanceInfo* info) {
  return GetComputeInstanceInfo("nvmlComputeInstanceGetInfo_v2", ci, info,
                                sizeof(abi::ComputeInstanceInfo));
}
// The first version's struct has no placement.
ALIQUOT_SIM_EXPORT int nvmlComputeInstanceGetInfo(abi::ComputeInstance ci,
                                                  abi::ComputeInstanceInfo* info) {
  return GetComputeInstanceInfo("nvmlComputeInstanceGetInfo", ci, info,
                                abi::kComputeInstanceInfoV1Bytes);
}

}  // namespace aliquot::sim
