// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "sim/cuda/testing/program.h"

namespace aliquot::sim::cuda::testing {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

std::uint64_t Taken(const std::uint64_t before) { return (before - Memory().free) / kMiB; }

// What the real driver takes for sizes around its block of 2 MiB, and what it refuses.
void Linear() {
  Start();
  const std::uint64_t before = Memory().free;
  CUdeviceptr a = 0, b = 0, c = 0, d = 0, e = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &a, size_t{1}));
  EXPECT_IS(Taken(before), 2);
  EXPECT_OK(Cu("cuMemAlloc_v2", &b, size_t{1 << 20}));
  EXPECT_IS(b - a, 512);
  EXPECT_IS(Taken(before), 2);
  EXPECT_OK(Cu("cuMemAlloc_v2", &c, size_t{2 << 20}));
  EXPECT_IS(Taken(before), 4);
  EXPECT_OK(Cu("cuMemAlloc_v2", &d, size_t{(2 << 20) + 1}));
  EXPECT_IS(Taken(before), 8);
  EXPECT_IS(Cu("cuMemAlloc_v2", &e, size_t{1} << 45), 2);
  EXPECT_IS(Cu("cuMemAlloc_v2", &e, size_t{0}), 1);
  EXPECT_IS(Cu("cuMemFree_v2", CUdeviceptr{77}), 1);
  EXPECT_OK(Cu("cuMemFree_v2", CUdeviceptr{0}));
  for (const size_t width : {1, 100, 512, 513, 4000}) {
    size_t pitch = 0;
    EXPECT_OK(Cu("cuMemAllocPitch_v2", &e, &pitch, width, size_t{4}, 4u));
    EXPECT_IS(pitch, (width + 511) / 512 * 512);
    EXPECT_OK(Cu("cuMemFree_v2", e));
  }
  CUdeviceptr base = 0;
  size_t bytes = 0;
  EXPECT_OK(Cu("cuMemGetAddressRange_v2", &base, &bytes, b + 1000));
  EXPECT_IS(base, b);
  EXPECT_IS(bytes, kMiB);
  for (const CUdeviceptr address : {a, b, c, d}) EXPECT_OK(Cu("cuMemFree_v2", address));
  EXPECT_IS(Cu("cuMemFree_v2", a), 1);
  EXPECT_IS(Taken(before), 0);
}

void PointerAttributes() {
  const CUcontext context = Start();
  CUdeviceptr device = 0;
  void* host = nullptr;
  EXPECT_OK(Cu("cuMemAlloc_v2", &device, size_t{4096}));
  EXPECT_OK(Cu("cuMemHostAlloc", &host, size_t{4096}, 2u));
  std::uint64_t value = 0;
  const auto get = [&](int attribute, CUdeviceptr pointer) {
    value = 0;
    return Cu("cuPointerGetAttribute", static_cast<void*>(&value), attribute, pointer);
  };
  EXPECT_OK(get(1, device));
  EXPECT_IS(value, reinterpret_cast<std::uintptr_t>(context));
  EXPECT_OK(get(2, device));
  EXPECT_IS(value, 2);
  EXPECT_IS(get(4, device), 1);
  EXPECT_OK(get(12, device));
  EXPECT_IS(value, 4096);
  EXPECT_OK(get(18, device));
  EXPECT_IS(value, 2 * kMiB);
  const auto where = reinterpret_cast<std::uintptr_t>(host);
  EXPECT_OK(get(2, where));
  EXPECT_IS(value, 1);
  EXPECT_IS(get(2, reinterpret_cast<std::uintptr_t>(&value)), 1);
  int kind = 7;
  int attribute = 2;
  void* out[] = {&kind};
  EXPECT_OK(Cu("cuPointerGetAttributes", 1u, &attribute, static_cast<void**>(out),
               static_cast<CUdeviceptr>(reinterpret_cast<std::uintptr_t>(&value))));
  EXPECT_IS(kind, 0);
  EXPECT_OK(Cu("cuMemFreeHost", host));
  EXPECT_IS(Cu("cuMemFreeHost", host), 1);
}

