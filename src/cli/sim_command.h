// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/console.h"

namespace CLI {
class App;
}

namespace aliquot::cli {

// Adds `sim` and its subcommands to the command line: bundled nodes to look at, and faults to
// inject into the state directory that simulated drivers share. The commands run while the line is
// parsed and report to `console`, which must outlive `root`.
void AddSimCommand(CLI::App& root, Console& console);

}  // namespace aliquot::cli
