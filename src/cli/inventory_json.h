// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/value.hpp>

#include "gpu/inventory.h"

namespace aliquot::cli {

// The inventory as `aliquot devices -o json` prints it: sizes in bytes, ids as strings, absent
// facts as null. Pure.
boost::json::value ToJson(const gpu::Inventory& inventory);

// "system", "node", "hostbridge", "multiple", "single", "internal" or "unknown".
const char* ToString(gpu::P2pLevel level);

}  // namespace aliquot::cli
