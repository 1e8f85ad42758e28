// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "interposer/testing/scenarios.h"

namespace aliquot::sim::cuda::testing {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// One way to get device memory: allocates so many bytes and says how to free them.
using Free = std::function<void()>;
using Allocate = std::function<CUresult(std::size_t bytes, Free* free)>;

CUresult Linear(std::size_t bytes, Free* free) {
  CUdeviceptr pointer = 0;
  const CUresult result = Cu("cuMemAlloc_v2", &pointer, bytes);
  *free = [=] { EXPECT_OK(Cu("cuMemFree_v2", pointer)); };
  return result;
}

CUresult Pitched(std::size_t bytes, Free* free) {
  CUdeviceptr pointer = 0;
  std::size_t pitch = 0;
  const CUresult result =
      Cu("cuMemAllocPitch_v2", &pointer, &pitch, std::size_t{4000}, bytes / 4096, 4u);
  *free = [=] { EXPECT_OK(Cu("cuMemFree_v2", pointer)); };
  return result;
}

CUresult Managed(std::size_t bytes, Free* free) {
  CUdeviceptr pointer = 0;
  const CUresult result = Cu("cuMemAllocManaged", &pointer, bytes, 1u);
  *free = [=] { EXPECT_OK(Cu("cuMemFree_v2", pointer)); };
  return result;
}

CUresult Array(std::size_t bytes, Free* free) {
  CUarray array = nullptr;
  const CUDA_ARRAY_DESCRIPTOR descriptor{1024, bytes / 4096, static_cast<CUarray_format>(0x20), 1};
  const CUresult result = Cu("cuArrayCreate_v2", &array, &descriptor);
  *free = [=] { EXPECT_OK(Cu("cuArrayDestroy", array)); };
  return result;
}

CUresult Array3D(std::size_t bytes, Free* free) {
  CUarray array = nullptr;
  const CUDA_ARRAY3D_DESCRIPTOR descriptor{
      256, 256, bytes / (256 * 256 * 4), static_cast<CUarray_format>(0x20), 1, 0};
  const CUresult result = Cu("cuArray3DCreate_v2", &array, &descriptor);
  *free = [=] { EXPECT_OK(Cu("cuArrayDestroy", array)); };
  return result;
}

CUresult Mipmapped(std::size_t bytes, Free* free) {
  CUmipmappedArray array = nullptr;
  const CUDA_ARRAY3D_DESCRIPTOR descriptor{
      1024, bytes / 4096, 0, static_cast<CUarray_format>(0x20), 1, 0};
  const CUresult result = Cu("cuMipmappedArrayCreate", &array, &descriptor, 1u);
  *free = [=] { EXPECT_OK(Cu("cuMipmappedArrayDestroy", array)); };
  return result;
}

// Four levels, which take so much together.
CUresult Levels(std::size_t bytes, Free* free) {
  CUmipmappedArray array = nullptr;
  const CUDA_ARRAY3D_DESCRIPTOR descriptor{
      1024, bytes / 4096 * 64 / 85, 0, static_cast<CUarray_format>(0x20), 1, 0};
  const CUresult result = Cu("cuMipmappedArrayCreate", &array, &descriptor, 4u);
  *free = [=] { EXPECT_OK(Cu("cuMipmappedArrayDestroy", array)); };
  return result;
}

CUresult Create(CUmemGenericAllocationHandle* handle, std::size_t bytes, int location,
                CUmemAllocationHandleType shared_as = CU_MEM_HANDLE_TYPE_NONE) {
  CUmemAllocationProp properties{};
  properties.requestedHandleTypes = shared_as;
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {static_cast<CUmemLocationType>(location), 0};
  return Cu("cuMemCreate", handle, bytes, &properties, 0ull);
}

// The handle goes at once; the mapping keeps the memory.
CUresult Virtual(std::size_t bytes, Free* free) {
  CUmemGenericAllocationHandle handle = 0;
  const CUresult result = Create(&handle, bytes, CU_MEM_LOCATION_TYPE_DEVICE);
  if (result != CUDA_SUCCESS) return result;
  CUdeviceptr address = 0;
  EXPECT_OK(Cu("cuMemAddressReserve", &address, bytes, std::size_t{0}, CUdeviceptr{0}, 0ull));
  EXPECT_OK(Cu("cuMemMap", address, bytes, std::size_t{0}, handle, 0ull));
  EXPECT_OK(Cu("cuMemRelease", handle));
  *free = [=] {
    EXPECT_OK(Cu("cuMemUnmap", address, bytes));
    EXPECT_OK(Cu("cuMemAddressFree", address, bytes));
  };
  return result;
}

CUresult Pooled(std::size_t bytes, Free* free) {
  CUdeviceptr pointer = 0;
  const CUresult result = Cu("cuMemAllocAsync", &pointer, bytes, CUstream{});
  *free = [=] {
    EXPECT_OK(Cu("cuMemFreeAsync", pointer, CUstream{}));
    EXPECT_OK(Cu("cuStreamSynchronize", CUstream{}));
  };
  return result;
}

CUresult FromPool(std::size_t bytes, Free* free) {
  static CUmemoryPool pool = [] {
    CUmemPoolProps properties{};
    properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUmemoryPool made = nullptr;
    EXPECT_OK(Cu("cuMemPoolCreate", &made, static_cast<const CUmemPoolProps*>(&properties)));
    return made;
  }();
  CUdeviceptr pointer = 0;
  const CUresult result = Cu("cuMemAllocFromPoolAsync_ptsz", &pointer, bytes, pool, CUstream{});
  *free = [=] {
    EXPECT_OK(Cu("cuMemFreeAsync_ptsz", pointer, CUstream{}));
    EXPECT_OK(Cu("cuStreamSynchronize_ptsz", CUstream{}));
  };
  return result;
}

// A graph that allocates and frees: of nodes that are added to it, or by a capture.
CUgraph CapturedGraph(std::size_t bytes) {
  CUgraph graph = nullptr;
  CUstream stream = nullptr;
  CUdeviceptr pointer = 0;
  EXPECT_OK(Cu("cuStreamCreate", &stream, 1u));
  EXPECT_OK(Cu("cuStreamBeginCapture_v2", stream, 0));
  EXPECT_OK(Cu("cuMemAllocAsync", &pointer, bytes, stream));
  EXPECT_OK(Cu("cuMemFreeAsync", pointer, stream));
  EXPECT_OK(Cu("cuStreamEndCapture", stream, &graph));
  EXPECT_OK(Cu("cuStreamDestroy_v2", stream));
  return graph;
}

// By the function of this name: that for allocations, or one for any node.
CUgraph BuiltGraph(std::size_t bytes, const std::string& function) {
  constexpr CUgraphNode* kNoNodes = nullptr;
  CUgraph graph = nullptr;
  CUgraphNode node = nullptr;
  CUgraphNode last = nullptr;
  EXPECT_OK(Cu("cuGraphCreate", &graph, 0u));
  CUgraphNodeParams any{};
  any.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC;
  CUDA_MEM_ALLOC_NODE_PARAMS& parameters = any.alloc;
  parameters.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  parameters.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  parameters.bytesize = bytes;
  if (function == "cuGraphAddMemAllocNode") {
    EXPECT_OK(Cu("cuGraphAddMemAllocNode", &node, graph, kNoNodes, std::size_t{0}, &parameters));
  } else if (function == "cuGraphAddNode") {
    EXPECT_OK(Cu("cuGraphAddNode", &node, graph, kNoNodes, std::size_t{0}, &any));
  } else {
    EXPECT_OK(Cu(function.c_str(), &node, graph, kNoNodes,
                 static_cast<const CUgraphEdgeData*>(nullptr), std::size_t{0}, &any));
  }
  EXPECT_OK(Cu("cuGraphAddMemFreeNode", &last, graph, &node, std::size_t{1}, parameters.dptr));
  return graph;
}

// "graphs captured", or "graphs" and the function that adds the allocation: a graph's memory comes
// with its launch, and stays until it is trimmed. One that does not fit is refused.
CUresult LaunchGraph(CUgraph graph) {
  CUgraphExec exec = nullptr;
  EXPECT_OK(Cu("cuGraphInstantiateWithFlags", &exec, graph, 0ull));
  CUresult result = CUDA_SUCCESS;
  for (int i = 0; i < 3; ++i) result = Cu("cuGraphLaunch", exec, CUstream{});
  EXPECT_OK(Cu("cuCtxSynchronize"));
  EXPECT_OK(Cu("cuGraphExecDestroy", exec));
  EXPECT_OK(Cu("cuGraphDestroy", graph));
  return result;
}

void Graphs(const Arguments& arguments) {
  Start();
  const auto make = [&](std::size_t bytes) {
    return arguments[0] == "captured" ? CapturedGraph(bytes) : BuiltGraph(bytes, arguments[0]);
  };
  EXPECT_OK(LaunchGraph(make(1024 * kMiB)));
  Say("launched");
  Hear();
  EXPECT_IS(LaunchGraph(make(8192 * kMiB)), CUDA_ERROR_OUT_OF_MEMORY);
  // Other graphs' memory makes way.
  EXPECT_OK(LaunchGraph(make(3072 * kMiB)));
  EXPECT_OK(Cu("cuDeviceGraphMemTrim", CUdevice{0}));
  Say("trimmed");
  Hear();
}

const std::map<std::string, Allocate>& Families() {
  static const std::map<std::string, Allocate> families = {
      {"linear", Linear},      {"pitched", Pitched},     {"managed", Managed}, {"array", Array},
      {"array3d", Array3D},    {"mipmapped", Mipmapped}, {"virtual", Virtual}, {"pooled", Pooled},
      {"from-pool", FromPool}, {"levels", Levels}};
  return families;
}

// "fill FAMILY MIB": allocates pieces until refused, tells how many, frees all when told, and tells
// how many there are then.
void Fill(const Arguments& arguments) {
  Start();
  const Allocate& allocate = Families().at(arguments[0]);
  const std::size_t bytes = std::stoull(arguments[1]) * kMiB;
  for (int round = 0; round < 2; ++round) {
    std::vector<Free> frees;
    CUresult result = CUDA_SUCCESS;
    while (result == CUDA_SUCCESS && frees.size() < 10000) {
      Free free;
      result = allocate(bytes, &free);
      if (result == CUDA_SUCCESS) frees.push_back(free);
    }
    EXPECT_IS(result, CUDA_ERROR_OUT_OF_MEMORY);
    Say(std::to_string(frees.size()));
    Hear();
    for (const Free& free : frees) free();
    Say("freed");
    Hear();
  }
}

// "mix SEED": when told to, several threads allocate and free at random by all families until told
// to stop. "mix SEED alone": at once, and until it is killed.
void Mix(const Arguments& arguments) {
  const CUcontext context = Start();
  const bool alone = arguments.size() > 1;
  if (!alone) {
    Say("ready");
    Hear();
  }
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      EXPECT_OK(Cu("cuCtxSetCurrent", context));
      std::mt19937 random(static_cast<unsigned>(std::stoul(arguments[0])) * 16u +
                          static_cast<unsigned>(t));
      std::vector<Free> frees;
      while (!stop) {
        static const char* kMixed[] = {"array",  "from-pool", "linear", "managed",
                                       "pooled", "pitched",   "virtual"};
        Free free;
        const std::size_t bytes = (1 + random() % 24) * 2 * kMiB;
        const CUresult result = Families().at(kMixed[random() % 7])(bytes, &free);
        if (result == CUDA_SUCCESS) frees.push_back(free);
        while (!frees.empty() && random() % 16 < frees.size()) {
          frees.back()();
          frees.pop_back();
        }
      }
      for (const Free& free : frees) free();
    });
  }
  if (!alone) {
    Hear();
    stop = true;
  }
  for (std::thread& thread : threads) thread.join();
  Say("freed");
  Hear();
}

