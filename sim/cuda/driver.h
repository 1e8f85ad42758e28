// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "sim/cuda/abi.h"
#include "sim/cuda/address_map.h"
#include "sim/cuda/arena.h"
#include "sim/cuda/context.h"
#include "sim/cuda/graph.h"
#include "sim/cuda/handle_table.h"
#include "sim/cuda/module.h"
#include "sim/cuda/node.h"
#include "sim/cuda/pool.h"

namespace aliquot::sim::cuda {

// Physical memory made by cuMemCreate, or taken over from another process. Freed with the last
// handle and the last mapping.
struct PhysicalMemory {
  Driver* driver = nullptr;
  CUmemAllocationProp properties{};
  int device = -1;  // -1: host memory, not charged
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
  UniqueFd own_file;  // shareable memory has a file of its own
  bool charged = false;
  std::atomic<unsigned> handles{1};
  ~PhysicalMemory();
};

struct Array {
  Context* context = nullptr;
  CUDA_ARRAY3D_DESCRIPTOR descriptor{};
  std::uint64_t pitch = 0;
  std::uint64_t rows = 1;  // per slice
  std::uint64_t slices = 1;
  DeviceBlock block;
  bool owns = true;  // false: a level of a mipmapped array
  std::uintptr_t base() const { return block.base; }
  std::uint64_t bytes() const { return pitch * rows * slices; }
};

struct MipmappedArray {
  Context* context = nullptr;
  DeviceBlock block;
  std::vector<std::shared_ptr<Array>> levels;
};

struct PrimaryContext {
  std::mutex mutex;  // held while it is made or torn down
  unsigned references = 0;
  std::atomic<unsigned> flags{0};
  std::shared_ptr<Context> context;
};

// What a thread has of its own.
struct ThreadState {
  std::vector<CUcontext> stack;
  bool per_thread_default_stream = false;  // during a call of the _ptsz and _ptds kind
  CUstreamCaptureMode capture_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
};

// The driver of this process. There is one, made by cuInit and never destroyed, because threads
// may be inside it until the process ends; C's interface offers nothing to hang it on. A child of
// fork has none and cannot make one.
class Driver {
 public:
  // What cuInit does. Later calls give the first one's result.
  static CUresult Initialise();
  // Null before cuInit has succeeded, and in a child of fork after it had in the parent.
  static Driver* Get();
  static ThreadState& Thread();

  const std::vector<DeviceInfo>& devices() const { return node->devices(); }
  bool HasDevice(int number) const {
    return number >= 0 && static_cast<std::size_t>(number) < devices().size();
  }
  // Null without a current one, or if it was destroyed.
  std::shared_ptr<Context> CurrentContext();
  std::shared_ptr<Context> FindContext(CUcontext handle) { return contexts.Find(handle); }
  // The context that owns a stream, whichever thread it is current on; null if none does.
  std::shared_ptr<Context> ContextOfStream(CUstream handle);
  CUresult CreateContext(int device, unsigned flags, bool primary, std::shared_ptr<Context>* out);
  // Frees all it owns. Its handle is invalid from here on.
  void DestroyContext(const std::shared_ptr<Context>& context);
  void FreeRange(const Range& range);
  std::shared_ptr<Pool> DefaultPool(int device);
  std::uint64_t NextId() { return next_id_.fetch_add(1); }
  // After a synchronisation: pools give back what exceeds their thresholds.
  void SettlePools();

  Environment environment;
  std::unique_ptr<Node> node;
  std::unique_ptr<Arena> arena;
  AddressMap addresses;
  WorkMutex work;
  std::vector<std::shared_ptr<Capture>> captures;  // in progress; guarded by work.mutex
  HandleTable<Context> contexts;
  HandleTable<Event> events;
  HandleTable<Module> modules;
  HandleTable<Function> functions;
  HandleTable<Library> libraries;
  HandleTable<Pool> pools;
  HandleTable<Graph> graphs;
  HandleTable<GraphExec> execs;
  HandleTable<Array> arrays;
  HandleTable<MipmappedArray> mipmaps;
  HandleTable<PhysicalMemory> physical;
  std::vector<std::unique_ptr<PrimaryContext>> primaries;
  std::mutex module_mutex;   // guards functions of modules and libraries
  std::mutex library_mutex;  // guards modules of libraries
  std::mutex pool_mutex;     // guards the next three
  std::vector<std::shared_ptr<Pool>> default_pools;
  std::vector<std::shared_ptr<Pool>> current_pools;
  std::vector<std::shared_ptr<Pool>> all_pools;
  std::vector<std::unique_ptr<GraphMemory>> graph_memory;  // by device

 private:
  Driver() = default;
  static CUresult Create();
  void TrimPools(int device);
  std::atomic<std::uint64_t> next_id_{1};
};

}  // namespace aliquot::sim::cuda
