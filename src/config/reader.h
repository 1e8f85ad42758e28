// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/yaml_document.h"

namespace aliquot::config {

// A value of the file together with its dotted path. Points into the tree, which must outlive it.
struct Place {
  const Node* node = nullptr;
  std::string path;
  Position key;  // where the key stands; for list items the same as position()

  // Of the value; of the key where the value is left empty.
  Position position() const { return node->is_null() ? key : node->position; }
};

// "the string \"maybe\"", "the number 5", "the boolean true (written \"yes\")", "a list", ...
std::string Describe(const Node& node);

// How the keys of a map are compared: the reference reads some maps ignoring case and some not.
enum class KeyCase { kIgnored, kExact };

// The keys of one map. Unknown keys and duplicates are reported once, by the constructor. A value
// that is not a map is reported, too, and then nothing is in it; null is an empty map. The texts of
// `known` must outlive the reader.
class MapReader {
 public:
  MapReader(const Place& place, std::span<const std::string_view> known, KeyCase key_case,
            Problems& problems);

  // The value of a known key, null included; the last one if the key is there several times.
  std::optional<Place> Find(std::string_view key) const;
  // As Find, but null is as good as absent.
  std::optional<Place> Get(std::string_view key) const;
  bool is_map() const { return is_map_; }

 private:
  struct Field {
    std::string_view key;
    const Node::Entry* entry;
  };

  std::string path_;
  bool is_map_ = true;
  std::vector<Field> fields_;
};

// Place of the item `index` of the list at `place`.
Place ItemOf(const Place& place, std::size_t index);

// The value as a certain type. Anything else is an error, reported at the value.
std::optional<bool> ReadBool(const Place& place, Problems& problems);
std::optional<std::int64_t> ReadInteger(const Place& place, Problems& problems);
std::optional<std::string> ReadString(const Place& place, Problems& problems);
// As ReadString; numbers and booleans are turned into text, with a warning. The reference does this
// for the plain strings of its schema, so that "migStrategy: no" is the strategy "false".
std::optional<std::string> ReadLooseString(const Place& place, Problems& problems);
// Whether it is a list; reported if not.
bool ExpectList(const Place& place, std::string_view of_what, Problems& problems);

}  // namespace aliquot::config
