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

// Captures begun less captures ended. One that the driver ended itself (a recapture that failed)
// and the program gave up stays counted until its stream is captured again or destroyed, which only
// costs a question at each launch and its measurement.
uint32_t g_captures = 0;

// The streams where captures were begun and have not ended; threads share the name of their default
// streams. `kind`: captured to a command buffer, of which cuStreamIsCapturing need not speak.
constinit BlockTable g_streams = {};
enum Target : uint32_t { kToGraph, kToGraphics };

constinit Real<CUresult(CUstream, int*)> real_is_capturing("cuStreamIsCapturing");
constinit Real<CUresult(int*)> real_exchange("cuThreadExchangeStreamCaptureMode");

uint64_t Key(CUstream stream) { return reinterpret_cast<uint64_t>(stream); }

CUresult Begun(CUresult result, CUstream stream, Target target = kToGraph) {
  if (result != CUDA_SUCCESS) return result;
  Block former;
  const bool counted = g_streams.Put({Key(stream), 0, 0, 0, target}, &former);
  if (counted && stream != PerThreadStream()) return result;
  Store(&Status()->capturing, Add(&g_captures, 1u) + 1);
  return result;
}

void Uncount() {
  uint32_t captures = Load(&g_captures);
  while (captures > 0 && !__atomic_compare_exchange_n(&g_captures, &captures, captures - 1, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  Store(&Status()->capturing, Load(&g_captures));
}

// A capture ends, also if it turns out invalid, but not from a place that may not end it. Captured:
// what the driver said of the stream before.
CUresult Ended(CUresult result, CUstream stream, bool captured) {
  if (result == CUDA_ERROR_STREAM_CAPTURE_UNMATCHED ||
      result == CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD) {
    return result;
  }
  Block block;
  const bool begun = g_streams.Take(Key(stream), &block);
  if (begun || captured) Uncount();
  return result;
}

CUresult EndedToGraphics(CUresult result, CUstream stream) {
  if (result == CUDA_SUCCESS) ForgetCapture(stream);
  return result;
}

}  // namespace

void ForgetCapture(CUstream stream) {
  Block block;
  if (AnyCapture() && g_streams.Take(Key(stream), &block)) Uncount();
}

bool AnyCapture() { return Load(&g_captures) != 0; }

bool Capturing(CUstream stream) {
  if (__builtin_expect(!AnyCapture(), 1)) return false;
  // The legacy stream can't be captured, and asking about it would break a capture.
  if (stream == nullptr || stream == LegacyStream()) return false;
  Block block;
  if (g_streams.Find(Key(stream), &block) && block.kind == kToGraphics) return true;
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
  return Begun(real(stream), stream);
}

CUresult cuStreamBeginCapture_ptsz(CUstream stream) {
  static constinit Real<decltype(cuStreamBeginCapture_ptsz)> real("cuStreamBeginCapture_ptsz");
  return Begun(real(stream), PerThread(stream));
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
  static constinit Real<decltype(cuStreamBeginCapture_v2)> real("cuStreamBeginCapture_v2");
  return Begun(real(stream, mode), stream);
}

CUresult cuStreamBeginCapture_v2_ptsz(CUstream stream, int mode) {
  static constinit Real<decltype(cuStreamBeginCapture_v2_ptsz)> real(
      "cuStreamBeginCapture_v2_ptsz");
  return Begun(real(stream, mode), PerThread(stream));
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode* nodes,
                                     const void* edges, size_t count, int mode) {
  static constinit Real<decltype(cuStreamBeginCaptureToGraph)> real("cuStreamBeginCaptureToGraph");
  return Begun(real(stream, graph, nodes, edges, count, mode), stream);
}

CUresult cuStreamBeginCaptureToGraph_ptsz(CUstream stream, CUgraph graph, const CUgraphNode* nodes,
                                          const void* edges, size_t count, int mode) {
  static constinit Real<decltype(cuStreamBeginCaptureToGraph_ptsz)> real(
      "cuStreamBeginCaptureToGraph_ptsz");
  return Begun(real(stream, graph, nodes, edges, count, mode), PerThread(stream));
}

// The callback is for nodes that are not as they were; it is called in the captured calls.
CUresult cuStreamBeginRecaptureToGraph(CUstream stream, int mode, CUgraph graph, void* callback,
                                       void* data) {
  static constinit Real<decltype(cuStreamBeginRecaptureToGraph)> real(
      "cuStreamBeginRecaptureToGraph");
  return Begun(real(stream, mode, graph, callback, data), stream);
}

CUresult cuStreamBeginRecaptureToGraph_ptsz(CUstream stream, int mode, CUgraph graph,
                                            void* callback, void* data) {
  static constinit Real<decltype(cuStreamBeginRecaptureToGraph_ptsz)> real(
      "cuStreamBeginRecaptureToGraph_ptsz");
  return Begun(real(stream, mode, graph, callback, data), PerThread(stream));
}

CUresult cuStreamBeginCaptureToCig(CUstream stream, void* parameters) {
  static constinit Real<decltype(cuStreamBeginCaptureToCig)> real("cuStreamBeginCaptureToCig");
  return Begun(real(stream, parameters), stream, kToGraphics);
}

CUresult cuStreamBeginCaptureToCig_ptsz(CUstream stream, void* parameters) {
  static constinit Real<decltype(cuStreamBeginCaptureToCig_ptsz)> real(
      "cuStreamBeginCaptureToCig_ptsz");
  return Begun(real(stream, parameters), PerThread(stream), kToGraphics);
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
  return Ended(real(stream, graph), stream, captured);
}

CUresult cuStreamEndCapture_ptsz(CUstream stream, CUgraph* graph) {
  static constinit Real<decltype(cuStreamEndCapture_ptsz)> real("cuStreamEndCapture_ptsz");
  const bool captured = Capturing(PerThread(stream));
  return Ended(real(stream, graph), PerThread(stream), captured);
}
