// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// GPU performance monitoring. There are no counters to read behind a simulated GPU, so the one
// honest answer is that devices do not support it.
#include "sim/nvml/call.h"

namespace aliquot::sim {
namespace {

constexpr unsigned kGpmSupportVersion = 1;  // a plain number, unlike other version words

}  // namespace

ALIQUOT_SIM_EXPORT int nvmlGpmQueryDeviceSupport(abi::Device device, abi::GpmSupport* support) {
  return DeviceCall("nvmlGpmQueryDeviceSupport", device, [&](const DeviceView&) -> int {
    if (support == nullptr) return abi::kInvalidArgument;
    if (support->version != kGpmSupportVersion) return abi::kArgumentVersionMismatch;
    support->is_supported_device = 0;
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlGpmSampleAlloc(abi::GpmSample* sample) {
  return SystemCall("nvmlGpmSampleAlloc", [&](Session& session) -> int {
    if (sample == nullptr) return abi::kInvalidArgument;
    HandleParts parts;
    parts.kind = HandleKind::kGpmSample;
    parts.generation = session.handle_generation();
    *sample = MakeHandle<abi::GpmSample>(parts);
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlGpmSampleFree(abi::GpmSample sample) {
  return SystemCall("nvmlGpmSampleFree", [&](Session& session) -> int {
    const auto parts = OwnHandle(session, sample);
    return parts && parts->kind == HandleKind::kGpmSample ? abi::kSuccess : abi::kInvalidArgument;
  });
}

ALIQUOT_SIM_EXPORT int nvmlGpmSampleGet(abi::Device device, abi::GpmSample) {
  return DeviceCall("nvmlGpmSampleGet", device,
                    [](const DeviceView&) -> int { return abi::kNotSupported; });
}

ALIQUOT_SIM_EXPORT int nvmlGpmMigSampleGet(abi::Device device, unsigned, abi::GpmSample) {
  return DeviceCall("nvmlGpmMigSampleGet", device,
                    [](const DeviceView&) -> int { return abi::kNotSupported; });
}

ALIQUOT_SIM_EXPORT int nvmlGpmMetricsGet(void* metrics) {
  return SystemCall("nvmlGpmMetricsGet", [&](Session&) -> int {
    return metrics == nullptr ? abi::kInvalidArgument : abi::kNotSupported;
  });
}

}  // namespace aliquot::sim
