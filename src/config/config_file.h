// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/diagnostic.h"
#include "config/options.h"

namespace aliquot::config {

// What a `version: v1` file says, before flags, environment and defaults are weighed and before
// the rules that need the whole configuration are applied.

struct FileOption {
  const Option* option = nullptr;
  OptionValue value;
  Position position;
};

// One item of sharing.<strategy>.resources.
struct FileResource {
  std::string path = {};
  Position position = {};
  std::string name = {};  // with the prefix
  std::int64_t replicas = 0;
  Position replicas_position = {};
  std::optional<std::string> rename = {};  // with the prefix
  Position rename_position = {};
  std::optional<DeviceSelection> devices = {};
  Position devices_position = {};
};

// sharing.timeSlicing or sharing.mps.
struct FileSharing {
  std::string path = {};
  Position position = {};  // of the key
  bool rename_by_default = false;
  std::optional<bool> fail_requests_greater_than_one = {};
  std::vector<FileResource> resources = {};
  std::optional<Isolation> isolation = {};
  Position isolation_position = {};
};

struct ConfigFile {
  std::vector<FileOption> options;
  std::vector<ResourcePattern> gpu_patterns;
  std::vector<ResourcePattern> mig_patterns;
  Position resources_position;
  std::optional<FileSharing> time_slicing;
  std::optional<FileSharing> mps;
};

// Reads a whole file, YAML or JSON, and reports every problem in it. What had problems is left out
// of the result. Accepts and refuses what NVIDIA's plugin (v0.20.0) accepts and refuses, except as
// listed in docs/configuration.md. Never throws, whatever the bytes.
ConfigFile ParseConfigFile(std::string_view text, Problems& problems);

}  // namespace aliquot::config
