// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Counts the captures under way. Without an agent: the same.

#include "interposer/capture.h"
#include "interposer/cuda_hooks.h"
#include "interposer/real.h"
#include "interposer/session.h"

namespace aliquot::interposer {
namespace {

// Captures begun less captures ended. One that the driver dropped (its stream was destroyed) stays
// counted, which only costs a question at each launch.
uint32_t g_captures = 0;

constinit Real<CUresult(CUstream, int*)> real_is_capturing("cuStreamIsCapturing");
constinit Real<CUresult(int*)> real_exchange("cuThreadExchangeStreamCaptureMode");

CUresult Begun(CUresult result) {
  if (result == CUDA_SUCCESS) Store(&Status()->capturing, Add(&g_captures, 1u) + 1);
  return result;
}

// A capture ends, also if it turns out invalid.
void Ended() {
  uint32_t captures = Load(&g_captures);
  while (captures > 0 && !__atomic_compare_exchange_n(&g_captures, &captures, captures - 1, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  Store(&Status()->capturing, Load(&g_captures));
}

}  // namespace

bool AnyCapture() { return Load(&g_captures) != 0; }

ALIQUOT_HOT bool Capturing(CUstream stream) {
  if (__builtin_expect(!AnyCapture(), 1)) return false;
  // The legacy stream can't be captured, and asking about it would break a capture.
  if (stream == nullptr || stream == LegacyStream()) return false;
  int status = 0;
  return real_is_capturing(stream, &status) != CUDA_SUCCESS || status != 0;
}

RelaxedCapture::RelaxedCapture() : mode_(CU_STREAM_CAPTURE_MODE_RELAXED), exchanged_(false) {
  if (Load(&g_captures) != 0) exchanged_ = real_exchange(&mode_) == CUDA_SUCCESS;
}

RelaxedCapture::~RelaxedCapture() {
  if (exchanged_) real_exchange(&mode_);
}

}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuStreamBeginCapture(CUstream stream) {
  static constinit Real<decltype(cuStreamBeginCapture)> real("cuStreamBeginCapture");
  return Begun(real(stream));
}

CUresult cuStreamBeginCapture_ptsz(CUstream stream) {
  static constinit Real<decltype(cuStreamBeginCapture_ptsz)> real("cuStreamBeginCapture_ptsz");
  return Begun(real(stream));
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
  static constinit Real<decltype(cuStreamBeginCapture_v2)> real("cuStreamBeginCapture_v2");
  return Begun(real(stream, mode));
}

CUresult cuStreamBeginCapture_v2_ptsz(CUstream stream, int mode) {
  static constinit Real<decltype(cuStreamBeginCapture_v2_ptsz)> real(
      "cuStreamBeginCapture_v2_ptsz");
  return Begun(real(stream, mode));
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode* nodes,
                                     const void* edges, size_t count, int mode) {
  static constinit Real<decltype(cuStreamBeginCaptureToGraph)> real("cuStreamBeginCaptureToGraph");
  return Begun(real(stream, graph, nodes, edges, count, mode));
}

CUresult cuStreamBeginCaptureToGraph_ptsz(CUstream stream, CUgraph graph, const CUgraphNode* nodes,
                                          const void* edges, size_t count, int mode) {
  static constinit Real<decltype(cuStreamBeginCaptureToGraph_ptsz)> real(
      "cuStreamBeginCaptureToGraph_ptsz");
  return Begun(real(stream, graph, nodes, edges, count, mode));
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  static constinit Real<decltype(cuStreamEndCapture)> real("cuStreamEndCapture");
  const bool captured = Capturing(stream);
  const CUresult result = real(stream, graph);
  if (captured) Ended();
  return result;
}

CUresult cuStreamEndCapture_ptsz(CUstream stream, CUgraph* graph) {
  static constinit Real<decltype(cuStreamEndCapture_ptsz)> real("cuStreamEndCapture_ptsz");
  const bool captured = Capturing(PerThread(stream));
  const CUresult result = real(stream, graph);
  if (captured) Ended();
  return result;
}
