// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// A load for measuring shares of a GPU: kernels that fill it for a chosen time, launched in a
// chosen rhythm by one or more processes. Speaks the CUDA driver API through libcuda.so.1 opened
// at run time, so it needs no toolkit and runs under interposers and on the simulated driver.
// Prints one line of JSON per process.
//
//   g++ -O2 -std=c++20 -o spin spin.cc -ldl
#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

using Handle = void*;
using Pointer = unsigned long long;

// A loop of dependent integer work, as long as its first parameter says: work, not time, so that a
// kernel that is switched out takes longer instead of doing less. The comment is for the simulated
// driver, where a kernel takes as many nanoseconds instead.
const char kPtx[] = R"(.version 7.0
.target sm_52
.address_size 64
// aliquot: time=param:0 params=8,8
.visible .entry spin(.param .u64 count, .param .u64 sink)
{
  .reg .pred %p<3>;
  .reg .u32 %r<3>;
  .reg .u64 %rd<5>;
  ld.param.u64 %rd1, [count];
  ld.param.u64 %rd2, [sink];
  mov.u64 %rd3, 0;
  mov.u32 %r1, %tid.x;
LOOP:
  setp.ge.u64 %p1, %rd3, %rd1;
  @%p1 bra DONE;
  mad.lo.u32 %r1, %r1, 1664525, 1013904223;
  add.u64 %rd3, %rd3, 1;
  bra LOOP;
DONE:
  setp.ne.u32 %p2, %r1, 123456789;
  @%p2 bra END;
  cvta.to.global.u64 %rd4, %rd2;
  st.global.u32 [%rd4], %r1;
END:
  ret;
}
)";

[[noreturn]] void Fail(const std::string& what, int code = 0) {
  std::fprintf(stderr, "spin: %s failed with %d\n", what.c_str(), code);
  std::exit(1);
}

// The functions used, by their current names.
struct Driver {
  int (*init)(unsigned);
  int (*device)(int*, int);
  int (*attribute)(int*, int, int);
  int (*retain)(Handle*, int);
  int (*make_current)(Handle);
  int (*load)(Handle*, const void*);
  int (*function)(Handle*, Handle, const char*);
  int (*allocate)(Pointer*, std::size_t);
  int (*free)(Pointer);
  int (*allocate_async)(Pointer*, std::size_t, Handle);
  int (*launch)(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                Handle, void**, void**);
  int (*stream_create)(Handle*, unsigned);
  int (*stream_synchronize)(Handle);
  int (*event_create)(Handle*, unsigned);
  int (*event_record)(Handle, Handle);
  int (*event_synchronize)(Handle);
  int (*event_elapsed)(float*, Handle, Handle);
  int (*capture_begin)(Handle, int);
  int (*capture_end)(Handle, Handle*);
  int (*instantiate)(Handle*, Handle, unsigned long long);
  int (*graph_launch)(Handle, Handle);

  Driver() {
    void* library = ::dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr) Fail(std::string("opening libcuda.so.1: ") + ::dlerror());
    const auto find = [&](auto& member, const char* name) {
      void* symbol = ::dlsym(library, name);
      if (symbol == nullptr) Fail(std::string("finding ") + name);
      std::memcpy(&member, &symbol, sizeof symbol);
    };
    find(init, "cuInit");
    find(device, "cuDeviceGet");
    find(attribute, "cuDeviceGetAttribute");
    find(retain, "cuDevicePrimaryCtxRetain");
    find(make_current, "cuCtxSetCurrent");
    find(load, "cuModuleLoadData");
    find(function, "cuModuleGetFunction");
    find(allocate, "cuMemAlloc_v2");
    find(free, "cuMemFree_v2");
    find(allocate_async, "cuMemAllocAsync");
    find(launch, "cuLaunchKernel");
    find(stream_create, "cuStreamCreate");
    find(stream_synchronize, "cuStreamSynchronize");
    find(event_create, "cuEventCreate");
    find(event_record, "cuEventRecord");
    find(event_synchronize, "cuEventSynchronize");
    find(event_elapsed, "cuEventElapsedTime");
    find(capture_begin, "cuStreamBeginCapture_v2");
    find(capture_end, "cuStreamEndCapture");
    find(instantiate, "cuGraphInstantiateWithFlags");
    find(graph_launch, "cuGraphLaunch");
  }
};

