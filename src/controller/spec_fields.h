// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace aliquot::controller {

// Which fields of a ClusterPolicy's spec change nothing here, in groups with the reason: parts that
// do not exist here, settings that are Helm values here, fields nobody knows. Empty fields and
// blocks of parts that are switched off are not worth a word. Empty if there is nothing to say; at
// most about 1,500 characters.
std::string FieldsWithoutEffect(const boost::json::object& spec);

}  // namespace aliquot::controller
