// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// MIG as seen from a device: the mode, MIG devices, profiles and placements.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "sim/nvml/call.h"

namespace aliquot::sim {
namespace {

template <typename T>
int Put(T* out, T value) {
  if (out == nullptr) return abi::kInvalidArgument;
  *out = value;
  return abi::kSuccess;
}

abi::GpuInstanceProfileInfo InfoOf(const MigProfile& p) {
  return {p.id,
          0,  // peer-to-peer does not exist between MIG devices
          p.slices,
          p.instances,
          p.multiprocessors,
          p.engines.copy,
          p.engines.decoder,
          p.engines.encoder,
          p.engines.jpeg,
          p.engines.ofa,
          p.memory_mib};
}

// What driver 580 writes as the name into version 3 of the struct, seen on an H200: it takes the
// number of instances for that of slices and has no memory size, so that 1g.18gb is "MIG 7g.0gb";
// and it writes it kNameShiftInV3 bytes into the field, where version 2 has its name, so that the
// field reads as empty. Nothing may rely on it; version 2 has the right name, and our own reader
// computes names from version 1.
constexpr std::size_t kNameShiftInV3 = 8;
std::string NameInV3(const MigProfile& profile) {
  const std::size_t suffix = profile.name.find("gb") + 2;
  return "MIG " + std::to_string(profile.instances) + "g.0gb" + profile.name.substr(suffix);
}

// Fills the struct of the version the caller asks for.
int PutVersioned(const MigProfile& profile, unsigned* version_and_rest) {
  const abi::GpuInstanceProfileInfo i = InfoOf(profile);
  const unsigned version = *version_and_rest;
  if (version == abi::StructVersion<abi::GpuInstanceProfileInfoV2>(2)) {
    auto* out = reinterpret_cast<abi::GpuInstanceProfileInfoV2*>(version_and_rest);
    // The real driver clears the version; callers must set it again for their next call.
    *out = {0,
            i.id,
            i.is_p2p_supported,
            i.slice_count,
            i.instance_count,
            i.multiprocessor_count,
            i.copy_engine_count,
            i.decoder_count,
            i.encoder_count,
            i.jpeg_count,
            i.ofa_count,
            i.memory_size_mb,
            {}};
    CopyText(out->name, "MIG " + profile.name);
    return abi::kSuccess;
  }
  if (version == abi::StructVersion<abi::GpuInstanceProfileInfoV3>(3)) {
    auto* out = reinterpret_cast<abi::GpuInstanceProfileInfoV3*>(version_and_rest);
    *out = {0,
            i.id,
            i.slice_count,
            i.instance_count,
            i.multiprocessor_count,
            i.copy_engine_count,
            i.decoder_count,
            i.encoder_count,
            i.jpeg_count,
            i.ofa_count,
            i.memory_size_mb,
            {},
            profile.graphics ? 2u : 0u};
    const std::string name = NameInV3(profile);
    std::memcpy(out->name + kNameShiftInV3, name.data(), name.size());
    return abi::kSuccess;
  }
  return abi::kInvalidArgument;
}

// A call about the profile with NVML index `index`: body(profile).
template <typename Body>
int ProfileIndexCall(std::string_view name, abi::Device device, unsigned index, const void* out,
                     Body body) {
  return GpuCall(
      name, device,
      [&](const DeviceView& d) -> int {
        if (out == nullptr || index >= abi::kGpuInstanceProfileCount) return abi::kInvalidArgument;
        const MigProfile* profile = d.product.ProfileByIndex(index);
        return profile == nullptr ? int{abi::kNotSupported} : body(*profile);
      },
      abi::kInvalidArgument);
}

// A call about the profile with id `id`: body(view, profile).
template <typename Body>
int ProfileIdCall(std::string_view name, abi::Device device, unsigned id, const void* out,
                  Body body) {
  return GpuCall(
      name, device,
      [&](const DeviceView& d) -> int {
        if (out == nullptr) return abi::kInvalidArgument;
        if (!d.product.mig) return abi::kNotSupported;
        const MigProfile* profile = d.product.ProfileById(id);
        return profile == nullptr ? int{abi::kInvalidArgument} : body(d, *profile);
      },
      abi::kInvalidArgument);
}

int PossiblePlacements(std::string_view name, abi::Device device, unsigned profile_id,
                       abi::Placement* placements, unsigned* count) {
  return ProfileIdCall(name, device, profile_id, count,
                       [&](const DeviceView&, const MigProfile& profile) -> int {
                         std::vector<unsigned> starts = profile.starts;
                         std::sort(starts.begin(), starts.end());
                         if (placements != nullptr) {
                           if (*count < starts.size()) return abi::kInsufficientSize;
                           for (const unsigned start : starts)
                             *placements++ = {start, profile.size};
                         }
                         *count = static_cast<unsigned>(starts.size());
                         return abi::kSuccess;
                       });
}

// A call about a MIG device: body(view). A full GPU is an invalid argument.
template <typename Body>
int MigDeviceCall(std::string_view name, abi::Device device, Body body) {
  return DeviceCall(name, device, [&](const DeviceView& d) -> int {
    return d.is_mig ? body(d) : int{abi::kInvalidArgument};
  });
}

int GetAttributes(std::string_view name, abi::Device device, abi::DeviceAttributes* attributes) {
  return DeviceCall(name, device, [&](const DeviceView& d) -> int {
    if (attributes == nullptr) return abi::kInvalidArgument;
    if (!d.is_mig) return abi::kNotSupported;
    const ComputeProfile compute = d.compute_profile();
    const Engines& engines = d.profile->engines;
    *attributes = {compute.multiprocessors, engines.copy,   engines.decoder,
                   engines.encoder,         engines.jpeg,   engines.ofa,
                   d.profile->slices,       compute.slices, d.profile->memory_mib};
    return abi::kSuccess;
  });
}

}  // namespace

ALIQUOT_SIM_EXPORT int nvmlDeviceGetMigMode(abi::Device device, unsigned* current,
                                            unsigned* pending) {
  return GpuCall("nvmlDeviceGetMigMode", device, [&](const DeviceView& d) -> int {
    if (current == nullptr || pending == nullptr) return abi::kInvalidArgument;
    if (!d.product.mig) return abi::kNotSupported;
    *current = d.gpu.mig_current;
    *pending = d.gpu.mig_pending;
    return abi::kSuccess;
  });
}

// Succeeds even if the mode cannot take effect yet; `activation` then says why and the mode stays
// pending until the driver is loaded again or the GPU is reset. Ampere changes modes by a reset,
// which a virtual machine may not be able to do; later architectures need none.
ALIQUOT_SIM_EXPORT int nvmlDeviceSetMigMode(abi::Device device, unsigned mode, int* activation) {
  return GpuWriteCall("nvmlDeviceSetMigMode", device,
                      [&](const DeviceView& d, NodeState& state) -> int {
                        if (activation == nullptr || mode > 1) return abi::kInvalidArgument;
                        if (!d.product.mig) return abi::kNotSupported;
                        GpuState& gpu = state.gpus[d.index];
                        gpu.mig_pending = mode;
                        *activation = abi::kSuccess;
                        if (gpu.mig_current == mode) return abi::kSuccess;
                        if (HasProcess(state, d.index) || HasInstances(gpu)) {
                          *activation = abi::kInUse;
                        } else if (d.product.mig->mode_change == MigModeChange::kReset &&
                                   !d.session.node().gpu_reset) {
                          *activation = abi::kResetRequired;
                        } else {
                          ResetGpu(d.session.node(), state, d.index);
                        }
                        return abi::kSuccess;
                      });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetMaxMigDeviceCount(abi::Device device, unsigned* count) {
  return GpuCall(
      "nvmlDeviceGetMaxMigDeviceCount", device,
      [&](const DeviceView& d) { return Put(count, d.mig_enabled() ? d.product.mig->slices : 0u); },
      abi::kInvalidArgument);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(abi::Device device, unsigned index,
                                                           abi::Device* mig) {
  return GpuCall(
      "nvmlDeviceGetMigDeviceHandleByIndex", device,
      [&](const DeviceView& d) -> int {
        if (mig == nullptr) return abi::kInvalidArgument;
        const std::vector<MigDeviceId> devices = MigDevices(d.gpu);
        if (!d.mig_enabled() || index >= devices.size()) return abi::kNotFound;
        *mig = d.MigHandle(devices[index]);
        return abi::kSuccess;
      },
      abi::kInvalidArgument);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceIsMigDeviceHandle(abi::Device device, unsigned* is_mig) {
  return DeviceCall("nvmlDeviceIsMigDeviceHandle", device,
                    [&](const DeviceView& d) { return Put(is_mig, d.is_mig ? 1u : 0u); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(abi::Device mig,
                                                                    abi::Device* device) {
  return MigDeviceCall("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", mig,
                       [&](const DeviceView& d) { return Put(device, d.Handle()); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuInstanceId(abi::Device device, unsigned* id) {
  return MigDeviceCall("nvmlDeviceGetGpuInstanceId", device,
                       [&](const DeviceView& d) { return Put(id, d.gi_id); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetComputeInstanceId(abi::Device device, unsigned* id) {
  return MigDeviceCall("nvmlDeviceGetComputeInstanceId", device,
                       [&](const DeviceView& d) { return Put(id, d.ci_id); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetAttributes_v2(abi::Device device,
                                                  abi::DeviceAttributes* attributes) {
  return GetAttributes("nvmlDeviceGetAttributes_v2", device, attributes);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetAttributes(abi::Device device,
                                               abi::DeviceAttributes* attributes) {
  return GetAttributes("nvmlDeviceGetAttributes", device, attributes);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuInstanceProfileInfo(abi::Device device, unsigned profile,
                                                           abi::GpuInstanceProfileInfo* info) {
  return ProfileIndexCall("nvmlDeviceGetGpuInstanceProfileInfo", device, profile, info,
                          [&](const MigProfile& p) { return Put(info, InfoOf(p)); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuInstanceProfileInfoV(abi::Device device, unsigned profile,
                                                            unsigned* info) {
  return ProfileIndexCall("nvmlDeviceGetGpuInstanceProfileInfoV", device, profile, info,
                          [&](const MigProfile& p) { return PutVersioned(p, info); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuInstanceProfileInfoByIdV(abi::Device device, unsigned id,
                                                                unsigned* info) {
  return ProfileIdCall(
      "nvmlDeviceGetGpuInstanceProfileInfoByIdV", device, id, info,
      [&](const DeviceView&, const MigProfile& p) { return PutVersioned(p, info); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuInstancePossiblePlacements_v2(abi::Device device,
                                                                     unsigned profile_id,
                                                                     abi::Placement* placements,
                                                                     unsigned* count) {
  return PossiblePlacements("nvmlDeviceGetGpuInstancePossiblePlacements_v2", device, profile_id,
                            placements, count);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuInstancePossiblePlacements(abi::Device device,
                                                                  unsigned profile_id,
                                                                  abi::Placement* placements,
                                                                  unsigned* count) {
  return PossiblePlacements("nvmlDeviceGetGpuInstancePossiblePlacements", device, profile_id,
                            placements, count);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetGpuInstanceRemainingCapacity(abi::Device device,
                                                                 unsigned profile_id,
                                                                 unsigned* count) {
  return ProfileIdCall("nvmlDeviceGetGpuInstanceRemainingCapacity", device, profile_id, count,
                       [&](const DeviceView& d, const MigProfile& profile) -> int {
                         *count = RemainingGpuInstances(*d.product.mig, d.gpu, profile);
                         return abi::kSuccess;
                       });
}

}  // namespace aliquot::sim