void Copies() {
  Start();
  std::vector<std::uint32_t> from(1000), to(1000);
  for (std::uint32_t i = 0; i < 1000; ++i) from[i] = i;
  CUdeviceptr a = 0, b = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &a, size_t{4000}));
  EXPECT_OK(Cu("cuMemAlloc_v2", &b, size_t{4 << 20}));
  EXPECT_OK(Cu("cuMemcpyHtoD_v2", a, static_cast<const void*>(from.data()), size_t{4000}));
  EXPECT_OK(Cu("cuMemcpyDtoDAsync_v2", b, a, size_t{4000}, CUstream{}));
  EXPECT_OK(Cu("cuMemsetD32Async", b + 40, 99u, size_t{10}, CUstream{}));
  EXPECT_OK(Cu("cuMemcpyDtoH_v2", static_cast<void*>(to.data()), b, size_t{4000}));
  EXPECT_IS(to[9], 9);
  EXPECT_IS(to[10], 99);
  EXPECT_IS(to[19], 99);
  EXPECT_IS(to[20], 20);
  EXPECT_IS(to[999], 999);
  EXPECT_IS(Cu("cuMemcpyDtoH_v2", static_cast<void*>(to.data()), b, size_t{5 << 20}), 1);
  EXPECT_IS(Cu("cuMemsetD8_v2", CUdeviceptr{64}, static_cast<unsigned char>(0), size_t{4}), 1);

  // Through an array, a box in its middle.
  CUarray array = nullptr;
  const CUDA_ARRAY_DESCRIPTOR shape{64, 16, static_cast<CUarray_format>(0x03), 1};
  const std::uint64_t before = Memory().free;
  EXPECT_OK(Cu("cuArrayCreate_v2", &array, &shape));
  EXPECT_IS(Taken(before), 2);
  CUDA_MEMCPY2D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = from.data();
  copy.srcPitch = 80;
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.dstArray = array;
  copy.dstXInBytes = 16;
  copy.dstY = 3;
  copy.WidthInBytes = 40;
  copy.Height = 5;
  EXPECT_OK(Cu("cuMemcpy2D_v2", &copy));
  CUDA_MEMCPY2D back{};
  back.srcMemoryType = CU_MEMORYTYPE_ARRAY;
  back.srcArray = array;
  back.srcXInBytes = 20;
  back.srcY = 4;
  back.dstMemoryType = CU_MEMORYTYPE_HOST;
  back.dstHost = to.data();
  back.dstPitch = 8;
  back.WidthInBytes = 8;
  back.Height = 2;
  EXPECT_OK(Cu("cuMemcpy2D_v2", &back));
  EXPECT_IS(to[0], 21);
  EXPECT_IS(to[2], 41);
  back.Height = 20;
  EXPECT_IS(Cu("cuMemcpy2D_v2", &back), 1);
  EXPECT_OK(Cu("cuArrayDestroy", array));
  EXPECT_IS(Cu("cuArrayDestroy", array), 400);
  EXPECT_IS(Taken(before), 0);
}

