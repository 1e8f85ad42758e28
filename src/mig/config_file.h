// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "config/diagnostic.h"
#include "mig/layout.h"

namespace aliquot::mig {

// One entry of a configuration: which GPUs, and what they should have.
struct ConfigEntry {
  // "0x20B010DE", optionally ":0x<subsystem>", as written; empty = any GPU.
  std::vector<std::string> device_filter;
  bool all_devices = false;
  std::vector<unsigned> devices;  // NVML indices, if not all
  DesiredGpu desired;

  friend bool operator==(const ConfigEntry&, const ConfigEntry&) = default;
};

// A MIG configuration file, version v1 of mig-parted's format: named configurations, each a list of
// entries of which a later one wins over an earlier one.
struct ConfigFile {
  std::map<std::string, std::vector<ConfigEntry>> configs;  // by label

  friend bool operator==(const ConfigFile&, const ConfigFile&) = default;
};

struct ParsedConfigFile {
  ConfigFile file;                           // meaningless if there are errors
  std::vector<config::Diagnostic> problems;  // in the order of the file

  bool ok() const { return !config::HasErrors(problems); }
};

// Reads YAML or JSON. Profile names are brought to their canonical spelling, counts of 0 dropped
// and spellings of one profile added up. Reports every problem with its place.
ParsedConfigFile ParseConfigFile(std::string_view text);

// The configuration called `label`, or the only one if `label` is empty. kNotFound names the labels
// there are. The pointer is into `file`.
Result<const std::vector<ConfigEntry>*> SelectConfig(const ConfigFile& file,
                                                     const std::string& label);

// Whether a filter as written speaks of `gpu`. An unreadable one speaks of none.
bool FilterMatches(const std::string& filter, const GpuMigState& gpu);

// What each GPU of the node should have; absent for GPUs that no entry speaks of, which are left
// alone. GPUs without MIG are passed over by "devices: all" and by mig-enabled: false, and refused
// (kFailedPrecondition) when named by index and mig-enabled: true.
Result<std::vector<std::optional<DesiredGpu>>> DesiredFor(const std::vector<ConfigEntry>& entries,
                                                          const std::vector<GpuMigState>& gpus);

// Whether an entry may mean a GPU of which only the NVML index is known.
bool MayMean(const std::vector<ConfigEntry>& entries, unsigned index);

std::string WriteYaml(const ConfigFile& file);
std::string WriteJson(const ConfigFile& file);

// The node's present state as a file with one label. GPUs of equal settings share an entry; filters
// appear only if the node has several kinds of GPU.
ConfigFile ExportConfig(const std::vector<GpuMigState>& gpus, const std::string& label);

// The configurations worth having on this node, from the profiles its GPUs offer: all-disabled,
// all-enabled, all-<profile> with as many as fit, and all-balanced. kNotFound if no GPU can do MIG;
// kFailedPrecondition if one can but its driver lists no profiles before MIG mode is on.
Result<ConfigFile> GenerateConfig(const std::vector<GpuMigState>& gpus);

}  // namespace aliquot::mig
