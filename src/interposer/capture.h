// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/cuda_abi.h"

// Stream capture. What is launched on a capturing stream is no work, and while any capture is under
// way some calls of the driver would break it.
namespace aliquot::interposer {

// The names of the two default streams.
inline CUstream LegacyStream() { return reinterpret_cast<CUstream>(uintptr_t{1}); }
inline CUstream PerThreadStream() { return reinterpret_cast<CUstream>(uintptr_t{2}); }
// The stream that a function of the per-thread kind means: 0 is the thread's own.
inline CUstream PerThread(CUstream stream) {
  return stream == nullptr ? PerThreadStream() : stream;
}

// Whether work on the stream is being captured now. One relaxed load if nothing is. (A `_ptsz`
// function passes PerThread(stream).)
bool Capturing(CUstream stream);
// Whether any stream may be.
bool AnyCapture();
// A capture that began on this stream is over: the stream is destroyed, for example.
void ForgetCapture(CUstream stream);

// Makes this thread's calls harmless to captures elsewhere, for as long as it lives.
class RelaxedCapture {
 public:
  RelaxedCapture();
  ~RelaxedCapture();
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  int mode_;
  bool exchanged_;
};

}  // namespace aliquot::interposer
