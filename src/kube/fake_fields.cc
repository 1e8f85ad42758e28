// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/fake_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace aliquot::kube {
namespace {

namespace json = boost::json;

using Fields = std::map<FieldPath, json::value>;

bool IsKept(const FieldPath& path) {
  static const std::set<std::string> kMetadata = {
      "f:name",       "f:namespace",         "f:uid",           "f:resourceVersion",
      "f:generation", "f:creationTimestamp", "f:managedFields", "f:deletionTimestamp",
      "f:selfLink",   "f:generateName"};
  if (path.size() == 1) return path[0] == "f:apiVersion" || path[0] == "f:kind";
  return path.size() == 2 && path[0] == "f:metadata" && kMetadata.contains(path[1]);
}

bool IsKeyedList(const json::value& value, const FieldPath& path) {
  if (!value.is_array() || path.empty() || path.back() != "f:conditions") return false;
  const json::array& items = value.as_array();
  return !items.empty() && std::all_of(items.begin(), items.end(), [](const json::value& item) {
    return item.is_object() && item.as_object().contains("type") &&
           item.as_object().at("type").is_string();
  });
}

void Collect(const json::value& value, FieldPath& path, Fields& out) {
  if (IsKept(path)) return;
  if (value.is_object() && !value.as_object().empty()) {
    for (const auto& [key, child] : value.as_object()) {
      path.push_back("f:" + std::string(key));
      Collect(child, path, out);
      path.pop_back();
    }
  } else if (IsKeyedList(value, path)) {
    for (const json::value& item : value.as_array()) {
      path.push_back("k:" + std::string(item.as_object().at("type").as_string()));
      Collect(item, path, out);
      path.pop_back();
    }
  } else {
    out[path] = value;
  }
}

// The value one step below `value`; null if there is none.
json::value* Step(json::value& value, const std::string& step) {
  const std::string key = step.substr(2);
  if (step[0] == 'f') return value.is_object() ? value.as_object().if_contains(key) : nullptr;
  if (!value.is_array()) return nullptr;
  for (json::value& item : value.as_array()) {
    if (item.is_object() && item.as_object().contains("type") &&
        item.as_object().at("type") == json::value(key)) {
      return &item;
    }
  }
  return nullptr;
}

void Set(json::value& root, const FieldPath& path, const json::value& value) {
  json::value* at = &root;
  for (const std::string& step : path) {
    json::value* next = Step(*at, step);
    if (next == nullptr) {
      if (step[0] == 'f') {
        if (!at->is_object()) *at = json::object();
        next = &at->as_object()[step.substr(2)];
      } else {
        if (!at->is_array()) *at = json::array();
        next = &at->as_array().emplace_back(json::object{{"type", step.substr(2)}});
      }
    }
    at = next;
  }
  const bool empty_map = value.is_object();  // only empty ones are fields
  if (!empty_map || !at->is_object()) *at = value;
}

// Removes the field and the maps and lists that become empty by it.
void Remove(json::value& at, const FieldPath& path, std::size_t depth) {
  json::value* next = Step(at, path[depth]);
  if (next == nullptr) return;
  if (depth + 1 < path.size()) {
    Remove(*next, path, depth + 1);
    const bool empty = (next->is_object() && next->as_object().empty()) ||
                       (next->is_array() && next->as_array().empty());
    if (!empty) return;
  }
  if (at.is_object()) {
    at.as_object().erase(path[depth].substr(2));
  } else {
    json::array& items = at.as_array();
    items.erase(items.begin() + (next - items.data()));
  }
}

bool Overlap(const FieldPath& a, const FieldPath& b) {
  const std::size_t size = std::min(a.size(), b.size());
  return std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(size), b.begin());
}

// Takes `path` from everybody but `keeper`.
void Disown(FieldOwners& owners, const FieldPath& path, const FieldManager* keeper) {
  for (auto& [manager, fields] : owners) {
    if (keeper != nullptr && manager == *keeper) continue;
    std::erase_if(fields, [&](const FieldPath& other) { return Overlap(path, other); });
  }
}

