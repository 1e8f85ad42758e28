// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace aliquot::cli {

struct Console;

// `aliquot devices`: the inventory. `console` must outlive the parsing.
void AddDevicesCommand(CLI::App& root, Console& console);

}  // namespace aliquot::cli