struct Options {
  double kernel_us = 200;
  int batch = 8;         // kernels between two waits
  bool async = false;    // wait for the batch before the last `depth` ones instead
  int depth = 8;         // async: batches under way
  double gap_us = 0;     // host time after a wait
  double launch_us = 0;  // host time before each launch
  int kinds = 1;         // of kernels, as far as an observer can tell
  bool graph = false;    // launch a batch as one CUDA graph
  double on_ms = 0;      // works for so long, then rests for off_ms, from --start on; 0: always
  double off_ms = 0;
  double phase_ms = 0;  // begins so far into that
  int hold_mib = 0;     // memory taken before anything else
  int churn_mib = 0;    // taken, in pieces of 64 MiB, and given back again and again meanwhile
  double rate = 0;      // requests per second, arriving at random; 0: one after the other
  int processes = 1;
  double seconds = 5;
  double warm_seconds = 0;
  std::string go;       // file: readiness is told beside it, the start is read from it
  double start_at = 0;  // CLOCK_MONOTONIC, s, when the measured time begins; 0: after warming up
  double iterations_per_us = 0;
  bool calibrate = false;
  bool empty_launches = false;
  bool pool_waits = false;
  bool bins = false;
  std::string name = "spin";
  std::uint64_t seed = 1;
};

volatile sig_atomic_t g_terminated = 0;

double Now() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void SleepUntil(double when) {
  timespec at;
  at.tv_sec = static_cast<time_t>(when);
  at.tv_nsec = static_cast<long>((when - static_cast<double>(at.tv_sec)) * 1e9);
  ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
}

// Short gaps are the host's own work, which does not give the processor away.
void Gap(double us) {
  const double until = Now() + us / 1e6;
  if (us > 2000) SleepUntil(until);
  while (Now() < until) {
  }
}

// Says "ready" with a file "<go>.<pid>" and waits until `go` tells when the measured time begins.
double AwaitStart(const std::string& go) {
  std::FILE* ready = std::fopen((go + "." + std::to_string(::getpid())).c_str(), "w");
  if (ready == nullptr) Fail("writing beside " + go);
  std::fclose(ready);
  double start = 0;
  while (start == 0) {
    SleepUntil(Now() + 0.005);
    std::FILE* file = std::fopen(go.c_str(), "r");
    if (file == nullptr) continue;
    if (std::fscanf(file, "%lf", &start) != 1) start = 0;
    std::fclose(file);
  }
  return start;
}

class Load {
 public:
  explicit Load(const Options& options) : options_(options) {
    Check(cuda_.init(0), "cuInit");
    int device = 0;
    Check(cuda_.device(&device, 0), "cuDeviceGet");
    Handle context;
    Check(cuda_.retain(&context, device), "cuDevicePrimaryCtxRetain");
    Check(cuda_.make_current(context), "cuCtxSetCurrent");
    Handle module;
    Check(cuda_.load(&module, kPtx), "cuModuleLoadData");
    Check(cuda_.function(&spin_, module, "spin"), "cuModuleGetFunction");
    Check(cuda_.stream_create(&stream_, 1), "cuStreamCreate");
    Check(cuda_.allocate(&sink_, 4), "cuMemAlloc");
    Pointer held;
    for (int mib = 0; mib < options.hold_mib; mib += kPieceMib) {
      Check(cuda_.allocate(&held, std::size_t{kPieceMib} << 20), "cuMemAlloc");
    }
    constexpr int kMultiprocessors = 16;
    Check(cuda_.attribute(&multiprocessors_, kMultiprocessors, device), "cuDeviceGetAttribute");
  }

  // Loop iterations that take a microsecond when nobody else uses the GPU.
  double Calibrate() {
    Handle begin, end;
    Check(cuda_.event_create(&begin, 0), "cuEventCreate");
    Check(cuda_.event_create(&end, 0), "cuEventCreate");
    double iterations = 20000;
    float ms = 0;
    for (int i = 0; i < 6; ++i) {
      Check(cuda_.event_record(begin, stream_), "cuEventRecord");
      for (int k = 0; k < 4; ++k) LaunchCount(static_cast<std::uint64_t>(iterations));
      Check(cuda_.event_record(end, stream_), "cuEventRecord");
      Check(cuda_.event_synchronize(end), "cuEventSynchronize");
      Check(cuda_.event_elapsed(&ms, begin, end), "cuEventElapsedTime");
      if (i < 5) iterations *= std::clamp(4.0 * 5 / std::max(ms, 0.001f), 0.1, 100.0);
    }
    return 4 * iterations / (ms * 1000);
  }

