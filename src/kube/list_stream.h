// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kube/client.h"

namespace aliquot::kube {

// Follows JSON text as far as to know how deep it is. What is wrong in it is for the parser.
class JsonDepth {
 public:
  // Takes the next byte.
  void Take(char c);
  bool in_string() const { return in_string_; }
  int depth() const { return depth_; }  // arrays and objects that are open

 private:
  bool in_string_ = false;
  bool escaped_ = false;
  int depth_ = 0;
};

// One page of a list.
struct ListPage {
  std::vector<Object> items;
  std::string version;
  std::string next;  // continue token; empty = the last page
};

// Reads the answer to a list while it comes, item by item, so that it needs memory for one of them
// and what is kept of the others, however many the server sends at once. Not thread-safe.
class ListDecoder {
 public:
  // etcd takes objects up to 1.5 MiB; this leaves room for what the server adds.
  static constexpr std::size_t kMaxItem = 8u << 20;
  // Everything but the items: two names, a version, a continue token.
  static constexpr std::size_t kMaxRest = 1u << 20;

  // `excerpt` as in Selection. Without it items get the kind and apiVersion that the server leaves
  // out.
  explicit ListDecoder(Excerpt excerpt) : excerpt_(std::move(excerpt)) {}

  // kDataLoss if it is no list, kResourceExhausted if an item or the rest is too long; the decoder
  // is of no use then.
  Status Feed(std::string_view bytes);
  // After the last byte, once. kDataLoss if it is no list, or not a whole one.
  Result<ListPage> Finish();

 private:
  Status TakeRest(char c);
  Status TakeBetween(char c);
  Status TakeItem(std::string_view& bytes);
  Status ReadItem();

  const Excerpt excerpt_;
  ListPage page_;

  // The text without the items.
  std::string rest_;
  JsonDepth rest_depth_;
  std::size_t name_begin_ = 0;  // of the last text in the outermost object, within rest_
  std::string name_;            // that text
  bool at_items_ = false;       // what comes is the value of "items"
  bool had_items_ = false;

  // Within the items.
  enum class Place { kOutside, kBegin, kItem, kAfterItem, kAfterComma };
  Place place_ = Place::kOutside;
  std::string item_;
  JsonDepth item_depth_;
};

}  // namespace aliquot::kube
