// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/gpu_probe.h"

#include <fmt/format.h>

#include "gpu/mig_reader.h"

namespace aliquot::gpu {
namespace {

std::string DescribeAction(std::uint32_t action) {
  switch (static_cast<abi::RecoveryAction>(action)) {
    case abi::RecoveryAction::kNone:
      return {};
    case abi::RecoveryAction::kGpuReset:
      return "a reset of the GPU";
    case abi::RecoveryAction::kNodeReboot:
      return "a reboot of the node";
    case abi::RecoveryAction::kDrainP2p:
      return "peer-to-peer traffic to be drained";
    case abi::RecoveryAction::kDrainAndReset:
      return "the GPU to be drained and reset";
  }
  return fmt::format("recovery action {}", action);
}

Status AskEverything(const NvmlApi& api, const std::string& gpu_uuid, abi::Device& device) {
  Status s = CallNvml("nvmlDeviceGetHandleByUUID", api.device_by_uuid, gpu_uuid.c_str(), &device);
  if (!s.ok()) return s;
  abi::PciInfo pci{};
  s = CallNvml("nvmlDeviceGetPciInfo_v3", api.device_pci_info, device, &pci);
  if (!s.ok()) return s;
  return ReadMemory(api, device).status();
}

}  // namespace

Result<ProbeResult> ProbeGpu(const NvmlApi& api, const std::string& gpu_uuid) {
  ProbeResult result;
  abi::Device device;
  if (Status s = AskEverything(api, gpu_uuid, device); !s.ok()) {
    if (IsDriverGone(s.error())) return s.error();
    result.failure = s.error().message;
    return result;
  }
  abi::FieldValue field{};
  field.field_id = abi::kFieldRecoveryAction;
  const Result<bool> answered =
      AskNvml("nvmlDeviceGetFieldValues", api.device_field_values, device, 1, &field);
  if (!answered.ok()) {
    if (IsDriverGone(answered.error())) return answered.error();
    result.failure = answered.error().message;
  } else if (*answered && field.status == abi::Return::kSuccess) {
    result.wanted_action = DescribeAction(field.value.as_u32);
  }
  return result;
}

}  // namespace aliquot::gpu
