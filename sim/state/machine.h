// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "sim/model/node.h"
#include "sim/state/layout.h"

// What happens to a node, as pure functions on its state.
namespace aliquot::sim {

// The node as its file says: driver loaded, MIG instances created in the driver's own order,
// faults in place. An instance that does not fit is an error with its line and column.
Result<NodeState> InitialState(const NodeSpec& node);

// Appends an event; the oldest is forgotten when the ring is full.
void RaiseEvent(NodeState& state, std::uint64_t type, std::uint64_t data, unsigned gpu,
                std::uint32_t gi = kNobody, std::uint32_t ci = kNobody);

// The GPU falls off the bus: XID 79, and every call about it answers GPU_IS_LOST.
void LoseGpu(NodeState& state, unsigned gpu);
void RestoreGpu(NodeState& state, unsigned gpu);

// The GPU starts afresh: its instances are gone, a pending MIG mode takes effect, and listeners
// hear of a changed MIG configuration if it did change.
void ResetGpu(const NodeSpec& node, NodeState& state, unsigned gpu);

// The driver's modules leave: processes and MIG instances are gone, and so is the MIG mode except
// on Ampere, which keeps it in the InfoROM.
void UnloadDriver(const NodeSpec& node, NodeState& state);
// The modules come back, with another version if given. Sessions opened before stay dead.
void LoadDriver(NodeState& state, std::string_view version);

// kResourceExhausted if all kMaxCallFaults are taken, kInvalidArgument for a call name that is not
// "nvml..." or "*".
Status AddCallFault(NodeState& state, const CallFaultState& fault, std::string_view call);
// Lost GPUs return, call faults and error counts go. Instances, modes and processes stay.
void ClearFaults(NodeState& state);

// Whether a fault for `fault_call` hits `call`: equal, or equal but for the version suffix that
// the fault does not have, or "*".
bool CallMatches(std::string_view fault_call, std::string_view call);

// Memory that processes use of a GPU, of one of its GPU instances, or of one compute instance.
std::uint64_t UsedMemory(const NodeState& state, unsigned gpu,
                         std::optional<unsigned> gi = std::nullopt,
                         std::optional<unsigned> ci = std::nullopt);
// Whether a process runs on the GPU (or only in that GI, or in that CI).
bool HasProcess(const NodeState& state, unsigned gpu, std::optional<unsigned> gi = std::nullopt,
                std::optional<unsigned> ci = std::nullopt);
// What a process could allocate in total: of the whole GPU without MIG, else of the GPU instance.
std::uint64_t UsableMemory(const NodeSpec& node, const NodeState& state, unsigned gpu,
                           std::optional<unsigned> gi = std::nullopt);
// Of a MIG device, what the driver keeps for itself.
inline constexpr std::uint64_t kMigReservedBytes = 13ull << 20;

// Copies `text`, cut if need be, with a final zero byte.
template <std::size_t N>
void CopyText(char (&to)[N], std::string_view text) {
  const std::size_t length = text.copy(to, N - 1);
  to[length] = '\0';
}

}  // namespace aliquot::sim
