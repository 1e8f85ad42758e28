// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/ledger.h"

#include "interposer/session.h"
#include "interposer/share_file.h"

namespace aliquot::interposer {
namespace {

// How long an allocation waits for an agent that is being restarted, or has yet to be started.
constexpr uint64_t kRestartMs = 2000;
// Allocations up to this part of the credit target are worth asking for more than is needed.
constexpr uint64_t kSmallPart = 4;
constexpr int kSeqlockTries = 1000;

// What this process uses; credit, which it also holds, is in the status page since the agent can
// take it back. Changed under the lock, read by queries without.
uint64_t g_used[ALIQUOT_WIRE_GPUS];
// Of that, what was taken while the agent was gone.
uint64_t g_offline[ALIQUOT_WIRE_GPUS];
uint64_t g_told[ALIQUOT_WIRE_GPUS];
aliquot_memory g_former_snapshot[ALIQUOT_WIRE_GPUS];
Mutex g_lock;

bool Limited(unsigned gpu) {
  const Share& share = GrantedShare();
  return share.present && share.memory && gpu < share.gpu_count && share.gpu[gpu].limit != 0;
}

bool ReadSnapshot(const aliquot_memory& from, aliquot_memory* to) {
  for (int i = 0; i < kSeqlockTries; ++i) {
    const uint32_t before = LoadAcquire(&from.seq);
    to->process_count = Load(&from.process_count);
    to->limit = Load(&from.limit);
    to->outside = Load(&from.outside);
    to->held = Load(&from.held);
    to->physical_free = Load(&from.physical_free);
    to->credit_target = Load(&from.credit_target);
    to->offline = Load(&from.offline);
    to->physical_total = Load(&from.physical_total);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if ((before & 1) == 0 && Load(&from.seq) == before) return true;
  }
  return false;
}

// With the lock held. The last consistent one, if the agent died while it wrote.
aliquot_memory Snapshot(unsigned gpu) {
  aliquot_memory snapshot = {};
  if (ReadSnapshot(Control()->gpu[gpu].memory, &snapshot)) {
    g_former_snapshot[gpu] = snapshot;
    return snapshot;
  }
  return g_former_snapshot[gpu];
}

void AddUsed(unsigned gpu, uint64_t bytes) {
  Store(&g_used[gpu], g_used[gpu] + bytes);
  Store(&Status()->gpu[gpu].used, g_used[gpu]);
}

// What is taken of the credit so that no more than `target` is left.
uint64_t TakeBeyond(uint64_t* credit, uint64_t target) {
  uint64_t have = Load(credit);
  while (have > target) {
    if (__atomic_compare_exchange_n(credit, &have, target, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED)) {
      return have - target;
    }
  }
  return 0;
}

bool TakeFromCredit(unsigned gpu, uint64_t bytes) {
  uint64_t* credit = &Status()->gpu[gpu].credit;
  uint64_t have = Load(credit);
  while (have >= bytes) {
    if (__atomic_compare_exchange_n(credit, &have, have - bytes, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED)) {
      return true;
    }
  }
  return false;
}

// False: the agent could not be told.
bool SendAmount(uint16_t type, unsigned gpu, uint64_t bytes, uint32_t kind) {
  aliquot_amount amount = {};
  amount.gpu = gpu;
  amount.kind = kind;
  amount.bytes = bytes;
  return Tell(&amount.header, type, sizeof(amount));
}

// With the lock held. Adds to the credit, and gives back what is then beyond the target. What the
// agent can't be told of stays credit until the next time.
void KeepCredit(unsigned gpu, uint64_t bytes, uint64_t target, uint32_t kind) {
  uint64_t* credit = &Status()->gpu[gpu].credit;
  Add(credit, bytes);
  const uint64_t beyond = TakeBeyond(credit, target);
  if (beyond != 0 && !SendAmount(ALIQUOT_RELEASE, gpu, beyond, kind)) Add(credit, beyond);
}

bool FromCredit(unsigned gpu, uint64_t bytes) {
  Locked lock(&g_lock);
  if (!TakeFromCredit(gpu, bytes)) return false;
  AddUsed(gpu, bytes);
  return true;
}

bool FromOffline(unsigned gpu, uint64_t bytes) {
  Locked lock(&g_lock);
  const uint64_t allowed = Snapshot(gpu).offline;
  if (bytes > Less(allowed, g_offline[gpu])) return false;
  g_offline[gpu] += bytes;
  AddUsed(gpu, bytes);
  return true;
}

enum class Asked { kGranted, kDenied, kNoAgent };

// On kGranted `*granted` bytes are used.
Asked AskAgent(unsigned gpu, uint64_t bytes, uint32_t kind, uint64_t* granted) {
  aliquot_reserve request = {};
  request.gpu = gpu;
  request.kind = kind;
  request.bytes = bytes;
  const uint64_t target = Load(&Control()->gpu[gpu].memory.credit_target);
  if (bytes <= target / kSmallPart && kind != ALIQUOT_KIND_CONTEXT) request.credit = target / 2;
  union {
    aliquot_header header;
    aliquot_grant grant;
    char room[ALIQUOT_FRAME_MAX];
  } answer;
  if (!Ask(&request.header, ALIQUOT_RESERVE, sizeof(request), &answer.header, sizeof(answer),
           ALIQUOT_RESERVE_MS)) {
    return Asked::kNoAgent;
  }
  if (answer.header.type != ALIQUOT_GRANT || answer.header.size != sizeof(aliquot_grant) ||
      answer.grant.bytes < bytes) {
    return Asked::kDenied;
  }
  Locked lock(&g_lock);
  AddUsed(gpu, answer.grant.bytes);
  // By the target that was asked for: the grant itself may have lowered it. Other threads' frees
  // and grants may have filled the credit meanwhile.
  if (answer.grant.credit > 0) KeepCredit(gpu, answer.grant.credit, target, kind);
  *granted = answer.grant.bytes;
  return Asked::kGranted;
}

bool Refused(unsigned gpu, uint64_t bytes) {
  Add(&Status()->gpu[gpu].denied, uint64_t{1});
  Log("refused %llu bytes of gpu %u: the share is used up", static_cast<unsigned long long>(bytes),
      gpu);
  return false;
}

bool ReserveFor(unsigned gpu, uint64_t bytes, uint32_t kind, uint64_t* granted) {
  *granted = bytes;
  EnsureSession();
  const bool exact = kind != ALIQUOT_KIND_CONTEXT;
  if (exact && FromCredit(gpu, bytes)) return true;
  Asked asked = AskAgent(gpu, bytes, kind, granted);
  if (asked == Asked::kNoAgent) {
    if (exact && FromOffline(gpu, bytes)) return true;
    if (AwaitAgent(kRestartMs)) asked = AskAgent(gpu, bytes, kind, granted);
  }
  return asked == Asked::kGranted || Refused(gpu, bytes);
}

}  // namespace

bool Reserve(unsigned gpu, uint64_t bytes, uint32_t kind) {
  if (!Limited(gpu) || bytes == 0) return true;
  uint64_t granted = 0;
  return ReserveFor(gpu, bytes, kind, &granted);
}

uint64_t ReserveContext(unsigned gpu, bool* refused) {
  // The first thing that needs the agent when only time is shared.
  if (GrantedShare().present && GrantedShare().compute) EnsureSession();
  uint64_t granted = 0;
  *refused = Limited(gpu) && !ReserveFor(gpu, 0, ALIQUOT_KIND_CONTEXT, &granted);
  return *refused ? 0 : granted;
}

void Release(unsigned gpu, uint64_t bytes, uint32_t kind) {
  if (!Limited(gpu) || bytes == 0) return;
  Locked lock(&g_lock);
  const uint64_t given = Min(bytes, g_used[gpu]);
  Store(&g_used[gpu], g_used[gpu] - given);
  Store(&Status()->gpu[gpu].used, g_used[gpu]);
  KeepCredit(gpu, given, Snapshot(gpu).credit_target, kind);
}

void Charge(unsigned gpu, uint64_t bytes, uint32_t kind) {
  if (!Limited(gpu) || bytes == 0) return;
  Locked lock(&g_lock);
  AddUsed(gpu, bytes);
  Add(&Status()->gpu[gpu].over, bytes);
  SendAmount(ALIQUOT_CHARGE, gpu, bytes, kind);
}

MemoryAnswer QueryMemory(unsigned gpu, uint64_t physical_free) {
  if (!Limited(gpu)) return {0, 0, false};
  const bool session = EnsureSession();
  Locked lock(&g_lock);
  const aliquot_memory snapshot = Snapshot(gpu);
  const uint64_t limit =
      session && snapshot.limit != 0 ? snapshot.limit : GrantedShare().gpu[gpu].limit;
  const uint64_t left = Less(Less(limit, snapshot.outside), Load(&g_used[gpu]));
  uint64_t physical = physical_free;
  if (physical == UINT64_MAX && session) physical = snapshot.physical_free;
  return {limit, Min(left, physical), true};
}

// The former page's credit is ours again; the new agent hears of the total. Until the end nothing
// can be told to anybody, so what is freed becomes credit of the former page, which does not count.
void BeginHandOver(uint64_t held[ALIQUOT_WIRE_GPUS]) {
  Locked lock(&g_lock);
  for (unsigned i = 0; i < ALIQUOT_WIRE_GPUS; ++i) {
    held[i] = g_used[i] + Load(&Status()->gpu[i].credit);
    g_told[i] = held[i];
  }
}

void EndHandOver(void (*install)(const void* what), const void* what) {
  Locked lock(&g_lock);
  install(what);
  aliquot_status* status = Status();
  for (unsigned i = 0; i < ALIQUOT_WIRE_GPUS; ++i) {
    Store(&status->gpu[i].used, g_used[i]);
    Store(&status->gpu[i].credit, Less(g_told[i], g_used[i]));
    if (g_used[i] > g_told[i]) {
      SendAmount(ALIQUOT_CHARGE, i, g_used[i] - g_told[i], ALIQUOT_KIND_LINEAR);
    }
    g_offline[i] = 0;
  }
}

void ForgetHeld() {
  g_lock.Forget();
  for (unsigned i = 0; i < ALIQUOT_WIRE_GPUS; ++i) {
    g_used[i] = 0;
    g_offline[i] = 0;
  }
}

}  // namespace aliquot::interposer
