// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/gate.h"

#include "interposer/cuda_device.h"
#include "interposer/marker.h"
#include "interposer/sample.h"
#include "interposer/share_file.h"

namespace aliquot::interposer {
namespace {

constexpr uint64_t kMicrosecond = 1000;
constexpr uint64_t kMillisecond = 1000 * kMicrosecond;
constexpr uint64_t kDefaultMarkerNs = 250 * kMicrosecond;
// Work that was never measured may be long: at most so many pieces of it in flight.
constexpr uint64_t kUnknownPart = 4;
constexpr uint64_t kUnknownEveryNs = 10 * kMillisecond;  // once they seem to be stalled
// Waiting for work in flight: this long by looking again and again, then in naps.
constexpr uint64_t kSpinNs = 20 * kMicrosecond;
constexpr uint64_t kShortestNapNs = 20 * kMicrosecond;
constexpr uint64_t kLongestNapNs = kMillisecond;
// Self-pacing without an agent: on for the share of each period.
constexpr uint64_t kPeriodNs = 10 * kMillisecond;

ALIQUOT_THREAD_LOCAL int t_callbacks = 0;
constinit CostTable g_costs = {};

// The heartbeat as it was last seen to change, by our clock, and whose it is: agents count from the
// same number.
const aliquot_control* g_beat_of = nullptr;
uint64_t g_beat = 0;
uint64_t g_beat_at = 0;
uint64_t g_stale_since = 0;

// Values of the gate for which each doorbell was rung last.
struct Rung {
  uint32_t want, work, idle;
};
Rung g_rung[ALIQUOT_WIRE_GPUS];

// How work in flight got on while launches waited for the cap.
struct Progress {
  uint64_t written;    // markers
  uint64_t none_ns;    // since then, with the gate open
  uint64_t looked_at;  // by any thread
};
Progress g_progress[ALIQUOT_WIRE_GPUS];

// Whether the agent is taken for dead. Two threads may find out together, which does no harm.
bool Stale(uint64_t now) {
  const aliquot_control* control = Control();
  const uint64_t beat = Load(&control->heartbeat);
  if (beat != Load(&g_beat) || control != Load(&g_beat_of)) {
    Store(&g_beat_of, control);
    Store(&g_beat, beat);
    Store(&g_beat_at, now);
    const uint64_t since = __atomic_exchange_n(&g_stale_since, uint64_t{0}, __ATOMIC_RELAXED);
    if (since != 0) {
      aliquot_event event = {};
      event.code = ALIQUOT_EVENT_RAN_FREE;
      event.value = Less(now, since);
      Tell(&event.header, ALIQUOT_EVENT, sizeof(event));
    }
    return false;
  }
  if (Less(now, Load(&g_beat_at)) < ALIQUOT_STALE_MS * kMillisecond) return false;
  uint64_t none = 0;
  __atomic_compare_exchange_n(&g_stale_since, &none, now, false, __ATOMIC_RELAXED,
                              __ATOMIC_RELAXED);
  return true;
}

void Ring(uint16_t type, uint32_t bit, unsigned gpu, uint32_t word, uint32_t* rung) {
  if ((Load(&Control()->gpu[gpu].gate.doorbells) & bit) == 0 || Load(rung) == word) return;
  Store(rung, word);
  aliquot_doorbell bell = {};
  bell.gpu = gpu;
  bell.gate = word;
  Tell(&bell.header, type, sizeof(bell));
}

// Without an agent: on in our part of each period, if the policy says so.
void PaceSelf(const aliquot_gate& gate, uint64_t now) {
  const uint64_t duty = Load(&gate.duty_permille);
  if (Control()->policy != ALIQUOT_POLICY_SELF_PACE || duty == 0 || duty >= 1000) return;
  const uint64_t at = now % kPeriodNs;
  if (at < kPeriodNs / 1000 * duty) return;
  uint32_t never = 0;
  FutexWait(&never, 0, kPeriodNs - at, false);
}

enum class Verdict { kGo, kClosed, kFull };

Verdict Judge(unsigned gpu, uint32_t word, uint64_t estimate, uint64_t now, uint64_t* above) {
  if ((word & (ALIQUOT_GATE_CLOSED | ALIQUOT_GATE_SHARED)) == 0) return Verdict::kGo;
  if ((word & ALIQUOT_GATE_CLOSED) != 0) return Verdict::kClosed;
  uint64_t cap = Load(&Control()->gpu[gpu].gate.cap_us) * kMicrosecond;
  if (cap == 0) return Verdict::kGo;
  const uint64_t in_flight = InFlight(gpu, now);
  // What is much larger than the cap goes alone. The cap is met to the nearest piece, and there is
  // room for two of up to a third more than it: with one at a time the GPU is idle after each, or
  // goes to others and has to come back.
  cap = Max(cap, Min(estimate + estimate / 2, 2 * cap));
  if (in_flight == 0 || in_flight + estimate / 2 <= cap) return Verdict::kGo;
  *above = Min(in_flight + estimate / 2 - cap, in_flight);
  return Verdict::kFull;
}

// One look while waiting; sleeps as long as there can be no news.
void Nap(unsigned gpu, uint32_t word, Verdict verdict, uint64_t above, uint64_t waited) {
  const uint32_t* gate = &Control()->gpu[gpu].gate.gate;
  if (verdict == Verdict::kClosed) {
    FutexWait(gate, word, ALIQUOT_GATE_WAIT_MS * kMillisecond, true);
  } else if (waited < kSpinNs) {
    Pause();
  } else {
    FutexWait(gate, word, Min(Max(above / 2, kShortestNapNs), kLongestNapNs), true);
  }
}

void CountPass(unsigned gpu, bool stale, Verdict verdict) {
  aliquot_status* status = Status();
  if (stale) {
    Add(&status->stale_passes, 1u);
    return;
  }
  Add(&status->gate_time_outs, 1u);
  if (verdict == Verdict::kFull) AbandonInFlight(gpu);
  aliquot_event event = {};
  event.gpu = gpu;
  event.code = ALIQUOT_EVENT_GATE_TIME_OUT;
  Tell(&event.header, ALIQUOT_EVENT, sizeof(event));
}

// Whether a launch need not wait for the cap any longer: what is in flight did not get on in four
// times as long as it should take, with the gate open. So it waits for somebody else, perhaps for
// this very thread. The more is in flight, the longer that takes. A launch that was never measured
// may be what takes so long: of those only one passes in a while.
//   looked_at: when this thread last asked.
bool Stalled(unsigned gpu, Verdict verdict, bool measured, uint64_t now, uint64_t* looked_at) {
  Progress* progress = &g_progress[gpu];
  const uint64_t last = __atomic_exchange_n(&progress->looked_at, now, __ATOMIC_RELAXED);
  const uint64_t passed = Less(now, Max(last, *looked_at));
  *looked_at = now;
  const uint64_t bound = uint64_t{Control()->stall_ms} * kMillisecond;
  if (bound == 0 || verdict != Verdict::kFull) return false;
  const uint64_t none = Add(&progress->none_ns, passed) + passed;
  if (none < Max(bound, 4 * InFlight(gpu, now))) return false;
  const uint64_t written = MarkersWritten(gpu);
  if (__atomic_exchange_n(&progress->written, written, __ATOMIC_RELAXED) != written) {
    Store(&progress->none_ns, uint64_t{0});
    return false;
  }
  if (!measured) Store(&progress->none_ns, Less(none, kUnknownEveryNs));
  return true;
}

// Returns when the work may go.
void WaitAtGate(unsigned gpu, CUstream stream, uint64_t estimate, bool measured) {
  const uint64_t start = NowNs();
  uint64_t above = 0;
  uint64_t now = start;
  uint32_t word = LoadAcquire(&Control()->gpu[gpu].gate.gate);
  Verdict verdict = Judge(gpu, word, estimate, now, &above);
  if (verdict == Verdict::kGo) return;
  // Else nothing would tell that this stream's work is done.
  FlushMarker(gpu, stream);
  Add(&Status()->gpu[gpu].waiting, 1u);
  uint64_t looked_at = start;
  while (verdict != Verdict::kGo && !Stalled(gpu, verdict, measured, now, &looked_at)) {
    Store(&Status()->gpu[gpu].gate_seen, word);
    const bool stale = Stale(now);
    if (stale || now - start >= ALIQUOT_GATE_BOUND_MS * kMillisecond) {
      CountPass(gpu, stale, verdict);
      if (stale) PaceSelf(Control()->gpu[gpu].gate, now);
      break;
    }
    if (verdict == Verdict::kClosed)
      Ring(ALIQUOT_WANT, ALIQUOT_RING_WANT, gpu, word, &g_rung[gpu].want);
    Nap(gpu, word, verdict, above, now - start);
    now = NowNs();
    word = LoadAcquire(&Control()->gpu[gpu].gate.gate);
    verdict = Judge(gpu, word, estimate, now, &above);
  }
  Add(&Status()->gpu[gpu].waiting, ~0u);
  Add(&Status()->gpu[gpu].waited_ns, Less(now, start));
}

// The GPU on which work for this stream counts; -1: it does not.
int CountedGpu(CUstream stream) {
  if (t_callbacks != 0 || !GrantedShare().compute || Capturing(stream)) return -1;
  const int gpu = GpuOfWork();
  if (gpu < 0) return -1;
  const uint32_t word = Load(&Control()->gpu[gpu].gate.gate);
  return (word & (ALIQUOT_GATE_CLOSED | ALIQUOT_GATE_SHARED)) == 0 ? -1 : gpu;
}

}  // namespace

Passage::Passage(const Work& work) : work_(work) {
  const int gpu = CountedGpu(work.stream);
  if (gpu < 0) return;
  gpu_ = gpu;
  const aliquot_gate& gate = Control()->gpu[gpu].gate;
  estimate_ = g_costs.Estimate(work.key, work.guess_ns, &measured_);
  const uint64_t cap = Load(&gate.cap_us) * kMicrosecond;
  at_most_ = measured_ || work.key == 0 ? estimate_ : Max(estimate_, cap / kUnknownPart);
  // Without a clock first: time only makes what is in flight less.
  uint64_t above = 0;
  const uint32_t word = LoadAcquire(&gate.gate);
  if (Judge(static_cast<unsigned>(gpu), word, at_most_, 0, &above) != Verdict::kGo) {
    WaitAtGate(static_cast<unsigned>(gpu), work.stream, at_most_, measured_ || work.key == 0);
  }
  const uint64_t lately = Load(&Status()->gpu[gpu].last_submit_ns);
  if (!g_costs.WantsSample(work.key, lately)) return;
  const bool alone = (Load(&gate.flags) & ALIQUOT_GATE_LEARN) != 0;
  const bool idle = ReckonedDone(static_cast<unsigned>(gpu), NowNs());
  sample_ = BeginSample(work.key, work.stream, alone, idle);
}

void Passage::Submitted(bool taken) {
  if (gpu_ < 0) return;
  const auto gpu = static_cast<unsigned>(gpu_);
  if (sample_ >= 0) EndSample(sample_, work_.stream, taken);
  if (!taken) return;
  const aliquot_gate& gate = Control()->gpu[gpu].gate;
  const uint64_t marker = Load(&gate.marker_us) * kMicrosecond;
  const uint64_t now = NowNs();
  aliquot_status_gpu* status = &Status()->gpu[gpu];
  const uint32_t word = Load(&gate.gate);
  Store(&status->gate_seen, word);
  NoteSubmitted(gpu, work_.stream, {estimate_, at_most_, measured_}, now,
                marker == 0 ? kDefaultMarkerNs : marker);
  if (Load(&status->idle_since_ns) != 0) Store(&status->idle_since_ns, uint64_t{0});
  Ring(ALIQUOT_WORK, ALIQUOT_RING_WORK, gpu, word, &g_rung[gpu].work);
  CollectSamplesSometimes(&g_costs, now);
}

void Announce(CUstream stream) {
  const int gpu = CountedGpu(stream);
  if (gpu < 0) return;
  NoteLaunch(static_cast<unsigned>(gpu));
  const uint32_t word = Load(&Control()->gpu[gpu].gate.gate);
  Ring(ALIQUOT_WORK, ALIQUOT_RING_WORK, static_cast<unsigned>(gpu), word, &g_rung[gpu].work);
}

void Synchronised(CUstream stream, bool all) {
  if (GatesFree()) return;
  const int gpu = GpuOfWork();
  if (gpu < 0) return;
  const auto place = static_cast<unsigned>(gpu);
  NoteDone(place, stream, all);
  CollectSamples(&g_costs);
  const uint64_t now = NowNs();
  aliquot_status_gpu* status = &Status()->gpu[place];
  if (Load(&status->idle_since_ns) != 0 || InFlight(place, now) != 0) return;
  Store(&status->idle_since_ns, now);
  Ring(ALIQUOT_IDLE, ALIQUOT_RING_IDLE, place, Load(&Control()->gpu[place].gate.gate),
       &g_rung[place].idle);
}

void Polled() {
  if (GatesFree()) return;
  const int gpu = GpuOfWork();
  if (gpu >= 0) Store(&Status()->gpu[gpu].polled_ns, NowNs());
}

Synchronising::Synchronising() {
  if (GatesFree() || (gpu_ = GpuOfWork()) < 0) return;
  status_ = Status();
  Add(&status_->gpu[gpu_].synchronising, 1u);
}

Synchronising::~Synchronising() {
  if (status_ != nullptr) Add(&status_->gpu[gpu_].synchronising, ~0u);
}

void ForgetStream(CUstream stream) {
  if (!GatesFree()) DropStream(stream);
}

void ForgetCost(uint64_t key) { g_costs.Forget(key); }

InCallback::InCallback() { ++t_callbacks; }
InCallback::~InCallback() { --t_callbacks; }

}  // namespace aliquot::interposer
