// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace aliquot::cli {

struct Console;

// `aliquot labels`: the labels of a node. `console` must outlive the parsing.
void AddLabelsCommand(CLI::App& root, Console& console);

}  // namespace aliquot::cli
