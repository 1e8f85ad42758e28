// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/client.h"

namespace aliquot::kube {
namespace {

// "clusterpolicies" to "clusterpolicy", "storageclasses" to "storageclass", "nodes" to "node".
std::string Singular(std::string plural) {
  if (plural.ends_with("ies")) return plural.substr(0, plural.size() - 3) + "y";
  if (plural.ends_with("sses")) return plural.substr(0, plural.size() - 2);
  if (plural.ends_with("s")) plural.pop_back();
  return plural;
}

}  // namespace

std::string Ref::ToString() const {
  std::string out = Singular(resource.plural) + " ";
  if (!ns.empty()) out += ns + "/";
  out += name;
  if (!subresource.empty()) out += " (" + subresource + ")";
  return out;
}

}  // namespace aliquot::kube
