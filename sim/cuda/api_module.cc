// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "base/file.h"
#include "sim/cuda/enter.h"
#include "sim/cuda/loader.h"

namespace aliquot::sim::cuda {
namespace {

CUresult LoadImage(const void* bytes, CUmodule* out) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    if (bytes == nullptr || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::optional<KernelImage> image = ReadKernelImage(bytes);
    if (!image) return CUDA_ERROR_INVALID_IMAGE;
    return LoadModule(driver, context, *std::move(image), out);
  });
}

template <typename Body>
CUresult WithModule(CUmodule handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto module = driver.modules.Find(handle);
    return module == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(driver, *module);
  });
}

}  // namespace

namespace api {

CUresult cuModuleLoad(CUmodule* module, const char* path) {
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Result<std::string> text = ReadFile(path, 256u << 20);
  if (!text.ok()) return CUDA_ERROR_FILE_NOT_FOUND;
  return LoadImage(text->c_str(), module);
}

CUresult cuModuleLoadData(CUmodule* module, const void* image) { return LoadImage(image, module); }

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, CUjit_option*, void**) {
  return LoadImage(image, module);
}

CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  return LoadImage(image, module);
}

CUresult cuModuleUnload(CUmodule handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto module = driver.modules.Take(handle);
    if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    UnloadModule(driver, *module);
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetFunction(CUfunction* out, CUmodule handle, const char* name) {
  return WithModule(handle, [&](Driver& driver, Module& module) -> CUresult {
    if (out == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto function = FindFunction(driver, module, name);
    if (function == nullptr) return CUDA_ERROR_NOT_FOUND;
    *out = reinterpret_cast<CUfunction>(function.get());
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetFunctionCount(unsigned* count, CUmodule handle) {
  return WithModule(handle, [&](Driver& driver, Module& module) {
    const std::lock_guard<std::mutex> lock(driver.module_mutex);
    return Give(count, static_cast<unsigned>(module.functions.size()));
  });
}

CUresult cuModuleEnumerateFunctions(CUfunction* functions, unsigned count, CUmodule handle) {
  return WithModule(handle, [&](Driver& driver, Module& module) -> CUresult {
    if (functions == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(driver.module_mutex);
    for (const auto& [name, function] : module.functions) {
      if (count == 0) break;
      *functions++ = reinterpret_cast<CUfunction>(function.get());
      --count;
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule handle,
                              const char* name) {
  return WithModule(handle, [&](Driver&, Module& module) -> CUresult {
    if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto it = module.globals.find(name);
    if (it == module.globals.end()) return CUDA_ERROR_NOT_FOUND;
    if (address != nullptr) *address = it->second.first;
    if (bytes != nullptr) *bytes = it->second.second;
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode* mode) {
  return WithDriver([&](Driver&) { return Give(mode, CU_MODULE_EAGER_LOADING); });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
