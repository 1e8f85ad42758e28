// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config_file.h"
#include "config/reader.h"

namespace aliquot::config {

// The sections of the file; each reports its own problems.
void ParseFlags(const Place& place, ConfigFile& file, Problems& problems);
void ParseImex(const Place& place, ConfigFile& file, Problems& problems);
void ParseResources(const Place& place, ConfigFile& file, Problems& problems);
void ParseSharing(const Place& place, ConfigFile& file, Problems& problems);

// The value of `option` as the file gives it; absent if it is unusable, which is reported.
void ParseOption(const Place& place, const Option& option, ConfigFile& file, Problems& problems);
// A resource name with the prefix added; absent if it is unusable, which is reported.
std::optional<std::string> ParseResourceName(const Place& place, Problems& problems);

}  // namespace aliquot::config
