// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cdi/gpu_spec.h"

namespace aliquot::cdi {

// The number in "/dev/nvidia-caps-imex-channels/channel<n>".
std::string ImexChannelPath(int channel);

// Specs of the classes imex-channel, gdrcopy, gds and mofed that the configuration asks for and
// the host has devices of, in that order. What was asked for and is not there gives a warning.
// A simulated node has none.
std::vector<BuiltSpec> BuildExtraSpecs(const SpecInput& input);

}  // namespace aliquot::cdi
