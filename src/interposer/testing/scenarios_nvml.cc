// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "interposer/testing/scenarios.h"

namespace aliquot::sim::cuda::testing {
namespace {

constexpr unsigned long long kMiB = 1u << 20;

struct Memory1 {
  unsigned long long total, free, used;
};
struct Memory2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};
struct Process {
  unsigned pid;
  unsigned long long used;
  unsigned gi, ci;
};

void* Nvml(const std::string& path, const char* name) {
  static void* library = ::dlopen(path.c_str(), RTLD_NOW);
  void* symbol = library == nullptr ? nullptr : ::dlsym(library, name);
  if (symbol == nullptr) Fail(__FILE__, __LINE__, std::string("no symbol ") + name);
  return symbol;
}

template <typename... Arguments>
int Call(const std::string& path, const char* name, Arguments... arguments) {
  return reinterpret_cast<int (*)(Arguments...)>(Nvml(path, name))(arguments...);
}

struct OldProcess {
  unsigned pid;
  unsigned long long used;
};
struct Detail {
  Process process;
  unsigned long long protected_bytes;
};
struct Details {
  unsigned version, mode, count;
  Detail* entries;
};

// The other lists say the same of processes that compute; and there are no others.
void LookAgain(const std::string& path, void* device, const std::vector<Process>& processes) {
  for (const std::string kind : {"Compute", "Graphics", "MPSCompute"}) {
    const bool all = kind == "Compute";
    for (const std::string version : {"", "_v2", "_v3"}) {
      const std::string name = "nvmlDeviceGet" + kind + "RunningProcesses" + version;
      Process found[8] = {};
      unsigned count = 8;
      EXPECT_OK(Call(path, name.c_str(), device, &count, static_cast<void*>(found)));
      EXPECT_IS(count, all ? processes.size() : 0);
      if (all && count != 0) {
        OldProcess first;  // what all versions begin with
        std::memcpy(&first, found, sizeof first);
        EXPECT_IS(first.pid, processes[0].pid);
        EXPECT_IS(first.used, processes[0].used);
      }
    }
  }
  for (const unsigned mode : {0u, 1u, 2u}) {
    Detail found[8] = {};
    Details details{sizeof(Details) | 1u << 24, mode, 8, found};
    EXPECT_OK(Call(path, "nvmlDeviceGetRunningProcessDetailList", device, &details));
    EXPECT_IS(details.count, mode == 0 ? processes.size() : 0);
    if (details.count != 0) EXPECT_IS(found[0].process.used, processes[0].used);
  }
}

std::string Look(const std::string& path, void* device) {
  Memory1 one{};
  EXPECT_OK(Call(path, "nvmlDeviceGetMemoryInfo", device, &one));
  Memory2 two{};
  two.version = sizeof(two) | (2u << 24);
  EXPECT_OK(Call(path, "nvmlDeviceGetMemoryInfo_v2", device, &two));
  EXPECT_IS(one.total == two.total && one.free == two.free, true);
  EXPECT_IS(one.used, two.used + two.reserved);
  EXPECT_IS(one.total, one.free + one.used);
  unsigned count = 0;
  const int sized = Call(path, "nvmlDeviceGetComputeRunningProcesses_v3", device, &count,
                         static_cast<Process*>(nullptr));
  EXPECT_IS(sized, count == 0 ? 0 : 7);
  std::vector<Process> processes(count);
  EXPECT_OK(
      Call(path, "nvmlDeviceGetComputeRunningProcesses_v3", device, &count, processes.data()));
  LookAgain(path, device, processes);
  std::string text = std::to_string(one.total / kMiB) + " " + std::to_string(one.free / kMiB);
  for (const Process& process : processes) {
    text += " " + std::to_string(process.pid) + ":" + std::to_string(process.used / kMiB);
  }
  return text;
}

struct Sample {
  unsigned pid;
  unsigned long long time;
  unsigned busy[4];
};
struct Info {
  unsigned long long time;
  unsigned pid;
  unsigned busy[6];
};
struct Infos {
  unsigned version, count;
  unsigned long long since;
  Info* infos;
};

// "nvml-busy LIBRARY PID": waits until both calls say that the process is busy. Others are not
// shown.
void AwaitBusy(const std::string& path, void* device, unsigned pid) {
  bool seen[2] = {};
  for (int look = 0; look < 6000 && !(seen[0] && seen[1]); ++look) {
    Sample samples[8];
    unsigned count = 8;
    const int first =
        Call(path, "nvmlDeviceGetProcessUtilization", device, &samples[0], &count, 0ull);
    for (unsigned i = 0; first == 0 && i < count; ++i) EXPECT_IS(samples[i].pid, pid);
    seen[0] |= first == 0 && count == 1;
    Info infos[8];
    Infos list{sizeof(Infos) | 1u << 24, 8, 0, infos};
    const int second = Call(path, "nvmlDeviceGetProcessesUtilizationInfo", device, &list);
    for (unsigned i = 0; second == 0 && i < list.count; ++i) EXPECT_IS(infos[i].pid, pid);
    seen[1] |= second == 0 && list.count == 1;
    ::usleep(5'000);
  }
  EXPECT_IS(seen[0] && seen[1], true);
}

}  // namespace

// "nvml LIBRARY [MIB]": total and free memory and the processes, as NVML tells them. With a number,
// allocated with CUDA before, both are asked and must agree.
bool PlayNvml(const std::string& name, const Arguments& arguments) {
  if (name != "nvml" && name != "nvml-busy") return false;
  const std::string& path = arguments[0];
  EXPECT_OK(Call(path, "nvmlInit_v2"));
  void* device = nullptr;
  EXPECT_OK(Call(path, "nvmlDeviceGetHandleByIndex_v2", 0u, &device));
  if (name == "nvml-busy") {
    AwaitBusy(path, device, static_cast<unsigned>(std::stoul(arguments[1])));
    return true;
  }
  if (arguments.size() > 1) {
    Start();
    CUdeviceptr pointer = 0;
    EXPECT_OK(Cu("cuMemAlloc_v2", &pointer, std::size_t{std::stoull(arguments[1]) * kMiB}));
    Memory1 memory{};
    EXPECT_OK(Call(path, "nvmlDeviceGetMemoryInfo", device, &memory));
    EXPECT_IS(memory.free, Memory().free);
    EXPECT_IS(memory.total, Memory().total);
  }
  Say(Look(path, device));
  Hear();
  return true;
}

}  // namespace aliquot::sim::cuda::testing