// "free-behind FIRST": frees memory of a pool in stream order, waits for something that does not
// make it come back ("other-stream" while the GPU has yet to come to it, or "query"), and, when
// told, for the stream.
void FreeBehind(const Arguments& arguments) {
  Start();
  CUstream stream = nullptr;
  CUstream other = nullptr;
  CUdeviceptr word = 0;
  EXPECT_OK(Cu("cuStreamCreate", &stream, 1u));
  EXPECT_OK(Cu("cuStreamCreate", &other, 1u));
  EXPECT_OK(Cu("cuMemAlloc_v2", &word, sizeof(std::uint32_t)));
  EXPECT_OK(Cu("cuMemsetD32_v2", word, 0u, std::size_t{1}));
  Say("ready");
  Hear();
  const bool behind = arguments[0] == "other-stream";
  CUdeviceptr pointer = 0;
  EXPECT_OK(Cu("cuMemAllocAsync", &pointer, std::size_t{20 * kMiB}, stream));
  if (behind) EXPECT_OK(Cu("cuStreamWaitValue32_v2", stream, word, 1u, 0u));
  EXPECT_OK(Cu("cuMemFreeAsync", pointer, stream));
  if (behind) {
    EXPECT_OK(Cu("cuStreamSynchronize", other));
  } else {
    while (Cu("cuStreamQuery", stream) != CUDA_SUCCESS) std::this_thread::yield();
  }
  Say("waited");
  Hear();
  if (behind) EXPECT_OK(Cu("cuStreamWriteValue32_v2", other, word, 1u, 0u));
  EXPECT_OK(Cu("cuStreamSynchronize", stream));
  Say("synchronised");
  Hear();
}

