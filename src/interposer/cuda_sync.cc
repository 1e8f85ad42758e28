// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Waiting for the GPU is never held back; afterwards it is known what is done, and pools may have
// given memory back. Without an agent: the same.

#include "interposer/capture.h"
#include "interposer/cuda_hooks.h"
#include "interposer/cuda_settle.h"
#include "interposer/gate.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

CUresult Waited(CUresult result, CUstream stream, bool all) {
  if (result == CUDA_SUCCESS) {
    Synchronised(stream, all);
    SettleAfterSync();
  }
  return result;
}

CUresult Asked(CUresult result, CUstream stream) {
  if (result == CUDA_ERROR_NOT_READY) Polled();
  return Waited(result, stream, false);
}

}  // namespace
}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuStreamSynchronize(CUstream stream) {
  static constinit Real<decltype(cuStreamSynchronize)> real("cuStreamSynchronize");
  const Synchronising synchronising;
  return Waited(real(stream), stream, false);
}

CUresult cuStreamSynchronize_ptsz(CUstream stream) {
  static constinit Real<decltype(cuStreamSynchronize_ptsz)> real("cuStreamSynchronize_ptsz");
  const Synchronising synchronising;
  return Waited(real(stream), PerThread(stream), false);
}

CUresult cuStreamQuery(CUstream stream) {
  static constinit Real<decltype(cuStreamQuery)> real("cuStreamQuery");
  return Asked(real(stream), stream);
}

CUresult cuStreamQuery_ptsz(CUstream stream) {
  static constinit Real<decltype(cuStreamQuery_ptsz)> real("cuStreamQuery_ptsz");
  return Asked(real(stream), PerThread(stream));
}

CUresult cuCtxSynchronize() {
  static constinit Real<decltype(cuCtxSynchronize)> real("cuCtxSynchronize");
  const Synchronising synchronising;
  return Waited(real(), nullptr, true);
}

// Of a context that need not be the current one: nothing is known of the current one's work.
CUresult cuCtxSynchronize_v2(CUcontext context) {
  static constinit Real<decltype(cuCtxSynchronize_v2)> real("cuCtxSynchronize_v2");
  const CUresult result = real(context);
  if (result == CUDA_SUCCESS) SettleAfterSync();
  return result;
}

CUresult cuEventSynchronize(CUevent event) {
  static constinit Real<decltype(cuEventSynchronize)> real("cuEventSynchronize");
  const Synchronising synchronising;
  const CUresult result = real(event);
  if (result == CUDA_SUCCESS) SettleAfterSync();
  return result;
}

CUresult cuEventQuery(CUevent event) {
  static constinit Real<decltype(cuEventQuery)> real("cuEventQuery");
  const CUresult result = real(event);
  if (result == CUDA_ERROR_NOT_READY) Polled();
  return result;
}

CUresult cuStreamDestroy(CUstream stream) {
  static constinit Real<decltype(cuStreamDestroy)> real("cuStreamDestroy");
  ForgetStream(stream);
  ForgetCapture(stream);
  return real(stream);
}

CUresult cuStreamDestroy_v2(CUstream stream) {
  static constinit Real<decltype(cuStreamDestroy_v2)> real("cuStreamDestroy_v2");
  ForgetStream(stream);
  ForgetCapture(stream);
  return real(stream);
}
