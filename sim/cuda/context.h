// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "sim/cuda/device_heap.h"
#include "sim/cuda/executor.h"
#include "sim/cuda/stream.h"

namespace aliquot::sim::cuda {

class Driver;

// A CUDA context. Streams and events are guarded by the driver's work mutex, the rest as noted.
struct Context {
  Context(Driver& owner, int device_number, unsigned context_flags);
  // Work not done is given up; memory, modules and streams are the driver's to clean up before.
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // The stream a call means: null is the default stream of the calling convention, 1 the legacy
  // one, 2 the thread's own. Null if there is no such stream in this context.
  std::shared_ptr<Stream> FindStream(CUstream handle);
  std::shared_ptr<Stream> AddStream(unsigned stream_flags, int priority);
  bool RemoveStream(CUstream handle);
  // Puts work on a stream, or into the graph that the stream is being captured to.
  CUresult Submit(const std::shared_ptr<Stream>& stream, CUgraphNodeType type, Work work);
  // As Submit for a stream that is not capturing; the work mutex is held.
  OperationPtr Enqueue(Stream& stream, Work work);
  // Makes the operation, with what it waits for by the rules of the legacy stream, and leaves it
  // to the caller to enqueue. The work mutex is held.
  OperationPtr Prepare(Stream& stream, Work work);
  // Blocks until all of these are done.
  void Wait(const std::vector<OperationPtr>& operations);
  // Everything a wait on the stream waits for.
  std::vector<OperationPtr> Pending(const Stream& stream);
  CUresult Synchronize();

  Driver& driver;
  const int device;
  const DeviceInfo& info;
  std::atomic<unsigned> flags;
  const std::uint64_t id;
  bool primary = false;
  bool for_graphics = false;   // its streams can be captured to command buffers
  bool entered = false;        // counts among the process's contexts of the device
  std::uint64_t overhead = 0;  // bytes charged for the context itself
  std::unique_ptr<Executor> executor;
  std::mutex heap_mutex;
  DeviceHeap small;  // guarded by heap_mutex
  std::atomic<std::uint64_t> limits[10] = {};
  std::shared_ptr<Stream> legacy;  // work mutex, as the rest
  std::map<std::thread::id, std::shared_ptr<Stream>> per_thread;
  std::map<const void*, std::shared_ptr<Stream>> streams;
  std::set<int> peers;
};

}  // namespace aliquot::sim::cuda
