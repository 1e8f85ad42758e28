// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <new>

#include "sim/cuda/driver.h"

namespace aliquot::sim::cuda {

// Which default stream a null stream means in this call.
enum class DefaultStream { kLegacy, kPerThread };

// Where every exported entry point goes through: no exception leaves the library, and the null
// stream means what the entry point's suffix says.
template <typename Body>
CUresult Enter(DefaultStream default_stream, const Body& body) noexcept {
  ThreadState& thread = Driver::Thread();
  const bool before = thread.per_thread_default_stream;
  thread.per_thread_default_stream = default_stream == DefaultStream::kPerThread;
  CUresult result = CUDA_ERROR_UNKNOWN;
  try {
    result = body();
  } catch (const std::bad_alloc&) {
    result = CUDA_ERROR_OUT_OF_MEMORY;
  } catch (...) {
    result = CUDA_ERROR_UNKNOWN;
  }
  thread.per_thread_default_stream = before;
  return result;
}

// Runs `body` with the driver; CUDA_ERROR_NOT_INITIALIZED without one.
template <typename Body>
CUresult WithDriver(const Body& body) {
  Driver* driver = Driver::Get();
  return driver == nullptr ? CUDA_ERROR_NOT_INITIALIZED : body(*driver);
}

// Runs `body` with the driver and the calling thread's context.
template <typename Body>
CUresult WithContext(const Body& body) {
  Driver* driver = Driver::Get();
  if (driver == nullptr) return CUDA_ERROR_NOT_INITIALIZED;
  const std::shared_ptr<Context> context = driver->CurrentContext();
  if (context == nullptr) {
    return Driver::Thread().stack.empty() ? CUDA_ERROR_INVALID_CONTEXT
                                          : CUDA_ERROR_CONTEXT_IS_DESTROYED;
  }
  return body(*driver, *context);
}

// Runs `body` with a stream of the calling thread's context as well. A stream of another context
// brings that context with it.
template <typename Body>
CUresult WithStream(CUstream handle, const Body& body) {
  return WithContext([&](Driver& driver, Context& current) -> CUresult {
    if (const auto stream = current.FindStream(handle)) return body(driver, current, stream);
    const std::shared_ptr<Context> owner = driver.ContextOfStream(handle);
    if (owner == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const auto stream = owner->FindStream(handle);
    return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(driver, *owner, stream);
  });
}

// Gives `value` to the caller, who must want it.
template <typename T>
CUresult Give(T* out, const T& value) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = value;
  return CUDA_SUCCESS;
}

}  // namespace aliquot::sim::cuda
