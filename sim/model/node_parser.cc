// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <set>

#include "base/text.h"
#include "sim/model/node.h"
#include "sim/model/yaml_reader.h"

namespace aliquot::sim {
namespace {

// Names every UUID of the simulation descends from; any fixed value will do.
constexpr Uuid kAliquotSpace = {0x5b, 0x0e, 0x2a, 0x94, 0x6d, 0x1f, 0x4c, 0x33,
                                0x9a, 0x7e, 0x61, 0x70, 0x71, 0x75, 0x6f, 0x74};

// A version of `least` to `most` dotted decimal parts.
std::optional<std::vector<unsigned>> ParseVersion(std::string_view text, std::size_t least,
                                                  std::size_t most) {
  std::vector<unsigned> parts;
  for (const std::string& piece : Split(text, '.')) {
    const std::optional<unsigned long long> value = ParseUnsigned(piece);
    if (!value || *value > 99999) return std::nullopt;
    parts.push_back(static_cast<unsigned>(*value));
  }
  if (parts.size() < least || parts.size() > most) return std::nullopt;
  return parts;
}

std::optional<unsigned> ParseHex(std::string_view text, std::size_t digits) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() > digits) {
    return std::nullopt;
  }
  return value;
}

class NodeParser {
 public:
  NodeParser(std::string_view file, const std::string& text) : reader_(text) {
    node_.file = file;
    node_.text = text;
  }

  Result<NodeSpec> Parse() {
    if (reader_.ok()) ReadAll(reader_.root());
    if (!reader_.ok()) {
      return Error{Code::kInvalidArgument, FormatProblems(node_.file, reader_.problems())};
    }
    return std::move(node_);
  }

 private:
  void ReadAll(const YAML::Node& root) {
    if (!reader_.CheckMap(root, "a node",
                          {"name", "driver", "cuda", "gpus", "nvlinks", "faults", "gpuReset"})) {
      return;
    }
    ReadName(root);
    ReadVersions(root);
    node_.gpu_reset = reader_.Boolean(root, "gpuReset").value_or(true);
    reader_.Require(root, "gpus");
    for (const YAML::Node& entry : reader_.List(root, "gpus", kMaxGpus)) ReadGpuGroup(entry);
    CheckUnique();
    if (reader_.Get(root, "nvlinks").IsDefined()) ReadNvLinks(root);
    for (const YAML::Node& entry : reader_.List(root, "faults", 64)) ReadFault(entry);
  }

