// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "gpu/nvml_api.h"

namespace aliquot::gpu {

// An event as NVML reports it, with the handle turned back into a UUID.
struct GpuEvent {
  std::optional<std::string> gpu_uuid;  // absent: NVML named a GPU that it cannot identify
  std::uint64_t type = 0;               // abi::kEvent...
  std::uint64_t data = 0;
  std::optional<unsigned> gi_id;
  std::optional<unsigned> ci_id;
};

// Events of a set of GPUs in one driver session; frees the event set on destruction and must not
// outlive the session. Only on the driver thread.
class EventWatch {
 public:
  // Registers critical XIDs and MIG changes, as far as each GPU supports them, on the physical GPUs
  // (MIG devices cannot be registered; their events carry instance ids). A GPU that cannot be
  // registered is logged and left out: that says nothing about its health. kUnimplemented on a
  // library without events.
  static Result<EventWatch> Create(const NvmlApi& api, std::vector<std::string> gpu_uuids,
                                   const Logger& log);
  EventWatch(EventWatch&& other) noexcept
      : api_(other.api_),
        set_(std::exchange(other.set_, {})),
        gpu_uuids_(std::move(other.gpu_uuids_)),
        by_handle_(std::move(other.by_handle_)) {}
  EventWatch& operator=(EventWatch&&) = delete;
  ~EventWatch();

  // The GPUs it was made for, registered or not.
  const std::vector<std::string>& gpu_uuids() const { return gpu_uuids_; }
  // The next event; nothing if none came within `timeout`.
  Result<std::optional<GpuEvent>> Wait(std::chrono::milliseconds timeout);

 private:
  EventWatch(const NvmlApi& api, abi::EventSet set, std::vector<std::string> gpu_uuids)
      : api_(&api), set_(set), gpu_uuids_(std::move(gpu_uuids)) {}
  Status Register(const std::string& uuid);
  std::optional<std::string> UuidOf(abi::Device device) const;

  const NvmlApi* api_;
  abi::EventSet set_;
  std::vector<std::string> gpu_uuids_;
  // A GPU off the bus can still be named by its handle when NVML no longer tells its UUID.
  std::map<abi::Device, std::string> by_handle_;
};

}  // namespace aliquot::gpu
