// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mig/layout.h"
#include "mig/testing/driver_fake.h"

namespace aliquot::mig::testing {

// Every way of filling `gpu` with whole devices of its plain profiles (no attributes, no double
// memory) so that none of them fits in addition: the 19 of an A100.
std::vector<Layout> MaximalLayouts(const GpuMigState& gpu);

// The devices of a layout, by name.
std::map<ProfileName, unsigned> DevicesOf(const GpuMigState& gpu, const Layout& layout);
DesiredGpu DesiredOf(const GpuMigState& gpu, const Layout& layout);

// Turns MIG on and creates the instances, with the calls of `driver`, which must all succeed; then
// calls count from 0 again.
void Establish(FakeMigDriver& driver, const std::string& gpu, const Layout& layout);

}  // namespace aliquot::mig::testing
