// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"

namespace aliquot::config {

struct Node;
using NodePtr = std::shared_ptr<const Node>;

// One value of a YAML or JSON document and where it stands. Scalars are typed as YAML 1.1 types
// them (yes, no, on, off, y and n are booleans; 0x, 0o, 0b, leading 0 and underscores make
// integers), because NVIDIA's plugin reads its file that way. A float without a fraction, such as
// 4.0, is an integer: that is what it becomes on the reference's way through JSON.
struct Node {
  enum class Kind { kNull, kBool, kInteger, kFloat, kString, kSequence, kMap };
  struct Entry {
    std::string key;
    Position position;  // of the key
    NodePtr value;
    bool merged = false;  // came from a merge key ("<<")
  };

  Kind kind = Kind::kNull;
  Position position;
  std::string text;            // scalars as written, without quotes
  bool quoted = false;         // written in quotes or as a block
  bool boolean = false;        // kBool
  std::int64_t integer = 0;    // kInteger
  double number = 0;           // kInteger and kFloat
  std::vector<NodePtr> items;  // kSequence
  std::vector<Entry> entries;  // kMap, in the order of the file, duplicates included
  std::size_t weight = 1;      // nodes from here down, aliases counted as often as they are used
  std::size_t depth = 1;       // levels from here down

  bool is_null() const { return kind == Kind::kNull; }
};

// Limits; a file beyond one of them is refused. They are far above any useful file.
inline constexpr std::size_t kMaxFileBytes = 1u << 20;
inline constexpr std::size_t kMaxNodes = 100'000;  // with aliases counted where they are used
inline constexpr std::size_t kMaxDepth = 100;

// Parses the first document of `text` (YAML or JSON, UTF-8, with or without a byte order mark).
// Null if it cannot be read, with the reason in `problems`. An empty document is a null node.
// Never throws.
NodePtr ParseYaml(std::string_view text, Problems& problems);

// Types a scalar that was written without quotes and without a tag: sets kind, boolean, integer and
// number of `node` from its text.
void ResolvePlainScalar(Node& node);

}  // namespace aliquot::config
