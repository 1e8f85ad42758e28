// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/state/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "sim/state/mig.h"

namespace aliquot::sim {
namespace {

// "GPU has fallen off the bus" in NVIDIA's list of XIDs.
constexpr std::uint64_t kXidFallenOffTheBus = 79;

Status PlaceInstances(const NodeSpec& node, unsigned index, GpuState& gpu) {
  const GpuSpec& spec = node.gpus[index];
  if (!spec.mig_enabled) return {};
  gpu.mig_current = 1;
  gpu.mig_pending = 1;
  const MigTraits& mig = *spec.product->mig;
  for (const MigInstanceSpec& wanted : spec.mig) {
    const auto fail = [&](std::string_view why) {
      return Error{
          Code::kInvalidArgument,
          fmt::format("{}:{}:{}: MIG instance {} of GPU {}: {}", node.file, wanted.position.line,
                      wanted.position.column, wanted.profile->name, index, why)};
    };
    std::optional<abi::Placement> placement;
    if (wanted.start) placement = abi::Placement{*wanted.start, wanted.profile->size};
    unsigned gi = 0;
    const abi::Return created = CreateGpuInstance(mig, gpu, *wanted.profile, placement, &gi);
    if (created == abi::kInvalidArgument) {
      std::vector<std::string> starts;
      for (const unsigned start : wanted.profile->starts) starts.push_back(fmt::to_string(start));
      return fail(
          fmt::format("cannot start at {}; expected one of {}", *wanted.start, Join(starts, ", ")));
    }
    if (created != abi::kSuccess) return fail("does not fit beside the instances before it");
    const std::vector<ComputeProfile> profiles = ComputeProfiles(*spec.product, *wanted.profile);
    for (const unsigned compute : wanted.compute) {
      const auto profile =
          std::find_if(profiles.begin(), profiles.end(),
                       [&](const ComputeProfile& p) { return p.index == compute; });
      unsigned ci = 0;
      if (CreateComputeInstance(gpu, gi, *profile, std::nullopt, &ci) != abi::kSuccess) {
        return fail(fmt::format("compute instance {} does not fit", profile->name));
      }
    }
  }
  return {};
}

Status ApplyFault(const FaultSpec& fault, NodeState& state) {
  const unsigned gpu = fault.gpu.value_or(kNobody);
  switch (fault.kind) {
    case FaultSpec::Kind::kLost:
      state.gpus[gpu].lost = 1;
      return {};
    case FaultSpec::Kind::kEcc:
      state.gpus[gpu].ecc_corrected = fault.corrected;
      state.gpus[gpu].ecc_uncorrected = fault.uncorrected;
      return {};
    case FaultSpec::Kind::kError:
    case FaultSpec::Kind::kSlow:
      break;
  }
  CallFaultState call{};
  call.gpu = gpu;
  call.code = fault.code;
  call.remaining = fault.count;
  call.delay_ms = fault.delay_ms;
  call.hang = fault.kind == FaultSpec::Kind::kSlow && fault.delay_ms == 0 ? 1 : 0;
  return AddCallFault(state, call, fault.call);
}

bool ProcessIn(const ProcessState& process, unsigned gpu, std::optional<unsigned> gi,
               std::optional<unsigned> ci) {
  return process.used != 0 && process.gpu == gpu && (!gi || process.gi == *gi) &&
         (!ci || process.ci == *ci);
}

}  // namespace

Result<NodeState> InitialState(const NodeSpec& node) {
  NodeState state{};
  state.driver_loaded = 1;
  state.driver_generation = 1;
  CopyText(state.driver_version, node.driver);
  for (unsigned i = 0; i < node.gpus.size(); ++i) {
    if (Status s = PlaceInstances(node, i, state.gpus[i]); !s.ok()) return s.error();
  }
  for (const FaultSpec& fault : node.faults) {
    if (Status s = ApplyFault(fault, state); !s.ok()) return s.error().In(node.file);
  }
  return state;
}

void RaiseEvent(NodeState& state, std::uint64_t type, std::uint64_t data, unsigned gpu,
                std::uint32_t gi, std::uint32_t ci) {
  state.events[state.next_event % kMaxEvents] = {type, data, gpu, gi, ci, 0};
  ++state.next_event;
}

void LoseGpu(NodeState& state, unsigned gpu) {
  if (state.gpus[gpu].lost != 0) return;
  state.gpus[gpu].lost = 1;
  RaiseEvent(state, abi::kEventXidCritical, kXidFallenOffTheBus, gpu);
}

void RestoreGpu(NodeState& state, unsigned gpu) { state.gpus[gpu].lost = 0; }

void ResetGpu(const NodeSpec& node, NodeState& state, unsigned gpu) {
  GpuState& g = state.gpus[gpu];
  const bool changed = g.mig_current != g.mig_pending || HasInstances(g);
  g.instances = {};
  g.compute_mode = 0;
  g.mig_current = g.mig_pending;
  if (changed && node.gpus[gpu].product->mig) {
    RaiseEvent(state, abi::kEventMigConfigChange, 0, gpu);
  }
}

void UnloadDriver(const NodeSpec& node, NodeState& state) {
  state.driver_loaded = 0;
  state.processes = {};
  for (unsigned i = 0; i < node.gpus.size(); ++i) {
    GpuState& gpu = state.gpus[i];
    gpu.instances = {};
    gpu.compute_mode = 0;
    const auto& mig = node.gpus[i].product->mig;
    if (!mig || mig->mode_change != MigModeChange::kReset) gpu.mig_pending = 0;
    gpu.mig_current = gpu.mig_pending;
  }
}

void LoadDriver(NodeState& state, std::string_view version) {
  if (!version.empty()) CopyText(state.driver_version, version);
  if (state.driver_loaded != 0) return;
  state.driver_loaded = 1;
  ++state.driver_generation;
}

Status AddCallFault(NodeState& state, const CallFaultState& fault, std::string_view call) {
  if (call != "*" && !call.starts_with("nvml")) {
    return Error{Code::kInvalidArgument,
                 fmt::format("call \"{}\" is not the name of an NVML function such as "
                             "nvmlDeviceGetMemoryInfo, or \"*\"",
                             call.substr(0, 60))};
  }
  for (CallFaultState& entry : state.call_faults) {
    if (entry.used != 0) continue;
    entry = fault;
    entry.used = 1;
    CopyText(entry.call, call);
    return {};
  }
  return Error{Code::kResourceExhausted,
               fmt::format("all {} call faults are in use; clear them first", kMaxCallFaults)};
}

void ClearFaults(NodeState& state) {
  state.call_faults = {};
  for (GpuState& gpu : state.gpus) {
    gpu.lost = 0;
    gpu.ecc_corrected = 0;
    gpu.ecc_uncorrected = 0;
  }
}

bool CallMatches(std::string_view fault_call, std::string_view call) {
  if (fault_call == "*" || fault_call == call) return true;
  if (!call.starts_with(fault_call)) return false;
  const std::string_view rest = call.substr(fault_call.size());
  return rest.size() == 3 && rest.starts_with("_v") && rest[2] >= '1' && rest[2] <= '9';
}

std::uint64_t UsedMemory(const NodeState& state, unsigned gpu, std::optional<unsigned> gi,
                         std::optional<unsigned> ci) {
  std::uint64_t used = 0;
  for (const ProcessState& process : state.processes) {
    if (ProcessIn(process, gpu, gi, ci)) used += process.memory_bytes;
  }
  return used;
}

bool HasProcess(const NodeState& state, unsigned gpu, std::optional<unsigned> gi,
                std::optional<unsigned> ci) {
  return std::any_of(state.processes.begin(), state.processes.end(),
                     [&](const ProcessState& p) { return ProcessIn(p, gpu, gi, ci); });
}

std::uint64_t UsableMemory(const NodeSpec& node, const NodeState& state, unsigned gpu,
                           std::optional<unsigned> gi) {
  const Product& product = *node.gpus[gpu].product;
  if (!gi) return product.memory_total_bytes() - product.memory_reserved_bytes();
  const MigProfile* profile = product.ProfileByIndex(state.gpus[gpu].instances[*gi].profile_index);
  return profile == nullptr ? 0 : (profile->memory_mib << 20) - kMigReservedBytes;
}

}  // namespace aliquot::sim
