// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/diagnostic.h"

namespace aliquot::config {

// Everything a configuration can come from.
struct ConfigSources {
  std::optional<std::string> file_text = {};  // absent: no file was given
  // Environment variables; those that are not options are ignored.
  std::map<std::string, std::string> environment = {};
  // Flags by any of their names, without dashes, with every occurrence in order. A boolean flag
  // without a value is given as "true".
  std::map<std::string, std::vector<std::string>> flags = {};
  bool strict = false;  // as --strict-config, whatever flags and environment say
};

struct ConfigOutcome {
  std::optional<Config> config;  // absent if there is any error
  AgentSettings agent;           // complete only if config is present
  std::vector<Diagnostic> diagnostics;
};

// Weighs command line, environment, file and defaults, in this order, and applies the rules that
// need the whole picture. Reports every problem, not only the first. Pure; never throws.
ConfigOutcome ResolveConfig(const ConfigSources& sources);

// The path of the configuration file by flags and environment; empty if none is given.
std::string ConfigFilePath(const ConfigSources& sources);

}  // namespace aliquot::config
