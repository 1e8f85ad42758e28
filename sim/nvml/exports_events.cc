// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Events: what NVML tells without being asked.
#include "sim/nvml/call.h"

namespace aliquot::sim {
namespace {

int Wait(std::string_view name, abi::EventSet set, abi::EventData* data, unsigned timeout_ms) {
  return SystemCall(
      name, [&](Session& session) -> int { return session.WaitEvent(set, data, timeout_ms); });
}

}  // namespace

ALIQUOT_SIM_EXPORT int nvmlEventSetCreate(abi::EventSet* set) {
  return SystemCall("nvmlEventSetCreate", [&](Session& session) -> int {
    if (set == nullptr) return abi::kInvalidArgument;
    *set = session.CreateEventSet();
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlEventSetFree(abi::EventSet set) {
  return SystemCall("nvmlEventSetFree",
                    [&](Session& session) { return session.FreeEventSet(set); });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetSupportedEventTypes(abi::Device device,
                                                        unsigned long long* types) {
  return GpuCall("nvmlDeviceGetSupportedEventTypes", device, [&](const DeviceView&) -> int {
    if (types == nullptr) return abi::kInvalidArgument;
    *types = abi::kEventsSupported;
    return abi::kSuccess;
  });
}

// Types without a meaning are accepted if their numbers are among the known ones, and never come.
// Not on MIG handles: events of a MIG device come from its GPU and carry the instance's ids.
ALIQUOT_SIM_EXPORT int nvmlDeviceRegisterEvents(abi::Device device, unsigned long long types,
                                                abi::EventSet set) {
  return GpuCall("nvmlDeviceRegisterEvents", device, [&](const DeviceView& d) -> int {
    if ((types & ~abi::kEventsAccepted) != 0) return abi::kNotSupported;
    return d.session.RegisterEvents(set, d.index, types, d.state.next_event);
  });
}

ALIQUOT_SIM_EXPORT int nvmlEventSetWait_v2(abi::EventSet set, abi::EventData* data,
                                           unsigned timeout_ms) {
  if (data == nullptr) {
    return SystemCall("nvmlEventSetWait_v2", [](Session&) -> int { return abi::kInvalidArgument; });
  }
  return Wait("nvmlEventSetWait_v2", set, data, timeout_ms);
}

// The first version's struct ends before the instance ids.
ALIQUOT_SIM_EXPORT int nvmlEventSetWait(abi::EventSet set, abi::EventDataV1* data,
                                        unsigned timeout_ms) {
  abi::EventData full{};
  const int code = nvmlEventSetWait_v2(set, data == nullptr ? nullptr : &full, timeout_ms);
  if (code == abi::kSuccess) *data = {full.device, full.event_type, full.event_data};
  return code;
}

}  // namespace aliquot::sim
