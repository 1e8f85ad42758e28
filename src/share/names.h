// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace aliquot::share {

// The resource of whole GPUs.
inline constexpr std::string_view kGpuResource = "nvidia.com/gpu";

// True if `text` fits `pattern`: '*' stands for any run of characters, all else for itself; both
// ends are anchored and case counts. Source: `resources` of the device plugin's configuration file.
bool MatchesPattern(std::string_view pattern, std::string_view text);

// "1g.10gb+me" -> "nvidia.com/mig-1g.10gb.me".
std::string MigResourceName(std::string_view profile);

// False for profiles such as "1c.3g.20gb", whose compute instance is smaller than its GPU instance.
bool FillsGpuInstance(std::string_view profile);

}  // namespace aliquot::share
