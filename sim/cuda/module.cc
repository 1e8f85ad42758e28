// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/module.h"

#include <algorithm>
#include <cstring>

#include "sim/cuda/driver.h"

namespace aliquot::sim::cuda {
namespace {

// Limits of an SM, by compute capability: threads and blocks. Shared memory and registers follow
// the architecture tables of the CUDA programming guide.
struct SmLimits {
  unsigned threads = 2048;
  unsigned blocks = 32;
  unsigned shared_bytes = 228 << 10;
};

SmLimits LimitsOf(const Product& product) {
  const unsigned capability = product.compute_major * 10 + product.compute_minor;
  if (capability >= 120) return {1536, 24, 100 << 10};
  if (capability >= 90) return {2048, 32, 228 << 10};
  if (capability == 80) return {2048, 32, 164 << 10};
  if (capability == 86 || capability == 89) return {1536, 24, 100 << 10};
  if (capability == 75) return {1024, 16, 64 << 10};
  return {};
}

std::uint64_t ParameterValue(const KernelSpec& spec, unsigned index, const void* from) {
  std::uint64_t value = 0;
  std::memcpy(&value, from, std::min<std::size_t>(spec.parameter_bytes[index], sizeof(value)));
  return value;
}

// Where each parameter's bytes are, from either way of passing them. False if there are none
// although the kernel has parameters.
bool FindParameters(const KernelSpec& spec, const Launch& launch, std::vector<const char*>* out) {
  if (launch.parameters != nullptr) {
    for (std::size_t i = 0; i < spec.parameter_bytes.size(); ++i) {
      out->push_back(static_cast<const char*>(launch.parameters[i]));
    }
    return true;
  }
  if (launch.extra != nullptr) {
    // Pairs of a keyword and a value; 1 is the buffer, 2 a pointer to its size, 0 the end.
    const char* buffer = nullptr;
    for (void** word = launch.extra; *word != nullptr; word += 2) {
      if (reinterpret_cast<std::uintptr_t>(*word) == 1) buffer = static_cast<const char*>(word[1]);
    }
    if (buffer != nullptr) {
      std::size_t offset = 0;
      for (const unsigned bytes : spec.parameter_bytes) {
        const std::size_t align = std::min<std::size_t>(bytes, 8);
        offset = (offset + align - 1) / align * align;
        out->push_back(buffer + offset);
        offset += bytes;
      }
      return true;
    }
  }
  return spec.parameter_bytes.empty();
}

}  // namespace

unsigned ResidentBlocks(const Function& function, const DeviceInfo& device, std::uint64_t threads,
                        std::uint64_t dynamic_shared) {
  const SmLimits limits = LimitsOf(*device.gpu->product);
  if (threads == 0 || threads > 1024) return 0;
  const std::uint64_t warps = (threads + 31) / 32;
  std::uint64_t blocks = std::min<std::uint64_t>(limits.blocks, limits.threads / (warps * 32));
  // Registers are given to warps in portions of 256.
  const std::uint64_t per_warp = (std::max(function.spec.registers, 1u) * 32 + 255) / 256 * 256;
  blocks = std::min<std::uint64_t>(blocks, 65536 / (per_warp * warps));
  const std::uint64_t shared = function.spec.shared_bytes + dynamic_shared;
  if (shared > 0) blocks = std::min<std::uint64_t>(blocks, limits.shared_bytes / (shared + 1024));
  return static_cast<unsigned>(blocks);
}

CUresult MakeKernelWork(const Function& function, Context& context, const Launch& launch,
                        Work* work) {
  const KernelSpec& spec = function.spec;
  for (int i = 0; i < 3; ++i) {
    if (launch.grid[i] == 0 || launch.block[i] == 0) return CUDA_ERROR_INVALID_VALUE;
  }
  if (launch.threads() > 1024 || launch.grid[1] > 65535 || launch.grid[2] > 65535 ||
      launch.block[2] > 64 ||
      launch.shared_bytes > static_cast<unsigned>(function.max_dynamic_shared)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  std::vector<const char*> parameters;
  if (spec.parameters_known && !FindParameters(spec, launch, &parameters)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const unsigned resident =
      ResidentBlocks(function, context.info, launch.threads(), launch.shared_bytes);
  if (resident == 0) return CUDA_ERROR_INVALID_VALUE;
  const std::uint64_t room = std::uint64_t{1} * resident * context.info.multiprocessors;
  if (launch.cooperative && launch.blocks() > room) return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
  const auto waves = static_cast<DeviceTime>((launch.blocks() + room - 1) / room);
  work->kind = Operation::Kind::kKernel;
  work->demand = std::min(1.0, static_cast<double>(launch.blocks()) / static_cast<double>(room));
  switch (spec.time.kind) {
    case KernelTime::Kind::kDefault:
      work->duration = context.driver.environment.kernel_time * waves;
      break;
    case KernelTime::Kind::kFixed:
      work->duration = spec.time.time;
      break;
    case KernelTime::Kind::kWave:
      work->duration = spec.time.time * waves;
      break;
    case KernelTime::Kind::kParameter: {
      constexpr std::uint64_t kLongest = 3'600'000'000'000;  // an hour
      const unsigned index = spec.time.parameter;
      work->duration = static_cast<DeviceTime>(
          std::min(kLongest, ParameterValue(spec, index, parameters[index])));
      break;
    }
  }
  if (spec.adds) {
    const auto address = static_cast<std::uintptr_t>(ParameterValue(spec, 0, parameters[0]));
    const auto amount = static_cast<std::uint32_t>(ParameterValue(spec, 1, parameters[1]));
    work->effect = [&driver = context.driver, address, amount] {
      // A real kernel would fault; here it misses.
      if (!driver.addresses.Covers(address, sizeof(amount))) return;
      std::uint32_t value = 0;
      std::memcpy(&value, reinterpret_cast<void*>(address), sizeof(value));
      value += amount;
      std::memcpy(reinterpret_cast<void*>(address), &value, sizeof(value));
    };
  }
  return CUDA_SUCCESS;
}

}  // namespace aliquot::sim::cuda
