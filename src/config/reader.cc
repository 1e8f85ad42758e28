// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace aliquot::config {
namespace {

std::string Join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::string KeyList(std::span<const std::string_view> keys) {
  return fmt::format("{}", fmt::join(keys, ", "));
}

// Long values are cut so that one message stays one readable line.
std::string Shorten(const std::string& text) {
  constexpr std::size_t kLongest = 80;
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) >> 6) == 2) --end;
  return text.substr(0, end) + "...";
}

void Expected(const Place& place, std::string_view what, Problems& problems,
              std::string hint = {}) {
  problems.Error(place.position(), place.path,
                 fmt::format("expected {}, found {}", what, Describe(*place.node)),
                 std::move(hint));
}

void ReportUnknown(const Place& map, const Node::Entry& entry,
                   std::span<const std::string_view> known, Problems& problems) {
  const auto nearest = NearestOf(entry.key, known);
  problems.WarnOrRefuse(entry.position, Join(map.path, Shorten(entry.key)),
                        fmt::format("unknown key \"{}\" is ignored", Shorten(entry.key)),
                        nearest ? fmt::format("did you mean \"{}\"?", *nearest)
                                : fmt::format("known here: {}", KeyList(known)));
}

}  // namespace

std::string Describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "nothing (null)";
    case Node::Kind::kBool: {
      const std::string_view word = node.boolean ? "true" : "false";
      if (node.text == word) return fmt::format("the boolean {}", word);
      return fmt::format("the boolean {} (written {})", word, node.text);
    }
    case Node::Kind::kInteger:
    case Node::Kind::kFloat:
      return fmt::format("the number {}", Shorten(node.text));
    case Node::Kind::kString:
      return fmt::format("the string \"{}\"", Shorten(node.text));
    case Node::Kind::kSequence:
      return "a list";
    case Node::Kind::kMap:
      break;
  }
  return "a map";
}

MapReader::MapReader(const Place& place, std::span<const std::string_view> known, KeyCase key_case,
                     Problems& problems)
    : path_(place.path) {
  if (place.node->is_null()) return;
  if (place.node->kind != Node::Kind::kMap) {
    is_map_ = false;
    Expected(place, fmt::format("a map with {}", KeyList(known)), problems);
    return;
  }
  for (const Node::Entry& entry : place.node->entries) {
    const auto match = std::find_if(known.begin(), known.end(), [&](std::string_view key) {
      return key_case == KeyCase::kExact ? key == entry.key : ToLower(key) == ToLower(entry.key);
    });
    if (match == known.end()) {
      ReportUnknown(place, entry, known, problems);
      continue;
    }
    const auto same = std::find_if(fields_.begin(), fields_.end(),
                                   [&](const Field& field) { return field.key == *match; });
    if (same == fields_.end()) {
      fields_.push_back({*match, &entry});
      continue;
    }
    if (!entry.merged && !same->entry->merged) {
      problems.WarnOrRefuse(entry.position, Join(place.path, Shorten(entry.key)),
                            fmt::format("the key \"{}\" is already on line {}; the last one counts",
                                        Shorten(entry.key), same->entry->position.line),
                            "remove one of them");
    }
    same->entry = &entry;
  }
}

std::optional<Place> MapReader::Find(std::string_view key) const {
  for (const Field& field : fields_) {
    if (field.key == key) {
      return Place{field.entry->value.get(), Join(path_, key), field.entry->position};
    }
  }
  return {};
}

std::optional<Place> MapReader::Get(std::string_view key) const {
  auto place = Find(key);
  if (place && place->node->is_null()) return {};
  return place;
}

Place ItemOf(const Place& place, std::size_t index) {
  const Node* item = place.node->items[index].get();
  return {item, fmt::format("{}[{}]", place.path, index), item->position};
}

std::optional<bool> ReadBool(const Place& place, Problems& problems) {
  if (place.node->kind == Node::Kind::kBool) return place.node->boolean;
  const bool looks_right = place.node->kind == Node::Kind::kString &&
                           (place.node->text == "true" || place.node->text == "false");
  Expected(place, "true or false", problems, looks_right ? "remove the quotes" : "");
  return {};
}

std::optional<std::int64_t> ReadInteger(const Place& place, Problems& problems) {
  if (place.node->kind == Node::Kind::kInteger) return place.node->integer;
  const bool looks_right =
      place.node->kind == Node::Kind::kString && ParseUnsigned(place.node->text);
  Expected(place, "a whole number", problems, looks_right ? "remove the quotes" : "");
  return {};
}

std::optional<std::string> ReadString(const Place& place, Problems& problems) {
  if (place.node->kind == Node::Kind::kString) return place.node->text;
  const bool scalar = place.node->kind == Node::Kind::kBool ||
                      place.node->kind == Node::Kind::kInteger ||
                      place.node->kind == Node::Kind::kFloat;
  Expected(place, "a string", problems,
           scalar ? fmt::format("quote it: \"{}\"", Shorten(place.node->text)) : "");
  return {};
}

std::optional<std::string> ReadLooseString(const Place& place, Problems& problems) {
  const Node& node = *place.node;
  std::string text;
  if (node.kind == Node::Kind::kBool) {
    text = node.boolean ? "true" : "false";
  } else if (node.kind == Node::Kind::kInteger) {
    text = fmt::to_string(node.integer);
  } else if (node.kind == Node::Kind::kFloat) {
    text = fmt::format("{:g}", node.number);
  } else {
    return ReadString(place, problems);
  }
  problems.Warn(place.position(), place.path,
                fmt::format("expected a string, found {}; read as \"{}\"", Describe(node), text),
                "put it in quotes");
  return text;
}

bool ExpectList(const Place& place, std::string_view of_what, Problems& problems) {
  if (place.node->kind == Node::Kind::kSequence) return true;
  Expected(place, fmt::format("a list of {}", of_what), problems);
  return false;
}

}  // namespace aliquot::config
