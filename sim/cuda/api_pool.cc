// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <utility>

#include "sim/cuda/enter.h"
#include "sim/cuda/graph_params.h"
#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {
namespace {

template <typename Body>
CUresult WithPool(CUmemoryPool handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto pool = driver.pools.Find(handle);
    return pool == nullptr ? CUDA_ERROR_INVALID_VALUE : body(driver, pool);
  });
}

// Adds a node to the graph that the stream is captured to. The work mutex is held.
template <typename Fill>
CUresult AddCaptured(Stream& stream, CUgraphNodeType type, const Fill& fill) {
  if (stream.capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  Graph& graph = *stream.capture->graph;
  GraphNode* node = graph.Add(type, stream.tail);
  const CUresult result = fill(graph, *node);
  if (result == CUDA_SUCCESS) {
    stream.tail = {node};
  } else {
    graph.nodes.pop_back();
  }
  return result;
}

CUresult AllocateFrom(CUdeviceptr* address, size_t bytes, CUstream handle,
                      const std::shared_ptr<Pool>& given) {
  return WithStream(
      handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        if (address == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
        {
          const std::lock_guard<std::mutex> lock(driver.work.mutex);
          if (stream->capture) {
            CUDA_MEM_ALLOC_NODE_PARAMS parameters{};
            parameters.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
            parameters.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, context.device};
            parameters.bytesize = bytes;
            const CUresult result = AddCaptured(
                *stream, CU_GRAPH_NODE_TYPE_MEM_ALLOC, [&](Graph& graph, GraphNode& node) {
                  return FillAllocation(driver, graph, node, &parameters);
                });
            if (result == CUDA_SUCCESS) *address = parameters.dptr;
            return result;
          }
        }
        std::shared_ptr<Pool> pool = given;
        if (pool == nullptr) {
          const std::lock_guard<std::mutex> lock(driver.pool_mutex);
          pool = driver.current_pools[static_cast<std::size_t>(context.device)];
        }
        std::optional<Piece> piece = pool->Allocate(bytes, stream->queue.get());
        if (!piece) {
          // Memory that other streams are about to free may do.
          context.Wait(context.Pending(*context.legacy));
          pool->TrimTo(0);
          piece = pool->Allocate(bytes, stream->queue.get());
        }
        if (!piece) return CUDA_ERROR_OUT_OF_MEMORY;
        Range range;
        range.kind = Range::Kind::kPool;
        range.base = piece->base;
        range.bytes = bytes;
        range.block = piece->block.base;
        range.block_bytes = piece->block.bytes;
        range.offset = piece->block.offset;
        range.device = context.device;
        range.context = &context;
        range.pool = std::move(pool);
        *address = range.base;
        driver.addresses.Add(std::move(range));
        return context.Submit(stream, CU_GRAPH_NODE_TYPE_EMPTY, {});
      });
}

bool IsSwitch(int attribute) { return attribute >= 1 && attribute <= 3; }

CUresult SetPool(Driver& driver, int device, const std::shared_ptr<Pool>& pool) {
  if (!driver.HasDevice(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (pool->device != device) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard<std::mutex> lock(driver.pool_mutex);
  driver.current_pools[static_cast<std::size_t>(device)] = pool;
  return CUDA_SUCCESS;
}

CUresult GetPool(CUmemoryPool* out, int device, bool standard) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (!driver.HasDevice(device)) return CUDA_ERROR_INVALID_DEVICE;
    const std::lock_guard<std::mutex> lock(driver.pool_mutex);
    const auto& pools = standard ? driver.default_pools : driver.current_pools;
    return Give(out, reinterpret_cast<CUmemoryPool>(pools[static_cast<std::size_t>(device)].get()));
  });
}

// Pools of device memory are the only kind.
int DeviceOf(const CUmemLocation* location, CUmemAllocationType type) {
  return location != nullptr && location->type == CU_MEM_LOCATION_TYPE_DEVICE &&
                 type == CU_MEM_ALLOCATION_TYPE_PINNED
             ? location->id
             : -1;
}

}  // namespace

namespace api {

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* out, CUdevice device) {
  return GetPool(out, device, true);
}

CUresult cuDeviceGetMemPool(CUmemoryPool* out, CUdevice device) {
  return GetPool(out, device, false);
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool handle) {
  return WithPool(handle, [&](Driver& driver, const std::shared_ptr<Pool>& pool) {
    return SetPool(driver, device, pool);
  });
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool* out, CUmemLocation* location,
                                CUmemAllocationType type) {
  return GetPool(out, DeviceOf(location, type), true);
}

CUresult cuMemGetMemPool(CUmemoryPool* out, CUmemLocation* location, CUmemAllocationType type) {
  return GetPool(out, DeviceOf(location, type), false);
}

CUresult cuMemSetMemPool(CUmemLocation* location, CUmemAllocationType type, CUmemoryPool handle) {
  return WithPool(handle, [&](Driver& driver, const std::shared_ptr<Pool>& pool) {
    return SetPool(driver, DeviceOf(location, type), pool);
  });
}

