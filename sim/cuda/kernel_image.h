// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cuda/device_clock.h"

namespace aliquot::sim::cuda {

// How long a simulated kernel runs.
struct KernelTime {
  enum class Kind {
    kDefault,    // ALIQUOT_SIM_KERNEL_TIME_US for each wave of blocks
    kFixed,      // whatever the launch
    kWave,       // for each wave of blocks
    kParameter,  // nanoseconds in a 32 or 64-bit parameter
  };
  Kind kind = Kind::kDefault;
  DeviceTime time = 0;
  unsigned parameter = 0;
};

struct KernelSpec {
  std::string name;
  KernelTime time;
  std::vector<unsigned> parameter_bytes;
  bool parameters_known = true;
  bool adds = false;  // effect=add: *(uint32_t*)parameter 0 += parameter 1
  unsigned registers = 32;
  unsigned shared_bytes = 0;
};

struct GlobalSpec {
  std::string name;
  std::uint64_t bytes = 0;
};

// What a module image holds, as far as it concerns the simulation.
struct KernelImage {
  std::vector<KernelSpec> kernels;
  std::vector<GlobalSpec> globals;
  // Compiled code: any function name is accepted, nothing is known about parameters.
  bool opaque = false;
};

// Reads an image as given to cuModuleLoadData: our own text, PTX, or compiled code (cubin or fat
// binary, told by its magic number alone). Nothing if it is none of these. Formats:
// docs/simulated-cuda.md.
std::optional<KernelImage> ReadKernelImage(const void* image);
// Our own text. Nothing if a line is wrong.
std::optional<KernelImage> ParseKernelText(std::string_view text);
std::optional<KernelImage> ParsePtx(std::string_view text);

}  // namespace aliquot::sim::cuda
