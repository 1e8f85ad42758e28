// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "sim/cuda/abi.h"
#include "sim/cuda/operation.h"

namespace aliquot::sim::cuda {

struct Context;
struct Graph;
struct GraphNode;

// What is to be done, before it becomes an operation on a stream or a node of a graph.
struct Work {
  Operation::Kind kind = Operation::Kind::kInstant;
  DeviceTime duration = 0;
  double demand = 1.0;
  std::function<void()> effect;
  std::function<bool()> ready;  // kPoll
  std::function<void()> host;   // kHost
};

// A capture in progress: streams that take part add nodes to `graph` instead of working.
struct Capture {
  std::uint64_t id = 0;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id thread{};  // that began it
  const struct Stream* origin = nullptr;
  std::shared_ptr<Graph> graph{};
  bool owns_graph = true;          // false: cuStreamBeginCaptureToGraph
  std::shared_ptr<Graph> again{};  // the graph that is captured once more, node by node
  bool to_graphics = false;        // to a command buffer: nothing ever runs what is captured
  bool invalid = false;
};

// Guarded by the work mutex of the process.
struct Stream {
  Context* context = nullptr;
  unsigned flags = 0;  // CU_STREAM_NON_BLOCKING is 1
  int priority = 0;
  bool legacy = false;  // the default stream that others wait for
  std::uint64_t id = 0;
  std::shared_ptr<WorkQueue> queue;
  std::shared_ptr<Capture> capture;
  std::vector<GraphNode*> tail;  // while capturing: what the next node depends on

  bool waits_for_legacy() const { return !legacy && (flags & 1) == 0; }
};

// Guarded by the work mutex of the process.
struct Event {
  Context* context = nullptr;
  unsigned flags = 0;  // blocking sync 1, disable timing 2, interprocess 4
  OperationPtr recorded;
  std::shared_ptr<Capture> capture;  // if last recorded in a capture
  std::vector<GraphNode*> tail;
};

}  // namespace aliquot::sim::cuda
