// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/driver.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {
namespace {

// The state that the C interface forces on us; see Driver. All of it is constant-initialised, so
// loading the library runs nothing.
std::atomic<Driver*> driver_of_process{nullptr};
std::atomic<bool> forked_away{false};
pthread_mutex_t initialising = PTHREAD_MUTEX_INITIALIZER;
int first_result = -1;

void AfterForkInChild() {
  Driver* driver = driver_of_process.exchange(nullptr);
  if (driver == nullptr) return;
  forked_away.store(true);
  // The child must not keep alive what the parent owns; its threads and locks do not exist here.
  driver->node->AbandonInChild();
}

}  // namespace

ThreadState& Driver::Thread() {
  thread_local ThreadState state;
  return state;
}

Driver* Driver::Get() { return driver_of_process.load(std::memory_order_acquire); }

CUresult Driver::Initialise() {
  if (forked_away.load()) return CUDA_ERROR_NOT_INITIALIZED;
  ::pthread_mutex_lock(&initialising);
  if (first_result != CUDA_SUCCESS) first_result = Create();
  const auto result = static_cast<CUresult>(first_result);
  ::pthread_mutex_unlock(&initialising);
  return result;
}

CUresult Driver::Create() {
  Result<Environment> environment = Environment::Read();
  if (!environment.ok()) {
    std::fprintf(stderr, "aliquot simulated CUDA: %s\n", environment.error().message.c_str());
    return CUDA_ERROR_INVALID_VALUE;
  }
  // Without a simulated node this machine has no GPU, as without the real driver's modules.
  if (environment->node.empty() && environment->state_directory.empty()) {
    return CUDA_ERROR_NO_DEVICE;
  }
  std::unique_ptr<Driver> driver(new Driver);
  driver->environment = *environment;
  Result<std::unique_ptr<Node>> node = Node::Open(*environment);
  if (!node.ok()) {
    std::fprintf(stderr, "aliquot simulated CUDA: %s\n", node.error().message.c_str());
    return CUDA_ERROR_OPERATING_SYSTEM;
  }
  driver->node = *std::move(node);
  if (driver->devices().empty()) return CUDA_ERROR_NO_DEVICE;
  std::optional<Arena> arena = Arena::Create();
  if (!arena) return CUDA_ERROR_OPERATING_SYSTEM;
  driver->arena = std::make_unique<Arena>(*std::move(arena));
  for (std::size_t i = 0; i < driver->devices().size(); ++i) {
    const auto number = static_cast<int>(i);
    driver->primaries.push_back(std::make_unique<PrimaryContext>());
    driver->graph_memory.push_back(std::make_unique<GraphMemory>());
    auto pool = std::make_shared<Pool>(*driver->node, *driver->arena, driver->devices()[i], number,
                                       kPoolChunk);
    driver->pools.Add<CUmemoryPool>(pool);
    driver->default_pools.push_back(pool);
    driver->current_pools.push_back(pool);
    driver->all_pools.push_back(std::move(pool));
  }
  ::pthread_atfork(nullptr, nullptr, AfterForkInChild);
  driver_of_process.store(driver.release(), std::memory_order_release);
  return CUDA_SUCCESS;
}

std::shared_ptr<Context> Driver::CurrentContext() {
  const ThreadState& thread = Thread();
  return thread.stack.empty() ? nullptr : contexts.Find(thread.stack.back());
}

std::shared_ptr<Context> Driver::ContextOfStream(CUstream handle) {
  if (reinterpret_cast<std::uintptr_t>(handle) <= 2) return nullptr;
  const std::vector<std::shared_ptr<Context>> all = contexts.All();
  const std::lock_guard<std::mutex> lock(work.mutex);
  for (const auto& context : all) {
    if (context->streams.contains(handle)) return context;
  }
  return nullptr;
}

