// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "config/diagnostic.h"

namespace CLI {
class App;
}

namespace aliquot::cli {

struct Console;

// What a node says about a configuration: additional problems, for example a sharing entry whose
// name matches nothing on the node. `node` is what --node names.
using NodeCheck = std::function<Result<std::vector<config::Diagnostic>>(
    const config::Config& config, const std::string& node)>;

// Adds `config check` and `config show` to `root`. `console` must outlive the evaluation of the
// command line. Without `node_check` there is no option --node.
void AddConfigCommand(CLI::App& root, Console& console, NodeCheck node_check = nullptr);

// The problems of a file for people: each with the line it stands in and a mark below the place.
// `file` is the name to show.
std::string RenderDiagnostics(const std::vector<config::Diagnostic>& diagnostics,
                              const std::string& file, const std::string& text);

}  // namespace aliquot::cli
