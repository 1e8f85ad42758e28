// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/resolve_sharing.h"

#include <fmt/format.h>

#include <algorithm>

namespace aliquot::config {
namespace {

constexpr std::string_view kSharedSuffix = ".shared";
// More than any list the kubelet takes (4 MiB) could hold.
constexpr std::int64_t kMaxReplicas = 100'000;
constexpr std::string_view kExtendedHint = "sharing.mode: extended makes it work";

bool CheckReplicas(const FileResource& entry, bool extended, Problems& problems) {
  const std::string path = entry.path + ".replicas";
  const std::int64_t least = extended ? 1 : 2;
  if (entry.replicas < least) {
    problems.Error(entry.replicas_position, path,
                   fmt::format("number of replicas must be >= {}, found {}", least, entry.replicas),
                   entry.replicas == 1
                       ? "to share nothing, remove the entry; sharing.mode: extended accepts 1"
                       : "");
    return false;
  }
  if (entry.replicas > kMaxReplicas) {
    problems.Error(
        entry.replicas_position, path,
        fmt::format("{} replicas are more than the kubelet can list, expected at most {}",
                    entry.replicas, kMaxReplicas));
    return false;
  }
  return true;
}

// Outside extended mode: everything but name and replicas loses its effect.
void Neutralise(const FileSharing& section, const FileResource& entry, ReplicatedResource& result,
                Problems& problems) {
  const std::string shared =
      section.rename_by_default ? entry.name + std::string(kSharedSuffix) : "";
  if (entry.rename && *entry.rename != shared) {
    problems.Warn(entry.rename_position, entry.path + ".rename",
                  fmt::format("setting rename is not supported, \"{}\" is ignored{}", *entry.rename,
                              shared.empty() ? "" : fmt::format(" and \"{}\" is used", shared)),
                  std::string(kExtendedHint));
  }
  result.rename = shared;
  if (entry.devices && *entry.devices != DeviceSelection(AllDevices{})) {
    problems.Warn(entry.devices_position, entry.path + ".devices",
                  "customizing devices is not supported, it is ignored and all devices are shared",
                  std::string(kExtendedHint));
  }
}

void Honour(const FileSharing& section, const FileResource& entry, ReplicatedResource& result,
            Problems& problems) {
  if (entry.rename) {
    result.rename = *entry.rename;
  } else if (section.rename_by_default && entry.replicas > 1) {
    result.rename = entry.name + std::string(kSharedSuffix);
  }
  if (entry.devices) result.devices = *entry.devices;
  const auto* refs = std::get_if<DeviceRefs>(&result.devices);
  if (refs != nullptr && refs->refs.empty()) {
    problems.Error(entry.devices_position, entry.path + ".devices",
                   "the list of devices is empty, expected at least one",
                   "to share nothing, remove the entry");
  }
}

// Entries that would offer the same devices twice. In extended mode the lists can only be compared
// with the node's devices at hand, so only two entries for all devices are refused here.
void AddEntry(const FileResource& entry, bool extended, ReplicatedResource result,
              std::vector<ReplicatedResource>& results, Problems& problems) {
  const auto same = std::find_if(results.begin(), results.end(), [&](const ReplicatedResource& r) {
    return r.name == result.name && r.devices == result.devices;
  });
  if (same == results.end()) {
    results.push_back(std::move(result));
    return;
  }
  const std::string message =
      fmt::format("{} is already listed above with {} replicas", result.name, same->replicas);
  if (extended) {
    problems.Error(entry.position, entry.path, message + " and the same devices",
                   "remove one of the entries, or give each its own devices");
    return;
  }
  problems.Warn(entry.position, entry.path, message + "; the larger number counts",
                "remove one of the entries");
  same->replicas = std::max(same->replicas, result.replicas);
}

void CheckMps(const FileSharing& section, const Config& config, Problems& problems) {
  if (config.flags.mig_strategy == MigStrategy::kMixed) {
    problems.Error(section.position, section.path,
                   "the MIG strategy mixed is not supported with MPS",
                   "use migStrategy none or single, or sharing.timeSlicing");
  }
  if (config.flags.mps_root.empty()) {
    problems.Error(section.position, section.path, "using MPS requires a directory for its files",
                   "set flags.mpsRoot, --mps-root or MPS_ROOT, for example to /run/nvidia/mps");
  }
}

void ResolveSection(const FileSharing& section, bool mps, Config& config, Problems& problems) {
  Sharing& sharing = config.sharing;
  sharing.rename_by_default = section.rename_by_default;
  sharing.fail_requests_greater_than_one = section.fail_requests_greater_than_one.value_or(mps);
  for (const FileResource& entry : section.resources) {
    if (!CheckReplicas(entry, sharing.extended, problems)) continue;
    ReplicatedResource result;
    result.name = entry.name;
    result.replicas = static_cast<unsigned>(entry.replicas);
    if (sharing.extended) {
      Honour(section, entry, result, problems);
    } else {
      Neutralise(section, entry, result, problems);
    }
    AddEntry(entry, sharing.extended, std::move(result), sharing.resources, problems);
  }
  const bool shared = std::any_of(sharing.resources.begin(), sharing.resources.end(),
                                  [](const ReplicatedResource& r) { return r.replicas > 1; });
  if (shared) sharing.strategy = mps ? SharingStrategy::kMps : SharingStrategy::kTimeSlicing;
  if (shared && mps) CheckMps(section, config, problems);
  if (!section.isolation) return;
  if (section.isolation->active()) {
    sharing.isolation = section.isolation;
  } else {
    problems.Warn(section.isolation_position, section.path + ".isolation",
                  "nothing is isolated, because memory and compute are both none",
                  "set memory or compute, or remove it");
  }
}

}  // namespace

void ResolveSharing(const ConfigFile& file, Config& config, Problems& problems) {
  if (config.sharing.extended) {
    config.gpu_patterns = file.gpu_patterns;
    config.mig_patterns = file.mig_patterns;
  } else if (!file.gpu_patterns.empty() || !file.mig_patterns.empty()) {
    problems.Warn(file.resources_position, "resources",
                  "customizing resources is not supported, it is ignored",
                  std::string(kExtendedHint));
  }
  if (file.time_slicing) {
    // Beside mps it is an error already, but its own problems are told all the same.
    Config unused = config;
    ResolveSection(*file.time_slicing, false, file.mps ? unused : config, problems);
  }
  if (file.mps) ResolveSection(*file.mps, true, config, problems);
}

}  // namespace aliquot::config