void DropEmpty(FieldOwners& owners) {
  std::erase_if(owners, [](const auto& entry) { return entry.second.empty(); });
}

std::string Written(const FieldPath& path) {
  std::string out;
  for (const std::string& step : path) {
    out += step[0] == 'f' ? "." + step.substr(2) : fmt::format("[type=\"{}\"]", step.substr(2));
  }
  return out;
}

}  // namespace

Fields OwnedFields(const Object& object) {
  Fields out;
  FieldPath path;
  Collect(object, path, out);
  return out;
}

void TakeChanges(FieldOwners& owners, const FieldManager& manager, const Object& before,
                 const Object& after) {
  const Fields old_fields = OwnedFields(before);
  const Fields new_fields = OwnedFields(after);
  for (const auto& [path, value] : old_fields) {
    if (!new_fields.contains(path)) Disown(owners, path, nullptr);
  }
  for (const auto& [path, value] : new_fields) {
    const auto old = old_fields.find(path);
    if (old != old_fields.end() && old->second == value) continue;
    Disown(owners, path, &manager);
    owners[manager].insert(path);
  }
  DropEmpty(owners);
}

Status ApplyFields(Object& live, FieldOwners& owners, const FieldManager& manager,
                   const Object& applied, bool force) {
  const Fields present = OwnedFields(live);
  const Fields wanted = OwnedFields(applied);
  std::vector<std::string> conflicts;
  for (const auto& [path, value] : wanted) {
    const auto same = present.find(path);
    if ((same != present.end() && same->second == value) || value.is_object()) continue;
    for (const auto& [other, fields] : owners) {
      if (other == manager) continue;
      const bool owns = std::any_of(fields.begin(), fields.end(),
                                    [&](const FieldPath& field) { return Overlap(field, path); });
      if (owns) conflicts.push_back(fmt::format("\"{}\": {}", other.name, Written(path)));
    }
    if (force) Disown(owners, path, &manager);
  }
  if (!conflicts.empty() && !force) {
    return Error{Code::kAborted,
                 fmt::format("Apply failed with {} conflict{}: conflicts with {}", conflicts.size(),
                             conflicts.size() == 1 ? "" : "s", fmt::join(conflicts, ", "))};
  }
  json::value root = live;
  const FieldSet before = owners[manager];
  FieldSet& mine = owners[manager];
  mine.clear();
  for (const auto& [path, value] : wanted) mine.insert(path);
  for (const FieldPath& path : before) {
    const bool still = std::any_of(owners.begin(), owners.end(), [&](const auto& entry) {
      return std::any_of(entry.second.begin(), entry.second.end(), [&](const FieldPath& field) {
        return field.size() >= path.size() && Overlap(field, path);
      });
    });
    if (!still) Remove(root, path, 0);
  }
  for (const auto& [path, value] : wanted) Set(root, path, value);
  live = root.as_object();
  DropEmpty(owners);
  return {};
}

json::array ManagedFields(const FieldOwners& owners, const std::string& api_version,
                          const std::string& time) {
  json::array out;
  for (const auto& [manager, fields] : owners) {
    json::value tree = json::object();
    for (const FieldPath& path : fields) {
      json::value* at = &tree;
      for (const std::string& step : path) {
        const std::string key =
            step[0] == 'f' ? step : "k:" + json::serialize(json::object{{"type", step.substr(2)}});
        json::value& next = at->as_object()[key];
        if (!next.is_object()) next = json::object();
        at = &next;
      }
    }
    json::object entry = {
        {"manager", manager.name},   {"operation", manager.applies ? "Apply" : "Update"},
        {"apiVersion", api_version}, {"time", time},
        {"fieldsType", "FieldsV1"},  {"fieldsV1", std::move(tree)}};
    if (!manager.subresource.empty()) entry["subresource"] = manager.subresource;
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace aliquot::kube
