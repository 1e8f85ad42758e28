// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>

#include "sim/cuda/abi.h"
#include "sim/cuda/device_heap.h"
#include "sim/cuda/kernel_image.h"
#include "sim/cuda/stream.h"

namespace aliquot::sim::cuda {

struct Context;
struct Module;
struct Library;

// A kernel of a module in one context; also what a CUkernel of a library is. Immutable but for the
// attributes a program may set.
struct Function {
  KernelSpec spec;
  Context* context = nullptr;  // null: a CUkernel, good in every context
  Module* module = nullptr;
  Library* library = nullptr;
  int max_dynamic_shared = 48 << 10;
  int carveout = -1;
};

struct Module {
  Context* context = nullptr;
  KernelImage image;
  std::map<std::string, std::shared_ptr<Function>, std::less<>> functions;
  std::map<std::string, std::pair<CUdeviceptr, std::uint64_t>, std::less<>> globals;
};

struct Library {
  KernelImage image;
  std::map<std::string, std::shared_ptr<Function>, std::less<>> kernels;
  std::map<Context*, CUmodule> modules;  // loaded where somebody asked
};

// A launch as all ways of launching see it.
struct Launch {
  unsigned grid[3] = {1, 1, 1};
  unsigned block[3] = {1, 1, 1};
  unsigned shared_bytes = 0;
  void** parameters = nullptr;
  void** extra = nullptr;
  bool cooperative = false;

  std::uint64_t blocks() const { return std::uint64_t{1} * grid[0] * grid[1] * grid[2]; }
  std::uint64_t threads() const { return std::uint64_t{1} * block[0] * block[1] * block[2]; }
};

// Blocks of the function that one SM holds at a time; 0 if not even one fits.
unsigned ResidentBlocks(const Function& function, const DeviceInfo& device, std::uint64_t threads,
                        std::uint64_t dynamic_shared);
// Checks a launch as the driver does and says what it costs on the context's device. Parameters
// are read at once.
CUresult MakeKernelWork(const Function& function, Context& context, const Launch& launch,
                        Work* work);

}  // namespace aliquot::sim::cuda
