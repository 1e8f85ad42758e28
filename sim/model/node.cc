// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/model/node.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "sim/model/bundled.h"

namespace aliquot::sim {
namespace {

constexpr unsigned kTopologyMultiple = 20;  // NVML_TOPOLOGY_*
constexpr unsigned kTopologyNode = 40;
constexpr unsigned kTopologySystem = 50;

const BundledFile* Find(std::span<const BundledFile> files, std::string_view name) {
  for (const BundledFile& file : files) {
    if (file.name == name) return &file;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> BundledNodeNames() {
  std::vector<std::string> names;
  for (const BundledFile& file : BundledNodes()) names.emplace_back(file.name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> BundledProductKeys() {
  std::vector<std::string> keys;
  for (const BundledFile& file : BundledProducts()) {
    const Result<Product> product = ParseProduct(file.name, std::string(file.text));
    if (product.ok()) keys.push_back(product->key);
  }
  return keys;
}

std::optional<std::string> BundledNodeText(std::string_view name) {
  const BundledFile* file = Find(BundledNodes(), name);
  if (file == nullptr) return std::nullopt;
  return std::string(file->text);
}

Result<std::shared_ptr<const Product>> BundledProduct(std::string_view key) {
  // A product's file is named by its key in lower case.
  const BundledFile* file = Find(BundledProducts(), ToLower(key));
  if (file == nullptr) {
    const std::vector<std::string> keys = BundledProductKeys();
    return Error{Code::kNotFound, fmt::format("unknown product \"{}\"; expected one of {}",
                                              key.substr(0, 60), Join(keys, ", "))};
  }
  Result<Product> product = ParseProduct(file->name, std::string(file->text));
  if (!product.ok()) return product.error();
  return std::make_shared<const Product>(*std::move(product));
}

Result<NodeSpec> LoadNode(const std::string& what) {
  const bool is_path =
      what.find('/') != std::string::npos || what.ends_with(".yaml") || what.ends_with(".yml");
  if (is_path) {
    const Result<std::string> text = ReadFile(what, kMaxNodeBytes);
    if (!text.ok()) return text.error().In("simulated node");
    return ParseNode(what, *text);
  }
  const std::optional<std::string> text = BundledNodeText(what);
  if (!text) {
    const std::vector<std::string> names = BundledNodeNames();
    return Error{Code::kNotFound,
                 fmt::format("no simulated node is named \"{}\"; expected a path to a node file or "
                             "one of {}",
                             what, Join(names, ", "))};
  }
  return ParseNode(what, *text);
}

std::string BusIdLegacy(const GpuSpec& gpu) {
  return fmt::format("{:04X}:{:02X}:{:02X}.0", gpu.pci_domain & 0xFFFF, gpu.pci_bus,
                     gpu.pci_device);
}

std::string BusId(const GpuSpec& gpu) {
  return fmt::format("{:08X}:{:02X}:{:02X}.0", gpu.pci_domain, gpu.pci_bus, gpu.pci_device);
}

std::string MigUuid(const GpuSpec& gpu, unsigned gi_id, unsigned ci_id) {
  return "MIG-" + FormatUuid(UuidV5(gpu.uuid_bytes, fmt::format("{}/{}", gi_id, ci_id)));
}

unsigned TopologyLevel(const NodeSpec& node, unsigned a, unsigned b) {
  const GpuSpec& first = node.gpus[a];
  const GpuSpec& second = node.gpus[b];
  if (first.numa_node.value_or(0) != second.numa_node.value_or(0)) return kTopologySystem;
  const bool neighbours = a / 2 == b / 2;
  if (neighbours && first.product->paired && second.product->paired) return kTopologyMultiple;
  return kTopologyNode;
}

std::vector<NvLinkEnd> NvLinks(const NodeSpec& node, unsigned gpu) {
  const Product& product = *node.gpus[gpu].product;
  if (product.nvlink == NvLinkKind::kNone || (node.nvlinks && node.nvlinks->empty())) return {};
  std::vector<NvLinkEnd> ends(product.nvlink_count);
  if (!node.nvlinks) {
    // Without a list: a board with a switch uses all its links, bridges are not plugged in.
    for (NvLinkEnd& end : ends) end.active = product.nvlink == NvLinkKind::kSwitch;
    return ends;
  }
  std::size_t next = 0;
  for (const NvLinkSpec& link : *node.nvlinks) {
    if (link.a != gpu && link.b != gpu) continue;
    for (unsigned i = 0; i < link.count && next < ends.size(); ++i) {
      ends[next++] = {true, link.a == gpu ? link.b : link.a};
    }
  }
  return ends;
}

}  // namespace aliquot::sim
