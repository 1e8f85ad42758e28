// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/planner.h"

#include <gtest/gtest.h>

#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {
TEST(Planner, Placeholder) {}
}  // namespace
}  // namespace aliquot::mig
