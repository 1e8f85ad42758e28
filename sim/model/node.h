// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "sim/model/product.h"
#include "sim/model/uuid.h"

namespace aliquot::sim {

// Most GPUs of a node: the driver's table of MIG capability minors covers device minors 0 to 31.
inline constexpr unsigned kMaxGpus = 32;
// Largest node file.
inline constexpr std::size_t kMaxNodeBytes = 64u << 10;

// Where in the node file something was said, for later messages. Lines and columns from 1.
struct Position {
  int line = 0;
  int column = 0;
};

// One entry of a GPU's `mig` list: a GPU instance and the compute instances in it.
struct MigInstanceSpec {
  const MigProfile* profile = nullptr;  // in the GPU's product
  std::optional<unsigned> start;        // absent: where the driver puts it
  std::vector<unsigned> compute;        // indices of compute profiles, in order of creation
  Position position;
};

struct GpuSpec {
  std::shared_ptr<const Product> product;
  std::string uuid;  // "GPU-..."
  Uuid uuid_bytes{};
  unsigned pci_domain = 0;
  unsigned pci_bus = 0;
  unsigned pci_device = 0;
  unsigned minor = 0;  // of /dev/nvidia<minor>
  std::optional<int> numa_node;
  std::string serial;
  bool mig_enabled = false;
  std::vector<MigInstanceSpec> mig;
};

// `count` direct NVLinks between GPUs number a and b.
struct NvLinkSpec {
  unsigned a = 0;
  unsigned b = 0;
  unsigned count = 0;
};

// A fault present from the start; see sim/control/control.h for what each kind does.
struct FaultSpec {
  enum class Kind { kLost, kError, kSlow, kEcc };
  Kind kind = Kind::kLost;
  std::optional<unsigned> gpu;    // absent: all
  std::string call;               // kError, kSlow
  int code = 0;                   // kError
  unsigned count = 0;             // kError: how many calls fail; 0 is all
  unsigned delay_ms = 0;          // kSlow; 0 is until cleared
  std::uint64_t corrected = 0;    // kEcc
  std::uint64_t uncorrected = 0;  // kEcc
};

// A simulated node as its file describes it: immutable, no state.
struct NodeSpec {
  std::string name;
  std::string driver;         // "580.159.04"
  std::string nvml;           // "13.580.159.04"
  int cuda_version = 0;       // 1000 * major + 10 * minor
  std::vector<GpuSpec> gpus;  // in NVML's order
  // Absent: what the products' usual boards have. Empty: no NVLink at all.
  std::optional<std::vector<NvLinkSpec>> nvlinks;
  std::vector<FaultSpec> faults;
  // Whether the driver can reset GPUs; it cannot in a virtual machine with passed-through GPUs.
  bool gpu_reset = true;
  std::string file;  // for messages
  std::string text;  // the YAML it was read from
};

// The names of the bundled nodes and products, sorted.
std::vector<std::string> BundledNodeNames();
std::vector<std::string> BundledProductKeys();
// The YAML of a bundled node; nothing if there is none of that name.
std::optional<std::string> BundledNodeText(std::string_view name);
// A bundled product by its key, whatever the case. kNotFound lists the known ones.
Result<std::shared_ptr<const Product>> BundledProduct(std::string_view key);

// Parses a node file. All problems are in the error's message, one per line with `file`, line and
// column. Never throws or crashes, whatever the text.
Result<NodeSpec> ParseNode(std::string_view file, const std::string& text);
// `what` is the name of a bundled node, or a path (with a slash, or ending in .yaml or .yml).
Result<NodeSpec> LoadNode(const std::string& what);

// "00000000:07:00.0" and "0000:07:00.0".
std::string BusId(const GpuSpec& gpu);
std::string BusIdLegacy(const GpuSpec& gpu);
// "MIG-..." of a compute instance: name-based on the GPU's UUID, so it survives everything but a
// change of the ids.
std::string MigUuid(const GpuSpec& gpu, unsigned gi_id, unsigned ci_id);

// How near two GPUs of a node are over PCIe, as NVML_TOPOLOGY_*: two neighbours of a board with
// paired GPUs share a PCIe switch, GPUs of one NUMA node share a socket, others do not.
unsigned TopologyLevel(const NodeSpec& node, unsigned a, unsigned b);

// What is at the other end of a link.
struct NvLinkEnd {
  bool active = false;
  std::optional<unsigned> gpu;  // absent: an NVSwitch
};
// Links of GPU `gpu`, by link number.
std::vector<NvLinkEnd> NvLinks(const NodeSpec& node, unsigned gpu);

}  // namespace aliquot::sim
