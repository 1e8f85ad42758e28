// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
//
// probe: what the arbiter's constants rest on, asked of a real GPU (tier 4, by hand; built by
// tests/gpu/probe.sh). Reads and times only; changes no setting. Driver API and NVML by dlopen.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

void* g_cuda = nullptr;
void* g_nvml = nullptr;

template <typename R = int, typename... A>
R Cu(const char* name, A... args) {
  auto* f = reinterpret_cast<R (*)(A...)>(::dlsym(g_cuda, name));
  if (f == nullptr) {
    std::printf("no %s\n", name);
    std::exit(1);
  }
  return f(args...);
}
template <typename... A>
int Nv(const char* name, A... args) {
  auto* f = reinterpret_cast<int (*)(A...)>(::dlsym(g_nvml, name));
  return f == nullptr ? -1 : f(args...);
}
#define MUST(call)                        \
  do {                                    \
    if (int r_ = (call); r_ != 0) {       \
      std::printf("%s: %d\n", #call, r_); \
      std::exit(1);                       \
    }                                     \
  } while (0)

std::uint64_t Ns() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1000000000u + static_cast<std::uint64_t>(t.tv_nsec);
}

// spin: all threads run until the global timer passed `ns`. gaps: one thread notes jumps of the
// global timer above `threshold` ns: the times at which the context was switched out.
constexpr char kPtx[] = R"(
.version 7.0
.target sm_70
.address_size 64
.visible .entry empty() { ret; }
.visible .entry spin(.param .u64 ns) {
  .reg .u64 %a, %b, %n; .reg .pred %p;
  ld.param.u64 %n, [ns];
  mov.u64 %a, %globaltimer;
L: mov.u64 %b, %globaltimer;
  sub.u64 %b, %b, %a;
  setp.lt.u64 %p, %b, %n;
  @%p bra L;
  ret;
}
.visible .entry gaps(.param .u64 out, .param .u64 ns, .param .u64 threshold, .param .u32 max) {
  .reg .u64 %o, %n, %t, %s, %a, %b, %d; .reg .u32 %m, %i; .reg .pred %p, %q;
  ld.param.u64 %o, [out]; ld.param.u64 %n, [ns]; ld.param.u64 %t, [threshold];
  ld.param.u32 %m, [max];
  mov.u32 %i, 0;
  mov.u64 %s, %globaltimer; mov.u64 %a, %s;
L: mov.u64 %b, %globaltimer;
  sub.u64 %d, %b, %a;
  setp.lt.u64 %p, %d, %t;
  @%p bra N;
  setp.ge.u32 %q, %i, %m;
  @%q bra N;
  st.global.u64 [%o], %a; st.global.u64 [%o+8], %b;
  add.u64 %o, %o, 16; add.u32 %i, %i, 1;
N: mov.u64 %a, %b;
  sub.u64 %d, %b, %s;
  setp.lt.u64 %p, %d, %n;
  @%p bra L;
  ret;
}
)";

struct Gpu {
  int device = 0;
  void* context = nullptr;
  void* empty = nullptr;
  void* spin = nullptr;
  void* gaps = nullptr;
  int sms = 0;
  void* stream = nullptr;

  void Open() {
    MUST(Cu("cuInit", 0u));
    MUST(Cu("cuDeviceGet", &device, 0));
    MUST(Cu("cuDevicePrimaryCtxRetain", &context, device));
    MUST(Cu("cuCtxSetCurrent", context));
    void* module = nullptr;
    MUST(Cu("cuModuleLoadData", &module, static_cast<const void*>(kPtx)));
    MUST(Cu("cuModuleGetFunction", &empty, module, "empty"));
    MUST(Cu("cuModuleGetFunction", &spin, module, "spin"));
    MUST(Cu("cuModuleGetFunction", &gaps, module, "gaps"));
    MUST(Cu("cuDeviceGetAttribute", &sms, 16, device));
    MUST(Cu("cuStreamCreate", &stream, 1u));
  }
  void Launch(void* f, void** args, unsigned blocks) {
    MUST(Cu("cuLaunchKernel", f, blocks, 1u, 1u, 256u, 1u, 1u, 0u, stream, args,
            static_cast<void**>(nullptr)));
  }
  void Spin(std::uint64_t ns, unsigned blocks) {
    void* args[] = {&ns};
    Launch(spin, args, blocks);
  }
  void Sync() { MUST(Cu("cuStreamSynchronize", stream)); }
};

double Median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[v.size() / 2];
}
void Row(const char* what, const std::vector<double>& ns) {
  std::vector<double> v = ns;
  std::sort(v.begin(), v.end());
  std::printf("%-56s p50 %9.0f ns  p99 %9.0f ns\n", what, v[v.size() / 2], v[v.size() * 99 / 100]);
}

template <typename F>
std::vector<double> Time(int n, F f) {
  std::vector<double> out;
  for (int i = 0; i < n; ++i) {
    const std::uint64_t a = Ns();
    f();
    out.push_back(static_cast<double>(Ns() - a));
  }
  return out;
}

