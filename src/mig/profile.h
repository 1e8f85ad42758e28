// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace aliquot::mig {

// A MIG profile by name: "1g.5gb", "1c.3g.20gb", "1g.10gb+me", "2g.48gb-me". Says nothing about
// whether any GPU offers it; see catalog.h for that.
struct ProfileName {
  unsigned gpu_slices = 0;           // G
  unsigned compute_slices = 0;       // C; equal to G for a device that has the whole GPU instance
  unsigned gigabytes = 0;            // as in the name, see ProfileGigabytes
  std::vector<std::string> with;     // "+" attributes, sorted
  std::vector<std::string> without;  // "-" attributes, sorted

  // The one spelling we print and compare: no "<C>c." when C = G, attributes sorted.
  std::string ToString() const;
  // The profile of the GPU instance, C = G.
  ProfileName OfGpuInstance() const;

  friend auto operator<=>(const ProfileName&, const ProfileName&) = default;
};

// Reads "[<C>c.]<G>g.<M>gb[+attr[,attr...]|-attr[,attr...]]". Attributes are letters, digits and
// dots, begin with a letter, do not end with a dot and are not repeated. Purely lexical: "0g.0gb"
// is accepted. Fails with kInvalidArgument.
// Source of the grammar: NVIDIA go-nvlib, MIG profile names.
Result<ProfileName> ParseProfileName(std::string_view text);

// The gigabytes in the name of a GPU instance profile with `memory_mib` on a GPU whose NVML memory
// total is `total_bytes`: the share of the GPU rounded up to eighths, of the total rounded up to
// GiB, rounded half up. 0 if the total is 0.
unsigned ProfileGigabytes(std::uint64_t memory_mib, std::uint64_t total_bytes);

// The label that generate-config derives from a profile: "+" becomes ".", "," becomes ".".
std::string LabelForm(const ProfileName& name);

}  // namespace aliquot::mig
