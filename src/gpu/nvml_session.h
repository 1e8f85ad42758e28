// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "base/status.h"
#include "gpu/nvml_api.h"

namespace aliquot::gpu {

// An initialised NVML; shut down on destruction. Device handles are only good within one session:
// look them up again by UUID when the generation has changed. Confined to the driver thread,
// because some calls block for seconds while a GPU resets.
class NvmlSession {
 public:
  // `api` must outlive the session. `generation` is a number the caller never uses twice.
  static Result<NvmlSession> Open(const NvmlApi& api, std::uint64_t generation) {
    if (Status s = CallNvml("nvmlInit_v2", api.init); !s.ok()) return s.error();
    return NvmlSession(&api, generation);
  }

  NvmlSession(NvmlSession&& other) noexcept
      : api_(std::exchange(other.api_, nullptr)), generation_(other.generation_) {}
  NvmlSession& operator=(NvmlSession&&) = delete;
  ~NvmlSession() {
    if (api_ != nullptr) api_->shutdown();  // nothing useful can be done about a failure
  }

  const NvmlApi& api() const { return *api_; }
  std::uint64_t generation() const { return generation_; }

 private:
  NvmlSession(const NvmlApi* api, std::uint64_t generation) : api_(api), generation_(generation) {}

  const NvmlApi* api_;
  std::uint64_t generation_;
};

}  // namespace aliquot::gpu
