// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "controller/plan.h"

namespace aliquot::controller {

// Judges how far `active`, one of observed.policies, is fulfilled.
Assessment Assess(const Observed& observed, const Policy& active);

}  // namespace aliquot::controller
