// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/dynamic_library.h"

#include <dlfcn.h>

namespace aliquot::gpu {

Result<DynamicLibrary> DynamicLibrary::Open(const std::string& path) {
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = ::dlerror();
    return Error{Code::kNotFound, why != nullptr ? why : path + ": cannot be loaded"};
  }
  return DynamicLibrary(handle);
}

DynamicLibrary::~DynamicLibrary() {
  if (handle_ != nullptr) ::dlclose(handle_);
}

void* DynamicLibrary::Find(const char* name) const { return ::dlsym(handle_, name); }

}  // namespace aliquot::gpu
