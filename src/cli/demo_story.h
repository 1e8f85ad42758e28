// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "cli/console.h"

namespace aliquot::cli {

struct DemoOptions {
  std::string node = "t4-x1";
  bool real = false;
};

// Runs the agent as a process of its own on a node, beside the kubelet stand-in in this process,
// and tells what happens, step by step: one GPU; ten replicas by a change of the configuration
// file; containers placed and refused; a broken GPU and its recovery; a broken configuration. Each
// step waits for what the stand-in sees and fails if it does not come, so the demo is also a test.
// Everything it makes is in a temporary directory that is gone afterwards.
Status TellStory(const DemoOptions& options, Console& console);

}  // namespace aliquot::cli
