// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>
#include <vector>

#include "config/config.h"
#include "config/diagnostic.h"

namespace aliquot::config {

// The effective configuration with every field, in the layout and words of the configuration file:
// read as a file it gives the same configuration again.
boost::json::object ToJson(const Config& config);

// [{"severity":"error","line":3,"column":5,"path":...,"message":...,"hint":...}]; line and column
// are null outside the file.
boost::json::array ToJson(const std::vector<Diagnostic>& diagnostics);

}  // namespace aliquot::config
