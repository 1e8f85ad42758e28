// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/copy.h"

#include <cstring>
#include <utility>

#include "sim/cuda/allocation.h"
#include "sim/cuda/enter.h"

namespace aliquot::sim::cuda {
namespace {

// Bytes per microsecond: PCIe 5 with pinned memory, HBM3 with every byte read and written. Figures
// of an H200; the other products differ by less than matters to a schedule.
constexpr std::uint64_t kHostBandwidth = 50'000;
constexpr std::uint64_t kDeviceBandwidth = 2'000'000;
constexpr DeviceTime kCopyStart = 2'000;

// One side of a copy: where the first byte is and how far rows and slices are apart.
struct Side {
  char* first = nullptr;
  std::uint64_t pitch = 0;
  std::uint64_t slice = 0;
  bool on_device = false;
};

struct SideRequest {
  CUmemorytype type;
  std::uintptr_t host;
  CUdeviceptr device;
  CUarray array;
  std::uint64_t x, y, z, pitch, height;
};

bool FindSide(Driver& driver, const SideRequest& want, const CUDA_MEMCPY3D& copy, Side* side) {
  if (want.type == CU_MEMORYTYPE_ARRAY) {
    const auto array = driver.arrays.Find(want.array);
    if (array == nullptr || want.x + copy.WidthInBytes > array->pitch ||
        want.y + copy.Height > array->rows || want.z + copy.Depth > array->slices) {
      return false;
    }
    side->pitch = array->pitch;
    side->slice = array->pitch * array->rows;
    side->first = reinterpret_cast<char*>(array->base());
    side->on_device = true;
  } else {
    const std::uintptr_t base = want.type == CU_MEMORYTYPE_HOST ? want.host : want.device;
    side->pitch = want.pitch == 0 ? copy.WidthInBytes : want.pitch;
    side->slice = side->pitch * (want.height == 0 ? copy.Height : want.height);
    side->first = reinterpret_cast<char*>(base);
    const auto range = driver.addresses.Find(base);
    side->on_device = range && range->on_device();
    if (want.type == CU_MEMORYTYPE_DEVICE || side->on_device) {
      const std::uint64_t begin = want.z * side->slice + want.y * side->pitch + want.x;
      const std::uint64_t last = (copy.Depth - 1) * side->slice + (copy.Height - 1) * side->pitch;
      if (!driver.addresses.Covers(base + begin, last + copy.WidthInBytes)) return false;
    }
    if (want.type != CU_MEMORYTYPE_HOST && want.type != CU_MEMORYTYPE_DEVICE &&
        want.type != CU_MEMORYTYPE_UNIFIED) {
      return false;
    }
  }
  side->first += want.z * side->slice + want.y * side->pitch + want.x;
  return true;
}

CUresult SubmitWork(CUstream handle, CUgraphNodeType type, bool synchronous,
                    const std::function<CUresult(Driver&, Work*)>& make,
                    const std::function<void(GraphNode&)>& describe) {
  return WithStream(
      handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        if (synchronous) {
          const CUresult safe = CheckUnsafeCall(driver);
          if (safe != CUDA_SUCCESS) return safe;
        }
        Work work;
        const CUresult made = make(driver, &work);
        if (made != CUDA_SUCCESS) return made;
        const CUresult result = context.Submit(stream, type, std::move(work));
        if (result != CUDA_SUCCESS) return result;
        if (synchronous) {
          context.Wait(context.Pending(*stream));
          return CUDA_SUCCESS;
        }
        const std::lock_guard<std::mutex> lock(driver.work.mutex);
        if (stream->capture && !stream->tail.empty()) describe(*stream->tail.back());
        return CUDA_SUCCESS;
      });
}

}  // namespace

