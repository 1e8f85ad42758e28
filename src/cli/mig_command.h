// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/console.h"

namespace CLI {
class App;
}

namespace aliquot::cli {

// Adds `mig` and its subcommands plan, apply, assert, export, generate-config, checkpoint and
// restore. Files, flags and environment variables are those of mig-parted. The commands run while
// the line is parsed and report to `console`, which must outlive `root`.
void AddMigCommand(CLI::App& root, Console& console);

}  // namespace aliquot::cli
