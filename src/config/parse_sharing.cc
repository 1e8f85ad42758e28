// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "config/names.h"
#include "config/parse_sections.h"

namespace aliquot::config {
namespace {

constexpr std::string_view kDevicesExpected =
    "expected all, a count above 0, or a list of GPU indices, MIG indices such as \"0:1\", or "
    "UUIDs";

std::optional<std::string> ReadDeviceRef(const Place& place, Problems& problems) {
  const Node& node = *place.node;
  if (node.kind == Node::Kind::kInteger && node.integer >= 0) return fmt::to_string(node.integer);
  if (node.kind == Node::Kind::kString && IsDeviceRef(node.text)) return node.text;
  if (node.is_null()) {
    // Go decodes null into the number 0.
    problems.Warn(place.position(), place.path, "an empty item stands for GPU 0", "write 0");
    return "0";
  }
  problems.Error(
      place.position(), place.path,
      fmt::format("unsupported device {}, expected a GPU index, a MIG index such as \"0:1\", "
                  "or a UUID such as GPU-... or MIG-...",
                  Describe(node)));
  return {};
}

std::optional<DeviceSelection> ReadDevices(const Place& place, Problems& problems) {
  const Node& node = *place.node;
  if (node.kind == Node::Kind::kString && node.text == "all") return AllDevices{};
  constexpr std::int64_t kMost = 1'000'000;
  if (node.kind == Node::Kind::kInteger && node.integer > 0) {
    return DeviceCount{static_cast<unsigned>(std::min(node.integer, kMost))};
  }
  if (node.kind == Node::Kind::kSequence) {
    DeviceRefs refs;
    bool good = true;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const auto ref = ReadDeviceRef(ItemOf(place, i), problems);
      good = good && ref;
      if (ref) refs.refs.push_back(*ref);
    }
    if (!good) return {};
    return refs;
  }
  const bool count = node.kind == Node::Kind::kString && ParseUnsigned(node.text);
  problems.Error(place.position(), place.path,
                 fmt::format("unsupported devices {}, {}", Describe(node), kDevicesExpected),
                 count ? "remove the quotes for a count, or write a list" : "");
  return {};
}

std::optional<FileResource> ParseEntry(const Place& place, Problems& problems) {
  constexpr std::array<std::string_view, 4> kKeys = {"name", "replicas", "rename", "devices"};
  const MapReader map(place, kKeys, KeyCase::kExact, problems);
  if (!map.is_map()) return {};
  FileResource entry{.path = place.path, .position = place.position()};
  bool good = true;
  if (const auto name = map.Find("name")) {
    const auto full = ParseResourceName(*name, problems);
    good = full.has_value();
    if (full) entry.name = *full;
  } else {
    problems.Error(place.position(), place.path,
                   "no resource name specified, expected name: gpu or another");
    good = false;
  }
  if (const auto replicas = map.Find("replicas")) {
    const auto count = ReadInteger(*replicas, problems);
    good = good && count;
    if (count) entry.replicas = *count;
    entry.replicas_position = replicas->position();
  } else {
    problems.Error(place.position(), place.path,
                   "no replicas specified, expected replicas: 2 or more");
    good = false;
  }
  if (const auto rename = map.Find("rename")) {
    entry.rename = ParseResourceName(*rename, problems);
    entry.rename_position = rename->position();
    good = good && entry.rename;
  }
  if (const auto devices = map.Find("devices")) {
    entry.devices = ReadDevices(*devices, problems);
    entry.devices_position = devices->position();
    good = good && entry.devices;
  }
  if (!good) return {};
  return entry;
}

void ReadIsolationMemory(const Place& place, Isolation& isolation, Problems& problems) {
  const Node& node = *place.node;
  if (node.kind == Node::Kind::kString && node.text == "none") return;
  if (node.kind == Node::Kind::kString && node.text == "share") {
    isolation.memory = Isolation::Memory::kShare;
    return;
  }
  constexpr std::string_view kExpected = "expected share, none, or memory per replica such as 4Gi";
  const bool number = node.kind == Node::Kind::kInteger || node.kind == Node::Kind::kString;
  const auto bytes =
      number ? ParseBytes(node.text) : Result<std::uint64_t>(Error{Code::kInvalidArgument, {}});
  if (!bytes.ok()) {
    problems.Error(place.position(), place.path,
                   fmt::format("found {}, {}", Describe(node), kExpected));
    return;
  }
  constexpr std::uint64_t kLeast = 1u << 20;
  if (*bytes < kLeast) {
    problems.Error(place.position(), place.path,
                   fmt::format("{} bytes are too little for any program, {}", *bytes, kExpected),
                   fmt::format("did you mean {}Gi?", node.text));
    return;
  }
  isolation.memory = Isolation::Memory::kBytes;
  isolation.memory_bytes_per_replica = *bytes;
}

template <typename E>
void ReadWord(const Place& place, E& target, Problems& problems) {
  // YAML reads some words, such as "no", as booleans; they are never one of ours.
  if (const auto value =
          FromWord<E>(place.node->kind == Node::Kind::kString ? place.node->text : "")) {
    target = *value;
    return;
  }
  const auto words = AllWords<E>();
  problems.Error(place.position(), place.path,
                 fmt::format("found {}, expected {}", Describe(*place.node), EitherOf(words)));
}

void ReadQuantum(const Place& place, Isolation& isolation, Problems& problems) {
  const auto text = ReadString(place, problems);
  if (!text) return;
  const auto duration = ParseDuration(*text);
  // Below, switching tenants costs more than it gives; above, people notice the pauses.
  constexpr auto kLeast = std::chrono::milliseconds(1);
  constexpr auto kMost = std::chrono::seconds(1);
  if (!duration.ok() || !*duration || **duration < kLeast || **duration > kMost) {
    problems.Error(place.position(), place.path,
                   fmt::format("found \"{}\", expected a duration between 1ms and 1s", *text));
    return;
  }
  isolation.quantum = std::chrono::duration_cast<std::chrono::microseconds>(**duration);
}

void ReadNamespace(const Place& place, Isolation::TenantClass tenant_class, Isolation& isolation,
                   Problems& problems) {
  const auto name = ReadString(place, problems);
  if (!name) return;
  if (!IsNamespace(*name)) {
    problems.Error(place.position(), place.path,
                   fmt::format("found \"{}\", expected the name of a namespace", *name));
    return;
  }
  const auto [known, added] = isolation.classes.emplace(*name, tenant_class);
  if (!added && known->second != tenant_class) {
    problems.Error(
        place.position(), place.path,
        fmt::format("namespace {} is {} already, expected one class", *name, ToWord(known->second)),
        "remove it from one of the two");
  }
}

void ReadClasses(const Place& place, Isolation& isolation, Problems& problems) {
  constexpr std::array<std::string_view, 2> kKeys = {"latency", "best-effort"};
  const MapReader map(place, kKeys, KeyCase::kExact, problems);
  for (const std::string_view key : kKeys) {
    const auto list = map.Get(key);
    if (!list || !ExpectList(*list, "namespaces", problems)) continue;
    for (std::size_t i = 0; i < list->node->items.size(); ++i) {
      ReadNamespace(ItemOf(*list, i), *FromWord<Isolation::TenantClass>(key), isolation, problems);
    }
  }
  if (!isolation.classes.empty() && isolation.compute == Isolation::Compute::kNone) {
    problems.Warn(place.key, place.path, "classes matter only where GPU time is divided",
                  "set compute to fair or capped, or remove them");
  }
}

Isolation ParseIsolation(const Place& place, Problems& problems) {
  constexpr std::array<std::string_view, 5> kKeys = {"memory", "compute", "quantum", "onViolation",
                                                     "classes"};
  const MapReader map(place, kKeys, KeyCase::kExact, problems);
  Isolation isolation;
  if (const auto memory = map.Get("memory")) ReadIsolationMemory(*memory, isolation, problems);
  if (const auto compute = map.Get("compute")) ReadWord(*compute, isolation.compute, problems);
  if (const auto quantum = map.Get("quantum")) ReadQuantum(*quantum, isolation, problems);
  if (const auto action = map.Get("onViolation"))
    ReadWord(*action, isolation.on_violation, problems);
  if (const auto classes = map.Get("classes")) ReadClasses(*classes, isolation, problems);
  return isolation;
}

// The isolation key, which only time-slicing may have.
void ParseIsolationOf(const Place& place, FileSharing& sharing, bool mps, Problems& problems) {
  sharing.isolation_position = place.key;
  if (mps) {
    problems.Error(place.key, place.path,
                   "isolation is not available with MPS, which has limits of its own",
                   "use sharing.timeSlicing, or remove it");
    return;
  }
  sharing.isolation = ParseIsolation(place, problems);
}

FileSharing ParseReplicated(const Place& place, bool mps, Problems& problems) {
  constexpr std::array<std::string_view, 4> kKeys = {
      "renameByDefault", "failRequestsGreaterThanOne", "resources", "isolation"};
  FileSharing sharing{.path = place.path, .position = place.key};
  const MapReader map(place, kKeys, KeyCase::kExact, problems);
  if (!map.is_map()) return sharing;
  if (const auto rename = map.Get("renameByDefault")) {
    sharing.rename_by_default = ReadBool(*rename, problems).value_or(false);
  }
  if (const auto fail = map.Get("failRequestsGreaterThanOne")) {
    sharing.fail_requests_greater_than_one = ReadBool(*fail, problems);
  }
  if (const auto isolation = map.Get("isolation")) {
    ParseIsolationOf(*isolation, sharing, mps, problems);
  }
  const auto resources = map.Get("resources");
  if (resources && !ExpectList(*resources, "maps with name and replicas", problems)) return sharing;
  if (!resources || resources->node->items.empty()) {
    problems.Error(resources ? resources->position() : place.key, place.path,
                   "no resources specified, expected at least one with name and replicas",
                   fmt::format("to share nothing, remove {}", place.path));
    return sharing;
  }
  for (std::size_t i = 0; i < resources->node->items.size(); ++i) {
    if (auto entry = ParseEntry(ItemOf(*resources, i), problems)) {
      sharing.resources.push_back(*std::move(entry));
    }
  }
  return sharing;
}

}  // namespace

void ParseSharing(const Place& place, ConfigFile& file, Problems& problems) {
  constexpr std::array<std::string_view, 3> kKeys = {"timeSlicing", "mps", "mode"};
  const MapReader map(place, kKeys, KeyCase::kIgnored, problems);
  if (const auto mode = map.Get("mode")) {
    ParseOption(*mode, *FindOptionByKey("sharing.mode"), file, problems);
  }
  // An empty "timeSlicing:" is refused by the reference and an empty "mps:" is not, because of how
  // the two are declared there.
  const auto time_slicing = map.Find("timeSlicing");
  const auto mps = map.Get("mps");
  if (time_slicing) file.time_slicing = ParseReplicated(*time_slicing, false, problems);
  if (mps) file.mps = ParseReplicated(*mps, true, problems);
  if (time_slicing && mps) {
    problems.Error(
        mps->key, mps->path,
        fmt::format("timeSlicing (line {}) and mps exclude each other", time_slicing->key.line),
        "remove one of them");
  }
}

}  // namespace aliquot::config
