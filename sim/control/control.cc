// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/control/control.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "sim/nvml/abi.h"
#include "sim/state/machine.h"

namespace aliquot::sim {

Result<std::unique_ptr<Control>> Control::Open(const std::string& directory,
                                               const std::string& node_name) {
  Result<NodeSpec> node = Error{};
  if (!node_name.empty()) {
    node = LoadNode(node_name);
  } else {
    const Result<std::string> text = SharedState::NodeText(directory);
    if (!text.ok()) return text.error();
    node = ParseNode(directory + "/state", *text);
  }
  if (!node.ok()) return node.error();
  const Result<NodeState> initial = InitialState(*node);
  if (!initial.ok()) return initial.error();
  Result<std::unique_ptr<SharedState>> state = SharedState::Open(directory, node->text, *initial);
  if (!state.ok()) return state.error();
  return std::unique_ptr<Control>(new Control(*std::move(node), *std::move(state)));
}

Control::Control(NodeSpec node, std::shared_ptr<SharedState> state)
    : node_(std::move(node)), state_(std::move(state)) {}

NodeState Control::Snapshot() const {
  ReapProcesses(*state_);
  NodeState copy{};
  state_->Read([&](const NodeState& s) { copy = s; });
  return copy;
}

Status Control::CheckGpu(unsigned gpu) const {
  if (gpu < node_.gpus.size()) return {};
  return Error{Code::kInvalidArgument, fmt::format("GPU {} does not exist; node {} has {}", gpu,
                                                   node_.name, node_.gpus.size())};
}

Status Control::CheckVersion(const std::string& version) const {
  const std::vector<std::string> parts = Split(version, '.');
  const bool good = parts.size() >= 2 && parts.size() <= 3 && version.size() < 32 &&
                    std::all_of(
                        parts.begin(), parts.end(),
                        [](const std::string& p) { return ParseUnsigned(p).has_value(); });
  if (version.empty() || good) return {};
  return Error{
      Code::kInvalidArgument,
      fmt::format("driver \"{}\" is not a version such as 580.159.04", version.substr(0, 60))};
}

Status Control::RaiseXid(unsigned gpu, std::uint64_t code, std::optional<unsigned> gi,
                         std::optional<unsigned> ci) {
  if (Status s = CheckGpu(gpu); !s.ok()) return s;
  if (ci && !gi) {
    return Error{Code::kInvalidArgument, "a compute instance is named without its GPU instance"};
  }
  if (gi.value_or(0) >= kMaxGpuInstances || ci.value_or(0) >= kMaxComputeInstances) {
    return Error{Code::kInvalidArgument,
                 fmt::format("instance ids go up to {} and {}", kMaxGpuInstances - 1,
                             kMaxComputeInstances - 1)};
  }
  state_->Write([&](NodeState& s) {
    RaiseEvent(s, abi::kEventXidCritical, code, gpu, gi.value_or(kNobody), ci.value_or(kNobody));
    return true;
  });
  return {};
}

Status Control::Lose(unsigned gpu) {
  if (Status s = CheckGpu(gpu); !s.ok()) return s;
  state_->Write([&](NodeState& s) {
    LoseGpu(s, gpu);
    return true;
  });
  return {};
}

Status Control::Restore(unsigned gpu) {
  if (Status s = CheckGpu(gpu); !s.ok()) return s;
  state_->Write([&](NodeState& s) {
    RestoreGpu(s, gpu);
    return true;
  });
  return {};
}

Status Control::ResetGpu(unsigned gpu) {
  if (Status s = CheckGpu(gpu); !s.ok()) return s;
  ReapProcesses(*state_);
  const bool done = state_->Write([&](NodeState& s) {
    if (HasProcess(s, gpu)) return false;
    sim::ResetGpu(node_, s, gpu);
    return true;
  });
  if (done) return {};
  return Error{Code::kFailedPrecondition, fmt::format("GPU {} is used by a process", gpu)};
}

Status Control::FailCall(const std::string& call, int code, std::optional<unsigned> gpu,
                         unsigned count) {
  if (gpu) {
    if (Status s = CheckGpu(*gpu); !s.ok()) return s;
  }
  if (code < 1 || code > 999) {
    return Error{Code::kInvalidArgument,
                 fmt::format("code {} is not an NVML error from 1 to 999", code)};
  }
  CallFaultState fault{};
  fault.gpu = gpu.value_or(kNobody);
  fault.code = code;
  fault.remaining = count;
  Status status;
  state_->Write([&](NodeState& s) {
    status = AddCallFault(s, fault, call);
    return status.ok();
  });
  return status;
}

Status Control::DelayCall(const std::string& call, unsigned delay_ms, std::optional<unsigned> gpu) {
  if (gpu) {
    if (Status s = CheckGpu(*gpu); !s.ok()) return s;
  }
  CallFaultState fault{};
  fault.gpu = gpu.value_or(kNobody);
  fault.delay_ms = delay_ms;
  fault.hang = delay_ms == 0 ? 1 : 0;
  Status status;
  state_->Write([&](NodeState& s) {
    status = AddCallFault(s, fault, call);
    return status.ok();
  });
  return status;
}

Status Control::AddEccErrors(unsigned gpu, std::uint64_t corrected, std::uint64_t uncorrected) {
  if (Status s = CheckGpu(gpu); !s.ok()) return s;
  if (!node_.gpus[gpu].product->ecc) {
    return Error{Code::kFailedPrecondition, fmt::format("GPU {} has ECC off", gpu)};
  }
  state_->Write([&](NodeState& s) {
    s.gpus[gpu].ecc_corrected += corrected;
    s.gpus[gpu].ecc_uncorrected += uncorrected;
    if (corrected > 0) RaiseEvent(s, abi::kEventSingleBitEcc, 0, gpu);
    if (uncorrected > 0) RaiseEvent(s, abi::kEventDoubleBitEcc, 0, gpu);
    return true;
  });
  return {};
}

void Control::Unload() {
  state_->Write([&](NodeState& s) {
    UnloadDriver(node_, s);
    return true;
  });
}

Status Control::Load(const std::string& version) {
  if (Status s = CheckVersion(version); !s.ok()) return s;
  state_->Write([&](NodeState& s) {
    LoadDriver(s, version);
    return true;
  });
  return {};
}

Status Control::Reload(const std::string& version) {
  if (Status s = CheckVersion(version); !s.ok()) return s;
  state_->Write([&](NodeState& s) {
    UnloadDriver(node_, s);
    LoadDriver(s, version);
    return true;
  });
  return {};
}

Status Control::AddProcess(ProcessOptions options, std::uint64_t memory_bytes) {
  options.pinned = true;
  Result<std::unique_ptr<ProcessRegistration>> process =
      ProcessRegistration::Register(state_, node_, options);
  if (!process.ok()) return process.error();
  const Status charged = (*process)->Charge(static_cast<std::int64_t>(memory_bytes));
  if (!charged.ok()) ForgetProcess(*state_, options.pid);
  return charged;
}

Status Control::RemoveProcess(std::uint32_t pid) {
  if (ForgetProcess(*state_, pid) > 0) return {};
  return Error{Code::kNotFound, fmt::format("no process {} was added by hand", pid)};
}

void Control::Reset() {
  state_->Write([](NodeState& s) {
    ClearFaults(s);
    return true;
  });
}

}  // namespace aliquot::sim
