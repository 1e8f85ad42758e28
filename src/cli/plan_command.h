// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace aliquot::cli {

struct Console;

// `aliquot plan`: what a node would advertise under a configuration. `console` must outlive the
// parsing.
void AddPlanCommand(CLI::App& root, Console& console);

}  // namespace aliquot::cli
