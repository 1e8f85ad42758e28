// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: what an API server does with patches.
#pragma once

#include <boost/json/value.hpp>

#include "base/status.h"

namespace aliquot::kube {

// RFC 7386: null removes, maps are merged, everything else replaces.
void ApplyMergePatch(boost::json::value& target, const boost::json::value& patch);

// RFC 6902. kInvalidArgument if an operation is malformed or does not apply; `target` is then in an
// unspecified state.
Status ApplyJsonPatch(boost::json::value& target, const boost::json::value& patch);

// Kubernetes' strategic merge patch of built-in kinds, as far as nodes, pods and workloads need it:
// merges the lists whose merge key is known (conditions, addresses by type; containers, env,
// volumes and the like by name; taints by key; ownerReferences by uid), "$patch": "delete" in an
// item removes it; finalizers are united; all else as a merge patch.
void ApplyStrategicPatch(boost::json::value& target, const boost::json::value& patch);

}  // namespace aliquot::kube
