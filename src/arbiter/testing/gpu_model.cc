// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/testing/gpu_model.h"

#include <algorithm>
#include <utility>

namespace aliquot::arbiter::testing {
namespace {

constexpr Nanos kNever = std::chrono::hours(1000);

// Kernels a context takes before a launch blocks.
constexpr std::size_t kDepth = 1000;
constexpr Nanos kSafetyPoll = std::chrono::milliseconds(50);

Nanos Scaled(Nanos time, double factor) {
  return Nanos(static_cast<std::int64_t>(static_cast<double>(time.count()) * factor));
}

}  // namespace

GpuModel::GpuModel(const std::vector<Load>& loads, Scheduler* scheduler, GpuConstants constants)
    : constants_(constants), scheduler_(scheduler) {
  for (const Load& load : loads) {
    Process process;
    process.load = load;
    if (load.launch == Nanos(0)) process.load.launch = constants_.launch;
    process.ready = load.start;
    process.left = load.batch;
    process.next_arrival = load.start;
    if (scheduler_ != nullptr) scheduler_->AddProcess(processes_.size(), load.tenant);
    processes_.push_back(std::move(process));
  }
}

bool GpuModel::Works(const Process& process) const {
  const Load& load = process.load;
  if (process.dead || now_ < load.start || now_ >= load.stop) return false;
  return load.on == Nanos(0) || (now_ - load.start) % (load.on + load.off) < load.on;
}

// When a process that rests now works again.
Nanos GpuModel::NextWork(const Process& process) const {
  const Load& load = process.load;
  if (process.dead || now_ >= load.stop) return kNever;
  if (now_ < load.start) return load.start;
  const Nanos period = load.on + load.off;
  return load.start + ((now_ - load.start) / period + 1) * period;
}

bool GpuModel::WantsToSubmit(Process& process) {
  if (!Works(process) || process.ready > now_) return false;
  if (process.load.kind == Load::Kind::kSync) return process.left > 0;
  if (process.load.kind == Load::Kind::kAsync) return process.queue.size() < kDepth;
  while (process.next_arrival <= now_) {
    process.requests.push_back({process.next_arrival, process.load.batch});
    std::exponential_distribution<double> gap(process.load.rate_per_second);
    process.next_arrival += Nanos(static_cast<std::int64_t>(gap(random_) * 1e9));
  }
  return !process.requests.empty();
}

void GpuModel::Submit(std::size_t index) {
  Process& process = processes_[index];
  const Gate gate = scheduler_ == nullptr ? Gate{} : scheduler_->GateOf(index);
  const Nanos estimate = Scaled(process.load.kernel, process.load.estimate_factor);
  const Nanos room = std::max(gate.cap, std::min(estimate + estimate / 2, 2 * gate.cap));
  const bool fits = gate.cap == Nanos(0) || process.queue.empty() ||
                    process.estimate_in_flight + estimate / 2 <= room;
  if (scheduler_ != nullptr && gate.ring && !std::exchange(process.rung, true) && !ring_at_) {
    ring_at_ = now_ + constants_.ring;
  }
  process.blocked = !gate.open || !fits;
  process.naps = gate.open && !fits && constants_.nap > Nanos(0);
  if (process.naps) process.ready = now_ + constants_.nap;
  if (process.blocked) return;
  Kernel kernel{process.load.kernel, estimate, {}};
  if (process.load.kind == Load::Kind::kSync) --process.left;
  if (process.load.kind == Load::Kind::kPoisson && --process.requests.front().left == 0) {
    kernel.arrival = process.requests.front().arrival;
    process.requests.pop_front();
  }
  process.queue.push_back(kernel);
  ++process.launches;
  process.estimate_in_flight += estimate;
  process.ready = now_ + process.load.launch;
}

// Its host has nothing to do until what is in flight is done.
bool GpuModel::Waits(const Process& process) const {
  if (process.queue.empty()) return false;
  switch (process.load.kind) {
    case Load::Kind::kSync:
      return process.left == 0;
    case Load::Kind::kPoisson:
      return process.requests.empty();
    case Load::Kind::kAsync:
      return process.queue.size() >= kDepth;
  }
  return false;
}

// Known only where the process has waited for its work.
Nanos GpuModel::Rested(const Process& process) const {
  const bool waited = process.load.kind != Load::Kind::kAsync && process.left == process.load.batch;
  return waited && process.queue.empty() ? now_ - process.idle_since : Nanos(0);
}

void GpuModel::RunHosts() {
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    if (WantsToSubmit(processes_[i])) {
      Submit(i);
    } else {
      processes_[i].naps &= processes_[i].ready > now_;
      processes_[i].blocked = processes_[i].naps;
    }
  }
}

void GpuModel::FinishKernel(Process& process) {
  const Kernel kernel = process.queue.front();
  process.queue.pop_front();
  process.estimate_in_flight -= kernel.estimate;
  process.completed += kernel.estimate;
  if (process.queue.empty()) process.idle_since = now_;
  if (kernel.arrival) process.latencies.push_back(now_ - *kernel.arrival);
  if (process.load.kind == Load::Kind::kSync && process.left == 0 && process.queue.empty()) {
    process.left = process.load.batch;
    process.ready = now_ + process.load.gap + process.load.launch;
  }
}

