// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace aliquot::cli {

struct Console;

// `aliquot demo`: the whole story on a simulated node, step by step. `console` must outlive the
// parsing.
void AddDemoCommand(CLI::App& root, Console& console);

}  // namespace aliquot::cli