  void Run() {
    count_ = static_cast<std::uint64_t>(options_.kernel_us * options_.iterations_per_us);
    if (options_.graph) Capture();
    for (int i = 0; i < 3; ++i) Batch();
    Wait();
    begin_ = options_.start_at > 0 ? options_.start_at : Now() + options_.warm_seconds;
    if (!options_.go.empty()) begin_ = AwaitStart(options_.go);
    end_ = begin_ + options_.seconds;
    if (options_.empty_launches) return Measure([this] { LaunchCount(0); });
    if (options_.pool_waits) {
      Check(cuda_.allocate_async(&sink_, std::size_t{kPieceMib} << 20, stream_), "cuMemAllocAsync");
      return Measure([this] { Wait(); });
    }
    if (options_.churn_mib > 0) {
      Churn();
    } else if (options_.rate > 0) {
      Serve();
    } else if (options_.async) {
      RunAsync();
    } else {
      RunSync();
    }
    Print();
  }

 private:
  static void Check(int result, const char* what) {
    if (result != 0) Fail(what, result);
  }

  // Two blocks of 1024 threads fill a multiprocessor; a few threads less make another kind.
  void LaunchCount(std::uint64_t count, int kind = 0) {
    void* parameters[] = {&count, &sink_};
    Check(cuda_.launch(spin_, 2 * static_cast<unsigned>(multiprocessors_), 1, 1,
                       1024 - static_cast<unsigned>(kind), 1, 1, 0, stream_, parameters, nullptr),
          "cuLaunchKernel");
  }

  void Capture() {
    Handle graph;
    constexpr int kThreadLocal = 1;
    Check(cuda_.capture_begin(stream_, kThreadLocal), "cuStreamBeginCapture");
    for (int i = 0; i < options_.batch; ++i) LaunchCount(count_);
    Check(cuda_.capture_end(stream_, &graph), "cuStreamEndCapture");
    Check(cuda_.instantiate(&graph_, graph, 0), "cuGraphInstantiate");
  }

  void Batch() {
    if (options_.graph) {
      Check(cuda_.graph_launch(graph_, stream_), "cuGraphLaunch");
      return;
    }
    for (int i = 0; i < options_.batch; ++i) {
      if (options_.launch_us > 0) Gap(options_.launch_us);
      LaunchCount(count_, i % options_.kinds);
    }
  }

  void Wait() { Check(cuda_.stream_synchronize(stream_), "cuStreamSynchronize"); }

  bool Resting(double now) const {
    if (options_.on_ms <= 0) return false;
    const double into = (now - begin_) * 1000 + options_.phase_ms;
    return into >= 0 && std::fmod(into, options_.on_ms + options_.off_ms) >= options_.on_ms;
  }

  void RestIfDue() {
    if (!Resting(Now())) return;
    const double period = (options_.on_ms + options_.off_ms) / 1000;
    const double from = begin_ - options_.phase_ms / 1000;
    SleepUntil(from + (std::floor((Now() - from) / period) + 1) * period);
  }

  // Notes that a batch was seen to be complete.
  void Complete(double now) {
    if (now < begin_ || now >= end_) return;
    ++batches_;
    if (options_.bins) ++bins_[static_cast<int>((now - begin_) * 1000)];
  }

  void RunSync() {
    while (Now() < end_ && g_terminated == 0) {
      RestIfDue();
      const double submitted = Now();
      Batch();
      Wait();
      const double now = Now();
      Complete(now);
      if (submitted >= begin_ && latencies_.size() < 1'000'000) {
        latencies_.push_back(now - submitted);
      }
      if (options_.gap_us > 0) Gap(options_.gap_us);
    }
  }

  void RunAsync() {
    std::deque<Handle> free, under_way;
    for (int i = 0; i < options_.depth; ++i) {
      Handle event;
      constexpr unsigned kNoTiming = 2;
      Check(cuda_.event_create(&event, kNoTiming), "cuEventCreate");
      free.push_back(event);
    }
    while (Now() < end_) {
      RestIfDue();
      if (free.empty()) {
        Check(cuda_.event_synchronize(under_way.front()), "cuEventSynchronize");
        Complete(Now());
        free.push_back(under_way.front());
        under_way.pop_front();
      }
      Batch();
      Check(cuda_.event_record(free.front(), stream_), "cuEventRecord");
      under_way.push_back(free.front());
      free.pop_front();
    }
    Wait();
  }

