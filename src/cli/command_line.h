// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/console.h"

namespace aliquot::cli {

// Parses and runs one command line; returns the exit status.
int RunCommandLine(int argc, const char* const* argv, Console& console);

}  // namespace aliquot::cli