  void ReadName(const YAML::Node& root) {
    const YAML::Node node = reader_.Require(root, "name");
    const std::optional<std::string> name = reader_.ScalarText(node, "name");
    if (!name) return;
    const bool plain = std::all_of(name->begin(), name->end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
    });
    if (!plain || name->size() > 63) {
      reader_.Report(node, fmt::format("name \"{}\" is not at most 63 letters, digits, \"-\", "
                                       "\".\" and \"_\"",
                                       name->substr(0, 63)));
      return;
    }
    node_.name = *name;
  }

  void ReadVersions(const YAML::Node& root) {
    const YAML::Node driver = reader_.Require(root, "driver");
    if (const auto text = reader_.ScalarText(driver, "driver")) {
      if (!ParseVersion(*text, 2, 3)) {
        reader_.Report(driver, fmt::format("driver \"{}\" is not a version such as 580.159.04",
                                           text->substr(0, 60)));
      }
      node_.driver = *text;
    }
    const YAML::Node cuda = reader_.Require(root, "cuda");
    if (const auto text = reader_.ScalarText(cuda, "cuda")) {
      const auto parts = ParseVersion(*text, 2, 2);
      if (!parts || (*parts)[0] > 99 || (*parts)[1] > 99) {
        reader_.Report(cuda, fmt::format("cuda \"{}\" is not a version such as \"13.0\"",
                                         text->substr(0, 60)));
        return;
      }
      node_.cuda_version = static_cast<int>((*parts)[0] * 1000 + (*parts)[1] * 10);
      node_.nvml = fmt::format("{}.{}", (*parts)[0], node_.driver);
    }
  }

  std::shared_ptr<const Product> ReadProduct(const YAML::Node& entry) {
    const YAML::Node node = reader_.Require(entry, "product");
    const std::optional<std::string> key = reader_.ScalarText(node, "product");
    if (!key) return nullptr;
    std::shared_ptr<const Product>& known = products_[*key];
    if (known == nullptr) {
      Result<std::shared_ptr<const Product>> product = BundledProduct(*key);
      if (!product.ok()) {
        reader_.Report(node, product.error().message);
        return nullptr;
      }
      known = *std::move(product);
    }
    return known;
  }

  void ReadGpuGroup(const YAML::Node& entry) {
    if (!reader_.CheckMap(
            entry, "a GPU",
            {"product", "count", "numaNode", "uuid", "busId", "minor", "serial", "mig"})) {
      return;
    }
    GpuSpec gpu;
    gpu.product = ReadProduct(entry);
    const auto count = reader_.Integer(entry, "count", 1, kMaxGpus).value_or(1);
    if (const auto numa = reader_.Integer(entry, "numaNode", -1, 255)) {
      if (*numa >= 0) gpu.numa_node = static_cast<int>(*numa);
    }
    if (gpu.product != nullptr) ReadMig(entry, gpu);
    for (const std::string_view key : {"uuid", "busId", "minor", "serial"}) {
      const YAML::Node node = reader_.Get(entry, key);
      if (count > 1 && node.IsDefined()) {
        reader_.Report(node,
                       fmt::format("{} is given for {} GPUs; write one entry per GPU", key, count));
        return;
      }
    }
    for (std::int64_t i = 0; i < count; ++i) {
      if (node_.gpus.size() >= kMaxGpus) {
        reader_.Report(entry, fmt::format("the node has more than {} GPUs", kMaxGpus));
        return;
      }
      AddGpu(entry, gpu);
    }
  }

  // Fills what belongs to one GPU: given, or derived from the node's name and the GPU's number.
  void AddGpu(const YAML::Node& entry, GpuSpec gpu) {
    const auto index = static_cast<unsigned>(node_.gpus.size());
    const Uuid derived = UuidV5(kAliquotSpace, fmt::format("{}/{}", node_.name, index));
    gpu.uuid_bytes = derived;
    const YAML::Node uuid = reader_.Get(entry, "uuid");
    if (const auto text = reader_.ScalarText(uuid, "uuid")) {
      const auto bytes = text->starts_with("GPU-") ? ParseUuid(text->substr(4)) : std::nullopt;
      if (!bytes) {
        reader_.Report(uuid,
                       fmt::format("uuid \"{}\" is not \"GPU-\" and a UUID", text->substr(0, 60)));
      }
      gpu.uuid_bytes = bytes.value_or(derived);
    }
    gpu.uuid = "GPU-" + FormatUuid(gpu.uuid_bytes);
    // Seven apart, so that 32 GPUs fit below the 256 buses of one domain.
    gpu.pci_bus = 0x07 + 7 * index;
    const YAML::Node bus_id = reader_.Get(entry, "busId");
    if (const auto text = reader_.ScalarText(bus_id, "busId")) ReadBusId(bus_id, *text, gpu);
    gpu.minor =
        static_cast<unsigned>(reader_.Integer(entry, "minor", 0, kMaxGpus - 1).value_or(index));
    const unsigned serial = static_cast<unsigned>(derived[0]) << 16 | derived[1] << 8 | derived[2];
    gpu.serial = fmt::format("16{:08}{:03}", serial, index);
    if (const auto text = reader_.Text(entry, "serial")) gpu.serial = text->substr(0, 29);
    positions_.push_back(entry);
    node_.gpus.push_back(std::move(gpu));
  }

  void ReadBusId(const YAML::Node& node, const std::string& text, GpuSpec& gpu) {
    const std::vector<std::string> parts = Split(text, ':');
    const std::vector<std::string> last = Split(parts.back(), '.');
    if (parts.size() == 3 && last.size() == 2 && last[1] == "0") {
      const auto domain = ParseHex(parts[0], 8);
      const auto bus = ParseHex(parts[1], 2);
      const auto device = ParseHex(last[0], 2);
      if (domain && bus && device && *domain <= 0xFFFF && *device < 32) {
        gpu.pci_domain = *domain;
        gpu.pci_bus = *bus;
        gpu.pci_device = *device;
        return;
      }
    }
    reader_.Report(node, fmt::format("busId \"{}\" is not an address such as 0000:07:00.0",
                                     text.substr(0, 60)));
  }

  void ReadMig(const YAML::Node& entry, GpuSpec& gpu) {
    const YAML::Node mig = reader_.Get(entry, "mig");
    if (!mig.IsDefined()) return;
    if (!gpu.product->mig) {
      reader_.Report(mig, fmt::format("product {} has no MIG", gpu.product->key));
      return;
    }
    gpu.mig_enabled = true;
    for (const YAML::Node& item : reader_.List(entry, "mig", 8)) {
      const bool plain = item.IsScalar();
      if (!plain && !reader_.CheckMap(item, "a MIG instance", {"profile", "start", "compute"})) {
        continue;
      }
      const YAML::Node name_node = plain ? item : reader_.Require(item, "profile");
      const auto name = reader_.ScalarText(name_node, "profile");
      if (!name) continue;
      MigInstanceSpec instance;
      instance.position = {item.Mark().line + 1, item.Mark().column + 1};
      instance.profile = gpu.product->ProfileByName(*name);
      if (instance.profile == nullptr) {
        ReportUnknownProfile(name_node, *name, *gpu.product);
        continue;
      }
      if (!plain) {
        if (const auto start = reader_.Integer(item, "start", 0, 15)) {
          instance.start = static_cast<unsigned>(*start);
        }
      }
      ReadCompute(item, *gpu.product, instance);
      gpu.mig.push_back(std::move(instance));
    }
  }

  void ReportUnknownProfile(const YAML::Node& at, const std::string& name, const Product& product) {
    std::vector<std::string> names;
    for (const MigProfile& profile : product.mig->profiles) names.push_back(profile.name);
    reader_.Report(at, fmt::format("product {} has no MIG profile \"{}\"; expected one of {}",
                                   product.key, name.substr(0, 60), Join(names, ", ")));
  }

  // Without a list, one compute instance takes the whole GPU instance, as tools create it.
  void ReadCompute(const YAML::Node& item, const Product& product, MigInstanceSpec& instance) {
    const std::vector<ComputeProfile> profiles = ComputeProfiles(product, *instance.profile);
    const auto by_name = [&](std::string_view name) {
      return std::find_if(profiles.begin(), profiles.end(),
                          [&](const ComputeProfile& p) { return p.name == name; });
    };
    if (item.IsScalar() || !reader_.Get(item, "compute").IsDefined()) {
      instance.compute.push_back(by_name(instance.profile->name)->index);
      return;
    }
    for (const YAML::Node& entry : reader_.List(item, "compute", 8)) {
      const auto name = reader_.ScalarText(entry, "compute profile");
      if (!name) continue;
      const auto found = by_name(*name);
      if (found == profiles.end()) {
        std::vector<std::string> names;
        for (const ComputeProfile& profile : profiles) names.push_back(profile.name);
        reader_.Report(entry,
                       fmt::format("no compute profile \"{}\" in {}; expected one of {}",
                                   name->substr(0, 60), instance.profile->name, Join(names, ", ")));
        continue;
      }
      instance.compute.push_back(found->index);
    }
  }

  void CheckUnique() {
    std::set<std::string> uuids;
    std::set<std::string> buses;
    std::set<unsigned> minors;
    for (std::size_t i = 0; i < node_.gpus.size(); ++i) {
      const GpuSpec& gpu = node_.gpus[i];
      if (!uuids.insert(gpu.uuid).second) {
        reader_.Report(positions_[i], fmt::format("GPU {} repeats the UUID {}", i, gpu.uuid));
      }
      if (!buses.insert(BusId(gpu)).second) {
        reader_.Report(positions_[i], fmt::format("GPU {} repeats the bus id {}", i, BusId(gpu)));
      }
      if (!minors.insert(gpu.minor).second) {
        reader_.Report(positions_[i], fmt::format("GPU {} repeats the minor {}", i, gpu.minor));
      }
    }
  }

  std::optional<unsigned> GpuNumber(const YAML::Node& map, std::string_view key) {
    const auto last = static_cast<std::int64_t>(node_.gpus.size()) - 1;
    const auto value = reader_.Integer(map, key, 0, last);
    if (!value) return std::nullopt;
    return static_cast<unsigned>(*value);
  }

  void ReadNvLinks(const YAML::Node& root) {
    std::vector<NvLinkSpec> links;
    std::vector<unsigned> used(node_.gpus.size());
    for (const YAML::Node& entry : reader_.List(root, "nvlinks", kMaxGpus * 18)) {
      if (!reader_.CheckMap(entry, "a link", {"a", "b", "count"})) continue;
      reader_.Require(entry, "a");
      reader_.Require(entry, "b");
      const auto a = GpuNumber(entry, "a");
      const auto b = GpuNumber(entry, "b");
      const auto count = static_cast<unsigned>(reader_.Integer(entry, "count", 1, 18).value_or(1));
      if (!a || !b) continue;
      if (*a == *b) {
        reader_.Report(entry, fmt::format("GPU {} is linked to itself", *a));
        continue;
      }
      for (const unsigned end : {*a, *b}) {
        used[end] += count;
        const Product* product = node_.gpus[end].product.get();
        if (product != nullptr && used[end] > product->nvlink_count) {
          reader_.Report(entry, fmt::format("GPU {} uses {} links; product {} has {}", end,
                                            used[end], product->key, product->nvlink_count));
        }
      }
      links.push_back({*a, *b, count});
    }
    node_.nvlinks = std::move(links);
  }

  void ReadFault(const YAML::Node& entry) {
    if (!reader_.CheckMap(
            entry, "a fault",
            {"gpu", "at", "kind", "call", "code", "count", "ms", "corrected", "uncorrected"})) {
      return;
    }
    const YAML::Node at = reader_.Get(entry, "at");
    if (const auto text = reader_.ScalarText(at, "at"); text && *text != "start") {
      reader_.Report(at,
                     fmt::format("at \"{}\" is not known; expected start", text->substr(0, 60)));
    }
    FaultSpec fault;
    fault.gpu = GpuNumber(entry, "gpu");
    const YAML::Node kind_node = reader_.Require(entry, "kind");
    const std::string kind = reader_.ScalarText(kind_node, "kind").value_or("");
    if (kind == "lost" || kind == "ecc") {
      fault.kind = kind == "lost" ? FaultSpec::Kind::kLost : FaultSpec::Kind::kEcc;
      reader_.Require(entry, "gpu");
      fault.corrected = Amount(entry, "corrected");
      fault.uncorrected = Amount(entry, "uncorrected");
    } else if (kind == "error" || kind == "slow") {
      fault.kind = kind == "error" ? FaultSpec::Kind::kError : FaultSpec::Kind::kSlow;
      const YAML::Node call = reader_.Require(entry, "call");
      fault.call = reader_.ScalarText(call, "call").value_or("");
      if (fault.call != "*" && (!fault.call.starts_with("nvml") || fault.call.size() > 63)) {
        reader_.Report(call,
                       "call is not the name of an NVML function such as "
                       "nvmlDeviceGetMemoryInfo, or \"*\"");
      }
      if (kind == "error") {
        reader_.Require(entry, "code");
        fault.code = static_cast<int>(reader_.Integer(entry, "code", 1, 999).value_or(999));
      }
      fault.count = static_cast<unsigned>(Amount(entry, "count"));
      fault.delay_ms = static_cast<unsigned>(reader_.Integer(entry, "ms", 1, 3600000).value_or(0));
    } else if (kind == "xid") {
      reader_.Report(kind_node,
                     "an XID is an event that nobody would hear at the start; raise it "
                     "with \"aliquot sim xid\" while a program listens");
    } else {
      reader_.Report(kind_node, fmt::format("fault kind \"{}\" is not known; expected lost, error, "
                                            "slow or ecc",
                                            kind.substr(0, 60)));
    }
    node_.faults.push_back(std::move(fault));
  }

  std::uint64_t Amount(const YAML::Node& map, std::string_view key) {
    return static_cast<std::uint64_t>(reader_.Integer(map, key, 0, 1'000'000'000).value_or(0));
  }

  YamlReader reader_;
  NodeSpec node_;
  std::map<std::string, std::shared_ptr<const Product>> products_;
  std::vector<YAML::Node> positions_;  // of each GPU
};

}  // namespace

Result<NodeSpec> ParseNode(std::string_view file, const std::string& text) {
  if (text.size() > kMaxNodeBytes) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{}: larger than {} bytes", file, kMaxNodeBytes)};
  }
  return NodeParser(file, text).Parse();
}

}  // namespace aliquot::sim
