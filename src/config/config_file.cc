// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/config_file.h"

#include <fmt/format.h>

#include <array>

#include "config/names.h"
#include "config/parse_sections.h"

namespace aliquot::config {

std::optional<std::string> ParseResourceName(const Place& place, Problems& problems) {
  const auto name = ReadString(place, problems);
  if (!name) return {};
  auto full = CompleteResourceName(*name);
  if (!full.ok()) {
    problems.Error(place.position(), place.path, full.error().message);
    return {};
  }
  return *full;
}

ConfigFile ParseConfigFile(std::string_view text, Problems& problems) {
  ConfigFile file;
  const NodePtr root = ParseYaml(text, problems);
  if (root == nullptr) return file;
  constexpr std::array<std::string_view, 5> kKeys = {"version", "flags", "resources", "sharing",
                                                     "imex"};
  const Place place{root.get(), "", root->position};
  const MapReader map(place, kKeys, KeyCase::kIgnored, problems);
  if (const auto version = map.Get("version")) {
    const auto value = ReadLooseString(*version, problems);
    if (value && !value->empty() && *value != "v1") {
      problems.Error(version->position(), version->path,
                     fmt::format("unknown version \"{}\", expected v1", *value));
    }
  }
  if (const auto flags = map.Get("flags")) ParseFlags(*flags, file, problems);
  if (const auto resources = map.Get("resources")) ParseResources(*resources, file, problems);
  if (const auto sharing = map.Get("sharing")) ParseSharing(*sharing, file, problems);
  if (const auto imex = map.Get("imex")) ParseImex(*imex, file, problems);
  return file;
}

}  // namespace aliquot::config