// What is not device memory is not charged: memory on the host, whatever it is called.
void OnHost() {
  Start();
  const std::uint64_t before = Memory().free;
  void* host = nullptr;
  EXPECT_OK(Cu("cuMemHostAlloc", &host, std::size_t{64 * kMiB}, 2u));
  EXPECT_IS(before - Memory().free, 0);
  for (const int location : {CU_MEM_LOCATION_TYPE_HOST, CU_MEM_LOCATION_TYPE_HOST_NUMA,
                             CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT}) {
    CUmemGenericAllocationHandle handle = 0;
    EXPECT_OK(Create(&handle, 64 * kMiB, location));
    EXPECT_IS(before - Memory().free, 0);
    EXPECT_OK(Cu("cuMemRelease", handle));
  }
  EXPECT_OK(Cu("cuMemFreeHost", host));
}

// Becomes another program while it holds memory.
void Exec() {
  Start();
  CUdeviceptr pointer = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &pointer, std::size_t{256 * kMiB}));
  Say("held");
  Hear();
  char program[4096] = {};
  if (::readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) Fail(__FILE__, __LINE__, "?");
  char* const again[] = {program, const_cast<char*>("query"), const_cast<char*>("128"), nullptr};
  ::execv(program, again);
}

// Says so before it needs the agent.
void Early() {
  Say("starting");
  Start();
  CUdeviceptr pointer = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &pointer, std::size_t{64 * kMiB}));
  Say("started");
}

