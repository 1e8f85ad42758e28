// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/field_owners.h"

#include <boost/json/array.hpp>

#include "agent/json_path.h"

namespace aliquot::agent {

std::map<std::string, std::set<std::string>> LabelOwners(const kube::Object& object) {
  std::map<std::string, std::set<std::string>> owners;
  const boost::json::value* entries = Find(object, {"metadata", "managedFields"});
  if (entries == nullptr || !entries->is_array()) return owners;
  for (const boost::json::value& entry : entries->get_array()) {
    if (!entry.is_object()) continue;
    const boost::json::object& fields = entry.get_object();
    const boost::json::value* labels = Find(fields, {"fieldsV1", "f:metadata", "f:labels"});
    if (labels == nullptr || !labels->is_object()) continue;
    const std::string manager = FindText(fields, {"manager"});
    for (const auto& [key, value] : labels->get_object()) {
      if (key.starts_with("f:")) owners[std::string(key.substr(2))].insert(manager);
    }
  }
  return owners;
}

std::set<std::string> ManagersOf(const kube::Object& object) {
  std::set<std::string> managers;
  const boost::json::value* entries = Find(object, {"metadata", "managedFields"});
  if (entries == nullptr || !entries->is_array()) return managers;
  for (const boost::json::value& entry : entries->get_array()) {
    if (entry.is_object()) managers.insert(FindText(entry.get_object(), {"manager"}));
  }
  return managers;
}

}  // namespace aliquot::agent
