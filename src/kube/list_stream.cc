// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/list_stream.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "kube/answers.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;

Error NoList() { return {Code::kDataLoss, "the server's answer is not a list"}; }

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string TextOf(const Object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

}  // namespace

void JsonDepth::Take(char c) {
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    }
  } else if (c == '"') {
    in_string_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if (c == '}' || c == ']') {
    --depth_;
  }
}

Status ListDecoder::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    Status status;
    if (place_ == Place::kItem) {
      status = TakeItem(bytes);
    } else {
      status = place_ == Place::kOutside ? TakeRest(bytes.front()) : TakeBetween(bytes.front());
      bytes.remove_prefix(1);
    }
    if (!status.ok()) return status;
  }
  return {};
}

Status ListDecoder::TakeRest(char c) {
  if (rest_.size() >= kMaxRest) {
    return Error{Code::kResourceExhausted,
                 fmt::format("a list with more than {} bytes beside its items", kMaxRest)};
  }
  rest_.push_back(c);
  const bool was_in_string = rest_depth_.in_string();
  rest_depth_.Take(c);
  if (rest_depth_.depth() == 1) {
    if (c == '"' && !was_in_string) {
      name_begin_ = rest_.size();
    } else if (was_in_string && !rest_depth_.in_string()) {
      name_ = rest_.substr(name_begin_, rest_.size() - 1 - name_begin_);
    } else if (!was_in_string && c == ':') {
      // A name in disguise could be "items" once more.
      if (name_.find('\\') != std::string::npos) return NoList();
      at_items_ = name_ == "items";
      if (at_items_ && std::exchange(had_items_, true)) return NoList();
    } else if (!was_in_string && c == ',') {
      at_items_ = false;
    }
  } else if (rest_depth_.depth() == 2 && at_items_ && c == '[') {
    place_ = Place::kBegin;
  }
  return {};
}

Status ListDecoder::TakeBetween(char c) {
  if (IsSpace(c)) return {};
  if (c == '{' && place_ != Place::kAfterItem) {
    place_ = Place::kItem;
    item_ = c;
    item_depth_ = {};
    item_depth_.Take(c);
    return {};
  }
  if (c == ',' && place_ == Place::kAfterItem) {
    place_ = Place::kAfterComma;
    return {};
  }
  if (c == ']' && place_ != Place::kAfterComma) {
    place_ = Place::kOutside;
    return TakeRest(c);
  }
  return NoList();
}

Status ListDecoder::TakeItem(std::string_view& bytes) {
  std::size_t size = 0;
  while (size < bytes.size() && item_depth_.depth() > 0) item_depth_.Take(bytes[size++]);
  if (item_.size() + size > kMaxItem) {
    return Error{Code::kResourceExhausted,
                 fmt::format("a list with an object longer than {} bytes", kMaxItem)};
  }
  item_.append(bytes.substr(0, size));
  bytes.remove_prefix(size);
  if (item_depth_.depth() > 0) return {};
  place_ = Place::kAfterItem;
  return ReadItem();
}

Status ListDecoder::ReadItem() {
  if (!excerpt_) {
    auto parsed = ParseJson(item_);
    if (!parsed.ok()) return parsed.error();
    page_.items.push_back(std::move(parsed->as_object()));
    return {};
  }
  // What is parsed goes in one piece, so that what is kept lies close together.
  json::monotonic_resource memory(4 * item_.size());
  const auto parsed = ParseJson(item_, &memory);
  if (!parsed.ok()) return parsed.error();
  const Object kept = excerpt_(parsed->get_object());
  page_.items.emplace_back(kept, json::storage_ptr());  // a copy takes no more than it needs
  return {};
}

Result<ListPage> ListDecoder::Finish() {
  if (place_ != Place::kOutside) return NoList();
  const auto parsed = ParseJson(rest_);
  if (!parsed.ok()) return parsed.error();
  if (!parsed->is_object()) return NoList();
  const Object& list = parsed->get_object();
  const json::value* items = list.if_contains("items");
  const bool none = items != nullptr && items->is_null();
  const bool taken_out = items != nullptr && items->is_array() && items->get_array().empty();
  if (!none && !taken_out) return NoList();
  page_.version = MetadataText(list, "resourceVersion");
  page_.next = MetadataText(list, "continue");
  if (!excerpt_) {
    std::string kind = TextOf(list, "kind");
    if (kind.ends_with("List")) kind.resize(kind.size() - 4);
    const std::string api_version = TextOf(list, "apiVersion");
    for (Object& object : page_.items) {
      if (!object.contains("kind")) object["kind"] = kind;
      if (!object.contains("apiVersion")) object["apiVersion"] = api_version;
    }
  }
  return std::move(page_);
}

}  // namespace aliquot::kube