CUresult cuMemAllocAsync(CUdeviceptr* address, size_t bytes, CUstream stream) {
  return AllocateFrom(address, bytes, stream, nullptr);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr* address, size_t bytes, CUmemoryPool handle,
                                 CUstream stream) {
  return WithPool(handle, [&](Driver&, const std::shared_ptr<Pool>& pool) {
    return AllocateFrom(address, bytes, stream, pool);
  });
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
  return WithStream(
      handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        const auto range = driver.addresses.Find(address);
        if (range && range->kind == Range::Kind::kGraph) {
          const std::lock_guard<std::mutex> lock(driver.work.mutex);
          if (!stream->capture) return CUDA_ERROR_NOT_SUPPORTED;
          return AddCaptured(
              *stream, CU_GRAPH_NODE_TYPE_MEM_FREE,
              [&](Graph& graph, GraphNode& node) { return FillFree(graph, node, address); });
        }
        if (!range || range->base != address ||
            (range->kind != Range::Kind::kPool && range->kind != Range::Kind::kDevice)) {
          return CUDA_ERROR_INVALID_VALUE;
        }
        driver.addresses.Take(address, {range->kind});
        Work work;
        if (range->kind == Range::Kind::kPool) {
          range->pool->BeginFree(range->base, range->bytes,
                                 {range->block, range->block_bytes, range->offset},
                                 stream->queue.get());
          work.effect = [pool = range->pool, base = range->base] { pool->Freed(base); };
        } else {
          work.effect = [&driver, freed = *range] { driver.FreeRange(freed); };
        }
        return context.Submit(stream, CU_GRAPH_NODE_TYPE_EMPTY, std::move(work));
      });
}

CUresult cuMemPoolCreate(CUmemoryPool* out, const CUmemPoolProps* properties) {
  return WithDriver([&](Driver& driver) -> CUresult {
    if (out == nullptr || properties == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const int device = DeviceOf(&properties->location, properties->allocType);
    if (!driver.HasDevice(device)) return CUDA_ERROR_NOT_SUPPORTED;
    if (properties->handleTypes != CU_MEM_HANDLE_TYPE_NONE) return CUDA_ERROR_NOT_SUPPORTED;
    auto pool = std::make_shared<Pool>(*driver.node, *driver.arena,
                                       driver.devices()[static_cast<std::size_t>(device)], device,
                                       kPoolChunk);
    {
      const std::lock_guard<std::mutex> lock(driver.pool_mutex);
      driver.all_pools.push_back(pool);
    }
    *out = driver.pools.Add<CUmemoryPool>(std::move(pool));
    return CUDA_SUCCESS;
  });
}

// Allocations that are still there keep the pool's memory until they are freed.
CUresult cuMemPoolDestroy(CUmemoryPool handle) {
  return WithPool(handle, [&](Driver& driver, const std::shared_ptr<Pool>& pool) -> CUresult {
    const std::lock_guard<std::mutex> lock(driver.pool_mutex);
    for (std::size_t i = 0; i < driver.default_pools.size(); ++i) {
      if (driver.default_pools[i] == pool) return CUDA_ERROR_INVALID_VALUE;
      if (driver.current_pools[i] == pool) driver.current_pools[i] = driver.default_pools[i];
    }
    std::erase(driver.all_pools, pool);
    driver.pools.Take(handle);
    {
      const std::lock_guard<std::mutex> pool_lock(pool->mutex);
      pool->release_threshold = 0;
    }
    pool->TrimTo(0);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep) {
  return WithPool(handle, [&](Driver&, const std::shared_ptr<Pool>& pool) {
    pool->TrimTo(keep);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void* value) {
  return WithPool(handle, [&](Driver&, const std::shared_ptr<Pool>& pool) -> CUresult {
    if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(pool->mutex);
    if (IsSwitch(attribute)) {
      int on = 0;
      std::memcpy(&on, value, sizeof(on));
      pool->switches[attribute] = static_cast<std::uint64_t>(on);
      return CUDA_SUCCESS;
    }
    std::uint64_t number = 0;
    std::memcpy(&number, value, sizeof(number));
    if (attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) {
      pool->release_threshold = number;
    } else if (attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH && number == 0) {
      pool->reserved_high = pool->heap.held();
    } else if (attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH && number == 0) {
      pool->used_high = pool->used;
    } else {
      return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void* out) {
  return WithPool(handle, [&](Driver&, const std::shared_ptr<Pool>& pool) -> CUresult {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const std::lock_guard<std::mutex> lock(pool->mutex);
    if (IsSwitch(attribute)) {
      const auto it = pool->switches.find(attribute);
      const int on = it == pool->switches.end() ? 1 : static_cast<int>(it->second);
      std::memcpy(out, &on, sizeof(on));
      return CUDA_SUCCESS;
    }
    std::uint64_t number = 0;
    switch (attribute) {
      case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        number = pool->release_threshold;
        break;
      case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
        number = pool->heap.held();
        break;
      case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
        number = pool->reserved_high;
        break;
      case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
        number = pool->used;
        break;
      case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        number = pool->used_high;
        break;
      default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    std::memcpy(out, &number, sizeof(number));
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc* access, size_t) {
  return WithPool(handle, [&](Driver&, const std::shared_ptr<Pool>&) {
    return access == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  });
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags* flags, CUmemoryPool handle, CUmemLocation*) {
  return WithPool(handle, [&](Driver&, const std::shared_ptr<Pool>&) {
    return Give(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
