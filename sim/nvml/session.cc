// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/nvml/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "sim/state/machine.h"
#include "sim/state/process.h"

namespace aliquot::sim {
namespace {

using SteadyClock = std::chrono::steady_clock;

void Complain(const Error& error) {
  const std::string line = fmt::format("aliquot simulated NVML: {}\n", error.message);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// The node that ALIQUOT_SIM_NODE names, or the one the state directory was made for.
Result<NodeSpec> NodeFromEnvironment(const std::string& directory) {
  const std::string name = Environment("ALIQUOT_SIM_NODE");
  if (!name.empty()) return LoadNode(name);
  if (directory.empty()) {
    return Error{Code::kNotFound,
                 "ALIQUOT_SIM_NODE is not set; expected the name of a bundled node or a path to a "
                 "node file"};
  }
  const Result<std::string> text = SharedState::NodeText(directory);
  if (!text.ok()) return text.error().In("ALIQUOT_SIM_NODE is not set");
  return ParseNode(directory + "/state", *text);
}

}  // namespace

struct Session::Verdict {
  int code = abi::kSuccess;
  bool waits = false;  // for `delay`, or without limit
  std::optional<std::chrono::milliseconds> delay;
  std::optional<unsigned> used_up;  // the call fault whose count this call uses
};

Session::Session(std::shared_ptr<const NodeSpec> node, std::shared_ptr<SharedState> state)
    : node_(std::move(node)), state_(std::move(state)) {
  state_->Read([this](const NodeState& s) {
    generation_ = s.driver_generation;
    driver_version_ = s.driver_version;
  });
}

int Session::DriverStatus(const NodeState& state) const {
  if (closed()) return abi::kUninitialized;
  if (state.driver_loaded == 0) return abi::kDriverNotLoaded;
  if (state.driver_generation == generation_) return abi::kSuccess;
  return driver_version_ == state.driver_version ? abi::kUnknown : abi::kLibRmVersionMismatch;
}

Session::Verdict Session::Judge(const NodeState& state, std::string_view call,
                                std::optional<unsigned> gpu) const {
  Verdict verdict;
  verdict.code = DriverStatus(state);
  if (verdict.code != abi::kSuccess) return verdict;
  for (unsigned i = 0; i < state.call_faults.size(); ++i) {
    const CallFaultState& fault = state.call_faults[i];
    if (fault.used == 0 || !CallMatches(fault.call, call)) continue;
    if (fault.gpu != kNobody && gpu != fault.gpu) continue;
    if (fault.hang != 0 || fault.delay_ms > 0) {
      verdict.waits = true;
      if (fault.hang == 0) verdict.delay = std::chrono::milliseconds(fault.delay_ms);
    }
    if (fault.code != abi::kSuccess && verdict.code == abi::kSuccess) {
      verdict.code = fault.code;
      if (fault.remaining > 0) verdict.used_up = i;
    }
  }
  return verdict;
}

bool Session::UseUpFault(unsigned fault) {
  return state_->Write([&](NodeState& state) {
    CallFaultState& entry = state.call_faults[fault];
    if (entry.used == 0 || entry.remaining == 0) return false;
    if (--entry.remaining == 0) entry = {};
    return true;
  });
}

int Session::Admit(std::string_view call, std::optional<unsigned> gpu) {
  const SteadyClock::time_point start = SteadyClock::now();
  ReapProcesses(*state_);
  while (true) {
    const std::uint32_t seen = state_->ChangeCount();
    Verdict verdict;
    state_->Read([&](const NodeState& state) { verdict = Judge(state, call, gpu); });
    if (verdict.waits) {
      std::optional<std::chrono::nanoseconds> left;
      if (verdict.delay) left = start + *verdict.delay - SteadyClock::now();
      if (!left || left->count() > 0) {
        state_->WaitForChange(seen, left);
        continue;
      }
    }
    // Another call may have used the fault's last count meanwhile; then look again.
    if (verdict.used_up && !UseUpFault(*verdict.used_up)) continue;
    return verdict.code;
  }
}

void Session::Close() {
  closed_.store(true);
  state_->Poke();
}

Library& Library::Get() {
  // Never destroyed: threads may still be inside a call when the process ends.
  alignas(Library) static unsigned char storage[sizeof(Library)];
  static Library* const library = new (storage) Library;
  return *library;
}

std::shared_ptr<Session> Library::session() {
  const std::lock_guard lock(mutex_);
  return session_;
}

// Called with the mutex held.
int Library::Open(std::shared_ptr<Session>* session) {
  const std::string directory = Environment("ALIQUOT_SIM_STATE");
  Result<NodeSpec> parsed = NodeFromEnvironment(directory);
  if (!parsed.ok()) {
    Complain(parsed.error());
    return parsed.error().code == Code::kNotFound ? abi::kDriverNotLoaded : abi::kUnknown;
  }
  const auto node = std::make_shared<const NodeSpec>(*std::move(parsed));
  node_name_ = names_.insert(node->name).first->c_str();
  if (directory.empty() && private_node_ != nullptr && private_node_->text == node->text) {
    *session = std::make_shared<Session>(private_node_, private_state_);
    return abi::kSuccess;
  }
  const Result<NodeState> initial = InitialState(*node);
  if (!initial.ok()) {
    Complain(initial.error());
    return abi::kUnknown;
  }
  Result<std::unique_ptr<SharedState>> state =
      directory.empty() ? SharedState::CreatePrivate(node->text, *initial)
                        : SharedState::Open(directory, node->text, *initial);
  if (!state.ok()) {
    Complain(state.error());
    return abi::kUnknown;
  }
  std::shared_ptr<SharedState> shared = *std::move(state);
  if (directory.empty()) {
    private_node_ = node;
    private_state_ = shared;
  }
  *session = std::make_shared<Session>(node, std::move(shared));
  return abi::kSuccess;
}

int Library::Init() {
  std::shared_ptr<Session> session;
  {
    const std::lock_guard lock(mutex_);
    session = session_;
    if (session == nullptr) {
      if (const int code = Open(&session); code != abi::kSuccess) return code;
    }
  }
  // A fault may make this block, so other threads must not wait for our mutex.
  if (const int code = session->Admit("nvmlInit_v2", std::nullopt); code != abi::kSuccess) {
    return code;
  }
  const std::lock_guard lock(mutex_);
  if (session_ == nullptr) session_ = session;
  ++references_;
  return abi::kSuccess;
}

int Library::Shutdown() {
  const std::lock_guard lock(mutex_);
  if (references_ == 0) return abi::kUninitialized;
  if (--references_ == 0) {
    session_->Close();
    session_.reset();
  }
  return abi::kSuccess;
}

const char* Library::NodeName() {
  const std::lock_guard lock(mutex_);
  // Between sessions the next one counts, which may be of another node.
  if (session_ == nullptr) {
    const Result<NodeSpec> node = NodeFromEnvironment(Environment("ALIQUOT_SIM_STATE"));
    if (node.ok()) node_name_ = names_.insert(node->name).first->c_str();
  }
  return node_name_;
}

}  // namespace aliquot::sim
