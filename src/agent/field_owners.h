// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

#include "kube/client.h"

namespace aliquot::agent {

// Who wrote the labels of an object: field managers by label, from metadata.managedFields.
// `subresource` entries do not count. Source: Kubernetes documentation, "Server-Side Apply".
std::map<std::string, std::set<std::string>> LabelOwners(const kube::Object& object);

// All field managers of an object.
std::set<std::string> ManagersOf(const kube::Object& object);

}  // namespace aliquot::agent
