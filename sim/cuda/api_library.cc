// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "base/file.h"
#include "sim/cuda/enter.h"
#include "sim/cuda/loader.h"

namespace aliquot::sim::cuda {
namespace {

CUresult Load(CUlibrary* out, const void* bytes) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (out == nullptr || bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::optional<KernelImage> image = ReadKernelImage(bytes);
    if (!image) return CUDA_ERROR_INVALID_IMAGE;
    auto library = std::make_shared<Library>();
    library->image = *std::move(image);
    for (const KernelSpec& spec : library->image.kernels) {
      auto kernel = std::make_shared<Function>();
      kernel->spec = spec;
      kernel->library = library.get();
      library->kernels[spec.name] = kernel;
      driver.functions.Add<CUkernel>(std::move(kernel));
    }
    *out = driver.libraries.Add<CUlibrary>(std::move(library));
    return CUDA_SUCCESS;
  });
}

template <typename Body>
CUresult WithLibrary(CUlibrary handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto library = driver.libraries.Find(handle);
    return library == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(driver, *library);
  });
}

// The library in the calling thread's context, put there if need be.
CUresult ModuleOf(Driver& driver, Library& library, CUmodule* out) {
  const auto context = driver.CurrentContext();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const std::lock_guard<std::mutex> lock(driver.library_mutex);
  const auto it = library.modules.find(context.get());
  if (it != library.modules.end() && driver.modules.Find(it->second)) {
    *out = it->second;
    return CUDA_SUCCESS;
  }
  const CUresult result = LoadModule(driver, *context, library.image, out);
  if (result == CUDA_SUCCESS) library.modules[context.get()] = *out;
  return result;
}

template <typename Body>
CUresult WithKernel(CUkernel handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto kernel = driver.functions.Find(handle);
    if (kernel == nullptr || kernel->library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    return body(driver, *kernel);
  });
}

}  // namespace

namespace api {

CUresult cuLibraryLoadData(CUlibrary* library, const void* code, CUjit_option*, void**, unsigned,
                           CUlibraryOption*, void**, unsigned) {
  return Load(library, code);
}

CUresult cuLibraryLoadFromFile(CUlibrary* library, const char* path, CUjit_option*, void**,
                               unsigned, CUlibraryOption*, void**, unsigned) {
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Result<std::string> text = ReadFile(path, 256u << 20);
  return text.ok() ? Load(library, text->c_str()) : CUDA_ERROR_FILE_NOT_FOUND;
}

CUresult cuLibraryUnload(CUlibrary handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto library = driver.libraries.Take(handle);
    if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    driver.functions.TakeIf([&](const Function& f) { return f.library == library.get(); });
    const std::lock_guard<std::mutex> lock(driver.library_mutex);
    for (const auto& [context, module_handle] : library->modules) {
      if (const auto module = driver.modules.Take(module_handle)) UnloadModule(driver, *module);
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryGetKernel(CUkernel* out, CUlibrary handle, const char* name) {
  return WithLibrary(handle, [&](Driver& driver, Library& library) -> CUresult {
    if (out == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(driver.module_mutex);
    auto it = library.kernels.find(name);
    if (it == library.kernels.end()) {
      if (!library.image.opaque) return CUDA_ERROR_NOT_FOUND;
      auto kernel = std::make_shared<Function>();
      kernel->spec.name = name;
      kernel->spec.parameters_known = false;
      kernel->library = &library;
      it = library.kernels.emplace(name, kernel).first;
      driver.functions.Add<CUkernel>(std::move(kernel));
    }
    *out = reinterpret_cast<CUkernel>(it->second.get());
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryGetKernelCount(unsigned* count, CUlibrary handle) {
  return WithLibrary(handle, [&](Driver& driver, Library& library) {
    const std::lock_guard<std::mutex> lock(driver.module_mutex);
    return Give(count, static_cast<unsigned>(library.kernels.size()));
  });
}

CUresult cuLibraryEnumerateKernels(CUkernel* kernels, unsigned count, CUlibrary handle) {
  return WithLibrary(handle, [&](Driver& driver, Library& library) -> CUresult {
    if (kernels == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(driver.module_mutex);
    for (const auto& [name, kernel] : library.kernels) {
      if (count == 0) break;
      *kernels++ = reinterpret_cast<CUkernel>(kernel.get());
      --count;
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryGetModule(CUmodule* out, CUlibrary handle) {
  return WithLibrary(handle, [&](Driver& driver, Library& library) -> CUresult {
    return out == nullptr ? CUDA_ERROR_INVALID_VALUE : ModuleOf(driver, library, out);
  });
}

CUresult cuLibraryGetGlobal(CUdeviceptr* address, size_t* bytes, CUlibrary handle,
                            const char* name) {
  return WithLibrary(handle, [&](Driver& driver, Library& library) -> CUresult {
    CUmodule module_handle = nullptr;
    const CUresult result = ModuleOf(driver, library, &module_handle);
    if (result != CUDA_SUCCESS) return result;
    const auto module = driver.modules.Find(module_handle);
    if (module == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto it = module->globals.find(name);
    if (it == module->globals.end()) return CUDA_ERROR_NOT_FOUND;
    if (address != nullptr) *address = it->second.first;
    if (bytes != nullptr) *bytes = it->second.second;
    return CUDA_SUCCESS;
  });
}

CUresult cuKernelGetFunction(CUfunction* out, CUkernel handle) {
  return WithKernel(handle, [&](Driver& driver, Function& kernel) -> CUresult {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    CUmodule module_handle = nullptr;
    const CUresult result = ModuleOf(driver, *kernel.library, &module_handle);
    if (result != CUDA_SUCCESS) return result;
    const auto module = driver.modules.Find(module_handle);
    if (module == nullptr) return CUDA_ERROR_NOT_FOUND;
    const auto function = FindFunction(driver, *module, kernel.spec.name);
    if (function == nullptr) return CUDA_ERROR_NOT_FOUND;
    *out = reinterpret_cast<CUfunction>(function.get());
    return CUDA_SUCCESS;
  });
}

CUresult cuKernelGetLibrary(CUlibrary* out, CUkernel handle) {
  return WithKernel(handle, [&](Driver&, Function& kernel) {
    return Give(out, reinterpret_cast<CUlibrary>(kernel.library));
  });
}

CUresult cuKernelGetName(const char** name, CUkernel handle) {
  return WithKernel(
      handle, [&](Driver&, Function& kernel) { return Give(name, kernel.spec.name.c_str()); });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
