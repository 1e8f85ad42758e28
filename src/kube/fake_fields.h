// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: who owns which field of an object, as server-side apply keeps it.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/status.h"
#include "kube/client.h"

namespace aliquot::kube {

// Steps from the root: "f:<key>" into a map, "k:<type>" into a list of conditions. Lists but
// conditions are one field.
using FieldPath = std::vector<std::string>;
using FieldSet = std::set<FieldPath>;

struct FieldManager {
  std::string name;
  bool applies = false;  // operation Apply, else Update
  std::string subresource;

  friend auto operator<=>(const FieldManager&, const FieldManager&) = default;
};
using FieldOwners = std::map<FieldManager, FieldSet>;

// The fields that have an owner, with their values: no maps but empty ones, nothing that the server
// itself keeps (names, versions, times).
std::map<FieldPath, boost::json::value> OwnedFields(const Object& object);

// `owners` after `manager` turned `before` into `after` by an update or a patch: what changed is
// its own now, what is gone is nobody's.
void TakeChanges(FieldOwners& owners, const FieldManager& manager, const Object& before,
                 const Object& after);

// Merges `applied` into `live` and adapts `owners`. kAborted, naming fields and managers, if
// another manager has another value in a field and `force` is not set.
Status ApplyFields(Object& live, FieldOwners& owners, const FieldManager& manager,
                   const Object& applied, bool force);

// metadata.managedFields.
boost::json::array ManagedFields(const FieldOwners& owners, const std::string& api_version,
                                 const std::string& time);

}  // namespace aliquot::kube
