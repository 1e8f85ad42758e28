// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>

namespace aliquot::cdi {
namespace {

namespace json = boost::json;

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsLetter(char c) { return IsAlphanumeric(c) && !(c >= '0' && c <= '9'); }

// Letters and digits, with `inner` allowed between the first and the last character.
bool IsName(std::string_view name, std::string_view inner) {
  if (name.empty() || !IsAlphanumeric(name.front()) || !IsAlphanumeric(name.back())) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return IsAlphanumeric(c) || inner.find(c) != std::string_view::npos;
  });
}

Error Invalid(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }

Status ValidateEdits(const ContainerEdits& edits) {
  for (const std::string& variable : edits.env) {
    if (variable.find('=') == std::string::npos || variable.front() == '=') {
      return Invalid(fmt::format("variable \"{}\" is not of the form NAME=value", variable));
    }
  }
  for (const DeviceNode& node : edits.device_nodes) {
    if (!node.path.starts_with('/')) {
      return Invalid(fmt::format("device path \"{}\" is not absolute", node.path));
    }
    if (node.permissions.find_first_not_of("rwm") != std::string::npos) {
      return Invalid(
          fmt::format("permissions \"{}\" of {} are not of \"rwm\"", node.permissions, node.path));
    }
  }
  for (const Mount& mount : edits.mounts) {
    if (!mount.host_path.starts_with('/') || !mount.container_path.starts_with('/')) {
      return Invalid(fmt::format("mount of \"{}\" at \"{}\" is not between absolute paths",
                                 mount.host_path, mount.container_path));
    }
  }
  for (const Hook& hook : edits.hooks) {
    if (!hook.path.starts_with('/')) {
      return Invalid(fmt::format("hook path \"{}\" is not absolute", hook.path));
    }
  }
  return {};
}

json::array Strings(const std::vector<std::string>& values) {
  return json::array(values.begin(), values.end());
}

json::object NodeToJson(const DeviceNode& node) {
  json::object out{{"path", node.path}};
  if (!node.host_path.empty()) out["hostPath"] = node.host_path;
  if (!node.permissions.empty()) out["permissions"] = node.permissions;
  return out;
}

json::object MountToJson(const Mount& mount) {
  json::object out{{"hostPath", mount.host_path}, {"containerPath", mount.container_path}};
  if (!mount.options.empty()) out["options"] = Strings(mount.options);
  return out;
}

json::object HookToJson(const Hook& hook) {
  json::object out{{"hookName", hook.name}, {"path", hook.path}};
  if (!hook.args.empty()) out["args"] = Strings(hook.args);
  if (!hook.env.empty()) out["env"] = Strings(hook.env);
  return out;
}

template <typename T, typename F>
void AddArray(json::object& out, const char* key, const std::vector<T>& values, F to_json) {
  if (values.empty()) return;
  json::array& array = out[key].emplace_array();
  for (const T& value : values) array.push_back(to_json(value));
}

json::object EditsToJson(const ContainerEdits& edits) {
  json::object out;
  if (!edits.env.empty()) out["env"] = Strings(edits.env);
  AddArray(out, "deviceNodes", edits.device_nodes, NodeToJson);
  AddArray(out, "hooks", edits.hooks, HookToJson);
  AddArray(out, "mounts", edits.mounts, MountToJson);
  if (!edits.additional_gids.empty()) {
    out["additionalGids"] = json::array(edits.additional_gids.begin(), edits.additional_gids.end());
  }
  return out;
}

// Boost.JSON writes one line; people read these files when a container does not start.
void Print(const json::value& value, std::size_t indent, std::string& out) {
  const std::string inner(indent + 2, ' ');
  const char* separator = "\n";
  if (const json::object* object = value.if_object(); object != nullptr && !object->empty()) {
    out += '{';
    for (const auto& [key, member] : *object) {
      out += separator + inner + json::serialize(key) + ": ";
      Print(member, indent + 2, out);
      separator = ",\n";
    }
    out += "\n" + std::string(indent, ' ') + '}';
  } else if (const json::array* array = value.if_array(); array != nullptr && !array->empty()) {
    out += '[';
    for (const json::value& element : *array) {
      out += separator + inner;
      Print(element, indent + 2, out);
      separator = ",\n";
    }
    out += "\n" + std::string(indent, ' ') + ']';
  } else {
    out += json::serialize(value);
  }
}

bool AnyEdits(const Spec& spec, bool (*test)(const ContainerEdits&)) {
  return test(spec.common) || std::any_of(spec.devices.begin(), spec.devices.end(),
                                          [&](const Device& device) { return test(device.edits); });
}

}  // namespace

std::string QualifiedName(std::string_view device_class, std::string_view device) {
  return fmt::format("{}/{}={}", kVendor, device_class, device);
}

std::string FileName(std::string_view device_class) {
  return fmt::format("{}-{}.json", kVendor, device_class);
}

std::string_view MinimumVersion(const Spec& spec) {
  if (AnyEdits(spec, [](const ContainerEdits& edits) { return !edits.additional_gids.empty(); })) {
    return "0.7.0";
  }
  if (spec.device_class.find('.') != std::string::npos) return "0.6.0";
  const bool digit_first = std::any_of(
      spec.devices.begin(), spec.devices.end(),
      [](const Device& device) { return !device.name.empty() && !IsLetter(device.name.front()); });
  const bool host_paths = AnyEdits(spec, [](const ContainerEdits& edits) {
    return std::any_of(edits.device_nodes.begin(), edits.device_nodes.end(),
                       [](const DeviceNode& node) { return !node.host_path.empty(); });
  });
  return digit_first || host_paths ? "0.5.0" : "0.3.0";
}

Status Validate(const Spec& spec) {
  if (!IsName(spec.device_class, "_-.") || !IsLetter(spec.device_class.front())) {
    return Invalid(
        fmt::format("class \"{}\" is not a letter followed by letters, digits, '_', "
                    "'-' and '.'",
                    spec.device_class));
  }
  if (spec.devices.empty()) {
    return Invalid(fmt::format("class \"{}\" has no devices", spec.device_class));
  }
  if (Status status = ValidateEdits(spec.common); !status.ok()) return status.error();
  std::set<std::string_view> names;
  for (const Device& device : spec.devices) {
    if (!IsName(device.name, "_-.:")) {
      return Invalid(
          fmt::format("device name \"{}\" is not made of letters, digits, '_', '-', "
                      "'.' and ':'",
                      device.name));
    }
    if (!names.insert(device.name).second) {
      return Invalid(fmt::format("device name \"{}\" appears twice", device.name));
    }
    if (device.edits.empty()) {
      return Invalid(fmt::format("device \"{}\" changes nothing in a container", device.name));
    }
    if (Status status = ValidateEdits(device.edits); !status.ok()) {
      return status.error().In(fmt::format("device \"{}\"", device.name));
    }
  }
  return {};
}

std::string ToJson(const Spec& spec) {
  json::object out{{"cdiVersion", MinimumVersion(spec)},
                   {"kind", fmt::format("{}/{}", kVendor, spec.device_class)}};
  json::array& devices = out["devices"].emplace_array();
  for (const Device& device : spec.devices) {
    devices.push_back(
        json::object{{"name", device.name}, {"containerEdits", EditsToJson(device.edits)}});
  }
  if (!spec.common.empty()) out["containerEdits"] = EditsToJson(spec.common);
  std::string text;
  Print(out, 0, text);
  text += '\n';
  return text;
}

}  // namespace aliquot::cdi
