// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "sim/cuda/enter.h"

namespace aliquot::sim::cuda {
namespace {

constexpr unsigned kDisableTiming = 2;
constexpr unsigned kInterprocess = 4;

CUresult Record(CUevent handle, CUstream stream_handle, bool external) {
  return WithStream(
      stream_handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        const auto event = driver.events.Find(handle);
        if (event == nullptr || event->context != &context) return CUDA_ERROR_INVALID_HANDLE;
        const std::lock_guard<std::mutex> lock(driver.work.mutex);
        if (!stream->capture) {
          event->capture.reset();
          event->tail.clear();
          event->recorded = context.Enqueue(*stream, {});
          return CUDA_SUCCESS;
        }
        if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        if (external) {
          GraphNode* node =
              stream->capture->graph->Add(CU_GRAPH_NODE_TYPE_EVENT_RECORD, stream->tail);
          node->event = handle;
          stream->tail = {node};
          return CUDA_SUCCESS;
        }
        event->capture = stream->capture;
        event->tail = stream->tail;
        return CUDA_SUCCESS;
      });
}

CUresult Elapsed(float* milliseconds, CUevent start_handle, CUevent end_handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto start = driver.events.Find(start_handle);
    const auto end = driver.events.Find(end_handle);
    if (start == nullptr || end == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    if (!start->recorded || !end->recorded || ((start->flags | end->flags) & kDisableTiming)) {
      return CUDA_ERROR_INVALID_HANDLE;
    }
    if (!start->recorded->done() || !end->recorded->done()) return CUDA_ERROR_NOT_READY;
    const DeviceTime passed = end->recorded->done_at - start->recorded->done_at;
    return Give(milliseconds, static_cast<float>(static_cast<double>(passed) / 1e6));
  });
}

}  // namespace

namespace api {

CUresult cuEventCreate(CUevent* out, unsigned flags) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    if (out == nullptr || flags > 7) return CUDA_ERROR_INVALID_VALUE;
    if ((flags & kInterprocess) != 0) return CUDA_ERROR_NOT_SUPPORTED;
    auto event = std::make_shared<Event>();
    event->context = &context;
    event->flags = flags;
    *out = driver.events.Add<CUevent>(std::move(event));
    return CUDA_SUCCESS;
  });
}

CUresult cuEventDestroy_v2(CUevent handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    return driver.events.Take(handle) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
  });
}

CUresult cuEventRecord(CUevent event, CUstream stream) { return Record(event, stream, false); }

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags) {
  return flags > 1 ? CUDA_ERROR_INVALID_VALUE : Record(event, stream, flags == 1);
}

CUresult cuEventQuery(CUevent handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto event = driver.events.Find(handle);
    if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    if (event->capture) {
      event->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    return !event->recorded || event->recorded->done() ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
  });
}

CUresult cuEventSynchronize(CUevent handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto event = driver.events.Find(handle);
    if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    OperationPtr recorded;
    {
      const std::lock_guard<std::mutex> lock(driver.work.mutex);
      if (event->capture) {
        event->capture->invalid = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
      }
      recorded = event->recorded;
    }
    if (recorded == nullptr) return CUDA_SUCCESS;
    {
      std::unique_lock<std::mutex> lock(driver.work.mutex);
      driver.work.done.wait(lock, [&] { return recorded->done(); });
    }
    driver.SettlePools();
    return CUDA_SUCCESS;
  });
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  return Elapsed(milliseconds, start, end);
}

CUresult cuEventElapsedTime_v2(float* milliseconds, CUevent start, CUevent end) {
  return Elapsed(milliseconds, start, end);
}

// A wait on an event of a capture draws the stream into that capture.
CUresult cuStreamWaitEvent(CUstream stream_handle, CUevent handle, unsigned flags) {
  return WithStream(
      stream_handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        const auto event = driver.events.Find(handle);
        if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
        const std::lock_guard<std::mutex> lock(driver.work.mutex);
        if (stream->capture && flags == 1) {
          GraphNode* node =
              stream->capture->graph->Add(CU_GRAPH_NODE_TYPE_WAIT_EVENT, stream->tail);
          node->event = handle;
          stream->tail = {node};
          return CUDA_SUCCESS;
        }
        if (event->capture) {
          if (event->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
          if (stream->capture && stream->capture != event->capture) {
            stream->capture->invalid = true;
            event->capture->invalid = true;
            return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
          }
          stream->capture = event->capture;
          for (GraphNode* node : event->tail) {
            if (std::find(stream->tail.begin(), stream->tail.end(), node) == stream->tail.end()) {
              stream->tail.push_back(node);
            }
          }
          return CUDA_SUCCESS;
        }
        if (stream->capture) {
          stream->capture->invalid = true;  // an event from outside the capture
          return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
        if (!event->recorded || event->recorded->done()) return CUDA_SUCCESS;
        const OperationPtr wait = context.Prepare(*stream, {});
        wait->after.push_back(event->recorded);
        context.executor->Enqueue(*stream->queue, wait);
        return CUDA_SUCCESS;
      });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
