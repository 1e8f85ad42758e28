// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "mig/layout.h"

namespace aliquot::mig {

// Processes other than this one that have the file open, ascending by pid: for a GPU's device node,
// also the clients that NVML does not list because they compute nothing (monitoring agents,
// persistence daemons). Sees only processes of its own PID namespace that it may look into.
std::vector<Holder> ProcessesWithOpen(const std::string& path, const std::string& proc = "/proc");

}  // namespace aliquot::mig
