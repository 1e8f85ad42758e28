// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/mig_options.h"

namespace aliquot::cli {

// The `mig` commands, one function each. What fails is reported to `console`.
void MigPlanCommand(const MigOptions& options, Console& console);
void MigApplyCommand(const MigOptions& options, Console& console);
void MigAssertCommand(const MigOptions& options, Console& console);
void MigExportCommand(const MigOptions& options, Console& console);
void MigGenerateConfigCommand(const MigOptions& options, Console& console);
void MigCheckpointCommand(const MigOptions& options, Console& console);
void MigRestoreCommand(const MigOptions& options, Console& console);

}  // namespace aliquot::cli
