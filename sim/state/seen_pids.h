// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "sim/state/layout.h"

namespace aliquot::sim {

// What ProcessState::pid_namespace says of the calling process; 0 without /proc.
std::uint64_t OwnPidNamespace();

// The numbers by which the calling process knows the processes of a node. Each notes the number it
// has itself, in a container a small one; a real driver tells everybody the number in the reader's
// pid namespace. One snapshot of /proc, taken when first needed. Not thread-safe.
class SeenPids {
 public:
  // `proc`: where the proc file system is.
  explicit SeenPids(std::string proc = "/proc") : proc_(std::move(proc)) {}
  // 0 for a process that cannot be seen from here.
  std::uint32_t Of(const ProcessState& process);

 private:
  using Key = std::pair<std::uint64_t, std::uint32_t>;  // namespace, number in it
  std::map<Key, std::uint32_t> ReadAll() const;

  std::string proc_;
  std::optional<std::map<Key, std::uint32_t>> others_;
};

}  // namespace aliquot::sim
