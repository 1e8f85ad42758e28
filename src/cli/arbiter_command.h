// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "arbiter/grant.h"
#include "base/status.h"
#include "cli/console.h"

namespace CLI {
class App;
}

namespace aliquot::cli {

// Adds `arbiter`: enforced shares on a machine without Kubernetes. It makes a grant directory for
// each tenant and serves them until SIGTERM or SIGINT; SIGUSR1 prints a status to `console`, which
// must outlive `root`.
void AddArbiterCommand(CLI::App& root, Console& console);

// Reads "name=NAME,weight=N,memory=BYTES,class=normal|latency|best-effort" (all but the name have
// defaults: 1, no limit, normal) into a grant without devices but one that has weight and limit.
// kInvalidArgument says what was expected.
Result<arbiter::GrantSpec> ParseTenant(const std::string& text);

// What tenants use, as a table for people or as one line of JSON.
std::string FormatUsage(const std::vector<arbiter::GrantUsage>& usage, bool json);

}  // namespace aliquot::cli