void Costs() {
  Gpu g;
  g.Open();
  void* stream = g.stream;
  for (int i = 0; i < 1000; ++i) g.Launch(g.empty, nullptr, 1);
  g.Sync();
  std::vector<double> batch;
  for (int r = 0; r < 50; ++r) {
    const std::uint64_t a = Ns();
    for (int i = 0; i < 500; ++i) g.Launch(g.empty, nullptr, 1);
    batch.push_back(static_cast<double>(Ns() - a) / 500);
    g.Sync();
  }
  Row("empty launch, 500 in a row", batch);
  Row("empty launch + synchronize", Time(2000, [&] {
        g.Launch(g.empty, nullptr, 1);
        g.Sync();
      }));
  void* event = nullptr;
  void* timing = nullptr;
  MUST(Cu("cuEventCreate", &event, 2u));  // no timing
  MUST(Cu("cuEventCreate", &timing, 0u));
  Row("event record, no timing", Time(2000, [&] { MUST(Cu("cuEventRecord", event, stream)); }));
  g.Sync();
  Row("event record, timing", Time(2000, [&] { MUST(Cu("cuEventRecord", timing, stream)); }));
  g.Sync();
  Row("event query, done", Time(2000, [&] { MUST(Cu("cuEventQuery", event)); }));
  Row("stream query, idle", Time(2000, [&] { MUST(Cu("cuStreamQuery", stream)); }));
  g.Spin(100000000, 1);
  MUST(Cu("cuEventRecord", event, stream));
  Row("event query, not done", Time(2000, [&] { Cu("cuEventQuery", event); }));
  Row("stream query, busy", Time(2000, [&] { Cu("cuStreamQuery", stream); }));
  g.Sync();

  // A page shared with another process, written by the GPU.
  const int fd = ::memfd_create("probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  MUST(::ftruncate(fd, 4096));
  auto* mine = static_cast<volatile std::uint64_t*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  auto* other =
      static_cast<volatile std::uint64_t*>(::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0));
  void* registering = const_cast<std::uint64_t*>(mine);
  const int registered = Cu("cuMemHostRegister_v2", registering, std::size_t{4096}, 2u);
  std::printf("host-register a shared memfd page: %d\n", registered);
  if (registered == 0) {
    unsigned long long at = 0;
    MUST(Cu("cuMemHostGetDevicePointer_v2", &at, registering, 0u));
    unsigned long long value = 0;
    const int can = Cu("cuStreamWriteValue64_v2", stream, at, 1ull, 0u);
    std::printf("cuStreamWriteValue64 to it: %d\n", can);
    if (can == 0) {
      g.Sync();
      Row("cuStreamWriteValue64 call",
          Time(2000, [&] { MUST(Cu("cuStreamWriteValue64_v2", stream, at, ++value, 0u)); }));
      g.Sync();
      value = 1000000;
      Row("cuStreamWriteValue64 until seen through the other mapping", Time(2000, [&] {
            MUST(Cu("cuStreamWriteValue64_v2", stream, at, ++value, 0u));
            while (other[0] != value) {
            }
          }));
      std::vector<double> plain, marked;
      for (int r = 0; r < 40; ++r) {
        g.Sync();
        std::uint64_t a = Ns();
        for (int i = 0; i < 400; ++i) g.Spin(2000, 1);
        g.Sync();
        plain.push_back(static_cast<double>(Ns() - a) / 400);
        a = Ns();
        for (int i = 0; i < 400; ++i) {
          g.Spin(2000, 1);
          MUST(Cu("cuStreamWriteValue64_v2", stream, at, ++value, 0u));
        }
        g.Sync();
        marked.push_back(static_cast<double>(Ns() - a) / 400);
      }
      std::printf("2 us kernels in a row: %.0f ns each; with a marker after each: %.0f ns\n",
                  Median(plain), Median(marked));
    }
  }
  // Marker by event and host function.
  std::vector<double> with_event;
  for (int r = 0; r < 40; ++r) {
    g.Sync();
    const std::uint64_t a = Ns();
    for (int i = 0; i < 400; ++i) {
      g.Spin(2000, 1);
      MUST(Cu("cuEventRecord", event, stream));
    }
    g.Sync();
    with_event.push_back(static_cast<double>(Ns() - a) / 400);
  }
  std::printf("2 us kernels with an event record after each: %.0f ns each\n", Median(with_event));
}