  // Requests arrive whether or not the former ones are done; latency counts from arrival.
  void Serve() {
    std::mt19937_64 random(options_.seed);
    std::exponential_distribution<double> gap(options_.rate);
    for (double arrival = begin_ + gap(random); arrival < end_; arrival += gap(random)) {
      if (arrival > Now()) SleepUntil(arrival);
      Batch();
      Wait();
      Complete(Now());
      latencies_.push_back(Now() - arrival);
    }
  }

  // Kernels are under way while memory is taken and given back.
  void Churn() {
    std::vector<Pointer> pieces;
    while (Now() < end_) {
      Batch();
      Pointer piece;
      while (pieces.size() * kPieceMib < static_cast<std::size_t>(options_.churn_mib) &&
             cuda_.allocate(&piece, std::size_t{kPieceMib} << 20) == 0) {
        pieces.push_back(piece);
      }
      Batch();
      for (const Pointer each : pieces) Check(cuda_.free(each), "cuMemFree");
      pieces.clear();
    }
    Wait();
  }

  // What a call takes.
  template <typename Call>
  void Measure(Call call) {
    constexpr int kAtOnce = 500;  // launches below what a stream takes without blocking
    std::vector<double> each;
    while (Now() < end_) {
      RestIfDue();
      const double before = Now();
      for (int i = 0; i < kAtOnce; ++i) call();
      if (before >= begin_) each.push_back((Now() - before) * 1e9 / kAtOnce);
      Wait();
    }
    if (each.empty()) Fail("measuring calls in so short a time");
    std::sort(each.begin(), each.end());
    std::printf("{\"name\": \"%s\", \"call_ns\": %.1f, \"call_ns_p10\": %.1f}\n",
                options_.name.c_str(), each[each.size() / 2], each[each.size() / 10]);
  }

  void Print() {
    std::sort(latencies_.begin(), latencies_.end());
    const auto percentile = [&](double q) {
      if (latencies_.empty()) return 0.0;
      const auto index = static_cast<std::size_t>(q * static_cast<double>(latencies_.size()));
      return latencies_[std::min(index, latencies_.size() - 1)] * 1000;
    };
    const double busy = static_cast<double>(batches_) * options_.batch * options_.kernel_us / 1e6;
    std::string line;
    char text[512];
    std::snprintf(text, sizeof text,
                  "{\"name\": \"%s\", \"pid\": %d, \"seconds\": %.3f, \"batches\": %llu, "
                  "\"kernels\": %llu, \"busy_s\": %.6f, \"share\": %.5f, \"begin\": %.6f, "
                  "\"latency_ms\": {\"p50\": %.4f, \"p90\": %.4f, \"p99\": %.4f, \"max\": %.4f, "
                  "\"count\": %zu}",
                  options_.name.c_str(), ::getpid(), options_.seconds,
                  static_cast<unsigned long long>(batches_),
                  static_cast<unsigned long long>(batches_ * options_.batch), busy,
                  busy / options_.seconds, begin_, percentile(.5), percentile(.9), percentile(.99),
                  percentile(1), latencies_.size());
    line = text;
    if (options_.bins) {
      line += ", \"bins\": [";
      const double until = std::min(Now(), end_);
      for (int i = 0; i < static_cast<int>((until - begin_) * 1000); ++i) {
        line += (i > 0 ? "," : "") + std::to_string(bins_.contains(i) ? bins_[i] : 0);
      }
      line += "]";
    }
    std::printf("%s}\n", line.c_str());
  }

  static constexpr int kPieceMib = 64;

  const Options options_;
  Driver cuda_;
  Handle spin_ = nullptr;
  Handle stream_ = nullptr;
  Handle graph_ = nullptr;
  Pointer sink_ = 0;
  int multiprocessors_ = 1;
  std::uint64_t count_ = 0;
  double begin_ = 0;
  double end_ = 0;
  std::uint64_t batches_ = 0;
  std::vector<double> latencies_;
  std::map<int, int> bins_;  // batches completed in each millisecond
};

