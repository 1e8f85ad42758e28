// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/context.h"

#include <algorithm>
#include <utility>

#include "sim/cuda/driver.h"
#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {

Context::Context(Driver& owner, int device_number, unsigned context_flags)
    : driver(owner),
      device(device_number),
      info(owner.devices()[static_cast<std::size_t>(device_number)]),
      flags(context_flags),
      id(owner.NextId()),
      small(*owner.node, *owner.arena, info, kBlock) {
  // Stack, printf buffer, malloc heap, device runtime depth and launches, L2 fetch granularity, as
  // an H200 has them.
  constexpr std::uint64_t kDefaults[] = {1024, 8650752, 8388608, 0, 2048, 64, 0, 0, 0, 0};
  for (std::size_t i = 0; i < std::size(kDefaults); ++i) limits[i] = kDefaults[i];
}

Context::~Context() { executor.reset(); }

std::shared_ptr<Stream> Context::AddStream(unsigned stream_flags, int priority) {
  auto stream = std::make_shared<Stream>();
  stream->context = this;
  stream->flags = stream_flags;
  stream->priority = priority;
  stream->id = driver.NextId();
  const std::lock_guard<std::mutex> lock(driver.work.mutex);
  stream->queue = executor->AddQueue(priority);
  streams[stream.get()] = stream;
  return stream;
}

std::shared_ptr<Stream> Context::FindStream(CUstream handle) {
  const auto number = reinterpret_cast<std::uintptr_t>(handle);
  const bool own = number == 2 || (number == 0 && Driver::Thread().per_thread_default_stream);
  if (number <= 1 && !own) return legacy;
  if (own) {
    {
      const std::lock_guard<std::mutex> lock(driver.work.mutex);
      const auto it = per_thread.find(std::this_thread::get_id());
      if (it != per_thread.end()) return it->second;
    }
    std::shared_ptr<Stream> stream = AddStream(0, 0);
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    per_thread[std::this_thread::get_id()] = stream;
    return stream;
  }
  const std::lock_guard<std::mutex> lock(driver.work.mutex);
  const auto it = streams.find(handle);
  return it == streams.end() ? nullptr : it->second;
}

bool Context::RemoveStream(CUstream handle) {
  const std::lock_guard<std::mutex> lock(driver.work.mutex);
  const auto it = streams.find(handle);
  if (it == streams.end() || it->second == legacy) return false;
  if (const auto capture = it->second->capture; capture && capture->origin == it->second.get()) {
    capture->invalid = true;  // for streams that it was joined to
    std::erase(driver.captures, capture);
  }
  executor->RemoveQueue(it->second->queue);
  streams.erase(it);
  return true;
}

OperationPtr Context::Prepare(Stream& stream, Work work) {
  auto operation = std::make_shared<Operation>();
  operation->kind = work.kind;
  operation->duration = work.duration;
  operation->demand = work.demand;
  operation->effect = std::move(work.effect);
  operation->ready = std::move(work.ready);
  operation->host = std::move(work.host);
  // The legacy stream and the streams that are not "non-blocking" wait for each other.
  if (stream.legacy) {
    for (const auto& [key, other] : streams) {
      if (other->waits_for_legacy() && other->queue->last) {
        operation->after.push_back(other->queue->last);
      }
    }
  } else if (stream.waits_for_legacy() && legacy->queue->last) {
    operation->after.push_back(legacy->queue->last);
  }
  return operation;
}

OperationPtr Context::Enqueue(Stream& stream, Work work) {
  OperationPtr operation = Prepare(stream, std::move(work));
  executor->Enqueue(*stream.queue, operation);
  return operation;
}

CUresult Context::Submit(const std::shared_ptr<Stream>& stream, CUgraphNodeType type, Work work) {
  const std::lock_guard<std::mutex> lock(driver.work.mutex);
  if (stream->capture) {
    if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (stream->capture->to_graphics && type == CU_GRAPH_NODE_TYPE_HOST) {
      return CUDA_ERROR_NOT_SUPPORTED;
    }
    GraphNode* node = stream->capture->graph->Add(type, stream->tail);
    node->work = std::move(work);
    stream->tail = {node};
    return CUDA_SUCCESS;
  }
  // The legacy stream would drag in streams that are being captured.
  if (stream->legacy) {
    for (const auto& [key, other] : streams) {
      if (!other->capture || !other->waits_for_legacy()) continue;
      other->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  }
  Enqueue(*stream, std::move(work));
  return CUDA_SUCCESS;
}

void Context::Wait(const std::vector<OperationPtr>& operations) {
  std::unique_lock<std::mutex> lock(driver.work.mutex);
  driver.work.done.wait(lock, [&] {
    return std::all_of(operations.begin(), operations.end(),
                       [](const OperationPtr& operation) { return operation->done(); });
  });
}

std::vector<OperationPtr> Context::Pending(const Stream& stream) {
  const std::lock_guard<std::mutex> lock(driver.work.mutex);
  std::vector<OperationPtr> pending;
  const auto add = [&](const Stream& one) {
    if (one.queue->last && !one.queue->last->done()) pending.push_back(one.queue->last);
  };
  add(stream);
  if (stream.legacy) {
    for (const auto& [key, other] : streams) {
      if (other->waits_for_legacy()) add(*other);
    }
  }
  return pending;
}

CUresult Context::Synchronize() {
  std::vector<OperationPtr> pending;
  {
    const std::lock_guard<std::mutex> lock(driver.work.mutex);
    for (const auto& [key, stream] : streams) {
      if (!stream->capture) continue;
      stream->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    pending = executor->Outstanding();
  }
  Wait(pending);
  driver.SettlePools();
  return CUDA_SUCCESS;
}

}  // namespace aliquot::sim::cuda
