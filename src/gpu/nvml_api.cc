// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/nvml_api.h"

#include <fmt/format.h>

namespace aliquot::gpu {
namespace {

Code CodeOf(abi::Return result) {
  using abi::Return;
  switch (result) {
    case Return::kSuccess:
      return Code::kOk;
    case Return::kUninitialized:
    case Return::kDriverNotLoaded:
    case Return::kLibRmVersionMismatch:
      return Code::kUnavailable;
    case Return::kInvalidArgument:
      return Code::kInvalidArgument;
    case Return::kNotSupported:
    case Return::kFunctionNotFound:
    case Return::kArgumentVersionMismatch:
      return Code::kUnimplemented;
    case Return::kNoPermission:
      return Code::kPermissionDenied;
    case Return::kNotFound:
    case Return::kNoData:
    case Return::kLibraryNotFound:
      return Code::kNotFound;
    case Return::kTimeout:
      return Code::kDeadlineExceeded;
    case Return::kGpuIsLost:
      return Code::kDataLoss;
    case Return::kResetRequired:
    case Return::kInUse:
      return Code::kFailedPrecondition;
    case Return::kInsufficientSize:
    case Return::kMemory:
    case Return::kInsufficientResources:
      return Code::kResourceExhausted;
    case Return::kUnknown:
      return Code::kUnknown;
  }
  return Code::kUnknown;
}

}  // namespace

std::string_view ReturnText(abi::Return result) {
  // Index is the number; the texts are those of nvmlErrorString.
  static constexpr std::string_view kTexts[] = {
      "success",
      "uninitialized",
      "invalid argument",
      "not supported",
      "insufficient permissions",
      "already initialized",
      "not found",
      "insufficient size",
      "insufficient external power",
      "driver not loaded",
      "timeout",
      "interrupt request issue",
      "NVML shared library not found",
      "function not found",
      "corrupted infoROM",
      "GPU is lost",
      "GPU requires reset",
      "GPU access blocked by the operating system",
      "driver/library version mismatch",
      "in use by another client",
      "insufficient memory",
      "no data",
      "vGPU ECC not supported",
      "insufficient resources",
      "invalid frequency",
      "argument version mismatch",
      "requested functionality has been deprecated",
      "system is not in ready state",
      "no supported GPUs were found",
      "resource not in correct state to perform requested operation",
      "reset type is not supported for given device",
  };
  const auto number = static_cast<std::size_t>(result);
  return number < std::size(kTexts) ? kTexts[number] : "unknown error";
}

Error NvmlError(std::string_view call, abi::Return result) {
  return {CodeOf(result), fmt::format("{}: {} (NVML error {})", call, ReturnText(result),
                                      static_cast<int>(result))};
}

bool IsDriverGone(const Error& error) { return error.code == Code::kUnavailable; }

bool IsAbsent(const Error& error) {
  return error.code == Code::kUnimplemented || error.code == Code::kPermissionDenied ||
         error.code == Code::kNotFound || error.code == Code::kInvalidArgument;
}

}  // namespace aliquot::gpu