CUresult MakeCopyWork(Driver& driver, const CUDA_MEMCPY3D& copy, Work* work) {
  if (copy.WidthInBytes == 0 || copy.Height == 0 || copy.Depth == 0) {
    work->kind = Operation::Kind::kInstant;
    return CUDA_SUCCESS;
  }
  Side from;
  Side to;
  if (!FindSide(
          driver,
          {copy.srcMemoryType, reinterpret_cast<std::uintptr_t>(copy.srcHost), copy.srcDevice,
           copy.srcArray, copy.srcXInBytes, copy.srcY, copy.srcZ, copy.srcPitch, copy.srcHeight},
          copy, &from) ||
      !FindSide(
          driver,
          {copy.dstMemoryType, reinterpret_cast<std::uintptr_t>(copy.dstHost), copy.dstDevice,
           copy.dstArray, copy.dstXInBytes, copy.dstY, copy.dstZ, copy.dstPitch, copy.dstHeight},
          copy, &to)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const std::uint64_t bytes = copy.WidthInBytes * copy.Height * copy.Depth;
  work->kind = from.on_device && to.on_device ? Operation::Kind::kKernel
               : to.on_device                 ? Operation::Kind::kCopyIn
                                              : Operation::Kind::kCopyOut;
  const std::uint64_t bandwidth =
      work->kind == Operation::Kind::kKernel ? kDeviceBandwidth : kHostBandwidth;
  work->duration = kCopyStart + static_cast<DeviceTime>(bytes * 1'000 / bandwidth);
  work->effect = [from, to, width = copy.WidthInBytes, rows = copy.Height, slices = copy.Depth] {
    for (std::uint64_t z = 0; z < slices; ++z) {
      for (std::uint64_t y = 0; y < rows; ++y) {
        std::memmove(to.first + z * to.slice + y * to.pitch,
                     from.first + z * from.slice + y * from.pitch, width);
      }
    }
  };
  return CUDA_SUCCESS;
}

CUDA_MEMCPY3D LinearCopy(CUdeviceptr to, CUdeviceptr from, std::uint64_t bytes) {
  CUDA_MEMCPY3D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
  copy.srcDevice = from;
  copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  copy.dstDevice = to;
  copy.WidthInBytes = bytes;
  copy.Height = 1;
  copy.Depth = 1;
  return copy;
}

CUDA_MEMCPY3D From2D(const CUDA_MEMCPY2D& flat) {
  CUDA_MEMCPY3D copy{};
  copy.srcXInBytes = flat.srcXInBytes;
  copy.srcY = flat.srcY;
  copy.srcMemoryType = flat.srcMemoryType;
  copy.srcHost = flat.srcHost;
  copy.srcDevice = flat.srcDevice;
  copy.srcArray = flat.srcArray;
  copy.srcPitch = flat.srcPitch;
  copy.dstXInBytes = flat.dstXInBytes;
  copy.dstY = flat.dstY;
  copy.dstMemoryType = flat.dstMemoryType;
  copy.dstHost = flat.dstHost;
  copy.dstDevice = flat.dstDevice;
  copy.dstArray = flat.dstArray;
  copy.dstPitch = flat.dstPitch;
  copy.WidthInBytes = flat.WidthInBytes;
  copy.Height = flat.Height;
  copy.Depth = 1;
  return copy;
}

CUresult MakeMemsetWork(Driver& driver, const CUDA_MEMSET_NODE_PARAMS& set, Work* work) {
  if (set.elementSize != 1 && set.elementSize != 2 && set.elementSize != 4) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const std::uint64_t row = set.width * set.elementSize;
  if (row == 0 || set.height == 0) {
    work->kind = Operation::Kind::kInstant;
    return CUDA_SUCCESS;
  }
  const std::uint64_t pitch = set.height == 1 ? row : set.pitch;
  if (set.dst % set.elementSize != 0 ||
      !driver.addresses.Covers(set.dst, pitch * (set.height - 1) + row)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  work->kind = Operation::Kind::kKernel;
  work->duration =
      kCopyStart + static_cast<DeviceTime>(row * set.height * 1'000 / (2 * kDeviceBandwidth));
  work->effect = [set, pitch] {
    for (std::uint64_t y = 0; y < set.height; ++y) {
      char* at = reinterpret_cast<char*>(set.dst + y * pitch);
      for (std::uint64_t x = 0; set.elementSize > 1 && x < set.width; ++x) {
        std::memcpy(at + x * set.elementSize, &set.value, set.elementSize);  // little-endian
      }
      if (set.elementSize == 1) std::memset(at, static_cast<int>(set.value), set.width);
    }
  };
  return CUDA_SUCCESS;
}

CUresult SubmitCopy(CUstream stream, const CUDA_MEMCPY3D& copy, bool synchronous) {
  return SubmitWork(
      stream, CU_GRAPH_NODE_TYPE_MEMCPY, synchronous,
      [&](Driver& driver, Work* work) { return MakeCopyWork(driver, copy, work); },
      [&](GraphNode& node) { node.copy = copy; });
}

CUresult SubmitMemset(CUstream stream, const CUDA_MEMSET_NODE_PARAMS& set, bool synchronous) {
  return SubmitWork(
      stream, CU_GRAPH_NODE_TYPE_MEMSET, synchronous,
      [&](Driver& driver, Work* work) { return MakeMemsetWork(driver, set, work); },
      [&](GraphNode& node) { node.memset = set; });
}

}  // namespace aliquot::sim::cuda