CUresult Driver::CreateContext(int device, unsigned flags, bool primary,
                               std::shared_ptr<Context>* out) {
  const DeviceInfo& info = devices()[static_cast<std::size_t>(device)];
  Result<SeatOwner> owner = node->Enter(info);
  if (!owner.ok()) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::uint64_t overhead =
      RoundUp(info.multiprocessors * kContextBytesPerMultiprocessor, kBlock);
  if (!node->Charge(info, overhead)) {
    node->Leave(info);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  Result<std::unique_ptr<Seat>> seat = Seat::Take(node->seats(), info.engine, *owner);
  if (!seat.ok()) {
    node->Uncharge(info, overhead);
    node->Leave(info);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  auto context = std::make_shared<Context>(*this, device, flags);
  context->primary = primary;
  context->overhead = overhead;
  context->executor = std::make_unique<Executor>(
      work, *std::move(seat), node->seats().clock(),
      [&node = *node, &info](DeviceTime busy) { node.AddBusy(info, busy); });
  context->legacy = context->AddStream(0, 0);
  context->legacy->legacy = true;
  contexts.Add<CUcontext>(context);
  *out = std::move(context);
  return CUDA_SUCCESS;
}

void Driver::DestroyContext(const std::shared_ptr<Context>& context) {
  if (contexts.Take(context.get()) == nullptr) return;  // somebody else did
  const auto of_context = [&](const auto& object) { return object.context == context.get(); };
  {
    const std::lock_guard<std::mutex> lock(work.mutex);
    std::erase_if(captures, [&](const auto& c) { return c->origin->context == context.get(); });
  }
  context->executor.reset();  // gives up what runs
  events.TakeIf(of_context);
  functions.TakeIf(of_context);
  modules.TakeIf(of_context);
  for (const auto& array : arrays.TakeIf(of_context)) {
    if (array->owns) FreeBlock(*node, *arena, context->info, array->block);
  }
  for (const auto& mipmap : mipmaps.TakeIf(of_context)) {
    FreeBlock(*node, *arena, context->info, mipmap->block);
  }
  for (const Range& range : addresses.TakeAllOf(context.get())) FreeRange(range);
  context->small.Trim(0);
  TrimPools(context->device);
  node->Uncharge(context->info, context->overhead);
  node->Leave(context->info);
}

void Driver::FreeRange(const Range& range) {
  switch (range.kind) {
    case Range::Kind::kDevice:
    case Range::Kind::kManaged:
      if (range.mapped_bytes > 0) {
        FreeBlock(*node, *arena, devices()[static_cast<std::size_t>(range.device)],
                  {range.block, range.block_bytes, range.offset});
      } else {
        const std::lock_guard<std::mutex> lock(range.context->heap_mutex);
        range.context->small.Free(range.base);
        range.context->small.Trim(0);
      }
      break;
    case Range::Kind::kHost:
    case Range::Kind::kImported:
      ::munmap(reinterpret_cast<void*>(range.base), range.mapped_bytes);
      break;
    case Range::Kind::kPool:
      if (range.pool) {
        range.pool->BeginFree(range.base, range.bytes, {}, nullptr);
        range.pool->Freed(range.base);
        range.pool->Settle();
      }
      break;
    case Range::Kind::kRegistered:
    case Range::Kind::kReserved:
    case Range::Kind::kMapped:
    case Range::Kind::kGraph:
      break;
  }
}

std::shared_ptr<Pool> Driver::DefaultPool(int device) {
  const std::lock_guard<std::mutex> lock(pool_mutex);
  return default_pools[static_cast<std::size_t>(device)];
}

void Driver::SettlePools() {
  std::vector<std::shared_ptr<Pool>> all;
  {
    const std::lock_guard<std::mutex> lock(pool_mutex);
    all = all_pools;
  }
  for (const auto& pool : all) pool->Settle();
}

void Driver::TrimPools(int device) {
  std::vector<std::shared_ptr<Pool>> all;
  {
    const std::lock_guard<std::mutex> lock(pool_mutex);
    all = all_pools;
  }
  for (const auto& pool : all) {
    if (pool->device == device) pool->TrimTo(0);
  }
}

PhysicalMemory::~PhysicalMemory() {
  if (device < 0) return;
  if (!own_file.valid()) driver->arena->Discard(offset, bytes);
  if (charged) driver->node->Uncharge(driver->devices()[static_cast<std::size_t>(device)], bytes);
}

}  // namespace aliquot::sim::cuda
