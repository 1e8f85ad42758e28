// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/event_watch.h"

#include <cstring>

namespace aliquot::gpu {
namespace {

std::optional<unsigned> InstanceId(std::uint32_t id) {
  if (id == abi::kNoInstanceId) return std::nullopt;
  return id;
}

}  // namespace

Result<EventWatch> EventWatch::Create(const NvmlApi& api, std::vector<std::string> gpu_uuids,
                                      const Logger& log) {
  if (!api.event_set_free || !api.event_set_wait) {
    return NvmlError("nvmlEventSetWait_v2", abi::Return::kFunctionNotFound);
  }
  abi::EventSet set;
  if (Status s = CallNvml("nvmlEventSetCreate", api.event_set_create, &set); !s.ok()) {
    return s.error();
  }
  EventWatch watch(api, set, std::move(gpu_uuids));
  for (const std::string& uuid : watch.gpu_uuids_) {
    const Status s = watch.Register(uuid);
    if (s.ok()) continue;
    if (IsDriverGone(s.error())) return s.error();
    log.Warning("gpu events not watched", {{"gpu", uuid}, {"reason", s.error().message}});
  }
  return watch;
}

EventWatch::~EventWatch() {
  if (set_.handle != nullptr) api_->event_set_free(set_);
}

Status EventWatch::Register(const std::string& uuid) {
  abi::Device device;
  Status s = CallNvml("nvmlDeviceGetHandleByUUID", api_->device_by_uuid, uuid.c_str(), &device);
  if (!s.ok()) return s;
  std::uint64_t supported = 0;
  s = CallNvml("nvmlDeviceGetSupportedEventTypes", api_->device_supported_events, device,
               &supported);
  if (!s.ok()) return s;
  const std::uint64_t wanted = supported & (abi::kEventXidCritical | abi::kEventMigConfigChange);
  if (wanted == 0) return NvmlError("nvmlDeviceGetSupportedEventTypes", abi::Return::kNotSupported);
  s = CallNvml("nvmlDeviceRegisterEvents", api_->device_register_events, device, wanted, set_);
  if (s.ok()) by_handle_[device] = uuid;
  return s;
}

std::optional<std::string> EventWatch::UuidOf(abi::Device device) const {
  if (const auto known = by_handle_.find(device); known != by_handle_.end()) return known->second;
  char uuid[abi::kUuidBytes] = {};
  if (!CallNvml("nvmlDeviceGetUUID", api_->device_uuid, device, uuid, abi::kUuidBytes).ok()) {
    return std::nullopt;
  }
  return std::string(uuid, ::strnlen(uuid, sizeof uuid));
}

Result<std::optional<GpuEvent>> EventWatch::Wait(std::chrono::milliseconds timeout) {
  abi::EventData data{};
  const Status s = CallNvml("nvmlEventSetWait_v2", api_->event_set_wait, set_, &data,
                            static_cast<unsigned>(timeout.count()));
  if (!s.ok()) {
    if (s.error().code == Code::kDeadlineExceeded) return std::optional<GpuEvent>();
    return s.error();
  }
  return std::optional<GpuEvent>({UuidOf(data.device), data.type, data.data,
                                  InstanceId(data.gpu_instance_id),
                                  InstanceId(data.compute_instance_id)});
}

}  // namespace aliquot::gpu
