// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "base/status.h"

namespace aliquot::gpu {

// Owns one dlopen of a shared library; closes it on destruction, so nothing obtained from it may be
// used afterwards. Not thread-safe.
class DynamicLibrary {
 public:
  // `path` as dlopen takes it: a file, or a bare name that the dynamic loader looks up. All symbols
  // are bound at once and kept local to the library. kNotFound with the loader's words.
  static Result<DynamicLibrary> Open(const std::string& path);

  DynamicLibrary(DynamicLibrary&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)) {}
  DynamicLibrary& operator=(DynamicLibrary&&) = delete;
  ~DynamicLibrary();

  // Null if the library does not define `name`.
  void* Find(const char* name) const;

 private:
  explicit DynamicLibrary(void* handle) : handle_(handle) {}
  void* handle_;
};

}  // namespace aliquot::gpu