// Tells total and free in MiB after allocating so many.
void Query(const Arguments& arguments) {
  Start();
  CUdeviceptr pointer = 0;
  if (arguments[0] != "0") {
    EXPECT_OK(Cu("cuMemAlloc_v2", &pointer, std::stoull(arguments[0]) * kMiB));
  }
  std::size_t device = 0;
  EXPECT_OK(Cu("cuDeviceTotalMem_v2", &device, CUdevice{0}));
  const MemoryInfo memory = Memory();
  Say(std::to_string(device / kMiB) + " " + std::to_string(memory.total / kMiB) + " " +
      std::to_string(memory.free / kMiB));
  Hear();
}

// "virtual-lifetime": handles and mappings in every order; free memory in MiB after each step.
void VirtualLifetime() {
  Start();
  const std::size_t bytes = 32 * kMiB;
  const std::uint64_t before = Memory().free;
  const auto taken = [&] { return (before - Memory().free) / kMiB; };
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_OK(Create(&handle, bytes, CU_MEM_LOCATION_TYPE_DEVICE));
  EXPECT_IS(taken(), 32);
  CUdeviceptr address = 0;
  EXPECT_OK(Cu("cuMemAddressReserve", &address, 2 * bytes, std::size_t{0}, CUdeviceptr{0}, 0ull));
  EXPECT_OK(Cu("cuMemMap", address, bytes, std::size_t{0}, handle, 0ull));
  EXPECT_OK(Cu("cuMemMap", address + bytes, bytes, std::size_t{0}, handle, 0ull));
  EXPECT_OK(Cu("cuMemRelease", handle));
  EXPECT_IS(taken(), 32);
  EXPECT_OK(Cu("cuMemRetainAllocationHandle", &handle, reinterpret_cast<void*>(address)));
  EXPECT_OK(Cu("cuMemUnmap", address, 2 * bytes));
  EXPECT_IS(taken(), 32);
  EXPECT_OK(Cu("cuMemRelease", handle));
  EXPECT_IS(taken(), 0);
}