// One context's view of being switched out while `others` processes keep the GPU busy.
void Slices(int others) {
  std::vector<pid_t> children;
  for (int i = 0; i < others; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      Gpu g;
      g.Open();
      const std::uint64_t end = Ns() + 6000000000u;
      while (Ns() < end) {
        for (int k = 0; k < 8; ++k) g.Spin(2000000, static_cast<unsigned>(g.sms));
        g.Sync();
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  const pid_t watcher = ::fork();
  if (watcher == 0) {
    Gpu g;
    g.Open();
    ::usleep(2500000);
    constexpr unsigned kMax = 4096;
    unsigned long long out = 0;
    MUST(Cu("cuMemAlloc_v2", &out, std::size_t{kMax * 16}));
    MUST(Cu("cuMemsetD8_v2", out, static_cast<unsigned char>(0), std::size_t{kMax * 16}));
    std::uint64_t ns = 1500000000u, threshold = 15000;
    unsigned max = kMax;
    void* args[] = {&out, &ns, &threshold, &max};
    MUST(Cu("cuLaunchKernel", g.gaps, 1u, 1u, 1u, 1u, 1u, 1u, 0u, g.stream, args,
            static_cast<void**>(nullptr)));
    g.Sync();
    std::vector<std::uint64_t> seen(kMax * 2);
    MUST(Cu("cuMemcpyDtoH_v2", static_cast<void*>(seen.data()), out, std::size_t{kMax * 16}));
    std::vector<double> in, away;
    std::uint64_t last = 0;
    for (unsigned i = 0; i < kMax && seen[2 * i] != 0; ++i) {
      if (last != 0) in.push_back(static_cast<double>(seen[2 * i] - last));
      away.push_back(static_cast<double>(seen[2 * i + 1] - seen[2 * i]));
      last = seen[2 * i + 1];
    }
    std::printf(
        "beside %d busy process(es): %zu switches; in for p50 %.0f us, out for p50 %.0f us\n",
        others, away.size(), Median(in) / 1000, Median(away) / 1000);
    ::fflush(stdout);
    ::_exit(0);
  }
  ::waitpid(watcher, nullptr, 0);
  for (pid_t child : children) ::waitpid(child, nullptr, 0);
}

struct NvmlProcess {
  unsigned pid;
  unsigned long long used;
  unsigned gi, ci;
};

std::uint64_t UsedBy(void* device, pid_t pid, bool& listed) {
  NvmlProcess list[64];
  unsigned n = 64;
  listed = false;
  if (Nv("nvmlDeviceGetComputeRunningProcesses_v3", device, &n, list) != 0) return 0;
  for (unsigned i = 0; i < n; ++i) {
    if (list[i].pid == static_cast<unsigned>(pid)) {
      listed = true;
      return list[i].used;
    }
  }
  return 0;
}

void Memory() {
  MUST(Nv("nvmlInit_v2"));
  void* device = nullptr;
  MUST(Nv("nvmlDeviceGetHandleByIndex_v2", 0u, &device));
  int to_child[2], to_parent[2];
  MUST(::pipe(to_child));
  MUST(::pipe(to_parent));
  const pid_t child = ::fork();
  char c = 0;
  if (child == 0) {
    Gpu g;
    g.Open();
    MUST(::write(to_parent[1], "o", 1) != 1);
    MUST(::read(to_child[0], &c, 1) != 1);
    unsigned long long p = 0;
    MUST(Cu("cuMemAlloc_v2", &p, std::size_t{8ull << 30}));
    MUST(::write(to_parent[1], "a", 1) != 1);
    MUST(::read(to_child[0], &c, 1) != 1);
    g.Spin(20000000000ull, static_cast<unsigned>(g.sms));
    MUST(::write(to_parent[1], "k", 1) != 1);
    ::pause();
  }
  bool listed = false;
  MUST(::read(to_parent[0], &c, 1) != 1);
  ::usleep(200000);
  const std::uint64_t context = UsedBy(device, child, listed);
  std::printf("context and one module by NVML: %.1f MiB\n",
              static_cast<double>(context) / (1 << 20));
  Row("nvmlDeviceGetComputeRunningProcesses_v3", Time(300, [&] { UsedBy(device, child, listed); }));
  MUST(::write(to_child[1], "g", 1) != 1);
  MUST(::read(to_parent[0], &c, 1) != 1);
  std::uint64_t a = Ns();
  while (UsedBy(device, child, listed) < context + (8ull << 30)) {
  }
  std::printf("8 GiB allocated: seen by NVML %.2f ms after the call returned\n",
              static_cast<double>(Ns() - a) / 1e6);
  MUST(::write(to_child[1], "g", 1) != 1);
  MUST(::read(to_parent[0], &c, 1) != 1);
  ::usleep(300000);
  a = Ns();
  ::kill(child, SIGKILL);
  do UsedBy(device, child, listed);
  while (listed);
  const double gone = static_cast<double>(Ns() - a) / 1e6;
  ::waitpid(child, nullptr, 0);
  std::printf(
      "kill -9 with a kernel running: NVML forgets it after %.1f ms; waitpid after %.1f ms\n", gone,
      static_cast<double>(Ns() - a) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  ::setvbuf(stdout, nullptr, _IOLBF, 0);
  g_cuda = ::dlopen("libcuda.so.1", RTLD_NOW);
  g_nvml = ::dlopen("libnvidia-ml.so.1", RTLD_NOW);
  if (g_cuda == nullptr || g_nvml == nullptr) {
    std::printf("no driver: %s\n", ::dlerror());
    return 1;
  }
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "costs") {
    Costs();
  } else if (what == "slices") {
    Slices(argc > 2 ? std::atoi(argv[2]) : 1);
  } else if (what == "memory") {
    Memory();
  } else {
    std::printf("usage: probe costs | slices [PROCESSES] | memory\n");
    return 2;
  }
  return 0;
}