const char kHelp[] = R"(spin: fills a GPU in a chosen rhythm
  --kernel-us N      length of a kernel alone on the GPU (200)
  --batch N          kernels between two waits (8)
  --async            do not wait for a batch until --depth of them are under way
  --depth N          batches under way with --async (8)
  --gap-us N         host time after each wait (0)
  --launch-us N      host time before each launch (0)
  --kinds N          kernels of so many kinds in turn, all alike to the GPU (1; at most 512)
  --graph            launch each batch as one CUDA graph
  --on-ms N --off-ms N   work and rest in turn, from the start of the measured time
  --rate N           serve N requests (batches) a second arriving at random
  --processes N      so many processes alike (1)
  --seconds N        measured time (5), or until SIGTERM if it waits for its kernels
  --warm-seconds N   before it (0)
  --start-at T       it begins at CLOCK_MONOTONIC T, in seconds
  --go FILE          tell by FILE.PID that it is ready, read T from FILE when that appears
  --bins             print batches completed in each millisecond
  --phase-ms N       begin so far into that
  --hold-mib N       take so much memory first
  --churn-mib N      take and give back so much memory, kernels under way meanwhile
  --empty-launches   measure the launch of an empty kernel, 500 in a row
  --pool-waits       measure waiting for an idle stream while memory of a pool is held
  --iterations-per-us N  from --calibrate, needed for all but that
  --calibrate        print the speed of the GPU, alone, and end
  --name TEXT --seed N
)";

Options Parse(int argc, char** argv) {
  Options options;
  const std::map<std::string, double*> numbers = {
      {"--kernel-us", &options.kernel_us},
      {"--gap-us", &options.gap_us},
      {"--launch-us", &options.launch_us},
      {"--on-ms", &options.on_ms},
      {"--off-ms", &options.off_ms},
      {"--phase-ms", &options.phase_ms},
      {"--rate", &options.rate},
      {"--seconds", &options.seconds},
      {"--start-at", &options.start_at},
      {"--iterations-per-us", &options.iterations_per_us},
      {"--warm-seconds", &options.warm_seconds}};
  const std::map<std::string, int*> counts = {
      {"--batch", &options.batch},         {"--depth", &options.depth},
      {"--processes", &options.processes}, {"--kinds", &options.kinds},
      {"--hold-mib", &options.hold_mib},   {"--churn-mib", &options.churn_mib}};
  const std::map<std::string, bool*> flags = {{"--async", &options.async},
                                              {"--graph", &options.graph},
                                              {"--empty-launches", &options.empty_launches},
                                              {"--pool-waits", &options.pool_waits},
                                              {"--bins", &options.bins},
                                              {"--calibrate", &options.calibrate}};
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (const auto flag = flags.find(name); flag != flags.end()) {
      *flag->second = true;
      continue;
    }
    if (i + 1 >= argc) {
      std::fputs(kHelp, name == "--help" ? stdout : stderr);
      std::exit(name == "--help" ? 0 : 2);
    }
    const char* value = argv[++i];
    if (const auto number = numbers.find(name); number != numbers.end()) {
      *number->second = std::atof(value);
    } else if (const auto count = counts.find(name); count != counts.end()) {
      *count->second = std::max(1, std::atoi(value));
    } else if (name == "--go") {
      options.go = value;
    } else if (name == "--name") {
      options.name = value;
    } else if (name == "--seed") {
      options.seed = static_cast<std::uint64_t>(std::atoll(value));
    } else {
      std::fprintf(stderr, "spin: unknown option %s\n%s", name.c_str(), kHelp);
      std::exit(2);
    }
  }
  const bool calls = options.empty_launches || options.pool_waits;
  if (!options.calibrate && !calls && options.iterations_per_us <= 0) {
    std::fputs("spin: --iterations-per-us is needed; --calibrate prints it\n", stderr);
    std::exit(2);
  }
  options.kinds = std::min(options.kinds, 512);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  Options options = Parse(argc, argv);
  // Before anything of CUDA is touched, which does not survive a fork.
  std::vector<pid_t> children;
  for (int i = 1; i < options.processes; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      options.seed += static_cast<std::uint64_t>(i);
      children.clear();
      break;
    }
    children.push_back(child);
  }
  ::signal(SIGTERM, [](int) { g_terminated = 1; });
  Load load(options);
  if (options.calibrate) {
    std::printf("{\"iterations_per_us\": %.4f}\n", load.Calibrate());
  } else {
    load.Run();
  }
  std::fflush(stdout);
  int failed = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    failed += status != 0 ? 1 : 0;
  }
  return failed == 0 ? 0 : 1;
}
