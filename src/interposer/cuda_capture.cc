// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Counts the captures under way. A capture to a graphics API's command buffer (CIG) is one too:
// what is launched meanwhile is no work of ours, and its stream takes neither marks nor
// measurements. Without an agent: the same.

#include "interposer/block_table.h"
#include "interposer/capture.h"
#include "interposer/cuda_hooks.h"
#include "interposer/real.h"
#include "interposer/session.h"

namespace aliquot::interposer {
namespace {

// Captures begun less captures ended. One that the driver dropped (its stream was destroyed) stays
// counted, which only costs a question at each launch.
uint32_t g_captures = 0;

// The streams that are captured to command buffers, of which cuStreamIsCapturing does not speak.
constinit BlockTable g_to_graphics = {};

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

uint64_t Key(CUstream stream) { return reinterpret_cast<uint64_t>(stream); }

CUresult BegunToGraphics(CUresult result, CUstream stream) {
  Block former;
  if (result == CUDA_SUCCESS) g_to_graphics.Put({Key(stream), 0, 0, 0, 0}, &former);
  return Begun(result);
}

CUresult EndedToGraphics(CUresult result, CUstream stream) {
  if (result == CUDA_SUCCESS) ForgetCapture(stream);
  return result;
}

}  // namespace

void ForgetCapture(CUstream stream) {
  Block block;
  if (AnyCapture() && g_to_graphics.Take(Key(stream), &block)) Ended();
}

bool AnyCapture() { return Load(&g_captures) != 0; }

ALIQUOT_HOT bool Capturing(CUstream stream) {
  if (__builtin_expect(!AnyCapture(), 1)) return false;
  // The legacy stream can't be captured, and asking about it would break a capture.
  if (stream == nullptr || stream == LegacyStream()) return false;
  Block block;
  if (g_to_graphics.Find(Key(stream), &block)) return true;
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

// The callback is for nodes that are not as they were; it is called in the captured calls.
CUresult cuStreamBeginRecaptureToGraph(CUstream stream, int mode, CUgraph graph, void* callback,
                                       void* data) {
  static constinit Real<decltype(cuStreamBeginRecaptureToGraph)> real(
      "cuStreamBeginRecaptureToGraph");
  return Begun(real(stream, mode, graph, callback, data));
}

CUresult cuStreamBeginRecaptureToGraph_ptsz(CUstream stream, int mode, CUgraph graph,
                                            void* callback, void* data) {
  static constinit Real<decltype(cuStreamBeginRecaptureToGraph_ptsz)> real(
      "cuStreamBeginRecaptureToGraph_ptsz");
  return Begun(real(stream, mode, graph, callback, data));
}

CUresult cuStreamBeginCaptureToCig(CUstream stream, void* parameters) {
  static constinit Real<decltype(cuStreamBeginCaptureToCig)> real("cuStreamBeginCaptureToCig");
  return BegunToGraphics(real(stream, parameters), stream);
}

CUresult cuStreamBeginCaptureToCig_ptsz(CUstream stream, void* parameters) {
  static constinit Real<decltype(cuStreamBeginCaptureToCig_ptsz)> real(
      "cuStreamBeginCaptureToCig_ptsz");
  return BegunToGraphics(real(stream, parameters), PerThread(stream));
}

CUresult cuStreamEndCaptureToCig(CUstream stream) {
  static constinit Real<decltype(cuStreamEndCaptureToCig)> real("cuStreamEndCaptureToCig");
  return EndedToGraphics(real(stream), stream);
}

CUresult cuStreamEndCaptureToCig_ptsz(CUstream stream) {
  static constinit Real<decltype(cuStreamEndCaptureToCig_ptsz)> real(
      "cuStreamEndCaptureToCig_ptsz");
  return EndedToGraphics(real(stream), PerThread(stream));
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
