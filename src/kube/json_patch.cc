// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/json_patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;

Error Malformed(std::string what) { return {Code::kInvalidArgument, "json patch: " + what}; }

using Pointer = std::vector<std::string>;

Result<Pointer> ParsePointer(std::string_view text) {
  Pointer out;
  if (text.empty()) return out;
  if (text[0] != '/') return Malformed(fmt::format("\"{}\" does not start with a slash", text));
  for (std::string token : Split(text.substr(1), '/')) {
    for (std::size_t at = 0; (at = token.find('~', at)) != std::string::npos; ++at) {
      const char next = at + 1 < token.size() ? token[at + 1] : ' ';
      if (next != '0' && next != '1') return Malformed(fmt::format("bad escape in \"{}\"", text));
      token.replace(at, 2, next == '0' ? "~" : "/");
    }
    out.push_back(std::move(token));
  }
  return out;
}

json::value* Find(json::value& root, const Pointer& path, std::size_t depth) {
  json::value* at = &root;
  for (std::size_t i = 0; i < depth; ++i) {
    if (at->is_object()) {
      at = at->as_object().if_contains(path[i]);
    } else if (at->is_array()) {
      const auto index = ParseUnsigned(path[i]);
      at = index ? at->as_array().if_contains(*index) : nullptr;
    } else {
      return nullptr;
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

json::value* Find(json::value& root, const Pointer& path) { return Find(root, path, path.size()); }

std::string Written(const Pointer& path) { return "/" + Join(path, "/"); }

Status Add(json::value& root, const Pointer& path, json::value value) {
  if (path.empty()) {
    root = std::move(value);
    return {};
  }
  json::value* parent = Find(root, path, path.size() - 1);
  if (parent != nullptr && parent->is_object()) {
    parent->as_object()[path.back()] = std::move(value);
    return {};
  }
  if (parent != nullptr && parent->is_array()) {
    json::array& items = parent->as_array();
    const auto index = path.back() == "-" ? std::optional<unsigned long long>(items.size())
                                          : ParseUnsigned(path.back());
    if (index && *index <= items.size()) {
      items.insert(items.begin() + static_cast<std::ptrdiff_t>(*index), std::move(value));
      return {};
    }
  }
  return Malformed(fmt::format("add to \"{}\": no such place", Written(path)));
}

Status Remove(json::value& root, const Pointer& path) {
  json::value* parent = path.empty() ? nullptr : Find(root, path, path.size() - 1);
  if (Find(root, path) == nullptr || parent == nullptr) {
    return Malformed(fmt::format("remove \"{}\": no such value", Written(path)));
  }
  if (parent->is_object()) {
    parent->as_object().erase(path.back());
  } else {
    json::array& items = parent->as_array();
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(*ParseUnsigned(path.back())));
  }
  return {};
}

Status ApplyOperation(json::value& target, const json::value& item) {
  const json::object* operation = item.if_object();
  const auto text = [&](const char* key) -> std::optional<std::string> {
    const json::value* value = operation->if_contains(key);
    if (value == nullptr || !value->is_string()) return {};
    return std::string(value->as_string());
  };
  if (operation == nullptr || !text("op") || !text("path")) {
    return Malformed("each operation is a map with op and path");
  }
  const std::string op = *text("op");
  const auto path = ParsePointer(*text("path"));
  if (!path.ok()) return path.error();
  if (op == "remove") return Remove(target, *path);
  if (op == "move" || op == "copy") {
    const auto from = ParsePointer(text("from").value_or(" "));
    if (!from.ok()) return from.error();
    const json::value* source = Find(target, *from);
    if (source == nullptr) return Malformed(fmt::format("no value at \"{}\"", Written(*from)));
    json::value copy = *source;
    if (op == "move") {
      if (Status status = Remove(target, *from); !status.ok()) return status;
    }
    return Add(target, *path, std::move(copy));
  }
  const json::value* value = operation->if_contains("value");
  if (value == nullptr) return Malformed(fmt::format("\"{}\" needs a value", op));
  if (op == "add") return Add(target, *path, *value);
  json::value* present = Find(target, *path);
  if (present == nullptr) return Malformed(fmt::format("no value at \"{}\"", Written(*path)));
  if (op == "replace") {
    *present = *value;
    return {};
  }
  if (op != "test") return Malformed(fmt::format("unknown operation \"{}\"", op));
  if (*present != *value) return Malformed(fmt::format("test of \"{}\" failed", Written(*path)));
  return {};
}

// The key by which items of the list `name` are told apart; null if it is replaced as a whole.
const char* MergeKey(std::string_view name) {
  if (name == "conditions" || name == "addresses") return "type";
  if (name == "taints") return "key";
  if (name == "ownerReferences") return "uid";
  constexpr std::string_view kByName[] = {
      "containers", "initContainers", "env", "imagePullSecrets", "volumes", "ephemeralContainers"};
  return std::find(std::begin(kByName), std::end(kByName), name) == std::end(kByName) ? nullptr
                                                                                      : "name";
}

void MergeItems(json::array& target, const json::array& patch, const char* key) {
  for (const json::value& change : patch) {
    if (!change.is_object() || !change.as_object().contains(key)) continue;
    const json::value& id = change.as_object().at(key);
    const auto found = std::find_if(target.begin(), target.end(), [&](const json::value& item) {
      return item.is_object() && item.as_object().contains(key) && item.as_object().at(key) == id;
    });
    const json::value* directive = change.as_object().if_contains("$patch");
    if (directive != nullptr && *directive == json::value("delete")) {
      if (found != target.end()) target.erase(found);
    } else if (found != target.end()) {
      ApplyStrategicPatch(*found, change);
    } else {
      json::value fresh = json::object();
      ApplyStrategicPatch(fresh, change);
      target.push_back(std::move(fresh));
    }
  }
}

}  // namespace

void ApplyMergePatch(json::value& target, const json::value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = json::object();
  json::object& fields = target.as_object();
  for (const auto& [key, value] : patch.as_object()) {
    if (value.is_null()) {
      fields.erase(key);
    } else {
      ApplyMergePatch(fields[key], value);
    }
  }
}

Status ApplyJsonPatch(json::value& target, const json::value& patch) {
  if (!patch.is_array()) return Malformed("expected a list of operations");
  for (const json::value& operation : patch.as_array()) {
    if (Status status = ApplyOperation(target, operation); !status.ok()) return status;
  }
  return {};
}

void ApplyStrategicPatch(json::value& target, const json::value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = json::object();
  json::object& fields = target.as_object();
  for (const auto& [key, value] : patch.as_object()) {
    if (key.starts_with("$")) continue;  // ordering hints
    if (value.is_null()) {
      fields.erase(key);
    } else if (value.is_array() && MergeKey(key) != nullptr) {
      if (!fields[key].is_array()) fields[key] = json::array();
      MergeItems(fields[key].as_array(), value.as_array(), MergeKey(key));
    } else if (value.is_array() && key == "finalizers" && fields[key].is_array()) {
      json::array& items = fields[key].as_array();
      for (const json::value& item : value.as_array()) {
        if (std::find(items.begin(), items.end(), item) == items.end()) items.push_back(item);
      }
    } else {
      ApplyStrategicPatch(fields[key], value);
    }
  }
}

}  // namespace aliquot::kube
