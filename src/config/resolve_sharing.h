// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config_file.h"

namespace aliquot::config {

// Fills config.sharing and the resource patterns from the file. config.flags and
// config.sharing.extended must be final.
//
// Outside extended mode devices, rename and resources lose their effect, with a warning each, as in
// the reference, and entries with the same name become one with the largest count.
void ResolveSharing(const ConfigFile& file, Config& config, Problems& problems);

}  // namespace aliquot::config
