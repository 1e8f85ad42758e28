// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/capture.h"
#include "interposer/cost_table.h"
#include "interposer/cuda_abi.h"
#include "interposer/session.h"

// The gate of docs/wire-protocol.md: every piece of work for the GPU goes by it. Nothing of the
// application's is held while it waits, and it never waits longer than ALIQUOT_GATE_BOUND_MS.
namespace aliquot::interposer {

// What is about to be submitted.
struct Work {
  CUstream stream;    // as PerThread(stream) in functions of the per-thread kind
  uint64_t key;       // for the cost table; 0: the guess is as good as it gets
  uint64_t guess_ns;  // used as long as nothing was measured
};

// Whether all gates are free: then that one load is all that a launch costs.
inline bool GatesFree() { return __builtin_expect(Load(&Control()->attention) == 0, 1); }

// One piece of work on its way. Passes at once where nothing is to be counted: no gate of the
// current device, a stream that is captured, a callback of the driver.
class Passage {
 public:
  // Waits at the gate.
  explicit Passage(const Work& work);
  // The driver took it, or not.
  void Submitted(bool taken);

 private:
  int gpu_ = -1;  // below 0: not counted
  int sample_ = -1;
  Work work_;
  uint64_t estimate_ = 0;
  uint64_t at_most_ = 0;
  bool measured_ = false;
};

template <typename Submit>
CUresult Gated(const Work& work, Submit submit) {
  if (GatesFree()) return submit();
  Passage passage(work);
  const CUresult result = submit();
  passage.Submitted(result == CUDA_SUCCESS);
  return result;
}

// Of work too small to wait at the gate, before it is submitted: the agent shall know of it all the
// same, since a request may begin with it.
void Announce(CUstream stream);

// While it lives, this thread waits for the GPU: what it waits for is in flight however long that
// takes.
class Synchronising {
 public:
  Synchronising();
  ~Synchronising();
  Synchronising(const Synchronising&) = delete;
  Synchronising& operator=(const Synchronising&) = delete;

 private:
  int gpu_ = -1;
  aliquot_status* status_ = nullptr;  // null: not counted
};
// A query has found work that is not done.
void Polled();
// A synchronising call has returned: the stream has nothing left, or with `all` nothing in the
// context has.
void Synchronised(CUstream stream, bool all);
// The stream is about to be destroyed; nothing is called on it any more.
void ForgetStream(CUstream stream);
// What is known of this work's duration no longer holds.
void ForgetCost(uint64_t key);

// While it lives, this thread passes every gate: it runs a callback for the driver.
class InCallback {
 public:
  InCallback();
  ~InCallback();
  InCallback(const InCallback&) = delete;
  InCallback& operator=(const InCallback&) = delete;
};

}  // namespace aliquot::interposer
