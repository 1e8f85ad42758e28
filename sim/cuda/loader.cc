// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/loader.h"

#include <cstring>
#include <mutex>
#include <utility>

#include "sim/cuda/allocation.h"

namespace aliquot::sim::cuda {

CUresult LoadModule(Driver& driver, Context& context, KernelImage image, CUmodule* out) {
  auto module = std::make_shared<Module>();
  module->context = &context;
  module->image = std::move(image);
  for (const KernelSpec& spec : module->image.kernels) {
    auto function = std::make_shared<Function>();
    function->spec = spec;
    function->context = &context;
    function->module = module.get();
    module->functions[spec.name] = function;
    driver.functions.Add<CUfunction>(std::move(function));
  }
  for (const GlobalSpec& global : module->image.globals) {
    CUdeviceptr address = 0;
    const CUresult result =
        AllocateDevice(driver, context, global.bytes, Range::Kind::kDevice, 0, &address);
    if (result != CUDA_SUCCESS) {
      UnloadModule(driver, *module);
      return result;
    }
    std::memset(reinterpret_cast<void*>(address), 0, global.bytes);
    module->globals[global.name] = {address, global.bytes};
  }
  *out = driver.modules.Add<CUmodule>(std::move(module));
  return CUDA_SUCCESS;
}

void UnloadModule(Driver& driver, Module& module) {
  driver.functions.TakeIf([&](const Function& function) { return function.module == &module; });
  for (const auto& [name, global] : module.globals) {
    if (auto range = driver.addresses.Take(global.first, {Range::Kind::kDevice})) {
      driver.FreeRange(*range);
    }
  }
}

std::shared_ptr<Function> FindFunction(Driver& driver, Module& module, std::string_view name) {
  const std::lock_guard<std::mutex> lock(driver.module_mutex);
  const auto it = module.functions.find(name);
  if (it != module.functions.end()) return it->second;
  if (!module.image.opaque) return nullptr;
  auto function = std::make_shared<Function>();
  function->spec.name = name;
  function->spec.parameters_known = false;
  function->context = module.context;
  function->module = &module;
  module.functions[function->spec.name] = function;
  driver.functions.Add<CUfunction>(function);
  return function;
}

std::shared_ptr<Function> ResolveFunction(Driver& driver, Context& context, CUfunction handle) {
  std::shared_ptr<Function> function = driver.functions.Find(handle);
  if (function == nullptr) return nullptr;
  if (function->context == nullptr || function->context == &context) return function;
  return nullptr;
}

}  // namespace aliquot::sim::cuda
