// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "sim/cuda/enter.h"

namespace aliquot::sim::cuda {
namespace {

using StreamBody = std::shared_ptr<Stream>;

// `wanted`: what is to be captured how, and to which graph, if there is one.
CUresult Begin(CUstream handle, Capture wanted, std::vector<GraphNode*> tail = {}) {
  return WithStream(handle,
                    [&](Driver& driver, Context& context, const StreamBody& stream) -> CUresult {
                      if (wanted.mode < 0 || wanted.mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
                        return CUDA_ERROR_INVALID_VALUE;
                      }
                      if (wanted.to_graphics && !context.for_graphics)
                        return CUDA_ERROR_INVALID_CONTEXT;
                      if (stream->legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
                      const std::lock_guard<std::mutex> lock(driver.work.mutex);
                      if (stream->capture) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
                      auto capture = std::make_shared<Capture>(std::move(wanted));
                      capture->id = driver.NextId();
                      capture->thread = std::this_thread::get_id();
                      capture->origin = stream.get();
                      capture->owns_graph = capture->graph == nullptr;
                      if (capture->owns_graph) capture->graph = std::make_shared<Graph>();
                      stream->capture = capture;
                      stream->tail = std::move(tail);
                      driver.captures.push_back(std::move(capture));
                      return CUDA_SUCCESS;
                    });
}

// Nodes that somebody recorded but that the origin does not follow are an error: a stream was
// drawn in and never joined back. `order` is what the tail leads back to.
bool AllJoined(const Graph& graph, const std::vector<GraphNode*>& tail, bool whole_graph) {
  if (!whole_graph) return true;
  std::vector<const GraphNode*> reached(tail.begin(), tail.end());
  for (std::size_t i = 0; i < reached.size(); ++i) {
    for (const GraphNode* dependency : reached[i]->dependencies) {
      if (std::find(reached.begin(), reached.end(), dependency) == reached.end()) {
        reached.push_back(dependency);
      }
    }
  }
  return reached.size() == graph.nodes.size();
}

// No stream takes part any more. The work mutex is held.
void Finish(Driver& driver, const std::vector<std::shared_ptr<Context>>& contexts,
            const std::shared_ptr<Capture>& capture) {
  for (const auto& context : contexts) {
    for (const auto& [key, stream] : context->streams) {
      if (stream->capture != capture) continue;
      stream->capture.reset();
      stream->tail.clear();
    }
  }
  std::erase(driver.captures, capture);
}

struct CaptureInfo {
  CUstreamCaptureStatus* status;
  cuuint64_t* id = nullptr;
  CUgraph* graph = nullptr;
  const CUgraphNode** dependencies = nullptr;
  size_t* count = nullptr;
};

CUresult Info(CUstream handle, const CaptureInfo& out) {
  return WithStream(handle, [&](Driver& driver, Context&, const StreamBody& stream) -> CUresult {
    if (out.status == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    const bool captured = stream->capture && !stream->capture->to_graphics;
    *out.status = !captured                  ? CU_STREAM_CAPTURE_STATUS_NONE
                  : stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                             : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    if (!captured) return CUDA_SUCCESS;
    if (out.id != nullptr) *out.id = stream->capture->id;
    if (out.graph != nullptr) {
      // Callers may add nodes through this handle while the capture lasts.
      *out.graph = driver.graphs.Find(stream->capture->graph.get()) == nullptr
                       ? driver.graphs.Add<CUgraph>(stream->capture->graph)
                       : reinterpret_cast<CUgraph>(stream->capture->graph.get());
    }
    if (out.dependencies != nullptr) {
      *out.dependencies = reinterpret_cast<const CUgraphNode*>(stream->tail.data());
    }
    if (out.count != nullptr) *out.count = stream->tail.size();
    return CUDA_SUCCESS;
  });
}

CUresult Update(CUstream handle, CUgraphNode* nodes, size_t count, unsigned flags) {
  return WithStream(handle, [&](Driver& driver, Context&, const StreamBody& stream) -> CUresult {
    if (flags > 1 || (count > 0 && nodes == nullptr)) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    if (!stream->capture) return CUDA_ERROR_INVALID_VALUE;
    std::vector<GraphNode*> tail;
    if (flags == 0) tail = stream->tail;  // CU_STREAM_ADD_CAPTURE_DEPENDENCIES
    for (size_t i = 0; i < count; ++i) {
      GraphNode* node = stream->capture->graph->FindNode(nodes[i]);
      if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
      tail.push_back(node);
    }
    stream->tail = std::move(tail);
    return CUDA_SUCCESS;
  });
}

}  // namespace

namespace api {

CUresult cuStreamBeginCapture(CUstream stream) { return Begin(stream, {}); }

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  return Begin(stream, {.mode = mode});
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph handle, const CUgraphNode* nodes,
                                     const CUgraphEdgeData*, size_t count,
                                     CUstreamCaptureMode mode) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto graph = driver.graphs.Find(handle);
    if (graph == nullptr || (count > 0 && nodes == nullptr)) return CUDA_ERROR_INVALID_VALUE;
    std::vector<GraphNode*> tail;
    for (size_t i = 0; i < count; ++i) {
      tail.push_back(graph->FindNode(nodes[i]));
      if (tail.back() == nullptr) return CUDA_ERROR_INVALID_VALUE;
    }
    return Begin(stream, {.mode = mode, .graph = graph}, std::move(tail));
  });
}

