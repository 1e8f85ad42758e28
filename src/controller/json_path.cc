// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/json_path.h"

#include <algorithm>
#include <boost/json/array.hpp>

namespace aliquot::controller {

namespace json = boost::json;

const json::value* Find(const json::object& object, Path path) {
  const json::object* at = &object;
  const json::value* found = nullptr;
  for (const std::string_view key : path) {
    if (at == nullptr) return nullptr;
    found = at->if_contains(key);
    if (found == nullptr) return nullptr;
    at = found->if_object();
  }
  return found;
}

const json::object& ObjectAt(const json::object& object, Path path) {
  static const json::object kEmpty;
  const json::value* found = Find(object, path);
  return found != nullptr && found->is_object() ? found->get_object() : kEmpty;
}

std::string TextAt(const json::object& object, Path path) {
  const json::value* found = Find(object, path);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

std::int64_t NumberAt(const json::object& object, Path path) {
  const json::value* found = Find(object, path);
  return found != nullptr && found->is_int64() ? found->get_int64() : 0;
}

std::string_view Member(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found != nullptr && found->is_string() ? std::string_view(found->get_string())
                                                : std::string_view();
}

void CopyAt(const json::object& from, Path path, json::object& to) {
  const json::value* found = Find(from, path);
  if (found == nullptr) return;
  json::object* at = &to;
  for (const std::string_view* key = path.begin(); key + 1 != path.end(); ++key) {
    json::value& next = (*at)[*key];
    at = next.is_object() ? &next.get_object() : &next.emplace_object();
  }
  (*at)[*(path.end() - 1)] = *found;
}

json::array ReadyConditions(const json::object& object) {
  json::array ready;
  const json::value* conditions = Find(object, {"status", "conditions"});
  if (conditions == nullptr || !conditions->is_array()) return ready;
  for (const json::value& condition : conditions->get_array()) {
    if (!condition.is_object() || Member(condition.get_object(), "type") != "Ready") continue;
    ready.push_back({{"type", "Ready"}, {"status", Member(condition.get_object(), "status")}});
  }
  return ready;
}

bool SaysNothing(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return true;
    case json::kind::string:
      return value.get_string().empty();
    case json::kind::array:
      return value.get_array().empty();
    case json::kind::object:
      return std::all_of(value.get_object().begin(), value.get_object().end(),
                         [](const auto& member) { return SaysNothing(member.value()); });
    default:
      return false;
  }
}

}  // namespace aliquot::controller
