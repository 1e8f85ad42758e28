// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "agent/config_offer.h"
#include "base/status.h"

namespace aliquot::agent {

// An accepted offer of the cluster as the text of <state-dir>/last-good-cluster.json:
// {"source":…, "text":…|null, "environment":{…}, "environmentSource":…, "withdrawn":…}.
std::string FormatOffer(const ConfigOffer& offer);
// kDataLoss if `text` is not such a file.
Result<ConfigOffer> ParseOffer(const std::string& text);

}  // namespace aliquot::agent