// Compared when it ends, not call by call; what differs is taken, and the callback is not asked.
CUresult cuStreamBeginRecaptureToGraph(CUstream stream, CUstreamCaptureMode mode, CUgraph handle,
                                       void*, void*) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto graph = driver.graphs.Find(handle);
    if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!graph->allocations.empty()) return CUDA_ERROR_NOT_SUPPORTED;
    return Begin(stream, {.mode = mode, .again = graph});
  });
}

CUresult cuStreamBeginCaptureToCig(CUstream stream, CUstreamCigCaptureParams* parameters) {
  if (parameters == nullptr || parameters->streamCigParams == nullptr) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return Begin(stream, {.mode = CU_STREAM_CAPTURE_MODE_RELAXED, .to_graphics = true});
}

CUresult cuStreamEndCaptureToCig(CUstream handle) {
  return WithStream(handle, [&](Driver& driver, Context&, const StreamBody& stream) -> CUresult {
    const std::vector<std::shared_ptr<Context>> all = driver.contexts.All();
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    const std::shared_ptr<Capture> capture = stream->capture;
    if (!capture || !capture->to_graphics || capture->origin != stream.get()) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    Finish(driver, all, capture);
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph* out) {
  return WithStream(handle, [&](Driver& driver, Context&, const StreamBody& stream) -> CUresult {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = nullptr;
    const std::vector<std::shared_ptr<Context>> all = driver.contexts.All();
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    const std::shared_ptr<Capture> capture = stream->capture;
    if (!capture || capture->to_graphics) return CUDA_ERROR_INVALID_VALUE;
    if (capture->origin != stream.get()) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
        capture->thread != std::this_thread::get_id()) {
      return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    }
    const bool joined = AllJoined(*capture->graph, stream->tail, capture->owns_graph);
    Finish(driver, all, capture);
    if (capture->invalid || !joined) {
      if (capture->owns_graph) driver.graphs.Take(capture->graph.get());
      return capture->invalid ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                              : CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    }
    if (capture->again) {
      driver.graphs.Take(capture->graph.get());
      if (!capture->again->TakeOver(*capture->graph)) return CUDA_ERROR_GRAPH_RECAPTURE_FAILURE;
      capture->graph = capture->again;
    }
    *out = driver.graphs.Add<CUgraph>(capture->graph);
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  return Info(stream, {status});
}

CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id) {
  return Info(stream, {status, id});
}

CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                   CUgraph* graph, const CUgraphNode** nodes, size_t* count) {
  return Info(stream, {status, id, graph, nodes, count});
}

CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                   CUgraph* graph, const CUgraphNode** nodes,
                                   const CUgraphEdgeData** edges, size_t* count) {
  if (edges != nullptr) *edges = nullptr;  // all edges are plain ones
  return Info(stream, {status, id, graph, nodes, count});
}

CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode* nodes, size_t count,
                                           unsigned flags) {
  return Update(stream, nodes, count, flags);
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode* nodes,
                                              const CUgraphEdgeData*, size_t count,
                                              unsigned flags) {
  return Update(stream, nodes, count, flags);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  return WithDriver([&](Driver&) -> CUresult {
    if (mode == nullptr || *mode < 0 || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    std::swap(*mode, Driver::Thread().capture_mode);
    return CUDA_SUCCESS;
  });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