void Virtual() {
  Start();
  const std::uint64_t before = Memory().free;
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  const size_t size = 4 * kMiB;
  CUdeviceptr space = 0;
  EXPECT_OK(Cu("cuMemAddressReserve", &space, 2 * size, size_t{0}, CUdeviceptr{0}, 0ull));
  CUmemGenericAllocationHandle first = 0, second = 0, bad = 0;
  EXPECT_OK(Cu("cuMemCreate", &first, size, &properties, 0ull));
  EXPECT_OK(Cu("cuMemCreate", &second, size, &properties, 0ull));
  EXPECT_IS(Cu("cuMemCreate", &bad, size + 1, &properties, 0ull), 1);
  EXPECT_IS(Cu("cuMemCreate", &bad, size_t{1} << 40, &properties, 0ull), 2);
  EXPECT_IS(Taken(before), 8);
  // Host memory is not the device's (a real NCCL asks for it).
  CUmemAllocationProp host = properties;
  host.location = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
  CUmemGenericAllocationHandle on_host = 0;
  EXPECT_OK(Cu("cuMemCreate", &on_host, size, &host, 0ull));
  EXPECT_IS(Taken(before), 8);
  EXPECT_OK(Cu("cuMemRelease", on_host));
  EXPECT_OK(Cu("cuMemMap", space, size, size_t{0}, first, 0ull));
  EXPECT_OK(Cu("cuMemMap", space + size, size, size_t{0}, second, 0ull));
  const CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                               CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  EXPECT_OK(Cu("cuMemSetAccess", space, 2 * size, &access, size_t{1}));
  // Across the seam.
  EXPECT_OK(Cu("cuMemsetD8_v2", space + size - 8, static_cast<unsigned char>(7), size_t{16}));
  EXPECT_IS(ReadWord(space + size), 0x07070707);
  // The memory stays while it is mapped, although its handle is gone.
  EXPECT_OK(Cu("cuMemRelease", first));
  EXPECT_IS(Taken(before), 8);
  EXPECT_OK(Cu("cuMemUnmap", space, 2 * size));
  EXPECT_IS(Taken(before), 4);
  EXPECT_OK(Cu("cuMemRelease", second));
  EXPECT_IS(Cu("cuMemRelease", second), 1);
  EXPECT_IS(Taken(before), 0);
  EXPECT_OK(Cu("cuMemAddressFree", space, 2 * size));
}

void Pools() {
  Start();
  CUmemoryPool pool = nullptr;
  EXPECT_OK(Cu("cuDeviceGetDefaultMemPool", &pool, CUdevice{0}));
  const auto attribute = [&](int number) {
    std::uint64_t value = 0;
    EXPECT_OK(Cu("cuMemPoolGetAttribute", pool, number, static_cast<void*>(&value)));
    return value;
  };
  const std::uint64_t before = Memory().free;
  CUstream stream = nullptr;
  EXPECT_OK(Cu("cuStreamCreate", &stream, 1u));
  CUdeviceptr a = 0, b = 0;
  EXPECT_OK(Cu("cuMemAllocAsync", &a, size_t{1}, stream));
  EXPECT_IS(attribute(5), 32 * kMiB);
  EXPECT_IS(attribute(7), 1);
  EXPECT_IS(Taken(before), 32);
  EXPECT_OK(Cu("cuMemFreeAsync", a, stream));
  EXPECT_IS(attribute(7), 0);
  EXPECT_OK(Cu("cuStreamSynchronize", stream));
  EXPECT_IS(attribute(5), 0);
  EXPECT_IS(attribute(6), 32 * kMiB);
  EXPECT_IS(Taken(before), 0);
  // A loop on one stream uses the same memory again without waiting.
  EXPECT_OK(LaunchSpin(Kernel("spin"), 20'000'000, stream));
  const std::uint64_t loop = Memory().free;
  for (int i = 0; i < 50; ++i) {
    EXPECT_OK(Cu("cuMemAllocAsync", &b, size_t{100} * kMiB, stream));
    EXPECT_OK(Cu("cuMemFreeAsync", b, stream));
  }
  EXPECT_IS(Taken(loop), 128);
  std::uint64_t keep = ~0ull;
  EXPECT_OK(Cu("cuMemPoolSetAttribute", pool, 4, static_cast<void*>(&keep)));
  EXPECT_OK(Cu("cuStreamSynchronize", stream));
  EXPECT_IS(Taken(loop), 128);
  EXPECT_OK(Cu("cuMemPoolTrimTo", pool, size_t{0}));
  EXPECT_IS(Taken(loop), 0);
  EXPECT_IS(Cu("cuMemAllocAsync", &b, size_t{1} << 40, stream), 2);
}

}  // namespace

bool PlayMemory(const std::string& name, const Arguments&) {
  if (name == "linear") return Linear(), true;
  if (name == "pointer-attributes") return PointerAttributes(), true;
  if (name == "copies") return Copies(), true;
  if (name == "virtual") return Virtual(), true;
  if (name == "pools") return Pools(), true;
  return false;
}

}  // namespace aliquot::sim::cuda::testing