// The next context in round-robin order that has work, other than the current one.
std::optional<std::size_t> GpuModel::NextContext() const {
  const std::size_t from = current_.value_or(processes_.size() - 1);
  for (std::size_t k = 1; k <= processes_.size(); ++k) {
    const std::size_t i = (from + k) % processes_.size();
    if (!processes_[i].queue.empty() && i != current_) return i;
  }
  return std::nullopt;
}

Nanos GpuModel::NextGpuEvent() const {
  if (switching_ > Nanos(0)) return now_ + switching_;
  if (!current_ || processes_[*current_].queue.empty()) {
    return NextContext() ? now_ : kNever;
  }
  const Nanos kernel = processes_[*current_].queue.front().remaining;
  return now_ + std::min(kernel, std::max(slice_left_, Nanos(0)) > Nanos(0) ? slice_left_ : kernel);
}

// Moves the GPU to `until`, which is no later than its next event.
void GpuModel::RunGpu(Nanos until) {
  const Nanos span = until - now_;
  now_ = until;
  if (switching_ > Nanos(0)) {
    switching_ -= span;
    return;
  }
  if (current_ && !processes_[*current_].queue.empty()) {
    Process& process = processes_[*current_];
    process.queue.front().remaining -= span;
    process.busy += span;
    slice_left_ -= span;
    if (process.queue.front().remaining <= Nanos(0)) FinishKernel(process);
  }
  const bool empty = !current_ || processes_[*current_].queue.empty();
  if (!empty && slice_left_ > Nanos(0)) return;
  const std::optional<std::size_t> next = NextContext();
  if (next) {
    // An empty queue gives way when the other has work; a full one at the end of its slice.
    switching_ = empty ? constants_.switch_idle : constants_.switch_busy;
    current_ = next;
  }
  slice_left_ = constants_.slice;
}

void GpuModel::StepScheduler() {
  // As the agent does: who rings when it has work is not looked at, but now and then.
  const bool everybody = (ring_at_ && *ring_at_ <= now_) || now_ - looked_ >= kSafetyPoll;
  if (everybody) {
    ring_at_.reset();
    looked_ = now_;
  }
  ++steps_;
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    const Process& process = processes_[i];
    if (!everybody && !scheduler_->Active(process.load.tenant)) continue;
    ProcessSample sample;
    if (!process.load.silent) {
      sample = {!process.queue.empty(),
                process.blocked,
                process.estimate_in_flight,
                process.completed,
                process.blocked || Waits(process),
                Rested(process),
                process.launches};
    }
    scheduler_->Observe(i, sample);
  }
  scheduler_->Step(now_);
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    Process& process = processes_[i];
    const Gate gate = scheduler_->GateOf(i);
    if (!gate.ring || gate.open != process.gate_open) process.rung = false;
    process.gate_open = gate.open;
    if (process.blocked && gate.open && process.ready < now_) {
      // Held up by a gate, not by its own queue: it has to be woken.
      if (process.queue.empty()) process.ready = now_ + constants_.wake;
    }
  }
}

Nanos GpuModel::NextHostEvent() const {
  Nanos next = kNever;
  for (const Process& process : processes_) {
    if (!Works(process)) {
      next = std::min(next, NextWork(process));
    } else if (process.naps) {
      next = std::min(next, process.ready);
    } else if (process.blocked) {
      continue;
    } else if (process.load.kind == Load::Kind::kPoisson && process.requests.empty()) {
      next = std::min(next, std::max(process.ready, process.next_arrival));
    } else if (process.load.kind == Load::Kind::kSync ? process.left > 0
                                                      : process.queue.size() < kDepth) {
      next = std::min(next, process.ready);
    }
  }
  return next;
}

void GpuModel::RunUntil(Nanos end) {
  while (now_ < end) {
    RunHosts();
    Nanos next = std::min({end, NextGpuEvent(), std::max(NextHostEvent(), now_)});
    const std::optional<Nanos> planned =
        scheduler_ == nullptr ? std::nullopt : scheduler_->next_step();
    const Nanos step = std::min(planned.value_or(kNever), ring_at_.value_or(kNever));
    next = std::max(now_, std::min(next, step));
    RunGpu(next);
    if (now_ >= step) StepScheduler();
  }
}

void GpuModel::Kill(std::size_t index) {
  Process& process = processes_[index];
  process.dead = true;
  process.queue.clear();
  process.estimate_in_flight = Nanos(0);
  if (scheduler_ != nullptr) scheduler_->RemoveProcess(index);
}

Nanos GpuModel::Busy(std::uint64_t tenant) const {
  Nanos busy{0};
  for (const Process& process : processes_) {
    if (process.load.tenant == tenant) busy += process.busy;
  }
  return busy;
}

}  // namespace aliquot::arbiter::testing
