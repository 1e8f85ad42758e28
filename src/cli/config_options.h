// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "base/status.h"
#include "config/settings.h"

namespace CLI {
class App;
}

namespace aliquot::cli {

struct Console;

// Adds every option of NVIDIA's device plugin and ours (config/options.h) to `command`. What the
// user gives lands in `sources.flags`, which must outlive the parsing.
void AddConfigOptions(CLI::App& command, config::ConfigSources& sources);

// This process's environment.
std::map<std::string, std::string> ReadEnvironment();

// Fills the environment and the text of the file that flags and environment name. An error if that
// file cannot be read.
Status LoadSources(config::ConfigSources& sources);

// LoadSources, then ResolveConfig. Prints every diagnostic to `console.err`; if there are errors
// the command has failed and the result says so in one line.
Result<config::ConfigOutcome> ResolveOrExplain(config::ConfigSources& sources, Console& console);

}  // namespace aliquot::cli
