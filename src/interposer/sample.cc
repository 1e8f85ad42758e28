// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/sample.h"

#include "interposer/capture.h"
#include "interposer/cuda_device.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

constexpr int kSamples = 8;
constexpr uint64_t kLookEveryNs = 100'000;

enum : uint32_t { kFree, kTaken, kPending };

struct Sample {
  uint32_t state;
  uint64_t key;
  bool alone;
  uint64_t begun;    // when the launch began, if the GPU waited for it; else 0
  uint64_t waited;   // how long the launch took then
  uint64_t context;  // of the events; a context takes its events with it
  uint64_t host_ns;  // when the submission began, then how long it took
  CUevent start;
  CUevent end;
};
Sample g_samples[kSamples];
uint32_t g_pending = 0;
uint64_t g_look_at = 0;

constinit Real<CUresult(CUevent*, unsigned)> real_create("cuEventCreate");
constinit Real<CUresult(CUevent, CUstream)> real_record("cuEventRecord");
constinit Real<CUresult(CUevent)> real_query("cuEventQuery");
constinit Real<CUresult(float*, CUevent, CUevent)> real_elapsed("cuEventElapsedTime");

bool Take(Sample* sample, uint32_t from, uint32_t to) {
  return __atomic_compare_exchange_n(&sample->state, &from, to, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED);
}

bool Prepare(Sample* sample) {
  const uint64_t context = CurrentContext();
  if (context == 0) return false;
  if (sample->context == context) return true;
  // Events of another context are left to it: it may be gone.
  sample->context = 0;
  if (real_create(&sample->start, CU_EVENT_DEFAULT) != CUDA_SUCCESS ||
      real_create(&sample->end, CU_EVENT_DEFAULT) != CUDA_SUCCESS) {
    return false;
  }
  sample->context = context;
  return true;
}

// Of the time between the two events, what was the work's own. Where the launch was most of it,
// some is left even if the clocks disagree.
uint64_t WorkOf(uint64_t between, uint64_t launch) {
  if (between / 4 > launch) return between;
  return Max(Less(between, launch), between / 4);
}

}  // namespace

int BeginSample(uint64_t key, CUstream stream, bool alone, bool idle) {
  if (AnyCapture()) return -1;
  for (int i = 0; i < kSamples; ++i) {
    Sample* sample = &g_samples[i];
    if (Load(&sample->state) != kFree || !Take(sample, kFree, kTaken)) continue;
    sample->key = key;
    sample->alone = alone;
    const bool prepared = Prepare(sample);
    sample->host_ns = NowNs();
    if (prepared && real_record(sample->start, stream) == CUDA_SUCCESS) {
      sample->begun = idle ? NowNs() : 0;
      return i;
    }
    sample->context = 0;
    StoreRelease(&sample->state, static_cast<uint32_t>(kFree));
    return -1;
  }
  return -1;
}

void EndSample(int index, CUstream stream, bool taken) {
  Sample* sample = &g_samples[index];
  sample->waited = sample->begun == 0 ? 0 : Less(NowNs(), sample->begun);
  if (taken && real_record(sample->end, stream) == CUDA_SUCCESS) {
    sample->host_ns = Less(NowNs(), sample->host_ns);
    Add(&g_pending, 1u);
    StoreRelease(&sample->state, static_cast<uint32_t>(kPending));
  } else {
    StoreRelease(&sample->state, static_cast<uint32_t>(kFree));
  }
}

void CollectSamples(CostTable* costs) {
  if (Load(&g_pending) == 0 || AnyCapture()) return;
  const uint64_t context = CurrentContext();
  for (Sample& sample : g_samples) {
    if (Load(&sample.state) != kPending || !Take(&sample, kPending, kTaken)) continue;
    const CUresult result =
        sample.context == context ? real_query(sample.end) : CUDA_ERROR_NOT_READY;
    if (result == CUDA_ERROR_NOT_READY) {
      StoreRelease(&sample.state, static_cast<uint32_t>(kPending));
      continue;
    }
    float milliseconds = 0;
    if (result == CUDA_SUCCESS &&
        real_elapsed(&milliseconds, sample.start, sample.end) == CUDA_SUCCESS) {
      const auto between = static_cast<uint64_t>(static_cast<double>(milliseconds) * 1e6);
      costs->Learn(sample.key, WorkOf(between, sample.waited), sample.host_ns, sample.alone);
    } else {
      sample.context = 0;
    }
    Add(&g_pending, ~0u);
    StoreRelease(&sample.state, static_cast<uint32_t>(kFree));
  }
}

void CollectSamplesSometimes(CostTable* costs, uint64_t now) {
  if (__builtin_expect(Load(&g_pending) == 0, 1) || now < Load(&g_look_at)) return;
  Store(&g_look_at, now + kLookEveryNs);
  CollectSamples(costs);
}

}  // namespace aliquot::interposer
