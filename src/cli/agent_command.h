// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace aliquot::cli {

struct Console;

// `aliquot agent`: the node agent, in the foreground until SIGTERM. `console` must outlive the
// parsing.
void AddAgentCommand(CLI::App& root, Console& console);

}  // namespace aliquot::cli
