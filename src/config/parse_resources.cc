// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "config/parse_sections.h"

namespace aliquot::config {
namespace {

std::vector<ResourcePattern> ParsePatterns(const Place& place, Problems& problems) {
  std::vector<ResourcePattern> patterns;
  if (!ExpectList(place, "maps with pattern and name", problems)) return patterns;
  constexpr std::array<std::string_view, 2> kKeys = {"pattern", "name"};
  for (std::size_t i = 0; i < place.node->items.size(); ++i) {
    const Place item = ItemOf(place, i);
    const MapReader map(item, kKeys, KeyCase::kExact, problems);
    if (!map.is_map()) continue;
    const auto pattern = map.Find("pattern");
    const auto name = map.Find("name");
    for (const std::string_view key : kKeys) {
      if (map.Find(key)) continue;
      problems.Error(
          item.position(), item.path,
          "resources must have a '" + std::string(key) + "' field set, and it is missing");
    }
    ResourcePattern result;
    bool good = pattern && name;
    if (pattern && !pattern->node->is_null()) {  // an empty pattern matches nothing, but is allowed
      const auto text = ReadString(*pattern, problems);
      good = good && text;
      if (text) result.pattern = *text;
    }
    if (name) {
      const auto full = ParseResourceName(*name, problems);
      good = good && full;
      if (full) result.name = *full;
    }
    if (good) patterns.push_back(std::move(result));
  }
  return patterns;
}

}  // namespace

void ParseResources(const Place& place, ConfigFile& file, Problems& problems) {
  constexpr std::array<std::string_view, 2> kKeys = {"gpus", "mig"};
  const MapReader map(place, kKeys, KeyCase::kIgnored, problems);
  file.resources_position = place.key;
  if (const auto gpus = map.Get("gpus")) file.gpu_patterns = ParsePatterns(*gpus, problems);
  if (const auto mig = map.Get("mig")) file.mig_patterns = ParsePatterns(*mig, problems);
}

}  // namespace aliquot::config