// "virtual-export": memory for another process, which it is told how to open.
void VirtualExport() {
  Start();
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_OK(Create(&handle, 32 * kMiB, CU_MEM_LOCATION_TYPE_DEVICE,
                   CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
  int fd = -1;
  EXPECT_OK(Cu("cuMemExportToShareableHandle", static_cast<void*>(&fd), handle,
               CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0ull));
  Say("/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd));
  Hear();
}

// "virtual-import PATH": nothing of it is charged to who imports it.
void VirtualImport(const Arguments& arguments) {
  Start();
  const std::uint64_t before = Memory().free;
  const std::size_t bytes = 32 * kMiB;
  const int fd = ::open(arguments[0].c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_IS(fd >= 0, true);
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_OK(Cu("cuMemImportFromShareableHandle", &handle,
               reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)),
               CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
  CUdeviceptr address = 0;
  EXPECT_OK(Cu("cuMemAddressReserve", &address, bytes, std::size_t{0}, CUdeviceptr{0}, 0ull));
  EXPECT_OK(Cu("cuMemMap", address, bytes, std::size_t{0}, handle, 0ull));
  EXPECT_IS(before - Memory().free, 0);
  EXPECT_OK(Cu("cuMemRelease", handle));
  EXPECT_OK(Cu("cuMemUnmap", address, bytes));
  EXPECT_IS(before - Memory().free, 0);
}

// Everything in a context goes with it.
void Contexts() {
  EXPECT_OK(Cu("cuInit", 0u));
  for (int i = 0; i < 3; ++i) {
    CUcontext context = nullptr;
    EXPECT_OK(Cu("cuCtxCreate_v2", &context, 0u, CUdevice{0}));
    CUdeviceptr pointer = 0;
    EXPECT_OK(Cu("cuMemAlloc_v2", &pointer, std::size_t{64 * kMiB}));
    EXPECT_OK(Cu("cuCtxDestroy_v2", context));
  }
  for (int i = 0; i < 2; ++i) {
    const CUcontext context = Start();
    EXPECT_OK(Cu("cuDevicePrimaryCtxRetain", const_cast<CUcontext*>(&context), CUdevice{0}));
    CUdeviceptr pointer = 0;
    EXPECT_OK(Cu("cuMemAlloc_v2", &pointer, std::size_t{64 * kMiB}));
    EXPECT_OK(Cu("cuDevicePrimaryCtxRelease_v2", CUdevice{0}));
    EXPECT_OK(Cu("cuDevicePrimaryCtxRelease_v2", CUdevice{0}));
  }
  Say("gone");
  Hear();
}

// "alloc": on each line "MIB" allocates and says the result, "free" frees the last one.
void OnDemand() {
  EXPECT_OK(Cu("cuInit", 0u));
  CUcontext context = nullptr;
  const CUresult started = Cu("cuDevicePrimaryCtxRetain", &context, CUdevice{0});
  Say("context " + std::to_string(started));
  if (started != CUDA_SUCCESS) return;
  EXPECT_OK(Cu("cuCtxSetCurrent", context));
  std::vector<CUdeviceptr> pointers;
  for (std::string line = Hear(); !line.empty() && line != "end"; line = Hear()) {
    CUdeviceptr pointer = 0;
    if (line == "free") {
      Say(std::to_string(Cu("cuMemFree_v2", pointers.back())));
      pointers.pop_back();
      continue;
    }
    const CUresult result = Cu("cuMemAlloc_v2", &pointer, std::size_t{std::stoull(line) * kMiB});
    if (result == CUDA_SUCCESS) pointers.push_back(pointer);
    Say(std::to_string(result));
  }
}

}  // namespace

bool PlayCharged(const std::string& name, const Arguments& arguments) {
  if (name == "fill") return Fill(arguments), true;
  if (name == "mix") return Mix(arguments), true;
  if (name == "free-behind") return FreeBehind(arguments), true;
  if (name == "on-host") return OnHost(), true;
  if (name == "query") return Query(arguments), true;
  if (name == "virtual-lifetime") return VirtualLifetime(), true;
  if (name == "virtual-export") return VirtualExport(), true;
  if (name == "virtual-import") return VirtualImport(arguments), true;
  if (name == "contexts") return Contexts(), true;
  if (name == "graphs") return Graphs(arguments), true;
  if (name == "exec") return Exec(), true;
  if (name == "early") return Early(), true;
  if (name == "on-demand") return OnDemand(), true;
  return false;
}

}  // namespace aliquot::sim::cuda::testing
