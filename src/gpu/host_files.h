// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace aliquot::gpu {

// Minor numbers of the capability device nodes of GPU and compute instances, from the driver's list
// /proc/driver/nvidia-caps/mig-minors. A plain value.
class MigMinors {
 public:
  // Reads lines "gpu<M>/gi<G>/access <minor>" and "gpu<M>/gi<G>/ci<C>/access <minor>". Lines about
  // other things ("config 1") and lines that cannot be read are skipped; the latter are counted.
  static MigMinors Parse(std::string_view text);
  // What drivers have used so far: GI 3 + 135 M + 9 G, CI one more than its GI plus C. For
  // simulated nodes, which have no /proc of the driver; the real list always wins.
  static MigMinors ByRule();

  // `gpu_minor` is the GPU's device minor number, not its index.
  std::optional<unsigned> GpuInstance(unsigned gpu_minor, unsigned gi) const;
  std::optional<unsigned> ComputeInstance(unsigned gpu_minor, unsigned gi, unsigned ci) const;
  unsigned skipped_lines() const { return skipped_lines_; }

 private:
  struct Key {
    unsigned gpu_minor;
    unsigned gi;
    int ci;  // -1 for the GPU instance itself
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  std::optional<unsigned> Find(const Key& key) const;

  std::vector<std::pair<Key, unsigned>> minors_;  // sorted by key
  unsigned skipped_lines_ = 0;
  bool by_rule_ = false;
};

// A PCI bus id as sysfs spells it: lower case, the domain with at least four digits. NVML writes
// eight: "00000000:1A:00.0" becomes "0000:1a:00.0".
std::string SysfsBusId(std::string_view nvml_bus_id);

// The few files of the host that say more about a GPU than NVML does. `root` stands for "/", so
// that a test tree, or a host mounted into the agent's container, can take its place. No state;
// every call reads again.
class HostFiles {
 public:
  HostFiles() = default;
  explicit HostFiles(std::string root);

  // Whether this is the running system's own tree.
  bool is_system() const { return root_.empty(); }

  // NUMA node of a PCI function ("0000:1a:00.0"). Absent if the host has no file for it or does not
  // know (-1).
  std::optional<int> NumaNode(const std::string& bus_id) const;
  // "/dev/dri/card1", "/dev/dri/renderD128", sorted; empty if the GPU has none.
  std::vector<std::string> DrmPaths(const std::string& bus_id) const;
  // kNotFound on a machine whose driver does not know MIG.
  Result<MigMinors> ReadMigMinors() const;

 private:
  std::string root_;
};

}  // namespace aliquot::gpu
