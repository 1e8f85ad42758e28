// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// A CUDA program that the tests run with the interposer in front of the simulated driver. It plays
// one scenario and ends with a message if something is not as expected.

#include "sim/cuda/testing/program.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "interposer/testing/scenarios.h"

namespace aliquot::sim::cuda::testing {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr int kDeepBind = 0;  // the sanitizer ends programs that use it
#else
constexpr int kDeepBind = RTLD_DEEPBIND;
#endif

// "caught PATH...": whatever way leads to the driver leads to the interposer.
void Caught(const Arguments& paths) {
  for (const std::string& path : paths) {
    for (const int flags : {RTLD_NOW, RTLD_LAZY | kDeepBind, RTLD_NOW | RTLD_NOLOAD}) {
      void* library = ::dlopen(path.c_str(), flags);
      if (library == nullptr || ::dlsym(library, "aliquotInterposerVersion") == nullptr) {
        Fail(__FILE__, __LINE__, path + " with flags " + std::to_string(flags));
      }
    }
  }
}

void* Look(const char* name, int version, cuuint64_t flags, int* status) {
  void* function = nullptr;
  Cu("cuGetProcAddress_v2", name, &function, version, flags, status);
  return function;
}

void ProcAddress() {
  EXPECT_OK(Cu("cuInit", 0u));
  const auto look = Look;
  int status = -1;
  // Version and default stream decide, and what they decide for is our function.
  EXPECT_IS(look("cuMemAlloc", 3020, 0, &status) == Symbol("cuMemAlloc_v2"), true);
  EXPECT_IS(status, 0);
  EXPECT_IS(look("cuMemAlloc", 2000, 0, &status) == Symbol("cuMemAlloc"), true);
  EXPECT_IS(look("cuMemAllocAsync", 12000, 0, &status) == Symbol("cuMemAllocAsync"), true);
  EXPECT_IS(look("cuMemAllocAsync", 12000, 2, &status) == Symbol("cuMemAllocAsync_ptsz"), true);
  EXPECT_IS(look("cuLaunchKernel", 12000, 2, &status) == Symbol("cuLaunchKernel_ptsz"), true);
  EXPECT_IS(look("cuGetProcAddress", 12000, 0, &status) == Symbol("cuGetProcAddress_v2"), true);
  EXPECT_IS(look("cuGetProcAddress", 11030, 0, &status) == Symbol("cuGetProcAddress"), true);
  // Not hooked: the driver's own, private tables and what no list of ours could know among it.
  for (const char* name : {"cuDeviceGetCount", "cuGetExportTable"}) {
    Dl_info ours, theirs;
    EXPECT_IS(::dladdr(Symbol(name), &ours) != 0, true);
    EXPECT_IS(::dladdr(look(name, 12000, 0, &status), &theirs) != 0, true);
    EXPECT_IS(ours.dli_fbase != theirs.dli_fbase, true);
  }
  // What the driver says of others is handed on.
  EXPECT_IS(look("cuNoSuchFunction", 12000, 0, &status) == nullptr, true);
  EXPECT_IS(status, 1);
  EXPECT_IS(look("cuMemAllocAsync", 10000, 0, &status) == nullptr, true);
  EXPECT_IS(status, 2);
  EXPECT_IS(look("cuMemAlloc_v2", 12000, 0, &status) == nullptr, true);
  // What we export and this driver is too old for is not there by its name.
  EXPECT_IS(look("cuMemcpyWithAttributesAsync", 13000, 0, &status) == nullptr, true);
  EXPECT_IS(status, 1);
  EXPECT_IS(look("cuGraphAddNode", 13000, 0, &status) == Symbol("cuGraphAddNode_v2"), true);
  void* function = nullptr;
  EXPECT_OK(Cu("cuGetProcAddress", "cuMemFree", &function, 12000, cuuint64_t{0}));
  EXPECT_IS(function == Symbol("cuMemFree_v2"), true);
  EXPECT_IS(
      Cu("cuGetProcAddress", static_cast<const char*>(nullptr), &function, 12000, cuuint64_t{0}),
      1);
}

// A driver for CUDA 13.5: what it has beyond 580 and gives the GPU work, memory or captures is our
// function, by name, version and default stream. cuGraphGetId stands for what it lacks all the
// same.
void ProcAddressYoung() {
  EXPECT_OK(Cu("cuInit", 0u));
  int status = -1;
  EXPECT_IS(Look("cuGraphAddNode", 13040, 0, &status) == Symbol("cuGraphAddNode_v3"), true);
  EXPECT_IS(Look("cuGraphAddNode", 13030, 0, &status) == Symbol("cuGraphAddNode_v2"), true);
  EXPECT_IS(Look("cuLaunchHostFunc", 13050, 0, &status) == Symbol("cuLaunchHostFunc_v2"), true);
  EXPECT_IS(Look("cuLaunchHostFunc", 13050, 2, &status) == Symbol("cuLaunchHostFunc_v2_ptsz"),
            true);
  EXPECT_IS(Look("cuLaunchHostFunc", 13000, 0, &status) == Symbol("cuLaunchHostFunc"), true);
  for (const std::string name :
       {"cuFabricCpyBatchAsync", "cuMemcpyWithAttributesAsync", "cuMemcpy3DWithAttributesAsync",
        "cuStreamBeginRecaptureToGraph", "cuStreamBeginCaptureToCig", "cuStreamEndCaptureToCig"}) {
    const std::string per_thread = name + "_ptsz";
    EXPECT_IS(Look(name.c_str(), 13050, 0, &status) == Symbol(name.c_str()), true);
    EXPECT_IS(Look(name.c_str(), 13050, 2, &status) == Symbol(per_thread.c_str()), true);
    EXPECT_IS(status, 0);
  }
  EXPECT_IS(Look("cuGraphGetId", 13050, 0, &status) == nullptr, true);
  EXPECT_IS(status, 1);
  unsigned id = 0;
  EXPECT_IS(Cu("cuGraphGetId", CUgraph{}, &id), CUDA_ERROR_NOT_SUPPORTED);
}

// Opened, used and closed again and again; what it left behind still works.
void Reload(const Arguments& arguments) {
  for (int i = 0; i < 3; ++i) {
    void* library = ::dlopen(arguments[0].c_str(), RTLD_NOW);
    const auto init = reinterpret_cast<int (*)(unsigned)>(::dlsym(library, "cuInit"));
    EXPECT_OK(init(0));
    ::dlclose(library);
    EXPECT_OK(init(0));
  }
}

// A parent with a context forks. The child is told by the driver that it can't, and harms nobody.
void Fork() {
  Start();
  CUdeviceptr before = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &before, size_t{8 << 20}));
  const pid_t child = ::fork();
  if (child == 0) {
    CUdeviceptr pointer = 0;
    ::_exit(Cu("cuMemAlloc_v2", &pointer, size_t{1 << 20}) == CUDA_SUCCESS ? 1 : 0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_IS(status, 0);
  Say("forked");
  Hear();
  CUdeviceptr after = 0;
  EXPECT_OK(Cu("cuMemAlloc_v2", &after, size_t{8 << 20}));
  EXPECT_OK(Cu("cuMemFree_v2", after));
  EXPECT_OK(Cu("cuMemFree_v2", before));
}

// Tries to write what only the agent may write. The page is the read-only shared mapping of a
// memory file called "control".
void Tamper() {
  Start();
  std::FILE* maps = std::fopen("/proc/self/maps", "r");
  char line[512];
  unsigned long from = 0;
  unsigned long to = 0;
  while (std::fgets(line, sizeof(line), maps) != nullptr) {
    if (std::strstr(line, "memfd:control") != nullptr) std::sscanf(line, "%lx-%lx", &from, &to);
  }
  std::fclose(maps);
  EXPECT_IS(from != 0, true);
  EXPECT_IS(::mprotect(reinterpret_cast<void*>(from), to - from, PROT_READ | PROT_WRITE), -1);
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", from, to);
  const int fd = ::open(path, O_RDWR);
  if (fd >= 0) {
    EXPECT_IS(::mmap(nullptr, to - from, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED,
              true);
    EXPECT_IS(::write(fd, "x", 1), -1);
    EXPECT_IS(::ftruncate(fd, 0), -1);
  }
}

bool PlayLoading(const std::string& name, const Arguments& arguments) {
  if (name == "caught") return Caught(arguments), true;
  if (name == "proc-address") return ProcAddress(), true;
  if (name == "proc-address-young") return ProcAddressYoung(), true;
  if (name == "reload") return Reload(arguments), true;
  if (name == "fork") return Fork(), true;
  if (name == "tamper") return Tamper(), true;
  return false;
}

}  // namespace
}  // namespace aliquot::sim::cuda::testing

int main(int argc, char** argv) {
  using namespace aliquot::sim::cuda::testing;
  if (argc < 2) return 2;
  const std::string name = argv[1];
  const Arguments arguments(argv + 2, argv + argc);
  if (!PlayLoading(name, arguments) && !PlayCharged(name, arguments) &&
      !PlayWorking(name, arguments) && !PlayNvml(name, arguments)) {
    Fail(__FILE__, __LINE__, "no scenario " + name);
  }
  return 0;
}
