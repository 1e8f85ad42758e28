// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/policy.h"
#include "kube/client.h"

namespace aliquot::controller {

// What matters of a ConfigMap that a policy names: its keys, and what is wrong with the text under
// each as a device plugin configuration ("" if nothing). The texts themselves are not kept.
using ConfigKeys = std::map<std::string, std::string, std::less<>>;

// By name in the controller's namespace; absent value: there is no such ConfigMap.
using ConfigMaps = std::map<std::string, std::optional<ConfigKeys>>;

ConfigKeys ReadConfigMap(const kube::Object& object);

// The ConfigMaps that have to be watched for this policy.
std::vector<std::string> NamedConfigMaps(const PolicySpec& spec);

// "it has any, other" for a message; at most about 200 characters.
std::string ListKeys(const ConfigKeys& keys);

}  // namespace aliquot::controller
